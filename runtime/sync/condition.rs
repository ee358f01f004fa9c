//! Waiting for a change of what a mutex guards.
//!
//! Waiting lets the mutex go and takes it again afterwards, in one step as far as others can see:
//! between our check and our wait nobody else runs. A notification that was given to a waiter who is
//! dropped before it ran goes to the next.
//!
//! Read next: `barrier.rs`.

use std::future::poll_fn;

use super::mutex::MutexGuard;
use crate::holders::Numbered;
use crate::id::{TaskId, WaitReason};
use crate::waiters::{Place, WaitList};

/// A place to wait until somebody says that things have changed.
#[derive(Debug)]
pub struct Condition {
    /// The number for reports.
    number: Numbered,
    /// Who waits.
    waiting: WaitList,
}

impl Default for Condition {
    fn default() -> Condition {
        Condition::new()
    }
}

/// How a [`Condition`] stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConditionStatistics {
    /// The tasks that wait, first come first.
    pub waiting: Vec<TaskId>,
}

impl Condition {
    /// Nobody waits.
    pub fn new() -> Condition {
        Condition { number: Numbered::new("condition"), waiting: WaitList::new() }
    }

    /// Lets the mutex go, waits to be notified, and takes the mutex again.
    ///
    /// What one waited for may be over by then, or never have come: check it again, or use
    /// [`wait_for`](Condition::wait_for).
    ///
    /// # Cancel safety
    /// If it is dropped, the mutex is not held; a notification that had come is handed on.
    pub async fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let mutex = guard.mutex();
        let mut waiter = Waiter { condition: self, place: Place::default(), is_notified: false };
        let mut guard = Some(guard);
        let reason = WaitReason::Condition(self.number.id());
        poll_fn(|context| {
            let polled = self.waiting.poll_grant(&mut waiter.place, context, reason, ());
            // Only once we stand in line: a notification from now on is for us.
            guard = None;
            polled
        })
        .await;
        waiter.is_notified = true;
        let guard = mutex.lock().await;
        waiter.is_notified = false;
        guard
    }

    /// Waits until `is_true`, checking at first and after each notification.
    ///
    /// # Cancel safety
    /// As [`wait`](Condition::wait).
    pub async fn wait_for<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut is_true: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while !is_true(&mut guard) {
            guard = self.wait(guard).await;
        }
        guard
    }

    /// Notifies up to `count` waiters, those that came first; says how many there were.
    pub fn notify(&self, count: usize) -> usize {
        (0..count).take_while(|_| self.waiting.grant_first(|()| Some(()))).count()
    }

    /// Notifies everyone who waits now; says how many these were.
    pub fn notify_all(&self) -> usize {
        self.waiting.grant_all(())
    }

    /// How it stands.
    pub fn statistics(&self) -> ConditionStatistics {
        ConditionStatistics { waiting: self.waiting.tasks() }
    }
}

/// Standing in line for a notification.
#[derive(Debug)]
struct Waiter<'a> {
    /// The condition.
    condition: &'a Condition,
    /// The place in line.
    place: Place,
    /// Whether it was notified, and has not come back with the mutex since.
    is_notified: bool,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.is_notified || self.condition.waiting.leave(&mut self.place).is_some() {
            self.condition.notify(1);
        }
    }
}
