//! Every value to everyone, out of a buffer of fixed size.
//!
//! ```text
//!   values      5   6   7   8   ◄── send          at most `capacity` are kept
//!               ▲           ▲
//!               A.next      B.next                a value goes when all have seen it, or when it
//!                                                 is pushed out; then A is told how many it missed
//! ```
//!
//! Sending never waits: a receiver that is slow loses the oldest values, and learns how many.
//!
//! Read next: `group/branch.rs`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use crate::holders::Numbered;
use crate::id::{TaskId, WaitReason};
use crate::waiters::WaitList;

/// A channel that keeps the last `capacity` values, at least one, for each receiver that has not seen
/// them.
pub fn broadcast<T>(capacity: usize) -> (BroadcastSender<T>, BroadcastReceiver<T>) {
    let ring = Rc::new(Ring {
        number: Numbered::new("broadcast"),
        capacity: capacity.max(1),
        kept: RefCell::new(Kept { values: VecDeque::new(), first: 0 }),
        senders: Cell::new(1),
        receivers: Cell::new(1),
        waiting: WaitList::new(),
    });
    (BroadcastSender { ring: ring.clone() }, BroadcastReceiver { ring, next: 0 })
}

/// What all sides see.
struct Ring<T> {
    /// The number for reports.
    number: Numbered,
    /// How many values are kept at most.
    capacity: usize,
    /// The values.
    kept: RefCell<Kept<T>>,
    /// How many senders there are.
    senders: Cell<usize>,
    /// How many receivers there are.
    receivers: Cell<usize>,
    /// The receivers that wait.
    waiting: WaitList,
}

/// The values that are kept.
struct Kept<T> {
    /// Each value, with the number of receivers that have not seen it.
    values: VecDeque<(Rc<T>, usize)>,
    /// The number of the first one, counted from the beginning.
    first: u64,
}

impl<T> Kept<T> {
    /// The number that the next value will have.
    fn end(&self) -> u64 {
        self.first + self.values.len() as u64
    }

    /// Takes out the oldest value.
    fn pop(&mut self) -> Option<(Rc<T>, usize)> {
        let popped = self.values.pop_front();
        self.first += u64::from(popped.is_some());
        popped
    }

    /// A receiver sees the value of this number, or leaves it unseen.
    fn see(&mut self, number: u64) -> Option<Rc<T>> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let (value, unseen) = self.values.get_mut(index)?;
        *unseen -= 1;
        Some(value.clone())
    }

    /// Takes out what everyone has seen.
    fn take_seen(&mut self) -> Vec<Rc<T>> {
        let mut seen = Vec::new();
        while self.values.front().is_some_and(|(_, unseen)| *unseen == 0) {
            seen.extend(self.pop().map(|(value, _)| value));
        }
        seen
    }
}

/// Why a [`BroadcastReceiver`] gives no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// So many values were pushed out before this receiver saw them; it goes on with the oldest that is
    /// kept.
    Lagged(u64),
    /// All senders are gone, and everything they sent was seen.
    Closed,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missed::Lagged(count) => write!(f, "a slow receiver has missed {count} values"),
            Missed::Closed => write!(f, "all senders are gone"),
        }
    }
}

impl std::error::Error for Missed {}

/// How a [`broadcast`] channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastStatistics {
    /// How many values are kept for somebody.
    pub len: usize,
    /// How many senders there are.
    pub senders: usize,
    /// How many receivers there are.
    pub receivers: usize,
    /// The tasks that wait for the next value, first come first.
    pub waiting: Vec<TaskId>,
}

/// The side that sends; clones send to the same receivers.
pub struct BroadcastSender<T> {
    /// What all sides see.
    ring: Rc<Ring<T>>,
}

impl<T> BroadcastSender<T> {
    /// Sends to all receivers that there are; says how many these are.
    ///
    /// # Errors
    /// If there is none; the value is in the error.
    pub fn send(&self, value: T) -> Result<usize, T> {
        let receivers = self.ring.receivers.get();
        if receivers == 0 {
            return Err(value);
        }
        let mut kept = self.ring.kept.borrow_mut();
        let pushed_out = if kept.values.len() == self.ring.capacity { kept.pop() } else { None };
        kept.values.push_back((Rc::new(value), receivers));
        drop(kept);
        self.ring.waiting.grant_all(());
        drop(pushed_out);
        Ok(receivers)
    }

