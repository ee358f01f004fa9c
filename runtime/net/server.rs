//! What every server needs: a task per connection, a limit on how many, and an orderly end.
//!
//! At the limit nothing is accepted: the kernel's backlog holds the next clients, who wait and
//! are served later.
//!
//! Read next: `signal.rs`.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::accept::Acceptor;
use super::drain::{Crowd, Drain};
use super::listener::Listener;
use super::tcp_listener::TcpListener;
use crate::task::waker::guard;
use crate::time::timeout;
use crate::waiters::Place;

/// A connection as [`Server::run`] hands it to its handler.
pub struct Connection<L: Listener = TcpListener> {
    /// The connection itself.
    pub stream: L::Stream,
    /// The other end's address, as accept(2) gave it.
    pub peer: L::Peer,
    /// Tells when the server wants to end.
    pub drain: Drain,
}

impl<L: Listener<Stream: fmt::Debug, Peer: fmt::Debug>> fmt::Debug for Connection<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("stream", &self.stream)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerReport {
    /// How many connections were accepted.
    pub accepted: u64,
    /// How many had not ended when the time to drain was over, and were cancelled.
    pub cancelled: usize,
}

impl fmt::Display for ServerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} connections served, {} cut off at the end", self.accepted, self.cancelled)
    }
}

/// Accepts connections, of TCP or of a Unix socket, and runs a task for each.
#[derive(Debug)]
pub struct Server<L = TcpListener> {
    /// Where the connections come in.
    listener: L,
    /// How many there may be at a time.
    max_connections: usize,
    /// How long they have to end.
    drain_within: Duration,
}

impl<L: Listener> Server<L> {
    /// A server of any number of connections that drains for at most five seconds.
    pub fn new(listener: L) -> Server<L> {
        Server { listener, max_connections: usize::MAX, drain_within: Duration::from_secs(5) }
    }

    /// Serves at most so many connections at a time; at least one.
    pub fn max_connections(mut self, max_connections: usize) -> Server<L> {
        self.max_connections = max_connections.max(1);
        self
    }

    /// Gives connections so much time to end once the server wants to.
    pub fn drain_within(mut self, drain_within: Duration) -> Server<L> {
        self.drain_within = drain_within;
        self
    }

    /// Serves until `until` is ready. Then the listener is closed, the connections get the order
    /// to finish ([`Connection::drain`]), and those that have not ended in time are cancelled.
    ///
    /// A handler that panics ends its own connection and is logged.
    ///
    /// # Errors
    /// If the listener itself is broken.
    ///
    /// # Cancel safety
    /// Dropping it closes the listener; the connections go on.
    #[track_caller]
    pub fn run<F, Fut>(
        self,
        until: impl Future<Output = ()>,
        handler: F,
    ) -> impl Future<Output = io::Result<ServerReport>>
    where
        F: Fn(Connection<L>) -> Fut,
        Fut: Future<Output = ()> + 'static,
    {
        self.run_from(until, handler, Location::caller())
    }

    /// [`run`](Server::run), with the place that the connections' tasks are to name.
    async fn run_from<F, Fut>(
        self,
        until: impl Future<Output = ()>,
        handler: F,
        location: &'static Location<'static>,
    ) -> io::Result<ServerReport>
    where
        F: Fn(Connection<L>) -> Fut,
        Fut: Future<Output = ()> + 'static,
    {
        let crowd = Crowd::new();
        let mut acceptor = Acceptor::new(self.listener);
        let (mut accepted, mut place) = (0, Place::default());
        let mut until = pin!(until);
        let result = poll_fn(|context| {
            loop {
                if until.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                if crowd.poll_at_most(self.max_connections - 1, &mut place, context).is_pending() {
                    return Poll::Pending;
                }
                let (stream, peer) = match acceptor.poll_accept(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Ready(Ok(connection)) => connection,
                };
                accepted += 1;
                let connection = Connection { stream, peer, drain: Drain::of(&crowd) };
                guard("a server's handler", || crowd.admit(handler(connection), location));
            }
        })
        .await;
        drop(acceptor);
        let cancelled = drain(&crowd, self.drain_within).await;
        result.map(|()| ServerReport { accepted, cancelled })
    }
}

/// Orders everyone to finish; cancels who does not in time, and says how many these were.
async fn drain(crowd: &Crowd, within: Duration) -> usize {
    crowd.order_to_finish();
    if timeout(within, crowd.wait_for_nobody()).await.is_ok() {
        return 0;
    }
    let late = crowd.cancel_all();
    crowd.wait_for_nobody().await;
    late
}
