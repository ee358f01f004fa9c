//! Items from those who put to those who get, with an account of what is done.
//!
//! One [`Queue`] serves three orders: first in first out, last in first out, least first. It is
//! bounded or not; `join` waits until every item that was put has been reported done.
//!
//! Invariants: while somebody waits to get, no item is free; while somebody waits to put, no
//! place is. An item or a place promised to a waiter who is dropped goes to the next in line. An
//! item stays in the store until its waiter runs, which then takes the one that is next by that time.
//!
//! Read next: `oneshot.rs`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;

use super::store::{Fifo, Least, Lifo, Store};
use crate::holders::Numbered;
use crate::id::{PrimitiveId, TaskId, WaitReason};
use crate::task::here::Indivisible;
use crate::waiters::{Place, WaitList};

/// First in, first out.
pub type Queue<T> = AnyQueue<Fifo<T>>;

/// Last in, first out.
pub type LifoQueue<T> = AnyQueue<Lifo<T>>;

/// The least item first; of equal ones, the one that was put first.
pub type PriorityQueue<T> = AnyQueue<Least<T>>;

/// Items from those who put to those who get; see [`Queue`], [`LifoQueue`] and [`PriorityQueue`].
#[derive(Debug)]
pub struct AnyQueue<S: Store> {
    /// The number for reports.
    number: Numbered,
    /// The items.
    store: RefCell<S>,
    /// How many items there may be.
    capacity: usize,
    /// How many of the items are granted to getters that have not run yet.
    promised_items: Cell<usize>,
    /// How many of the free places are granted to putters that have not run yet.
    promised_places: Cell<usize>,
    /// How many items were put and not reported done.
    unfinished: Cell<usize>,
    /// Whether nothing more may be put.
    is_shut_down: Cell<bool>,
    /// Who waits for an item.
    getters: WaitList<(), Promise>,
    /// Who waits for a place.
    putters: WaitList<(), Promise>,
    /// Who waits for all to be done.
    joiners: WaitList<(), Promise>,
}

/// What a waiter is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// An item or a place is kept for it.
    Kept,
    /// To look for itself: nothing is kept.
    Look,
}

/// Why a queue gives or takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueError {
    /// There is no item, or no place, at the moment.
    WouldWait,
    /// The queue was shut down: nothing can be put any more, and all items are gone.
    ShutDown,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueError::WouldWait => write!(f, "the queue has no item, or no room, at the moment"),
            QueueError::ShutDown => write!(f, "the queue was shut down"),
        }
    }
}

impl std::error::Error for QueueError {}

/// An item that could not be put, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPut<T> {
    /// The item, back again.
    pub item: T,
    /// Why.
    pub error: QueueError,
}

impl<T> fmt::Display for NotPut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> std::error::Error for NotPut<T> {}

/// `task_done` was called more often than items were put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyDone;

impl fmt::Display for TooManyDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task_done was called more often than items were put")
    }
}

impl std::error::Error for TooManyDone {}

/// How a queue stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStatistics {
    /// How many items are in it.
    pub len: usize,
    /// How many items were put and not reported done.
    pub unfinished: usize,
    /// The tasks that wait for an item, first come first.
    pub getters: Vec<TaskId>,
    /// The tasks that wait for room, first come first.
    pub putters: Vec<TaskId>,
    /// The tasks that wait for all to be done.
    pub joiners: Vec<TaskId>,
}

impl<S: Store> Default for AnyQueue<S> {
    fn default() -> AnyQueue<S> {
        AnyQueue::unbounded()
    }
}

impl<S: Store> AnyQueue<S> {
    /// A queue of at most `capacity` items, at least one: putting waits for room.
    pub fn bounded(capacity: usize) -> AnyQueue<S> {
        AnyQueue {
            number: Numbered::new("queue"),
            store: RefCell::new(S::default()),
            capacity: capacity.max(1),
            promised_items: Cell::new(0),
            promised_places: Cell::new(0),
            unfinished: Cell::new(0),
            is_shut_down: Cell::new(false),
            getters: WaitList::new(),
            putters: WaitList::new(),
            joiners: WaitList::new(),
        }
    }

    /// A queue of any number of items: putting never waits.
    pub fn unbounded() -> AnyQueue<S> {
        AnyQueue::bounded(usize::MAX)
    }

    /// How many items are in it.
    pub fn len(&self) -> usize {
        self.store.borrow().len()
    }

    /// Whether there is no item in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room in it.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// Puts an item in, if there is room that nobody waits for.
    ///
    /// # Errors
    /// If there is no room, or the queue was shut down; the item is in the error.
    pub fn try_put(&self, item: S::Item) -> Result<(), NotPut<S::Item>> {
        let error = match () {
            () if self.is_shut_down.get() => QueueError::ShutDown,
            () if !self.has_free_place() => QueueError::WouldWait,
            () => {
                self.push(item);
                return Ok(());
            }
        };
        Err(NotPut { item, error })
    }

    /// Puts an item in, waiting for room.
    ///
    /// # Errors
    /// If the queue was shut down; the item is in the error.
    ///
    /// # Cancel safety
    /// If it is dropped, the item was not put, and is dropped as well.
    pub async fn put(&self, item: S::Item) -> Result<(), NotPut<S::Item>> {
        self.wait(Side::Put, || self.is_shut_down.get() || self.has_free_place()).await;
        match self.is_shut_down.get() {
            true => Err(NotPut { item, error: QueueError::ShutDown }),
            false => {
                self.push(item);
                Ok(())
            }
        }
    }

