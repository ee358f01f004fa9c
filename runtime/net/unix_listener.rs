//! A Unix socket that listens, and the file by which it is found.
//!
//! Read next: `datagram_socket.rs`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr as StdAddress, UnixListener as StdListener};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use socket2::Type;

use super::listener::{Incoming, Listener, accept, poll_accept};
use super::unix_address::{UnixAddress, bind_unix};
use super::unix_stream::UnixStream;
use crate::io::nonblocking::Nonblocking;

/// How a Unix listener is set up; the default leaves all files alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixListenOptions {
    /// How many connections may wait to be accepted (listen(2)); the kernel caps it at `net.core.somaxconn`.
    pub backlog: i32,
    /// Removes a socket's file that is in the way if nobody answers there: its server ended without
    /// removing it. A server that is alive sees one connection that says nothing. Two servers that
    /// start at the same moment may remove each other's file: let one lock decide who starts.
    pub replace_stale: bool,
    /// Removes the file when the listener is dropped, if it still is this listener's.
    pub unlink_on_drop: bool,
}

impl Default for UnixListenOptions {
    fn default() -> UnixListenOptions {
        UnixListenOptions { backlog: 4096, replace_stale: false, unlink_on_drop: false }
    }
}

/// A listening Unix socket. Dropping it closes it, and resets the connections that wait to be accepted.
#[derive(Debug)]
pub struct UnixListener {
    /// The file to remove; before the socket closes, so that nobody finds a file without a server.
    own_file: Option<OwnFile>,
    /// The socket; mio's type, which accepts with one system call (accept4(2)).
    socket: Nonblocking<mio::net::UnixListener>,
}

impl UnixListener {
    /// Listens at a path or a [`UnixAddress`].
    ///
    /// # Errors
    /// What bind(2) reports, with the path in the message: `AddrInUse` if there is a file already.
    /// If that is left from a server that is gone, use [`bind_with`](UnixListener::bind_with) and
    /// [`replace_stale`](UnixListenOptions::replace_stale). Outside of a loop.
    pub fn bind(address: impl Into<UnixAddress>) -> io::Result<UnixListener> {
        UnixListener::bind_with(address, UnixListenOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`bind`](UnixListener::bind).
    pub fn bind_with(
        address: impl Into<UnixAddress>,
        options: UnixListenOptions,
    ) -> io::Result<UnixListener> {
        let address = address.into();
        let socket = bind_unix(Type::STREAM, &address, options.replace_stale)?;
        let file = options.unlink_on_drop.then(|| OwnFile::at(&address)).flatten();
        socket.listen(options.backlog).map_err(|error| address.explain("listen at", &error))?;
        let mut listener = UnixListener::from_std(socket.into())?;
        listener.own_file = file;
        Ok(listener)
    }

    /// Takes a listener from std in; it is made non-blocking.
    ///
    /// # Errors
    /// As [`Nonblocking::new`].
    pub fn from_std(listener: StdListener) -> io::Result<UnixListener> {
        listener.set_nonblocking(true)?;
        let socket = Nonblocking::of_nonblocking(mio::net::UnixListener::from_std(listener))?;
        Ok(UnixListener { own_file: None, socket })
    }

    /// The address that it listens at.
    ///
    /// # Errors
    /// What getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<UnixAddress> {
        self.socket.get_ref().local_addr().map(UnixAddress::from)
    }

    /// Waits for the next connection; its address is unnamed unless the client was bound.
    ///
    /// # Errors
    /// What accept(2) reports; [`AcceptError`](crate::net::AcceptError) sorts it.
    ///
    /// # Cancel safety
    /// If it is dropped, no connection was taken.
    pub async fn accept(&self) -> io::Result<(UnixStream, UnixAddress)> {
        accept(&self.socket, |socket| socket.accept()).await.and_then(into_the_loop)
    }

    /// The poll behind [`accept`](UnixListener::accept).
    ///
    /// # Errors
    /// As [`accept`](UnixListener::accept).
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(UnixStream, UnixAddress)>> {
        let accepted = ready!(poll_accept(&self.socket, context, |socket| socket.accept()))?;
        Poll::Ready(into_the_loop(accepted))
    }

    /// The connections as a [`Stream`](futures_core::Stream) that never ends.
    pub fn incoming(&self) -> Incoming<'_, UnixListener> {
        Incoming::of(self)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Peer = UnixAddress;

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(UnixStream, UnixAddress)>> {
        self.poll_accept(context)
    }
}

/// A connection as mio gives it, as ours.
fn into_the_loop(
    (stream, peer): (mio::net::UnixStream, StdAddress),
) -> io::Result<(UnixStream, UnixAddress)> {
    Ok((UnixStream::of_nonblocking(OwnedFd::from(stream).into())?, peer.into()))
}

/// A file that goes when this is dropped, unless another has taken its place.
#[derive(Debug)]
struct OwnFile {
    /// Where it is.
    path: PathBuf,
    /// Which one it is: device and inode.
    identity: (u64, u64),
}

impl OwnFile {
    /// The file at `address`, if that is a path.
    fn at(address: &UnixAddress) -> Option<OwnFile> {
        let UnixAddress::Path(path) = address else { return None };
        // The directory from which it is relative may be another by then.
        let path = std::path::absolute(path).ok()?;
        let identity = identity_of(&path)?;
        Some(OwnFile { path, identity })
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if identity_of(&self.path) == Some(self.identity)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Which file is at `path`, if one is.
fn identity_of(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|file| (file.dev(), file.ino()))
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.get_ref().as_raw_fd()
    }
}
