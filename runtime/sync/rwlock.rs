//! A value that many may read, or one may write.
//!
//! First come, first served: a writer that waits holds up the readers that come after it, so that
//! neither side is starved; readers next to each other in line go in together.
//!
//! Read next: `condition.rs`.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::holders::{Hold, Numbered};
use crate::id::{TaskId, WaitReason};
use crate::task::here;
use crate::waiters::{Place, WaitList};

/// What a waiter wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// To read, together with others.
    Read,
    /// To write, alone.
    Write,
}

/// A value that many may read, or one may write.
#[derive(Debug)]
pub struct RwLock<T> {
    /// The number for reports, and who holds it.
    number: Numbered,
    /// How many read, or were granted to.
    readers: Cell<usize>,
    /// Whether somebody writes, or was granted to.
    has_writer: Cell<bool>,
    /// Who waits, and for what.
    waiting: WaitList<Access>,
    /// The value; borrowed by the guards.
    value: RefCell<T>,
}

/// How an [`RwLock`] stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RwLockStatistics {
    /// How many read, or are let in to read.
    pub readers: usize,
    /// Whether somebody writes, or is let in to write.
    pub has_writer: bool,
    /// The tasks that read or write; one that reads twice is named twice.
    pub holders: Vec<TaskId>,
    /// The tasks that wait, first come first.
    pub waiting: Vec<TaskId>,
}

impl<T> RwLock<T> {
    /// A lock that nobody holds.
    pub fn new(value: T) -> RwLock<T> {
        RwLock {
            number: Numbered::new("rwlock"),
            readers: Cell::new(0),
            has_writer: Cell::new(false),
            waiting: WaitList::new(),
            value: RefCell::new(value),
        }
    }

    /// The same with a name, for reports.
    pub fn named(self, name: &str) -> RwLock<T> {
        self.number.set_name(name);
        self
    }

    /// Waits until nobody writes, nor waits to.
    ///
    /// # Cancel safety
    /// Dropping it loses the place in line.
    pub fn read(&self) -> Read<'_, T> {
        Read(Wait { lock: self, access: Access::Read, place: Place::default() })
    }

    /// Waits until nobody else holds the lock.
    ///
    /// # Cancel safety
    /// Dropping it loses the place in line.
    pub fn write(&self) -> Write<'_, T> {
        Write(Wait { lock: self, access: Access::Write, place: Place::default() })
    }

    /// The right to read, if it is to be had at once.
    pub fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        self.take(Access::Read).map(|()| self.read_guard())
    }

    /// The right to write, if it is to be had at once.
    pub fn try_write(&self) -> Option<WriteGuard<'_, T>> {
        self.take(Access::Write).map(|()| self.write_guard())
    }

    /// How it stands.
    pub fn statistics(&self) -> RwLockStatistics {
        RwLockStatistics {
            readers: self.readers.get(),
            has_writer: self.has_writer.get(),
            holders: self.number.holders(),
            waiting: self.waiting.tasks(),
        }
    }

    /// The value, when nobody can hold it any more.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }

    /// Enters the books as a reader or a writer, if that fits who is in.
    fn take_as_first(&self, access: Access) -> Option<()> {
        match access {
            _ if self.has_writer.get() => return None,
            Access::Write if self.readers.get() > 0 => return None,
            Access::Write => self.has_writer.set(true),
            Access::Read => self.readers.set(self.readers.get() + 1),
        }
        Some(())
    }

    /// The same for one who has not stood in line.
    fn take(&self, access: Access) -> Option<()> {
        if self.waiting.len() > 0 {
            return None;
        }
        self.take_as_first(access)
    }

    /// Leaves the books, and lets in who fits now.
    fn give_back(&self, access: Access) {
        match access {
            Access::Read => self.readers.set(self.readers.get() - 1),
            Access::Write => self.has_writer.set(false),
        }
        self.serve();
    }

    /// Grants to those in line as far as they fit.
    fn serve(&self) {
        while self.waiting.grant_first(|&access| self.take_as_first(access)) {}
    }

    /// The guard of a reader that is in the books.
    fn read_guard(&self) -> ReadGuard<'_, T> {
        let hold = self.number.hold(here::running());
        ReadGuard { lock: self, hold, value: Some(self.value.borrow()) }
    }

    /// The guard of a writer that is in the books.
    fn write_guard(&self) -> WriteGuard<'_, T> {
        let hold = self.number.hold(here::running());
        WriteGuard { lock: self, hold, value: Some(self.value.borrow_mut()) }
    }
}

/// Waiting for either access.
#[derive(Debug)]
struct Wait<'a, T> {
    /// The lock.
    lock: &'a RwLock<T>,
    /// What it waits for.
    access: Access,
    /// Our place in line.
    place: Place,
}

impl<T> Wait<'_, T> {
    /// Ready when the books have us in.
    fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let (lock, access) = (self.lock, self.access);
        let id = lock.number.id();
        let reason = match access {
            Access::Read => WaitReason::RwLockRead(id),
            Access::Write => WaitReason::RwLockWrite(id),
        };
        lock.waiting.poll_take(&mut self.place, context, reason, access, || lock.take(access))
    }
}

impl<T> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        match self.lock.waiting.leave(&mut self.place) {
            Some(()) => self.lock.give_back(self.access),
            // A writer that leaves may have held up readers who fit.
            None => self.lock.serve(),
        }
    }
}

/// The future of [`RwLock::read`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Read<'a, T>(Wait<'a, T>);

impl<'a, T> Future for Read<'a, T> {
    type Output = ReadGuard<'a, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<ReadGuard<'a, T>> {
        let lock = self.0.lock;
        self.0.poll(context).map(|()| lock.read_guard())
    }
}

/// The future of [`RwLock::write`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Write<'a, T>(Wait<'a, T>);

impl<'a, T> Future for Write<'a, T> {
    type Output = WriteGuard<'a, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<WriteGuard<'a, T>> {
        let lock = self.0.lock;
        self.0.poll(context).map(|()| lock.write_guard())
    }
}

/// The right to read the value of an [`RwLock`], until dropped.
#[derive(Debug)]
#[must_use = "a lock is let go as soon as its guard is dropped"]
pub struct ReadGuard<'a, T> {
    /// The lock.
    lock: &'a RwLock<T>,
    /// Who took it.
    hold: Hold,
    /// The value; `None` only while the guard is dropped.
    value: Option<Ref<'a, T>>,
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("a guard has its value until it is dropped")
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.lock.number.release(self.hold);
        self.lock.give_back(Access::Read);
    }
}

/// The right to write the value of an [`RwLock`], until dropped.
#[derive(Debug)]
#[must_use = "a lock is let go as soon as its guard is dropped"]
pub struct WriteGuard<'a, T> {
    /// The lock.
    lock: &'a RwLock<T>,
    /// Who took it.
    hold: Hold,
    /// The value; `None` only while the guard is dropped.
    value: Option<RefMut<'a, T>>,
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("a guard has its value until it is dropped")
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("a guard has its value until it is dropped")
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.lock.number.release(self.hold);
        self.lock.give_back(Access::Write);
    }
}
