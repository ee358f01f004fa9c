//! A number of permits, handed out in the order in which they were asked for.
//!
//! Invariant: while somebody waits, fewer permits are free than the first in line wants. So no late
//! comer passes by, and a large request is not starved by small ones.
//!
//! Read next: `mutex.rs`.

use std::borrow::Borrow;
use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::holders::{Hold, Numbered};
use crate::id::{TaskId, WaitReason};
use crate::task::here;
use crate::waiters::{Place, WaitList};

/// A number of permits to wait for.
#[derive(Debug)]
pub struct Semaphore {
    /// The number for reports, and who holds permits.
    number: Numbered,
    /// How many permits are free.
    free: Cell<usize>,
    /// How many were kept for good and not released since.
    kept: Cell<usize>,
    /// Who waits, and for how many permits.
    waiting: WaitList<usize>,
}

/// How a [`Semaphore`] stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreStatistics {
    /// How many permits are free.
    pub free: usize,
    /// The tasks that hold a [`Permit`]; one with two permits is named twice.
    pub holders: Vec<TaskId>,
    /// The tasks that wait, first come first.
    pub waiting: Vec<TaskId>,
}

impl Semaphore {
    /// A semaphore with this many free permits.
    pub fn new(permits: usize) -> Semaphore {
        Semaphore {
            number: Numbered::new("semaphore"),
            free: Cell::new(permits),
            kept: Cell::new(0),
            waiting: WaitList::new(),
        }
    }

    /// The same with a name, for reports.
    pub fn named(self, name: &str) -> Semaphore {
        self.number.set_name(name);
        self
    }

    /// Waits for one permit.
    ///
    /// # Cancel safety
    /// Dropping it loses the place in line, and no permit.
    pub fn acquire(&self) -> Acquire<&Semaphore> {
        self.acquire_many(1)
    }

    /// Waits for several permits at once; others wait behind meanwhile. More than there will ever be are
    /// waited for, for ever.
    ///
    /// # Cancel safety
    /// Dropping it loses the place in line, and no permit.
    pub fn acquire_many(&self, permits: usize) -> Acquire<&Semaphore> {
        Acquire { semaphore: self, permits, place: Place::default() }
    }

    /// Waits for permits that can be taken along, into another task for instance.
    ///
    /// # Cancel safety
    /// Dropping it loses the place in line, and no permit.
    pub fn acquire_owned(self: &Rc<Self>, permits: usize) -> Acquire<Rc<Semaphore>> {
        Acquire { semaphore: self.clone(), permits, place: Place::default() }
    }

    /// Takes one permit if it is free and nobody waits.
    pub fn try_acquire(&self) -> Option<Permit<&Semaphore>> {
        self.try_acquire_many(1)
    }

    /// Takes several permits if they are free and nobody waits.
    pub fn try_acquire_many(&self, permits: usize) -> Option<Permit<&Semaphore>> {
        self.take(permits).map(|()| Permit::new(self, permits))
    }

    /// Gives permits back, or new ones: whoever holds none may do so too.
    ///
    /// # Panics
    /// If there would be more than `usize::MAX`.
    pub fn release(&self, permits: usize) {
        assert!(self.free().checked_add(permits).is_some(), "a semaphore holds at most usize::MAX permits");
        self.kept.set(self.kept.get().saturating_sub(permits));
        self.give(permits);
    }

    /// More permits are free. Of a number without bound those that come back may be lost: a destructor
    /// does not panic.
    fn give(&self, permits: usize) {
        self.free.set(self.free().saturating_add(permits));
        self.serve();
    }

    /// How many permits are free.
    pub fn free(&self) -> usize {
        self.free.get()
    }

    /// How it stands.
    pub fn statistics(&self) -> SemaphoreStatistics {
        SemaphoreStatistics {
            free: self.free(),
            holders: self.number.holders(),
            waiting: self.waiting.tasks(),
        }
    }

    /// Takes permits if they are free and nobody waits.
    fn take(&self, permits: usize) -> Option<()> {
        if self.waiting.len() > 0 {
            return None;
        }
        self.take_as_first(permits)
    }

    /// Takes permits if they are free.
    fn take_as_first(&self, permits: usize) -> Option<()> {
        self.free.set(self.free().checked_sub(permits)?);
        Some(())
    }

    /// Grants to those in line as far as the free permits go.
    fn serve(&self) {
        while self.waiting.grant_first(|&wants| self.take_as_first(wants)) {}
    }
}

