//! What every connection of bytes can do, whatever it goes through: TCP or a Unix socket.
//!
//! Reading and writing take `&self` as well as `&mut self`, so two futures of one task, or two
//! tasks, may read and write at once; see also `split.rs`.
//!
//! Facts: a partial write says that the socket's buffer is full, and a partial read of a TCP socket that it
//! is empty, so the next call is not tried before the next edge (`reactor.rs`). A read of a Unix socket
//! says nothing: it also stops after bytes that came with a descriptor (`SCM_RIGHTS`, unix(7)).
//!
//! Read next: `tcp_stream.rs`.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

use crate::io::nonblocking::Nonblocking;
use crate::reactor::Direction;

/// How many slices one vectored call takes (`IOV_MAX`, readv(2)); more than that are not a short transfer.
const MAX_SLICES: usize = 1024;

/// A socket of std for a stream of bytes. Not exported: how its reads end concerns nobody else.
pub trait Streams: AsFd {
    /// Whether a read that fills less than its buffer has read all there was.
    const SHORT_READ_DRAINS: bool;

    /// How many bytes a read into `len` bytes must give, so that there may be more.
    fn full_read(len: usize) -> usize {
        if Self::SHORT_READ_DRAINS { len } else { 0 }
    }
}

/// A connection of bytes: [`TcpStream`](crate::net::TcpStream) or [`UnixStream`](crate::net::UnixStream).
/// Dropping it closes it.
#[derive(Debug)]
pub struct StreamSocket<S: AsFd> {
    /// The socket.
    socket: Nonblocking<S>,
}

impl<S: AsFd> StreamSocket<S> {
    /// Takes a connection from std in; it is made non-blocking.
    ///
    /// # Errors
    /// As [`Nonblocking::new`].
    pub fn from_std(stream: S) -> io::Result<StreamSocket<S>> {
        Ok(StreamSocket { socket: Nonblocking::new(stream)? })
    }

    /// The same for one that is non-blocking already.
    pub(crate) fn of_nonblocking(stream: S) -> io::Result<StreamSocket<S>> {
        Ok(StreamSocket { socket: Nonblocking::of_nonblocking(stream)? })
    }

    /// The same for one that is in the loop already.
    pub(crate) fn of_registered(socket: Nonblocking<S>) -> StreamSocket<S> {
        StreamSocket { socket }
    }

    /// Takes the connection out of the loop; it stays non-blocking.
    pub fn into_std(self) -> S {
        self.socket.into_inner()
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &Nonblocking<S> {
        &self.socket
    }

    /// Closes one or both directions, at once. After [`Shutdown::Write`] the peer reads the end.
    ///
    /// # Errors
    /// What shutdown(2) reports: `ENOTCONN` once the peer has reset the connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        SockRef::from(self.socket.get_ref()).shutdown(how)
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

    /// Waits until a write may succeed.
    ///
    /// # Errors
    /// Outside of the loop that the stream belongs to.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }
}

impl<S: Streams> StreamSocket<S>
where
    for<'a> &'a S: Read + Write,
{
    /// Reads what has come; 0 is the end.
    ///
    /// # Errors
    /// What recv(2) reports, or outside of the loop that the stream belongs to.
    ///
    /// # Cancel safety
    /// If it is dropped, nothing was read.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut socket, len) = (self.socket.get_ref(), S::full_read(buffer.len()));
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
    /// As [`write`](StreamSocket::write).
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

    /// Reads what has come, now.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has; else as [`read`](StreamSocket::read).
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut socket, len) = (self.socket.get_ref(), S::full_read(buffer.len()));
        self.socket.registration().try_transfer(Direction::Read, len, || socket.read(buffer))
    }

    /// Writes what fits, now.
    ///
    /// # Errors
    /// `WouldBlock` if nothing fits; else as [`write`](StreamSocket::write).
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.socket.get_ref();
        self.socket.registration().try_transfer(Direction::Write, bytes.len(), || socket.write(bytes))
    }

    /// A read by shared reference.
    fn poll_read_shared(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let (mut socket, len) = (self.socket.get_ref(), S::full_read(buffer.len()));
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

impl<S: Streams> AsyncRead for &StreamSocket<S>
where
    for<'a> &'a S: Read + Write,
{
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
        wait.poll_transfer(context, S::full_read(len), || socket.read_vectored(buffers))
    }
}

impl<S: Streams> AsyncWrite for &StreamSocket<S>
where
    for<'a> &'a S: Read + Write,
{
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

impl<S: Streams> AsyncRead for StreamSocket<S>
where
    for<'a> &'a S: Read + Write,
{
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

impl<S: Streams> AsyncWrite for StreamSocket<S>
where
    for<'a> &'a S: Read + Write,
{
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

impl<S: AsFd> AsFd for StreamSocket<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

impl<S: AsFd> AsRawFd for StreamSocket<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
