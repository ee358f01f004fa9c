//! What is ready: sockets in, wakers out. The only file that talks to epoll (through mio).
//!
//! Facts, then what they force on us:
//! * epoll is used edge-triggered: it reports that something *became* ready, once. So we remember
//!   readiness per source and direction, try the call first, and wait only after `WouldBlock`.
//! * A read that fills less than its buffer has drained a stream socket, so its readiness can be
//!   cleared without paying for a second `read` that says `EAGAIN`. Two exceptions: the peer has
//!   closed (the end of file makes no second edge), and urgent data is about (a read stops at the
//!   urgent mark, tcp(7), though more bytes follow). Both are remembered for good.
//! * A descriptor may be closed and its number reused while an event is under way. So a token is
//!   a generational key: a late event misses.
//! * epoll timeouts are whole milliseconds, and mio rounds up: no timer is early, but one may be
//!   up to a millisecond late.
//!
//! This file knows nothing of tasks or callbacks: it keeps `W` and gives it back when it is due.
//!
//! Read next: `inbox.rs`.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Token};

use crate::table::{Key, Table};

/// Wakes the thread that waits in [`Reactor::wait`]; a Waker, by contrast, wakes a task.
pub(crate) use mio::Waker as Notifier;

/// The token of the notifier's own events; no key has these bits.
const NOTIFIER: Token = Token(usize::MAX);

/// How many events one wait takes at most; what is left over is there at the next.
const EVENTS_PER_WAIT: usize = 1024;

/// One of the two ways that bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the peer to us; also connections to accept.
    Read,
    /// From us to the peer; also the end of a connect.
    Write,
}

/// One direction of one source.
#[derive(Debug)]
struct Side<W> {
    /// Whether the next call may succeed; false only after a call showed that it cannot.
    ready: bool,
    /// Whether a short transfer proves nothing: the peer closed this direction, or urgent data came.
    short_proves_nothing: bool,
    /// Who waits; nearly always nobody or one.
    waiter: Option<W>,
    /// Who waits besides: several tasks may share a source.
    more_waiters: Vec<W>,
}

impl<W> Side<W> {
    /// A side on which the first call is tried at once.
    fn new() -> Side<W> {
        Side { ready: true, short_proves_nothing: false, waiter: None, more_waiters: Vec::new() }
    }
}

/// One registered descriptor.
#[derive(Debug)]
struct Source<W> {
    /// The descriptor, which its owner keeps open until the source is deregistered.
    fd: RawFd,
    /// Bytes coming in.
    read: Side<W>,
    /// Bytes going out.
    write: Side<W>,
}

/// The registered descriptors and who waits for them.
#[derive(Debug)]
pub(crate) struct Reactor<W> {
    /// The epoll instance.
    poll: mio::Poll,
    /// Where one wait puts its events.
    events: mio::Events,
    /// The descriptors.
    sources: Table<Source<W>>,
    /// How many waiters there are: the loop is not stalled while there is one.
    armed: usize,
}

impl<W: PartialEq> Reactor<W> {
    /// A reactor, and the notifier that ends its waits from other threads.
    ///
    /// # Errors
    /// What epoll_create1(2), eventfd(2) and epoll_ctl(2) report: out of descriptors or memory.
    pub(crate) fn new() -> io::Result<(Reactor<W>, Notifier)> {
        let poll = mio::Poll::new()?;
        let notifier = Notifier::new(poll.registry(), NOTIFIER)?;
        let reactor = Reactor {
            poll,
            events: mio::Events::with_capacity(EVENTS_PER_WAIT),
            sources: Table::new(),
            armed: 0,
        };
        Ok((reactor, notifier))
    }

    /// How many waiters there are.
    pub(crate) fn armed(&self) -> usize {
        self.armed
    }

    /// Registers `fd` for both directions, once for its whole life: one epoll_ctl(2).
    ///
    /// # Errors
    /// What epoll_ctl(2) reports: `EPERM` for a regular file, `EEXIST` for one registered already.
    pub(crate) fn register(&mut self, fd: RawFd) -> io::Result<Key> {
        let token = token_of(self.sources.next_key());
        self.poll.registry().register(&mut SourceFd(&fd), token, everything())?;
        Ok(self.sources.insert(Source { fd, read: Side::new(), write: Side::new() }))
    }

    /// Forgets a descriptor that is still open; gives back who waited for it.
    pub(crate) fn deregister(&mut self, key: Key) -> Vec<W> {
        if let Some(source) = self.sources.get(key) {
            // The owner of a watched descriptor may have closed it early, which took it out of epoll.
            let _ = self.poll.registry().deregister(&mut SourceFd(&source.fd));
        }
        self.forget(key)
    }

