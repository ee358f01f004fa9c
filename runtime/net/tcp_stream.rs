//! A TCP connection.
//!
//! Reading and writing take `&self` as well as `&mut self`, so two futures of one task, or two
//! tasks, may read and write at once; see also `split.rs`.
//!
//! Facts: a partial read or write of a TCP socket says that its buffer is empty, or full, so the
//! next call is not tried before the next edge (`reactor.rs`). connect(2) on a non-blocking
//! socket goes on by itself; it is over when the socket is writable, and `SO_ERROR` says how.
//!
//! Read next: `split.rs`.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream as StdStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::address::Address;
use crate::id::WaitReason;
use crate::io::nonblocking::Nonblocking;
use crate::reactor::Direction;

/// How many slices one vectored call takes (`IOV_MAX`, readv(2)); more than that are not a short transfer.
const MAX_SLICES: usize = 1024;

/// A TCP connection. Dropping it closes it.
#[derive(Debug)]
pub struct TcpStream {
    /// The socket.
    socket: Nonblocking<StdStream>,
}

impl TcpStream {
    /// Connects to the first address behind `address` that answers. Host names are looked up off
    /// the loop.
    ///
    /// # Errors
    /// If the name is unknown, or no address answers: the error of the last one, with the address in it.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up.
    pub async fn connect(address: impl Into<Address>) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address to connect to");
        for address in address.into().resolve().await? {
            match TcpStream::connect_one(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    last = io::Error::new(error.kind(), format!("cannot connect to {address}: {error}"));
                }
            }
        }
        Err(last)
    }

    /// Connects to one address.
    async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        // Registered only now: epoll would report a socket that is not connecting yet as hung up.
        let socket = Nonblocking::of_nonblocking(StdStream::from(socket))?;
        let reason = WaitReason::Connect(socket.get_ref().as_raw_fd());
        let mut wait = socket.registration().wait(Direction::Write).because(reason);
        let connected = || match socket.get_ref().take_error()? {
            Some(error) => Err(error),
            None => match socket.get_ref().peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                result => result,
            },
        };
        poll_fn(|context| wait.poll_call(context, connected)).await?;
        drop(wait);
        Ok(TcpStream { socket })
    }

    /// Takes a connection from std in; it is made non-blocking.
    ///
    /// # Errors
    /// As [`Nonblocking::new`].
    pub fn from_std(stream: StdStream) -> io::Result<TcpStream> {
        Ok(TcpStream { socket: Nonblocking::new(stream)? })
    }

    /// The same for one that is non-blocking already.
    pub(crate) fn of_nonblocking(stream: StdStream) -> io::Result<TcpStream> {
        Ok(TcpStream { socket: Nonblocking::of_nonblocking(stream)? })
    }

    /// Takes the connection out of the loop; it stays non-blocking.
    pub fn into_std(self) -> StdStream {
        self.socket.into_inner()
    }

    /// The other end's address.
    ///
    /// # Errors
    /// What getpeername(2) reports: `ENOTCONN` once the peer has reset the connection.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().peer_addr()
    }

    /// This end's address.
    ///
    /// # Errors
    /// What getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`, tcp(7)) instead of being gathered.
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.get_ref().set_nodelay(nodelay)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    /// What getsockopt(2) reports.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.get_ref().nodelay()
    }

    /// How closing treats unsent bytes (`SO_LINGER`, socket(7)): zero resets the connection. The kernel counts
    /// whole seconds; a part of one is rounded up, so that only zero is zero.
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        let whole_seconds = |linger: Duration| {
            let seconds = linger.as_secs().saturating_add(u64::from(linger.subsec_nanos() > 0));
            Duration::from_secs(seconds.min(u64::from(u16::MAX)))
        };
        SockRef::from(&self.socket.get_ref()).set_linger(linger.map(whole_seconds))
    }

    /// Closes one or both directions, at once. After [`Shutdown::Write`] the peer reads the end.
    ///
    /// # Errors
    /// What shutdown(2) reports: `ENOTCONN` once the peer has reset the connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.get_ref().shutdown(how)
    }

    /// Reads what has come; 0 is the end.
    ///
    /// # Errors
    /// What recv(2) reports, or outside of the loop that the stream belongs to.
    ///
    /// # Cancel safety
    /// If it is dropped, nothing was read.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut socket, len) = (self.socket.get_ref(), buffer.len());
        let mut wait = self.socket.registration().wait(Direction::Read);
        poll_fn(|context| wait.poll_transfer(context, len, || socket.read(buffer))).await
    }

    /// Writes some of `bytes`; says how many.
    ///
    /// # Errors
    /// What send(2) reports, or outside of the loop that the stream belongs to.
    ///
    /// # Cancel safety
    /// If it is dropped, nothing was written.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.socket.get_ref();
        let mut wait = self.socket.registration().wait(Direction::Write);
        poll_fn(|context| wait.poll_transfer(context, bytes.len(), || socket.write(bytes))).await
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// As [`write`](TcpStream::write).
    ///
    /// # Cancel safety
    /// None: if it is dropped, nobody knows how much was written.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = self.write(bytes).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Waits until a read may succeed, without holding a buffer meanwhile.
    ///
    /// # Errors
    /// Outside of the loop that the stream belongs to.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Reads what has come, now.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has; else as [`read`](TcpStream::read).
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut socket, len) = (self.socket.get_ref(), buffer.len());
        self.socket.registration().try_transfer(Direction::Read, len, || socket.read(buffer))
    }

    /// Writes what fits, now.
    ///
    /// # Errors
    /// `WouldBlock` if nothing fits; else as [`write`](TcpStream::write).
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.socket.get_ref();
        self.socket.registration().try_transfer(Direction::Write, bytes.len(), || socket.write(bytes))
    }

    /// A read by shared reference.
    fn poll_read_shared(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let (mut socket, len) = (self.socket.get_ref(), buffer.len());
        let mut wait = self.socket.registration().wait_unowned(Direction::Read);
        wait.poll_transfer(context, len, || socket.read(buffer))
    }

    /// A write by shared reference.
    fn poll_write_shared(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut socket = self.socket.get_ref();
        let mut wait = self.socket.registration().wait_unowned(Direction::Write);
        wait.poll_transfer(context, bytes.len(), || socket.write(bytes))
    }
}

impl AsyncRead for &TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_shared(context, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = buffers.iter().take(MAX_SLICES).map(|buffer| buffer.len()).sum();
        let mut socket = self.socket.get_ref();
        let mut wait = self.socket.registration().wait_unowned(Direction::Read);
        wait.poll_transfer(context, len, || socket.read_vectored(buffers))
    }
}

impl AsyncWrite for &TcpStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_shared(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = slices.iter().take(MAX_SLICES).map(|slice| slice.len()).sum();
        let mut socket = self.socket.get_ref();
        let mut wait = self.socket.registration().wait_unowned(Direction::Write);
        wait.poll_transfer(context, len, || socket.write_vectored(slices))
    }

    /// A socket has no buffer of ours to flush.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the writing direction: the peer reads the end, and may go on sending.
    fn poll_close(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.shutdown(Shutdown::Write) {
            // The peer was faster; closed is closed.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_shared(context, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read_vectored(context, buffers)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_shared(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(context, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(context)
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.get_ref().as_raw_fd()
    }
}
