//! A listening socket.
//!
//! Read next: `drain.rs`.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use socket2::{Domain, Protocol, Socket, Type};

use super::address::Address;
use super::tcp_stream::TcpStream;
use crate::id::WaitReason;
use crate::io::nonblocking::Nonblocking;
use crate::io::registration::Wait;
use crate::reactor::Direction;

/// How a listener is set up; the default is right for most servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// How many connections may wait to be accepted (listen(2)); the kernel caps it at `net.core.somaxconn`.
    pub backlog: i32,
    /// `SO_REUSEADDR`: listen although connections of an earlier server are still being wound up.
    pub reuse_address: bool,
    /// `SO_REUSEPORT`: share the port with other listeners that say so too; the kernel spreads connections.
    pub reuse_port: bool,
}

impl Default for ListenOptions {
    fn default() -> ListenOptions {
        ListenOptions { backlog: 4096, reuse_address: true, reuse_port: false }
    }
}

/// A listening socket. Dropping it closes it, and resets the connections that wait to be accepted.
#[derive(Debug)]
pub struct TcpListener {
    /// The socket; mio's type, which accepts with one system call (accept4(2)).
    socket: Nonblocking<mio::net::TcpListener>,
}

impl TcpListener {
    /// Listens at the first address behind `address` that can be had; port 0 takes a free one.
    ///
    /// # Errors
    /// What bind(2) reports: `AddrInUse` if another program listens there. The message has the address in it.
    ///
    /// # Cancel safety
    /// Dropping it gives up.
    pub async fn bind(address: impl Into<Address>) -> io::Result<TcpListener> {
        TcpListener::bind_with(address, ListenOptions::default()).await
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`bind`](TcpListener::bind).
    ///
    /// # Cancel safety
    /// Dropping it gives up.
    pub async fn bind_with(address: impl Into<Address>, options: ListenOptions) -> io::Result<TcpListener> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen at");
        for address in address.into().resolve().await? {
            match listen(address, options) {
                Ok(listener) => return TcpListener::from_std(listener),
                Err(error) => {
                    last = io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"));
                }
            }
        }
        Err(last)
    }

    /// Takes a listener from std in, or one set up with socket2; it is made non-blocking.
    ///
    /// # Errors
    /// As [`Nonblocking::new`].
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        let listener = mio::net::TcpListener::from_std(listener);
        Ok(TcpListener { socket: Nonblocking::of_nonblocking(listener)? })
    }

    /// The address that it listens at.
    ///
    /// # Errors
    /// What getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// What accept(2) reports. Some of it concerns one connection only (`ECONNABORTED`), some says
    /// that there are no more descriptors (`EMFILE`): [`Server`](crate::net::Server) knows which.
    ///
    /// # Cancel safety
    /// If it is dropped, no connection was taken.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut wait = self.socket.registration().wait(Direction::Read).because(self.reason());
        poll_fn(|context| self.poll_accept_in(context, &mut wait)).await
    }

    /// The poll behind [`accept`](TcpListener::accept).
    ///
    /// # Errors
    /// As [`accept`](TcpListener::accept).
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let mut wait = self.socket.registration().wait_unowned(Direction::Read).because(self.reason());
        self.poll_accept_in(context, &mut wait)
    }

    /// One poll, with the wait in hand.
    fn poll_accept_in(
        &self,
        context: &mut Context<'_>,
        wait: &mut Wait<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (stream, peer) = ready!(wait.poll_call(context, || self.socket.get_ref().accept()))?;
        Poll::Ready(TcpStream::of_nonblocking(stream.into()).map(|stream| (stream, peer)))
    }

    /// What a task says that waits for a connection.
    fn reason(&self) -> WaitReason {
        WaitReason::Accept(self.as_raw_fd())
    }

    /// The connections as a [`Stream`] that never ends.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }
}

/// Makes a listening socket.
fn listen(address: SocketAddr, options: ListenOptions) -> io::Result<std::net::TcpListener> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(options.reuse_address)?;
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    Ok(socket.into())
}

/// The connections of a listener, one after the other. See [`TcpListener::incoming`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    /// Where they come in.
    listener: &'a TcpListener,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<(TcpStream, SocketAddr)>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.listener.poll_accept(context).map(Some)
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.get_ref().as_raw_fd()
    }
}
