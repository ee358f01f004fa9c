//! A connection to another program on this machine, through a Unix socket.
//!
//! Facts (unix(7), connect(2)): connecting is over at once, one way or the other. Where the server's
//! backlog is full, a non-blocking socket is told so (`EAGAIN`), and epoll does not tell when there is
//! room. So it is tried again after a pause (`patience.rs`).
//!
//! Read next: `split.rs`.

use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdStream;

use socket2::{SockAddr, SockRef, Type};

use super::patience::Patience;
use super::stream_socket::{StreamSocket, Streams};
use super::unix_address::{UnixAddress, unix_socket};
use crate::id::WaitReason;
use crate::task::here;

/// A connection through a Unix socket. Dropping it closes it.
pub type UnixStream = StreamSocket<StdStream>;

/// Who is at the other end of a [`UnixStream`], as the kernel knows it (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The process that connected, listened or made the pair; it may be gone by now.
    pub pid: i32,
    /// Its effective user then.
    pub uid: u32,
    /// Its effective group then.
    pub gid: u32,
}

impl Streams for StdStream {
    const SHORT_READ_DRAINS: bool = false;
}

impl UnixStream {
    /// Connects to the server at a path or a [`UnixAddress`]. Where the server's backlog is full it
    /// waits; a [`timeout`](crate::timeout()) around it says for how long.
    ///
    /// # Errors
    /// What connect(2) reports, with the address in the message: `NotFound` if there is no such
    /// file, `ConnectionRefused` if its server is gone.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up.
    pub async fn connect(address: impl Into<UnixAddress>) -> io::Result<UnixStream> {
        let address = address.into();
        let connected = async {
            let socket = unix_socket(Type::STREAM)?;
            connect_with_patience(&SockRef::from(&socket), &address.encode()?).await?;
            UnixStream::of_nonblocking(socket.into())
        };
        connected.await.map_err(|error| address.explain("connect to", &error))
    }

    /// Two ends of a new connection.
    ///
    /// # Errors
    /// What socketpair(2) reports, or as [`from_std`](StreamSocket::from_std).
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = StdStream::pair()?;
        Ok((UnixStream::from_std(one)?, UnixStream::from_std(other)?))
    }

    /// The other end's address; a client's is mostly unnamed.
    ///
    /// # Errors
    /// What getpeername(2) reports.
    pub fn peer_addr(&self) -> io::Result<UnixAddress> {
        self.socket().get_ref().peer_addr().map(UnixAddress::from)
    }

    /// This end's address.
    ///
    /// # Errors
    /// What getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<UnixAddress> {
        self.socket().get_ref().local_addr().map(UnixAddress::from)
    }

    /// Who is at the other end: process, user and group when the connection was made.
    ///
    /// # Errors
    /// What getsockopt(2) reports.
    pub fn peer_cred(&self) -> io::Result<PeerCredentials> {
        let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut len = size_of::<libc::ucred>() as libc::socklen_t;
        let (fd, place) = (self.as_raw_fd(), (&raw mut credentials).cast());
        // SAFETY: the descriptor is open while `self` is there, and the kernel writes at most `len`
        // bytes, the size of the struct, any bytes of which are valid numbers. Tested by `tests/unix.rs`.
        match unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, place, &raw mut len) } {
            0 => {
                let libc::ucred { pid, uid, gid } = credentials;
                Ok(PeerCredentials { pid, uid, gid })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Connects, with pauses while the server's backlog is full.
async fn connect_with_patience(socket: &SockRef<'_>, address: &SockAddr) -> io::Result<()> {
    let mut patience = Patience::default();
    loop {
        match socket.connect(address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
        patience.begin_pause();
        std::future::poll_fn(|context| {
            // Before the sleep says its own: what the task really waits for is the server.
            here::waits_for(WaitReason::Connect(socket.as_raw_fd()));
            patience.poll(context)
        })
        .await;
    }
}
