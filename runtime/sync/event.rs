//! A flag to wait for.
//!
//! Read next: `semaphore.rs`.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::holders::Numbered;
use crate::id::{TaskId, WaitReason};
use crate::waiters::{Place, WaitList};

/// A flag that tasks wait for. Setting it lets all go who wait, and it stays set until it is cleared.
#[derive(Debug)]
pub struct Event {
    /// The number for reports.
    number: Numbered,
    /// Whether it is set.
    is_set: Cell<bool>,
    /// Who waits.
    waiting: WaitList,
}

/// How an [`Event`] stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventStatistics {
    /// Whether it is set.
    pub is_set: bool,
    /// The tasks that wait for it, first come first.
    pub waiting: Vec<TaskId>,
}

impl Default for Event {
    fn default() -> Event {
        Event::new()
    }
}

impl Event {
    /// An event that is not set.
    pub fn new() -> Event {
        Event { number: Numbered::new("event"), is_set: Cell::new(false), waiting: WaitList::new() }
    }

    /// Sets it: everyone who waits now goes on, even if it is cleared before they run.
    pub fn set(&self) {
        self.is_set.set(true);
        self.waiting.grant_all(());
    }

    /// Clears it: who waits from now on waits for the next [`set`](Event::set).
    pub fn clear(&self) {
        self.is_set.set(false);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Waits until it is set.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub fn wait(&self) -> EventWait<'_> {
        EventWait { event: self, place: Place::default() }
    }

    /// How it stands.
    pub fn statistics(&self) -> EventStatistics {
        EventStatistics { is_set: self.is_set(), waiting: self.waiting.tasks() }
    }
}

/// The future of [`Event::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct EventWait<'a> {
    /// The event.
    event: &'a Event,
    /// Our place among those who wait.
    place: Place,
}

impl Future for EventWait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let event = self.event;
        let reason = WaitReason::Event(event.number.id());
        let take = || event.is_set().then_some(());
        event.waiting.poll_take(&mut self.place, context, reason, (), take)
    }
}

impl Drop for EventWait<'_> {
    fn drop(&mut self) {
        // An event is granted to all: there is nobody to hand it on to.
        let _ = self.event.waiting.leave(&mut self.place);
    }
}
