//! The latest value of something, for everyone who wants to know when it changes.
//!
//! Values in between may be missed; the last never is. A value is shared, not locked: whoever
//! looks gets an `Rc` of it, and may keep that as long as it likes.
//!
//! Read next: `broadcast.rs`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use super::oneshot::SenderGone;
use crate::holders::Numbered;
use crate::id::{TaskId, WaitReason};
use crate::waiters::WaitList;

/// A channel that keeps the latest value, beginning with this one.
pub fn watch<T>(value: T) -> (WatchSender<T>, WatchReceiver<T>) {
    let board = Rc::new(Board {
        number: Numbered::new("watch"),
        value: RefCell::new(Rc::new(value)),
        version: Cell::new(0),
        senders: Cell::new(1),
        receivers: Cell::new(1),
        waiting: WaitList::new(),
        unwatched: WaitList::new(),
    });
    (WatchSender { board: board.clone() }, WatchReceiver { board, seen: 0 })
}

/// What all sides see.
struct Board<T> {
    /// The number for reports.
    number: Numbered,
    /// The latest value.
    value: RefCell<Rc<T>>,
    /// How many values there were before it.
    version: Cell<u64>,
    /// How many senders there are.
    senders: Cell<usize>,
    /// How many receivers there are.
    receivers: Cell<usize>,
    /// The receivers that wait for the next value.
    waiting: WaitList,
    /// The senders that wait for the last receiver to go.
    unwatched: WaitList,
}

/// The side that sets the value; clones set the same one.
pub struct WatchSender<T> {
    /// What all sides see.
    board: Rc<Board<T>>,
}

/// How a [`watch`] channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchStatistics {
    /// How many senders there are.
    pub senders: usize,
    /// How many receivers there are.
    pub receivers: usize,
    /// The tasks that wait for the next value, first come first.
    pub waiting: Vec<TaskId>,
    /// The tasks that wait for the last receiver to go.
    pub waiting_senders: Vec<TaskId>,
}

impl<T> WatchSender<T> {
    /// Sets the value, and tells all receivers that it changed. Nobody may be there to see it; a later
    /// [`subscribe`](WatchSender::subscribe) will.
    pub fn send(&self, value: T) {
        let old = self.board.value.replace(Rc::new(value));
        self.board.version.set(self.board.version.get() + 1);
        self.board.waiting.grant_all(());
        // Last: it may be the last `Rc`, and its destructor anybody's code.
        drop(old);
    }

    /// Sets the value to what `change` makes of the present one; a value that `change` sends itself is
    /// overwritten.
    pub fn send_with(&self, change: impl FnOnce(&T) -> T) {
        let present = self.get();
        self.send(change(&present));
    }

    /// The present value.
    pub fn get(&self) -> Rc<T> {
        self.board.value.borrow().clone()
    }

    /// One more receiver, which has seen the present value.
    pub fn subscribe(&self) -> WatchReceiver<T> {
        WatchReceiver::new(&self.board, self.board.version.get())
    }

    /// How many receivers there are.
    pub fn receivers(&self) -> usize {
        self.board.receivers.get()
    }

    /// How the channel stands.
    pub fn statistics(&self) -> WatchStatistics {
        WatchStatistics {
            senders: self.board.senders.get(),
            receivers: self.receivers(),
            waiting: self.board.waiting.tasks(),
            waiting_senders: self.board.unwatched.tasks(),
        }
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn closed(&self) {
        while self.receivers() > 0 {
            let reason = WaitReason::Watch(self.board.number.id());
            self.board.unwatched.wait_until(reason, || self.receivers() == 0).await;
        }
    }
}

impl<T> Clone for WatchSender<T> {
    fn clone(&self) -> WatchSender<T> {
        self.board.senders.set(self.board.senders.get() + 1);
        WatchSender { board: self.board.clone() }
    }
}

impl<T> Drop for WatchSender<T> {
    fn drop(&mut self) {
        self.board.senders.set(self.board.senders.get() - 1);
        if self.board.senders.get() == 0 {
            self.board.waiting.grant_all(());
        }
    }
}

/// A side that sees the value; clones have seen what the original has.
pub struct WatchReceiver<T> {
    /// What all sides see.
    board: Rc<Board<T>>,
    /// The version that was seen last.
    seen: u64,
}

impl<T> WatchReceiver<T> {
    /// One more receiver.
    fn new(board: &Rc<Board<T>>, seen: u64) -> WatchReceiver<T> {
        board.receivers.set(board.receivers.get() + 1);
        WatchReceiver { board: board.clone(), seen }
    }

    /// The present value, which counts as seen from now on.
    pub fn get(&mut self) -> Rc<T> {
        self.seen = self.board.version.get();
        self.peek()
    }

    /// The present value; seen or not stays as it is.
    pub fn peek(&self) -> Rc<T> {
        self.board.value.borrow().clone()
    }

    /// Whether there is a value that was not seen.
    pub fn has_changed(&self) -> bool {
        self.seen != self.board.version.get()
    }

    /// Waits for a value that was not seen, and sees it.
    ///
    /// # Errors
    /// If all senders are gone and their last value was seen.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: a value that came meanwhile counts as not seen.
    pub async fn changed(&mut self) -> Result<Rc<T>, SenderGone> {
        let is_over = || self.has_changed() || self.board.senders.get() == 0;
        let reason = WaitReason::Watch(self.board.number.id());
        self.board.waiting.wait_until(reason, is_over).await;
        if self.has_changed() { Ok(self.get()) } else { Err(SenderGone) }
    }

    /// Waits for a value of which `is_it` holds, beginning with the present one.
    ///
    /// # Errors
    /// If all senders are gone and their last value was not it.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing; the values that were looked at count as seen.
    pub async fn wait_for(&mut self, mut is_it: impl FnMut(&T) -> bool) -> Result<Rc<T>, SenderGone> {
        let mut value = self.get();
        while !is_it(&value) {
            value = self.changed().await?;
        }
        Ok(value)
    }
}

impl<T> Clone for WatchReceiver<T> {
    fn clone(&self) -> WatchReceiver<T> {
        WatchReceiver::new(&self.board, self.seen)
    }
}

impl<T> Drop for WatchReceiver<T> {
    fn drop(&mut self) {
        self.board.receivers.set(self.board.receivers.get() - 1);
        if self.board.receivers.get() == 0 {
            self.board.unwatched.grant_all(());
        }
    }
}

impl<T> fmt::Debug for WatchSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatchSender({:?})", self.board.number)
    }
}

impl<T> fmt::Debug for WatchReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatchReceiver({:?}, seen {})", self.board.number, self.seen)
    }
}
