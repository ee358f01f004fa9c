//! A lock that its holder may take again.
//!
//! The owner is the *task*. So two futures of one task, joined for instance, are one owner: the
//! second gets in while the first holds the lock, and what they share is not kept apart by it. Use a
//! [`Mutex`](super::Mutex) where that matters; use this one for a task that calls itself in a circle.
//! All code outside of any task is one owner too.
//!
//! Read next: `rwlock.rs`.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::mutex::LockStatistics;
use crate::holders::{Hold, Numbered};
use crate::id::{LoopTask, WaitReason};
use crate::task::here;
use crate::waiters::{Place, WaitList};

/// A lock that belongs to a task, which may take it several times and lets it go as often.
///
/// Two futures of one task, joined for instance, are one owner: the second gets in while the first holds
/// the lock. But one that came while another *task* held it stands in line, and stays there until the
/// lock is free, though its own task may have it before; the first must not wait for the second then.
///
/// A guard that is handed to another task keeps the lock the first task's: it is the taking that counts.
#[derive(Debug)]
pub struct RLock {
    /// The number for reports, and the holder.
    number: Numbered,
    /// How often the owner holds it; 0 is free. A grant on its way counts as one hold.
    depth: Cell<usize>,
    /// The owner, if it is held; `None` for code outside of any task, and for a grant on its way.
    owner: Cell<Option<LoopTask>>,
    /// Whether it was granted to one who has not run since, and may not be entered by anybody else.
    is_promised: Cell<bool>,
    /// Who waits.
    waiting: WaitList,
}

impl Default for RLock {
    fn default() -> RLock {
        RLock::new()
    }
}

impl RLock {
    /// A lock that nobody holds.
    pub fn new() -> RLock {
        RLock {
            number: Numbered::new("rlock"),
            depth: Cell::new(0),
            owner: Cell::new(None),
            is_promised: Cell::new(false),
            waiting: WaitList::new(),
        }
    }

    /// The same with a name, for reports.
    pub fn named(self, name: &str) -> RLock {
        self.number.set_name(name);
        self
    }

    /// Waits until no other task holds it.
    ///
    /// # Cancel safety
    /// Dropping it loses the place in line.
    pub fn lock(&self) -> RLockFuture<'_> {
        RLockFuture { lock: self, place: Place::default() }
    }

    /// The guard, if no other task holds the lock.
    pub fn try_lock(&self) -> Option<RLockGuard<'_>> {
        self.enter().map(|()| self.guard())
    }

    /// How often its owner holds it.
    pub fn depth(&self) -> usize {
        self.depth.get()
    }

    /// How it stands.
    pub fn statistics(&self) -> LockStatistics {
        LockStatistics {
            is_locked: self.depth() > 0,
            holder: self.number.holders().pop(),
            waiting: self.waiting.tasks(),
        }
    }

    /// One hold more, if the running task holds it or nobody does.
    fn enter(&self) -> Option<()> {
        let is_ours = !self.is_promised.get() && self.owner.get() == here::running();
        (self.depth() == 0 || is_ours).then(|| self.depth.set(self.depth() + 1))
    }

    /// The guard of the running task, whose hold is counted.
    fn guard(&self) -> RLockGuard<'_> {
        self.is_promised.set(false);
        self.owner.set(here::running());
        RLockGuard { lock: self, hold: self.number.hold(self.owner.get()) }
    }

    /// Lets go once.
    fn unlock(&self) {
        self.depth.set(self.depth() - 1);
        if self.depth() > 0 {
            return;
        }
        // Set before: a waker of somebody else's may come back at once, and must not get in.
        self.depth.set(1);
        self.is_promised.set(true);
        if !self.waiting.grant_first(|()| Some(())) {
            self.depth.set(0);
            self.is_promised.set(false);
        }
    }
}

/// The future of [`RLock::lock`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct RLockFuture<'a> {
    /// The lock.
    lock: &'a RLock,
    /// Our place in line.
    place: Place,
}

impl<'a> Future for RLockFuture<'a> {
    type Output = RLockGuard<'a>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<RLockGuard<'a>> {
        let lock = self.lock;
        let reason = WaitReason::RLock(lock.number.id());
        let entered = lock.waiting.poll_take(&mut self.place, context, reason, (), || lock.enter());
        entered.map(|()| lock.guard())
    }
}

impl Drop for RLockFuture<'_> {
    fn drop(&mut self) {
        if let Some(()) = self.lock.waiting.leave(&mut self.place) {
            self.lock.unlock();
        }
    }
}

/// One hold on an [`RLock`], until dropped.
#[derive(Debug)]
#[must_use = "a lock is let go as soon as its guard is dropped"]
pub struct RLockGuard<'a> {
    /// The lock.
    lock: &'a RLock,
    /// Who took it.
    hold: Hold,
}

impl Drop for RLockGuard<'_> {
    fn drop(&mut self) {
        self.lock.number.release(self.hold);
        self.lock.unlock();
    }
}
