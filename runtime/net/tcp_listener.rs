//! A TCP socket that listens.
//!
//! Read next: `unix_listener.rs`.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, Socket, Type};

use super::address::Address;
use super::attempts::first_that_does;
use super::listener::{Incoming, Listener, accept, poll_accept};
use super::tcp_stream::TcpStream;
use crate::io::nonblocking::Nonblocking;

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
        let addresses = address.into().resolve().await?;
        TcpListener::from_std(first_that_does("listen at", addresses, |address| listen(address, options))?)
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
        accept(&self.socket, |socket| socket.accept()).await.and_then(into_the_loop)
    }

    /// The poll behind [`accept`](TcpListener::accept).
    ///
    /// # Errors
    /// As [`accept`](TcpListener::accept).
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = ready!(poll_accept(&self.socket, context, |socket| socket.accept()))?;
        Poll::Ready(into_the_loop(accepted))
    }

    /// The connections as a [`Stream`](futures_core::Stream) that never ends.
    pub fn incoming(&self) -> Incoming<'_, TcpListener> {
        Incoming::of(self)
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.poll_accept(context)
    }
}

/// A connection as mio gives it, as ours.
fn into_the_loop((stream, peer): (mio::net::TcpStream, SocketAddr)) -> io::Result<(TcpStream, SocketAddr)> {
    Ok((TcpStream::of_nonblocking(stream.into())?, peer))
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
