//! What the two ends of a channel share: the messages, and who waits, all under one lock.
//!
//! ```text
//!   senders in line        granted          messages            receiver
//!     F ─ E ─ D ── grant ──► C ─── put ────► B ─ A ─── take ───►   one waker
//!                            └── at most the capacity ──┘
//! ```
//!
//! Invariants: while somebody stands in line there is no free room, so that a late comer passes
//! nobody by. Granted room belongs to one sender until it puts its message in, or leaves and hands
//! the room on. While the receiver waits there is no message, or it has been woken. A closed
//! channel has no line. Checked under loom, `tests/loom/`.
//!
//! No value and no waker of a user is cloned, used or dropped under the lock: whatever
//! leaves the books is returned. Wakers are counted ones, since they cross threads.
//!
//! Read next: `parked.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::task::{Poll, Waker};

use crate::atomic::{Mutex, MutexGuard};
use crate::fault::{self, Fault};
use crate::task::waker::guard;

/// One channel; both ends have a reference to it.
pub(super) struct Channel<T>(Mutex<Books<T>>);

/// What the lock guards.
pub(super) struct Books<T> {
    /// What was sent and not received, the oldest first.
    messages: VecDeque<T>,
    /// How many messages there may be, those included for which room is granted.
    capacity: usize,
    /// How many senders have been granted room and have not used it yet.
    granted: usize,
    /// Senders that wait for room.
    pub(super) line: Line,
    /// Those who wait for the channel to be closed.
    pub(super) watchers: Line,
    /// The receiver, while it waits for a message.
    receiver: Option<Waker>,
    /// How many senders there are.
    senders: usize,
    /// Whether nothing more can be sent: the receiver has closed the channel, or is gone.
    pub(super) is_closed: bool,
}

/// Those who wait for the same thing, first come first.
pub(super) struct Line {
    /// How many tickets were given out so far; the last one has this number.
    tickets: u64,
    /// Who waits, by ticket.
    waiting: BTreeMap<u64, Waker>,
}

/// A number in a [`Line`], never given out again. Who has one and stands in line no more was served.
pub(super) type Ticket = Option<u64>;

/// The channel is closed.
#[derive(Debug)]
pub(super) struct IsClosed;

/// Wakes those who were taken out of the books. A panic in a foreign waker is logged; the others
/// are woken all the same.
pub(super) fn wake(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        guard("a waker", || waker.wake());
    }
}

impl Line {
    fn new() -> Line {
        Line { tickets: 0, waiting: BTreeMap::new() }
    }

    /// Stands in line, at the end or where `ticket` says; gives the waker back that stood there before.
    pub(super) fn stand(&mut self, ticket: &mut Ticket, waker: Waker) -> Option<Waker> {
        let ticket = *ticket.get_or_insert_with(|| {
            self.tickets += 1;
            self.tickets
        });
        self.waiting.insert(ticket, waker)
    }

    /// Leaves the line; `None` if there was nobody with this ticket any more.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<Waker> {
        self.waiting.remove(&ticket)
    }

    /// Takes everyone out, in order.
    fn leave_all(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.waiting).into_values()
    }
}

impl<T> Channel<T> {
    /// An open channel, with one sender.
    pub(super) fn new(capacity: usize) -> Channel<T> {
        Channel(Mutex::new(Books {
            messages: VecDeque::new(),
            capacity,
            granted: 0,
            line: Line::new(),
            watchers: Line::new(),
            receiver: None,
            senders: 1,
            is_closed: false,
        }))
    }

    /// The lock, which no user code can poison: none runs while it is held.
    pub(super) fn lock(&self) -> MutexGuard<'_, Books<T>> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Puts the message, which must be there, in if the sender with this ticket may; else `waker`, if there is one, takes its
    /// place in line.
    pub(super) fn poll_put(
        &self,
        message: &mut Option<T>,
        ticket: &mut Ticket,
        waker: Option<Waker>,
    ) -> Poll<Result<(), IsClosed>> {
        let mut books = self.lock();
        if books.is_closed && !fault::is_on(Fault::SendToClosed) {
            *ticket = None;
            return Poll::Ready(Err(IsClosed));
        }
        if books.may_put(ticket) {
            let receiver = message.take().and_then(|message| books.put(message));
            drop(books);
            wake(receiver);
            return Poll::Ready(Ok(()));
        }
        let old = waker.and_then(|waker| books.line.stand(ticket, waker));
        drop(books);
        drop(old);
        Poll::Pending
    }

