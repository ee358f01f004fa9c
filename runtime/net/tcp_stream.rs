//! A TCP connection: how it comes about, and what only TCP has.
//!
//! Fact: connect(2) on a non-blocking socket goes on by itself; it is over when the socket is
//! writable, and `SO_ERROR` says how.
//!
//! Read next: `patience.rs`.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::address::Address;
use super::connect::Race;
use super::stream_socket::{StreamSocket, Streams};
use crate::executor::spawn::now;
use crate::id::WaitReason;
use crate::io::nonblocking::Nonblocking;
use crate::reactor::Direction;
use crate::time::timeout;

/// A TCP connection. Dropping it closes it.
pub type TcpStream = StreamSocket<StdStream>;

impl Streams for StdStream {
    const SHORT_READ_DRAINS: bool = true;
}

impl TcpStream {
    /// Connects to the first address behind `address` that answers. Host names are looked up off
    /// the loop.
    ///
    /// Of several addresses each has 250 ms for itself; then the next is tried as well, or at once when
    /// one fails. IPv6 and IPv4 take turns. The first connection wins (RFC 8305, "happy eyeballs").
    ///
    /// There is no limit of time but the kernel's, of about two minutes (`tcp_syn_retries`, tcp(7)).
    ///
    /// # Errors
    /// If the name is unknown, or no address answers: each of them is named, with its reason.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempts up.
    pub async fn connect(address: impl Into<Address>) -> io::Result<TcpStream> {
        let addresses = address.into().resolve().await?;
        Race::new(&addresses, |address| Box::pin(TcpStream::connect_one(address))).await
    }

    /// The same, all of it within `limit`: the look-up, and every attempt.
    ///
    /// # Errors
    /// As [`connect`](TcpStream::connect), or [`TimedOut`](io::ErrorKind::TimedOut), naming each address and
    /// what came of it.
    ///
    /// # Panics
    /// If there is no loop on this thread.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempts up.
    pub async fn connect_timeout(address: impl Into<Address>, limit: Duration) -> io::Result<TcpStream> {
        let start = now();
        let addresses = address.into().resolve_within(limit).await?;
        let mut race = Race::new(&addresses, |address| Box::pin(TcpStream::connect_one(address)));
        let raced = timeout(limit.saturating_sub(now() - start), &mut race).await;
        raced.unwrap_or_else(|_| Err(race.out_of_time(limit)))
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
        Ok(StreamSocket::of_registered(socket))
    }

    /// The other end's address.
    ///
    /// # Errors
    /// What getpeername(2) reports: `ENOTCONN` once the peer has reset the connection.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().get_ref().peer_addr()
    }

    /// This end's address.
    ///
    /// # Errors
    /// What getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().get_ref().local_addr()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`, tcp(7)) instead of being gathered.
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket().get_ref().set_nodelay(nodelay)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    /// What getsockopt(2) reports.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket().get_ref().nodelay()
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
        SockRef::from(self.socket().get_ref()).set_linger(linger.map(whole_seconds))
    }
}
