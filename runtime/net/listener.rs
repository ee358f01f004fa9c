//! What every listening socket can do, whatever it listens at: TCP or a Unix socket.
//!
//! Read next: `tcp_listener.rs`.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::id::WaitReason;
use crate::io::nonblocking::Nonblocking;
use crate::io::registration::Wait;
use crate::reactor::Direction;

/// Where connections come in: [`TcpListener`](crate::net::TcpListener),
/// [`UnixListener`](crate::net::UnixListener), or one of yours that wraps them.
pub trait Listener {
    /// A connection.
    type Stream;
    /// The address of its other end.
    type Peer;

    /// Takes the next connection, or arranges for the task to be woken when there may be one.
    ///
    /// # Errors
    /// What accept(2) reports; see [`AcceptError`](crate::net::AcceptError).
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, Self::Peer)>>;
}

/// The connections of a listener, one after the other; it never ends.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a, L> {
    /// Where they come in.
    listener: &'a L,
}

impl<'a, L> Incoming<'a, L> {
    /// The connections of `listener`.
    pub(crate) fn of(listener: &'a L) -> Incoming<'a, L> {
        Incoming { listener }
    }
}

impl<L: Listener> Stream for Incoming<'_, L> {
    type Item = io::Result<(L::Stream, L::Peer)>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.listener.poll_accept(context).map(Some)
    }
}

/// Waits until `accept` gives a connection.
pub(crate) async fn accept<T: AsFd, C>(
    socket: &Nonblocking<T>,
    accept: impl Fn(&T) -> io::Result<C>,
) -> io::Result<C> {
    let mut wait = for_accept(socket, socket.registration().wait(Direction::Read));
    poll_fn(|context| wait.poll_call(context, || accept(socket.get_ref()))).await
}

/// The poll behind [`accept`].
pub(crate) fn poll_accept<T: AsFd, C>(
    socket: &Nonblocking<T>,
    context: &mut Context<'_>,
    accept: impl Fn(&T) -> io::Result<C>,
) -> Poll<io::Result<C>> {
    let mut wait = for_accept(socket, socket.registration().wait_unowned(Direction::Read));
    wait.poll_call(context, || accept(socket.get_ref()))
}

/// Lets the task say that it waits for a connection.
fn for_accept<'a, T: AsFd>(socket: &Nonblocking<T>, wait: Wait<'a>) -> Wait<'a> {
    wait.because(WaitReason::Accept(socket.get_ref().as_fd().as_raw_fd()))
}
