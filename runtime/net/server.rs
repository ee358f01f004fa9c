//! The accept loop that every server needs: a task per connection, a limit on how many, patience
//! when descriptors run out, and an orderly end.
//!
//! Facts, then what they force on us:
//! * accept(2) hands on errors of the one connection that it was about to give (`ECONNABORTED`
//!   and the network errors it lists): go on with the next.
//! * Out of descriptors or memory, accept fails at once, over and over, even when nobody waits. So
//!   stop for a while: 5 ms, doubling up to a second; one line a second in the log.
//! * At the connection limit nothing is accepted. The kernel's backlog holds the next clients,
//!   who wait and are served later.
//!
//! Read next: `signal.rs`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::tcp_listener::TcpListener;
use super::tcp_stream::TcpStream;
use crate::executor::local_loop::current;
use crate::executor::spawn::{now, spawn};
use crate::id::WaitReason;
use crate::table::{Key, Table};
use crate::task::header::LocalWaker;
use crate::task::here;
use crate::task::join::JoinHandle;
use crate::time::{Sleep, sleep, timeout};

/// How long the first pause is when accept runs out of something.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// How long a pause gets at most; also the time between two log lines about it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A connection as [`Server::run`] hands it to its handler.
#[derive(Debug)]
pub struct Connection {
    /// The connection itself.
    pub stream: TcpStream,
    /// The other end's address, as accept(2) gave it.
    pub peer: SocketAddr,
    /// Tells when the server wants to end.
    pub drain: Drain,
}

/// The order to finish that a server gives its connections.
#[derive(Clone, Debug)]
pub struct Drain {
    /// The server's connections.
    crowd: Rc<Crowd>,
}

impl Drain {
    /// Whether the order was given.
    pub fn is_ordered(&self) -> bool {
        self.crowd.draining.get()
    }

    /// Waits for the order.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn wait_for_order(&self) {
        poll_fn(|context| self.poll_order(context)).await;
    }

    /// The poll behind [`wait_for_order`](Drain::wait_for_order).
    pub fn poll_order(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_ordered() {
            return Poll::Ready(());
        }
        self.crowd.wait(context, WaitReason::Drain);
        Poll::Pending
    }
}

/// What a server and its connections share.
#[derive(Debug)]
struct Crowd {
    /// The tasks of the connections.
    tasks: RefCell<Table<JoinHandle<()>>>,
    /// Whether the order to finish was given.
    draining: Cell<bool>,
    /// Who waits for the order, for a free place, or for the end of the last connection.
    waiting: RefCell<Vec<LocalWaker>>,
}

impl Crowd {
    /// How many connections there are.
    fn len(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Waits for any change.
    fn wait(&self, context: &Context<'_>, reason: WaitReason) {
        let waker = LocalWaker::of(context);
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.contains(&waker) {
            waiting.push(waker);
        }
        drop(waiting);
        here::waits_for(reason);
    }

    /// Tells everyone who waits that something has changed.
    fn changed(&self) {
        let waiting = self.waiting.take();
        if let Some(current) = current() {
            for waker in waiting {
                waker.wake(&current.here);
            }
        }
    }

    /// Waits until at most `limit` connections are left.
    async fn wait_for_at_most(&self, limit: usize) {
        poll_fn(|context| {
            if self.len() <= limit {
                return Poll::Ready(());
            }
            self.wait(context, WaitReason::Connections);
            Poll::Pending
        })
        .await;
    }
}

/// A connection's place in the crowd, given up when its task ends in whatever manner.
struct Place {
    /// The crowd.
    crowd: Rc<Crowd>,
    /// The place; it is known once the task exists.
    key: Rc<Cell<Option<Key>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let handle = self.key.get().and_then(|key| self.crowd.tasks.borrow_mut().remove(key));
        drop(handle);
        self.crowd.changed();
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

/// Accepts connections and runs a task for each.
#[derive(Debug)]
pub struct Server {
    /// Where the connections come in.
    listener: TcpListener,
    /// How many there may be at a time.
    max_connections: usize,
    /// How long they have to end.
    drain_within: Duration,
}

impl Server {
    /// A server of any number of connections that drains for at most five seconds.
    pub fn new(listener: TcpListener) -> Server {
        Server { listener, max_connections: usize::MAX, drain_within: Duration::from_secs(5) }
    }

    /// Serves at most so many connections at a time; at least one.
    pub fn max_connections(mut self, max_connections: usize) -> Server {
        self.max_connections = max_connections.max(1);
        self
    }