    /// One more receiver, of all that is sent from now on.
    pub fn subscribe(&self) -> BroadcastReceiver<T> {
        self.ring.receivers.set(self.ring.receivers.get() + 1);
        BroadcastReceiver { ring: self.ring.clone(), next: self.ring.kept.borrow().end() }
    }

    /// How many receivers there are.
    pub fn receivers(&self) -> usize {
        self.ring.receivers.get()
    }

    /// How many values are kept for somebody.
    pub fn len(&self) -> usize {
        self.ring.kept.borrow().values.len()
    }

    /// Whether everyone has seen everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the channel stands.
    pub fn statistics(&self) -> BroadcastStatistics {
        BroadcastStatistics {
            len: self.len(),
            senders: self.ring.senders.get(),
            receivers: self.receivers(),
            waiting: self.ring.waiting.tasks(),
        }
    }
}

impl<T> Clone for BroadcastSender<T> {
    fn clone(&self) -> BroadcastSender<T> {
        self.ring.senders.set(self.ring.senders.get() + 1);
        BroadcastSender { ring: self.ring.clone() }
    }
}

impl<T> Drop for BroadcastSender<T> {
    fn drop(&mut self) {
        self.ring.senders.set(self.ring.senders.get() - 1);
        if self.ring.senders.get() == 0 {
            self.ring.waiting.grant_all(());
        }
    }
}

/// A side that receives; each sees every value that is sent while it exists.
pub struct BroadcastReceiver<T> {
    /// What all sides see.
    ring: Rc<Ring<T>>,
    /// The number of the value to see next.
    next: u64,
}

impl<T: Clone> BroadcastReceiver<T> {
    /// The next value, if it is there.
    ///
    /// # Errors
    /// If values were missed, or no more will come.
    pub fn try_receive(&mut self) -> Result<Option<T>, Missed> {
        let mut kept = self.ring.kept.borrow_mut();
        if let missed @ 1.. = kept.first.saturating_sub(self.next) {
            self.next = kept.first;
            return Err(Missed::Lagged(missed));
        }
        let Some(value) = kept.see(self.next) else {
            drop(kept);
            return if self.ring.senders.get() == 0 { Err(Missed::Closed) } else { Ok(None) };
        };
        self.next += 1;
        let seen = kept.take_seen();
        // No longer borrowed: cloning and dropping a value may be anybody's code.
        drop(kept);
        drop(seen);
        Ok(Some(Rc::try_unwrap(value).unwrap_or_else(|shared| T::clone(&shared))))
    }

    /// The next value.
    ///
    /// # Errors
    /// If values were missed, or no more will come.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn receive(&mut self) -> Result<T, Missed> {
        loop {
            self.wait_for_news().await;
            if let Some(value) = self.try_receive()? {
                return Ok(value);
            }
        }
    }
}

impl<T> BroadcastReceiver<T> {
    /// How many values there are to see, those that were missed included.
    pub fn len(&self) -> usize {
        usize::try_from(self.ring.kept.borrow().end() - self.next).unwrap_or(usize::MAX)
    }

    /// Whether everything was seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until there is a value to see, or there will be none.
    async fn wait_for_news(&self) {
        let reason = WaitReason::Broadcast(self.ring.number.id());
        let has_news = || !self.is_empty() || self.ring.senders.get() == 0;
        self.ring.waiting.wait_until(reason, has_news).await;
    }
}

impl<T> Drop for BroadcastReceiver<T> {
    fn drop(&mut self) {
        self.ring.receivers.set(self.ring.receivers.get() - 1);
        let mut kept = self.ring.kept.borrow_mut();
        for number in self.next.max(kept.first)..kept.end() {
            kept.see(number);
        }
        let seen = kept.take_seen();
        drop(kept);
        drop(seen);
    }
}

impl<T> fmt::Debug for BroadcastSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BroadcastSender({:?})", self.ring.number)
    }
}

impl<T> fmt::Debug for BroadcastReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BroadcastReceiver({:?}, next {})", self.ring.number, self.next)
    }
}