    /// Takes the next message out; `None` if there will never be one again. If there may be one later,
    /// `waker`, if there is one, is the receiver's from now on.
    pub(super) fn poll_take(&self, waker: Option<Waker>) -> Poll<Option<T>> {
        let mut books = self.lock();
        let looks = waker.is_none() || !fault::is_on(Fault::WaitWithoutLooking);
        let message = if looks { books.messages.pop_front() } else { None };
        if message.is_some() || (looks && (books.is_closed || books.senders == 0)) {
            let (sender, old) = (books.grant(), books.receiver.take());
            drop(books);
            drop(old);
            wake(sender);
            return Poll::Ready(message);
        }
        let old = waker.and_then(|waker| books.receiver.replace(waker));
        drop(books);
        drop(old);
        Poll::Pending
    }

    /// The sender with this ticket leaves. Room that was granted to it goes to the next.
    pub(super) fn leave_line(&self, ticket: u64) {
        let mut books = self.lock();
        let stood_there = books.line.leave(ticket);
        let mut next = None;
        if stood_there.is_none() && !books.is_closed && !fault::is_on(Fault::KeepGrantedRoom) {
            books.granted -= 1;
            next = books.grant();
        }
        drop(books);
        drop(stood_there);
        wake(next);
    }

    /// The receiver waits no more.
    pub(super) fn forget_receiver(&self) {
        let old = self.lock().receiver.take();
        drop(old);
    }

    /// Nothing more can be sent, and everybody is told.
    pub(super) fn close(&self) {
        let mut books = self.lock();
        books.is_closed = true;
        let (line, watchers) = (books.line.leave_all(), books.watchers.leave_all());
        let receiver = books.receiver.take();
        drop(books);
        let told = if fault::is_on(Fault::CloseForTheFirst) { 1 } else { usize::MAX };
        wake(line.chain(watchers).chain(receiver).take(told));
    }

    /// Takes out what was never received, when the receiver is gone.
    pub(super) fn clear(&self) -> VecDeque<T> {
        std::mem::take(&mut self.lock().messages)
    }

    /// Counts one sender more, if there is one left to copy.
    pub(super) fn add_sender(&self) -> bool {
        let mut books = self.lock();
        let is_alive = books.senders > 0;
        books.senders += usize::from(is_alive);
        is_alive
    }

    /// Counts one sender less. With the last one the receiver has no more to wait for.
    pub(super) fn remove_sender(&self) {
        let mut books = self.lock();
        books.senders -= 1;
        let receiver = if books.senders == 0 { books.receiver.take() } else { None };
        drop(books);
        if !fault::is_on(Fault::LastSenderSilent) {
            wake(receiver);
        }
    }
}

impl<T> Books<T> {
    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// How many messages there may be; `None` is any number.
    pub(super) fn capacity(&self) -> Option<usize> {
        Some(self.capacity).filter(|&capacity| capacity != usize::MAX)
    }

    /// Whether there is room that is nobody's yet.
    fn has_room(&self) -> bool {
        self.messages.len() + self.granted < self.capacity
    }

    /// Whether the sender with this ticket may put its message in now; its grant is used up then.
    fn may_put(&mut self, ticket: &mut Ticket) -> bool {
        match *ticket {
            None => self.has_room(),
            Some(number) if self.line.waiting.contains_key(&number) => false,
            Some(_) => {
                *ticket = None;
                self.granted -= 1;
                true
            }
        }
    }

    /// Puts a message in; gives the receiver's waker if it waits.
    fn put(&mut self, message: T) -> Option<Waker> {
        self.messages.push_back(message);
        if fault::is_on(Fault::SendWithoutWake) { None } else { self.receiver.take() }
    }

    /// Grants free room to the first in line, whose waker it gives.
    fn grant(&mut self) -> Option<Waker> {
        let first = if self.has_room() { self.line.waiting.pop_first() } else { None };
        self.granted += usize::from(first.is_some());
        first.map(|(_, waker)| waker)
    }
}

/// Not the messages: their `Debug` would run under the lock.
impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = self.lock();
        let (len, capacity) = (books.len(), books.capacity());
        drop(books);
        match capacity {
            Some(capacity) => write!(f, "Channel({len} of {capacity})"),
            None => write!(f, "Channel({len})"),
        }
    }
}