    /// Gives connections so much time to end once the server wants to.
    pub fn drain_within(mut self, drain_within: Duration) -> Server {
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
    pub async fn run<F, Fut>(self, until: impl Future<Output = ()>, handler: F) -> io::Result<ServerReport>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = ()> + 'static,
    {
        let crowd = Rc::new(Crowd {
            tasks: RefCell::new(Table::new()),
            draining: Cell::new(false),
            waiting: RefCell::new(Vec::new()),
        });
        let mut acceptor = Acceptor { listener: self.listener, pause: Pause::default() };
        let mut accepted = 0;
        let mut until = pin!(until);
        let result = poll_fn(|context| {
            loop {
                if until.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                if crowd.len() >= self.max_connections {
                    crowd.wait(context, WaitReason::Connections);
                    return Poll::Pending;
                }
                match acceptor.poll_accept(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Ready(Ok((stream, peer))) => {
                        accepted += 1;
                        admit(&crowd, stream, peer, &handler);
                    }
                }
            }
        })
        .await;
        drop(acceptor);
        let cancelled = drain(&crowd, self.drain_within).await;
        result.map(|()| ServerReport { accepted, cancelled })
    }
}

/// Runs a task for one connection.
fn admit<F, Fut>(crowd: &Rc<Crowd>, stream: TcpStream, peer: SocketAddr, handler: &F)
where
    F: Fn(Connection) -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    let key = Rc::new(Cell::new(None));
    let place = Place { crowd: crowd.clone(), key: key.clone() };
    let serve = handler(Connection { stream, peer, drain: Drain { crowd: crowd.clone() } });
    let handle = spawn(async move {
        let _place = place;
        serve.await;
    });
    key.set(Some(crowd.tasks.borrow_mut().insert(handle)));
}

/// Orders everyone to finish; cancels who does not in time, and says how many these were.
async fn drain(crowd: &Rc<Crowd>, within: Duration) -> usize {
    crowd.draining.set(true);
    crowd.changed();
    if timeout(within, crowd.wait_for_at_most(0)).await.is_ok() {
        return 0;
    }
    let late = crowd.len();
    for key in crowd.tasks.borrow().keys() {
        if let Some(handle) = crowd.tasks.borrow_mut().get_mut(key) {
            handle.cancel();
        }
    }
    crowd.wait_for_at_most(0).await;
    late
}

/// Accepts, and knows which errors are whose.
#[derive(Debug)]
struct Acceptor {
    /// Where the connections come in.
    listener: TcpListener,
    /// The pause after running out of something.
    pause: Pause,
}

/// When to try again, and when to say so.
#[derive(Debug, Default)]
struct Pause {
    /// The pause that is under way.
    sleep: Option<Sleep>,
    /// How long the next one is; zero after a success.
    length: Duration,
    /// When it was logged last.
    logged: Option<Instant>,
}

/// What to do about an error of accept(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepting {
    /// It was this one connection's: take the next.
    Next,
    /// Something has run out: take the next in a while.
    Later,
    /// The listener is broken.
    Broken,
}

/// Sorts the errors of accept(2).
fn sort_accept_error(error: &io::Error) -> Accepting {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC) => Accepting::Later,
        Some(
            libc::ECONNABORTED
            | libc::ECONNRESET
            | libc::EINTR
            | libc::EPROTO
            | libc::EPERM
            | libc::ENETDOWN
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::EOPNOTSUPP
            | libc::ENETUNREACH
            | libc::ETIMEDOUT,
        ) => Accepting::Next,
        _ => Accepting::Broken,
    }
}

impl Acceptor {
    /// The next connection. Errors are those of the listener itself.
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            if let Some(sleep) = &mut self.pause.sleep {
                if Pin::new(sleep).poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.pause.sleep = None;
            }
            match self.listener.poll_accept(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(connection)) => {
                    self.pause.length = Duration::ZERO;
                    return Poll::Ready(Ok(connection));
                }
                Poll::Ready(Err(error)) => match sort_accept_error(&error) {
                    Accepting::Next => log::debug!("a connection failed before it was accepted: {error}"),
                    Accepting::Later => self.pause.start(&error),
                    Accepting::Broken => return Poll::Ready(Err(error)),
                },
            }
        }
    }
}

impl Pause {
    /// Begins a pause, twice as long as the one before.
    fn start(&mut self, error: &io::Error) {
        self.length = (self.length * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.sleep = Some(sleep(self.length));
        let now = now();
        if self.logged.is_none_or(|logged| now - logged >= LONGEST_PAUSE) {
            self.logged = Some(now);
            log::warn!(
                "cannot accept connections for now: {error}; they wait in the backlog. Raise the \
                 limit of open files (ulimit -n), or allow fewer connections"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_accept_are_sorted_by_whose_they_are() {
        let sort = |code| sort_accept_error(&io::Error::from_raw_os_error(code));
        assert_eq!(sort(libc::EMFILE), Accepting::Later);
        assert_eq!(sort(libc::ECONNABORTED), Accepting::Next);
        assert_eq!(sort(libc::EBADF), Accepting::Broken);
        assert_eq!(sort(libc::EINVAL), Accepting::Broken);
    }
}