    /// Takes an item that nobody waits for.
    ///
    /// # Errors
    /// If there is none, or there will never be one again.
    pub fn try_get(&self) -> Result<S::Item, QueueError> {
        match () {
            () if self.has_free_item() => self.pop(),
            () if self.is_shut_down.get() => Err(QueueError::ShutDown),
            () => Err(QueueError::WouldWait),
        }
    }

    /// Takes an item, waiting for one.
    ///
    /// # Errors
    /// If the queue was shut down and is empty.
    ///
    /// # Cancel safety
    /// If it is dropped, no item was taken.
    pub async fn get(&self) -> Result<S::Item, QueueError> {
        self.wait(Side::Get, || self.is_shut_down.get() || self.has_free_item()).await;
        self.pop()
    }

    /// Reports one item that was got as done.
    ///
    /// # Errors
    /// If all items that were put are done already.
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        let left = self.unfinished.get().checked_sub(1).ok_or(TooManyDone)?;
        self.unfinished.set(left);
        if left == 0 {
            self.joiners.grant_all(Promise::Look);
        }
        Ok(())
    }

    /// Waits until every item that was put is done: not until the queue is empty.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn join(&self) {
        self.wait(Side::Join, || self.unfinished.get() == 0).await;
    }

    /// Nothing can be put any more; getting goes on until the queue is empty, and is an error then.
    /// `at_once` drops the items that are left, as if they were done.
    pub fn shutdown(&self, at_once: bool) {
        self.is_shut_down.set(true);
        let dropped = if at_once { self.store.take() } else { S::default() };
        for _ in 0..dropped.len() {
            // Each of them was put, so none is too many.
            let _ = self.task_done();
        }
        self.getters.grant_all(Promise::Look);
        self.putters.grant_all(Promise::Look);
    }

    /// How it stands.
    pub fn statistics(&self) -> QueueStatistics {
        QueueStatistics {
            len: self.len(),
            unfinished: self.unfinished.get(),
            getters: self.getters.tasks(),
            putters: self.putters.tasks(),
            joiners: self.joiners.tasks(),
        }
    }

    /// Whether there is an item that is nobody's yet.
    fn has_free_item(&self) -> bool {
        self.len() > self.promised_items.get()
    }

    /// Whether there is a place that is nobody's yet.
    fn has_free_place(&self) -> bool {
        self.len().saturating_add(self.promised_places.get()) < self.capacity
    }

    /// Puts an item into a place that is ours.
    fn push(&self, item: S::Item) {
        self.unfinished.set(self.unfinished.get() + 1);
        let _serving = Serving(self);
        let _indivisible = Indivisible::begin();
        self.store.borrow_mut().push(item);
    }

    /// Takes an item that is ours.
    fn pop(&self) -> Result<S::Item, QueueError> {
        let _serving = Serving(self);
        let _indivisible = Indivisible::begin();
        self.store.borrow_mut().pop().ok_or(QueueError::ShutDown)
    }

    /// Promises free items and free places to those who wait for them.
    fn serve(&self) {
        while self.has_free_item() && promise(&self.getters, &self.promised_items) {}
        while self.has_free_place() && promise(&self.putters, &self.promised_places) {}
    }

    /// Ready if it `is_free` for a late comer, or when granted.
    async fn wait(&self, side: Side, is_free: impl Fn() -> bool) {
        let mut waiter = Waiter { queue: self, side, place: Place::default() };
        let (line, reason) = (self.line(side), side.reason(self.number.id()));
        let take = || is_free().then_some(Promise::Look);
        let promise = poll_fn(|context| line.poll_take(&mut waiter.place, context, reason, (), take)).await;
        self.redeem(side, promise);
    }

    /// The line of those who wait for this.
    fn line(&self, side: Side) -> &WaitList<(), Promise> {
        match side {
            Side::Get => &self.getters,
            Side::Put => &self.putters,
            Side::Join => &self.joiners,
        }
    }

    /// What was promised is the waiter's from now on, or free for others.
    fn redeem(&self, side: Side, promise: Promise) {
        let promised = match (promise, side) {
            (Promise::Look, _) | (_, Side::Join) => return,
            (Promise::Kept, Side::Get) => &self.promised_items,
            (Promise::Kept, Side::Put) => &self.promised_places,
        };
        promised.set(promised.get() - 1);
    }
}

/// Promises one more to the first in line; says whether there is one.
fn promise(line: &WaitList<(), Promise>, promised: &Cell<usize>) -> bool {
    line.grant_first(|()| {
        promised.set(promised.get() + 1);
        Some(Promise::Kept)
    })
}

/// A change of the store, after which those who wait are served: also if an item's `Ord` panics.
struct Serving<'a, S: Store>(&'a AnyQueue<S>);

impl<S: Store> Drop for Serving<'_, S> {
    fn drop(&mut self) {
        self.0.serve();
    }
}

/// What a waiter of a queue waits for.
#[derive(Clone, Copy, Debug)]
enum Side {
    /// An item.
    Get,
    /// A place.
    Put,
    /// Everything to be done.
    Join,
}

impl Side {
    /// What the task says.
    fn reason(self, id: PrimitiveId) -> WaitReason {
        match self {
            Side::Get => WaitReason::QueueGet(id),
            Side::Put => WaitReason::QueuePut(id),
            Side::Join => WaitReason::QueueJoin(id),
        }
    }
}

/// Waiting in one of a queue's lines.
struct Waiter<'a, S: Store> {
    /// The queue.
    queue: &'a AnyQueue<S>,
    /// Which line.
    side: Side,
    /// The place in it.
    place: Place,
}

impl<S: Store> Drop for Waiter<'_, S> {
    fn drop(&mut self) {
        if let Some(promise) = self.queue.line(self.side).leave(&mut self.place) {
            self.queue.redeem(self.side, promise);
            self.queue.serve();
        }
    }
}