/// The future of [`Semaphore::acquire`] and its kin.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire<S: Borrow<Semaphore>> {
    /// The semaphore.
    semaphore: S,
    /// How many permits it wants.
    permits: usize,
    /// Our place in line.
    place: Place,
}

impl<S: Borrow<Semaphore> + Clone + Unpin> Future for Acquire<S> {
    type Output = Permit<S>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit<S>> {
        let Acquire { semaphore: kept, permits, place } = &mut *self;
        let semaphore: &Semaphore = (*kept).borrow();
        let reason = WaitReason::Semaphore(semaphore.number.id());
        let take = || semaphore.take(*permits);
        let polled = semaphore.waiting.poll_take(place, context, reason, *permits, take);
        polled.map(|()| Permit::new(kept.clone(), *permits))
    }
}

impl<S: Borrow<Semaphore>> Drop for Acquire<S> {
    fn drop(&mut self) {
        let semaphore: &Semaphore = self.semaphore.borrow();
        match semaphore.waiting.leave(&mut self.place) {
            Some(()) => semaphore.give(self.permits),
            // The one who left may have been the one who could not be served.
            None => semaphore.serve(),
        }
    }
}

/// Permits of a [`Semaphore`], given back when dropped.
#[derive(Debug)]
#[must_use = "a permit is given back as soon as it is dropped"]
pub struct Permit<S: Borrow<Semaphore>> {
    /// Where they belong.
    semaphore: S,
    /// How many they are.
    permits: usize,
    /// Who took them.
    hold: Hold,
}

impl<S: Borrow<Semaphore>> Permit<S> {
    /// These permits are the running task's.
    fn new(semaphore: S, permits: usize) -> Permit<S> {
        let hold = semaphore.borrow().number.hold(here::running());
        Permit { semaphore, permits, hold }
    }

    /// Keeps the permits for good: the semaphore has so many fewer, until somebody
    /// [releases](Semaphore::release) them.
    pub fn forget(mut self) {
        let kept = &self.semaphore.borrow().kept;
        kept.set(kept.get() + std::mem::take(&mut self.permits));
    }
}

impl<S: Borrow<Semaphore>> Drop for Permit<S> {
    fn drop(&mut self) {
        let semaphore: &Semaphore = self.semaphore.borrow();
        semaphore.number.release(self.hold);
        if self.permits > 0 {
            semaphore.give(self.permits);
        }
    }
}

/// A semaphore that never has more permits than at first: releasing too often is a mistake in the
/// program, and an error.
#[derive(Debug)]
pub struct BoundedSemaphore {
    /// The permits.
    semaphore: Semaphore,
    /// How many there are, free, held or kept.
    bound: usize,
}

/// More permits were released than had been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverReleased {
    /// How many permits the semaphore has.
    pub bound: usize,
}

impl fmt::Display for OverReleased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a bounded semaphore of {} permits was released more often than acquired", self.bound)
    }
}

impl std::error::Error for OverReleased {}

impl BoundedSemaphore {
    /// A semaphore with this many free permits, and never more.
    pub fn new(permits: usize) -> BoundedSemaphore {
        BoundedSemaphore { semaphore: Semaphore::new(permits), bound: permits }
    }

    /// The same with a name, for reports.
    pub fn named(self, name: &str) -> BoundedSemaphore {
        self.semaphore.number.set_name(name);
        self
    }

    /// Waits for one permit.
    ///
    /// # Cancel safety
    /// Dropping it loses the place in line, and no permit.
    pub fn acquire(&self) -> Acquire<&Semaphore> {
        self.semaphore.acquire()
    }

    /// Takes one permit if it is free and nobody waits.
    pub fn try_acquire(&self) -> Option<Permit<&Semaphore>> {
        self.semaphore.try_acquire()
    }

    /// Gives one permit back that was kept with [`Permit::forget`]. A permit that is not kept so comes back
    /// by itself.
    ///
    /// # Errors
    /// If no permit is out in this way; nothing is changed then.
    pub fn release(&self) -> Result<(), OverReleased> {
        if self.semaphore.kept.get() == 0 {
            return Err(OverReleased { bound: self.bound });
        }
        self.semaphore.release(1);
        Ok(())
    }

    /// How it stands.
    pub fn statistics(&self) -> SemaphoreStatistics {
        self.semaphore.statistics()
    }
}