    /// Forgets a descriptor that is closed, and so gone from epoll: its number may be another's
    /// by now, so epoll must not be asked to remove it.
    pub(crate) fn forget(&mut self, key: Key) -> Vec<W> {
        let Some(source) = self.sources.remove(key) else {
            return Vec::new();
        };
        let mut waiters = Vec::new();
        for side in [source.read, source.write] {
            waiters.extend(side.waiter);
            waiters.extend(side.more_waiters);
        }
        self.armed -= waiters.len();
        waiters
    }

    /// Asks epoll to report again what is ready now, as a level-triggered poll would.
    ///
    /// # Errors
    /// What epoll_ctl(2) reports: `ENOENT` or `EBADF` if the owner closed the descriptor.
    pub(crate) fn rearm(&mut self, key: Key) -> io::Result<()> {
        match self.sources.get(key) {
            Some(source) => {
                self.poll.registry().reregister(&mut SourceFd(&source.fd), token_of(key), everything())
            }
            None => Ok(()),
        }
    }

    /// Whether the next call in `direction` may succeed. A stale key says yes: the call will tell.
    pub(crate) fn is_ready(&self, key: Key, direction: Direction) -> bool {
        self.sources.get(key).is_none_or(|source| match direction {
            Direction::Read => source.read.ready,
            Direction::Write => source.write.ready,
        })
    }

    /// A call said `WouldBlock`: it will block until the next edge.
    pub(crate) fn set_blocked(&mut self, key: Key, direction: Direction) {
        if let Some(side) = self.side(key, direction) {
            side.ready = false;
        }
    }

    /// A call transferred less than it was asked to: a stream socket will block until the next edge.
    pub(crate) fn set_short(&mut self, key: Key, direction: Direction) {
        if let Some(side) = self.side(key, direction) {
            side.ready = side.short_proves_nothing;
        }
    }

    /// Adds `waiter` to those that the next edge wakes. Who waits already is not added twice:
    /// then it is given back, for the caller to drop when no borrow is held.
    pub(crate) fn wait_for(&mut self, key: Key, direction: Direction, waiter: W) -> Option<W> {
        let Some(side) = self.side(key, direction) else {
            return Some(waiter);
        };
        let waits_already = side.waiter.as_ref() == Some(&waiter) || side.more_waiters.contains(&waiter);
        if waits_already {
            return Some(waiter);
        }
        if side.waiter.is_none() {
            side.waiter = Some(waiter);
        } else {
            side.more_waiters.push(waiter);
        }
        self.armed += 1;
        None
    }

    /// Takes `waiter` out again; says whether it waited.
    pub(crate) fn stop_waiting(&mut self, key: Key, direction: Direction, waiter: &W) -> bool {
        let Some(side) = self.side(key, direction) else {
            return false;
        };
        let waited = if side.waiter.as_ref() == Some(waiter) {
            side.waiter = side.more_waiters.pop();
            true
        } else {
            let before = side.more_waiters.len();
            side.more_waiters.retain(|other| other != waiter);
            side.more_waiters.len() < before
        };
        self.armed -= usize::from(waited);
        waited
    }

    /// Waits until something becomes ready, the notifier is used, or the time is over; puts all
    /// whose wait is over into `due`, and says how many events there were.
    ///
    /// # Errors
    /// What epoll_wait(2) reports, which for a sound reactor is nothing.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, due: &mut Vec<W>) -> io::Result<usize> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            result => result?,
        }
        let mut count = 0;
        for event in &self.events {
            count += 1;
            let key = Key::from_bits(event.token().0 as u64);
            // The notifier's key leads nowhere, like that of a source gone meanwhile.
            let Some(source) = self.sources.get_mut(key) else {
                continue;
            };
            let failed = event.is_error();
            let before = due.len();
            if event.is_readable() || event.is_read_closed() || event.is_priority() || failed {
                let sticky = event.is_read_closed() || event.is_priority() || failed;
                source.read.became_ready(sticky, due);
            }
            if event.is_writable() || event.is_write_closed() || failed {
                source.write.became_ready(event.is_write_closed() || failed, due);
            }
            self.armed -= due.len() - before;
        }
        Ok(count)
    }

    /// One side of a source that is still there.
    fn side(&mut self, key: Key, direction: Direction) -> Option<&mut Side<W>> {
        let source = self.sources.get_mut(key)?;
        Some(match direction {
            Direction::Read => &mut source.read,
            Direction::Write => &mut source.write,
        })
    }
}

impl<W> Side<W> {
    /// An edge came: everyone who waits may try again.
    fn became_ready(&mut self, short_proves_nothing: bool, due: &mut Vec<W>) {
        self.ready = true;
        self.short_proves_nothing |= short_proves_nothing;
        due.extend(self.waiter.take());
        due.append(&mut self.more_waiters);
    }
}

/// A key as epoll carries it.
fn token_of(key: Key) -> Token {
    Token(key.to_bits() as usize)
}

/// Both directions, and word of urgent data.
fn everything() -> Interest {
    Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY
}
