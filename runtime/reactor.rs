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

/// The name of one wait, so that it can be ended by itself; no two waits have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// One who waits.
#[derive(Debug)]
struct Waiter<W> {
    /// What to give back when the wait is over.
    target: W,
    /// Which wait it is; `None` for a poll that nobody will take back.
    ticket: Option<Ticket>,
}

/// One direction of one source.
#[derive(Debug)]
struct Side<W> {
    /// Whether the next call may succeed; false only after a call showed that it cannot.
    ready: bool,
    /// Whether a short transfer proves nothing: the peer closed this direction, or urgent data came.
    short_proves_nothing: bool,
    /// Who waits; nearly always nobody or one.
    waiter: Option<Waiter<W>>,
    /// Who waits besides: several tasks may share a source.
    more_waiters: Vec<Waiter<W>>,
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
    /// How many tickets were given out.
    tickets: u64,
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
            tickets: 0,
        };
        Ok((reactor, notifier))
    }

    /// What takes a descriptor that is still open out of the epoll instance, on any thread. Of the
    /// descriptor's waiters it knows nothing; see [`forget`](Reactor::forget).
    ///
    /// # Errors
    /// What dup(2) reports: out of descriptors.
    pub(crate) fn unregister_from_anywhere(&self) -> io::Result<impl Fn(RawFd) + Send + Sync + use<W>> {
        let registry = self.poll.registry().try_clone()?;
        Ok(move |fd: RawFd| {
            // It fails only if the descriptor is closed or was never there: then it is out already.
            let _ = registry.deregister(&mut SourceFd(&fd));
        })
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
            waiters.extend(side.waiter.into_iter().chain(side.more_waiters).map(|waiter| waiter.target));
        }
        self.armed -= waiters.len();
        waiters
    }

    /// Ends every wait; gives back who waited.
    pub(crate) fn take_waiters(&mut self) -> Vec<W> {
        let mut waiters = Vec::new();
        for key in self.sources.keys() {
            for direction in [Direction::Read, Direction::Write] {
                while let Some(waiter) = self.remove_waiter(key, direction, |_| true) {
                    waiters.push(waiter);
                }
            }
        }
        waiters
    }

    /// Asks epoll to report again what is ready now, as a level-triggered poll would, in the directions in
    /// which somebody waits.
    ///
    /// # Errors
    /// What epoll_ctl(2) reports: `ENOENT` or `EBADF` if the owner closed the descriptor.
    pub(crate) fn rearm(&mut self, key: Key) -> io::Result<()> {
        let Some(source) = self.sources.get(key) else {
            return Ok(());
        };
        let interest = match (&source.read.waiter, &source.write.waiter) {
            (Some(_), Some(_)) => everything(),
            (None, Some(_)) => Interest::WRITABLE,
            (_, None) => Interest::READABLE | Interest::PRIORITY,
        };
        self.poll.registry().reregister(&mut SourceFd(&source.fd), token_of(key), interest)
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

    /// Lets `target` wait for the next edge. With a ticket, the wait is that future's own: a later poll of
    /// it takes the place of the earlier one, and [`stop_waiting`](Reactor::stop_waiting) ends it. Without
    /// one, whoever waits already is not added twice. What is not needed is given back, for the
    /// caller to drop when no borrow is held.
    pub(crate) fn wait_for(
        &mut self,
        key: Key,
        direction: Direction,
        target: W,
        ticket: Option<&mut Option<Ticket>>,
    ) -> Option<W> {
        let next_ticket = Ticket(self.tickets);
        let Some(side) = self.side(key, direction) else {
            return Some(target);
        };
        let known = side.waiters().find(|waiter| match &ticket {
            Some(ticket) => ticket.is_some() && waiter.ticket == **ticket,
            None => waiter.ticket.is_none() && waiter.target == target,
        });
        if let Some(waiter) = known {
            return Some(std::mem::replace(&mut waiter.target, target));
        }
        let new_ticket = ticket.map(|ticket| *ticket.insert(next_ticket));
        let waiter = Waiter { target, ticket: new_ticket };
        match &mut side.waiter {
            Some(_) => side.more_waiters.push(waiter),
            free => *free = Some(waiter),
        }
        self.tickets += u64::from(new_ticket.is_some());
        self.armed += 1;
        None
    }

    /// Ends the wait of this ticket, if it is not over; gives back who waited.
    pub(crate) fn stop_waiting(&mut self, key: Key, direction: Direction, ticket: Ticket) -> Option<W> {
        self.remove_waiter(key, direction, |waiter| waiter.ticket == Some(ticket))
    }

    /// Ends the wait of this target, if it is not over.
    pub(crate) fn stop_waking(&mut self, key: Key, direction: Direction, target: &W) -> Option<W> {
        self.remove_waiter(key, direction, |waiter| waiter.target == *target)
    }

    /// Takes out the first waiter of whom `is_meant` is true.
    fn remove_waiter(
        &mut self,
        key: Key,
        direction: Direction,
        is_meant: impl Fn(&Waiter<W>) -> bool,
    ) -> Option<W> {
        let side = self.side(key, direction)?;
        let gone = if side.waiter.as_ref().is_some_and(&is_meant) {
            std::mem::replace(&mut side.waiter, side.more_waiters.pop())
        } else {
            let at = side.more_waiters.iter().position(is_meant)?;
            Some(side.more_waiters.swap_remove(at))
        };
        self.armed -= usize::from(gone.is_some());
        gone.map(|waiter| waiter.target)
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
        let waiters = self.waiter.take().into_iter().chain(self.more_waiters.drain(..));
        due.extend(waiters.map(|waiter| waiter.target));
    }

    /// Everyone who waits.
    fn waiters(&mut self) -> impl Iterator<Item = &mut Waiter<W>> {
        self.waiter.iter_mut().chain(&mut self.more_waiters)
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
