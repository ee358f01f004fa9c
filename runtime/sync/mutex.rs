//! A value that one task at a time may use, across its awaits.
//!
//! A task needs no mutex for what it does between two awaits: nobody else runs then. A mutex is
//! for keeping others out *while one waits*.
//!
//! A task that waits for a mutex which it holds itself is not an error here: two futures of one task
//! may lawfully do so (joined, say, where one lets go while the other waits). If nothing can ever
//! happen any more, the stall report says "which it holds itself".
//!
//! Read next: `rlock.rs`.

use std::cell::{Cell, RefCell, RefMut};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::holders::{Hold, Numbered};
use crate::id::{TaskId, WaitReason};
use crate::task::here;
use crate::waiters::{Place, WaitList};

/// A value that one task at a time may use, first come first served.
#[derive(Debug)]
pub struct Mutex<T> {
    /// The number for reports, and the holder.
    number: Numbered,
    /// Whether it is held, or granted to one who will hold it.
    is_locked: Cell<bool>,
    /// Who waits.
    waiting: WaitList,
    /// The value; borrowed by the one guard.
    value: RefCell<T>,
}

/// How a [`Mutex`] or an [`RLock`](super::RLock) stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockStatistics {
    /// Whether it is held, or on its way to the next in line.
    pub is_locked: bool,
    /// The task that holds it, if it was a task that took it.
    pub holder: Option<TaskId>,
    /// The tasks that wait, first come first.
    pub waiting: Vec<TaskId>,
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T> Mutex<T> {
    /// A mutex that nobody holds.
    pub fn new(value: T) -> Mutex<T> {
        Mutex {
            number: Numbered::new("mutex"),
            is_locked: Cell::new(false),
            waiting: WaitList::new(),
            value: RefCell::new(value),
        }
    }

    /// The same with a name, for reports.
    pub fn named(self, name: &str) -> Mutex<T> {
        self.number.set_name(name);
        self
    }

    /// Waits until nobody else holds it; the guard is the right to use the value.
    ///
    /// # Cancel safety
    /// Dropping it loses the place in line.
    pub fn lock(&self) -> Lock<'_, T> {
        Lock { mutex: self, place: Place::default() }
    }

    /// The guard, if nobody holds the mutex and nobody waits for it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.take().map(|()| self.guard())
    }

    /// Whether somebody holds it.
    pub fn is_locked(&self) -> bool {
        self.is_locked.get()
    }

    /// The value, when nobody can hold it any more.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }

    /// The value, without locking: nobody else has the mutex now.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// How it stands.
    pub fn statistics(&self) -> LockStatistics {
        LockStatistics {
            is_locked: self.is_locked(),
            holder: self.number.holders().pop(),
            waiting: self.waiting.tasks(),
        }
    }

    /// Locks it if it is free; while somebody waits it never is.
    fn take(&self) -> Option<()> {
        (!self.is_locked.replace(true)).then_some(())
    }

    /// The running task's guard of the mutex, which was taken or granted for it.
    fn guard(&self) -> MutexGuard<'_, T> {
        let hold = self.number.hold(here::running());
        MutexGuard { mutex: self, hold, value: Some(self.value.borrow_mut()) }
    }

    /// Lets go: the first in line has it from now on, or nobody.
    fn unlock(&self) {
        if !self.waiting.grant_first(|()| Some(())) {
            self.is_locked.set(false);
        }
    }
}

/// The future of [`Mutex::lock`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Lock<'a, T> {
    /// The mutex.
    mutex: &'a Mutex<T>,
    /// Our place in line.
    place: Place,
}

impl<'a, T> Future for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<MutexGuard<'a, T>> {
        let mutex = self.mutex;
        let reason = WaitReason::Mutex(mutex.number.id());
        let taken = mutex.waiting.poll_take(&mut self.place, context, reason, (), || mutex.take());
        taken.map(|()| mutex.guard())
    }
}

impl<T> Drop for Lock<'_, T> {
    fn drop(&mut self) {
        if let Some(()) = self.mutex.waiting.leave(&mut self.place) {
            self.mutex.unlock();
        }
    }
}

/// The right to use the value of a [`Mutex`], until dropped.
#[derive(Debug)]
#[must_use = "a mutex is let go as soon as its guard is dropped"]
pub struct MutexGuard<'a, T> {
    /// The mutex.
    mutex: &'a Mutex<T>,
    /// Who took it.
    hold: Hold,
    /// The value; `None` only while the guard is dropped.
    value: Option<RefMut<'a, T>>,
}

impl<'a, T> MutexGuard<'a, T> {
    /// The mutex that it is the guard of.
    pub(crate) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("a guard has its value until it is dropped")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("a guard has its value until it is dropped")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // The value first: the next holder may borrow it before we return.
        self.value = None;
        self.mutex.number.release(self.hold);
        self.mutex.unlock();
    }
}
