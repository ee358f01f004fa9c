//! A place where a number of tasks wait for each other.
//!
//! ```text
//!   round 1:  A ► ─┐               each round ends in one of two ways: it is complete, or it is
//!             B ► ─┼─► A, B, C      broken; who waited in it is told which
//!             C ► ─┘
//!   round 2:  A ► ─ …
//! ```
//!
//! When one of the party cannot come in time (a wait timed out, or somebody called `abort`) the
//! barrier is broken: all who wait, and all who come, are told so, until it is reset.
//!
//! Read next: `store.rs`.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::time::Duration;

use crate::holders::Numbered;
use crate::id::{TaskId, WaitReason};
use crate::time::timeout;
use crate::waiters::{Place, WaitList};

/// Lets tasks through in groups of a fixed size; it can be used again and again.
#[derive(Debug)]
pub struct Barrier {
    /// The number for reports.
    number: Numbered,
    /// The size of a group.
    parties: usize,
    /// Whether it is broken.
    is_broken: Cell<bool>,
    /// The group that gathers; each is granted its number in the group, or the bad news.
    waiting: WaitList<(), Result<usize, BrokenBarrier>>,
}

/// The barrier was broken: somebody for whom we waited does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenBarrier;

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the barrier is broken: somebody whom we waited for does not come")
    }
}

impl std::error::Error for BrokenBarrier {}

/// How a [`Barrier`] stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BarrierStatistics {
    /// The size of a group.
    pub parties: usize,
    /// Whether it is broken.
    pub is_broken: bool,
    /// The tasks that wait, first come first.
    pub waiting: Vec<TaskId>,
}

impl Barrier {
    /// A barrier for groups of `parties`, at least one.
    pub fn new(parties: usize) -> Barrier {
        Barrier {
            number: Numbered::new("barrier"),
            parties: parties.max(1),
            is_broken: Cell::new(false),
            waiting: WaitList::new(),
        }
    }

    /// Waits until the group is complete; gives our number in it, from 0 for the one who came first.
    ///
    /// # Errors
    /// If the barrier is broken, or gets broken or reset meanwhile.
    ///
    /// # Cancel safety
    /// If it is dropped, the others wait for somebody else instead.
    pub async fn wait(&self) -> Result<usize, BrokenBarrier> {
        let mut party = Party { barrier: self, place: Place::default() };
        let reason = WaitReason::Barrier(self.number.id());
        poll_fn(|context| self.waiting.poll_take(&mut party.place, context, reason, (), || self.come())).await
    }

    /// What one who comes finds without waiting: bad news, or that the group is complete.
    fn come(&self) -> Option<Result<usize, BrokenBarrier>> {
        match () {
            () if self.is_broken() => Some(Err(BrokenBarrier)),
            () if self.waiting.len() + 1 == self.parties => Some(Ok(self.let_go(Ok))),
            () => None,
        }
    }

    /// [`wait`](Barrier::wait), but no longer than `limit`; then the barrier is broken for all.
    ///
    /// # Errors
    /// If the time is over, or the barrier is broken, or gets broken or reset meanwhile.
    ///
    /// # Panics
    /// When awaited outside of a loop, which has no time.
    ///
    /// # Cancel safety
    /// If it is dropped, the others wait for somebody else instead.
    pub async fn wait_timeout(&self, limit: Duration) -> Result<usize, BrokenBarrier> {
        timeout(limit, self.wait()).await.unwrap_or_else(|_| {
            self.abort();
            Err(BrokenBarrier)
        })
    }

    /// Breaks the barrier, until [`reset`](Barrier::reset).
    pub fn abort(&self) {
        self.is_broken.set(true);
        self.let_go(|_| Err(BrokenBarrier));
    }

    /// Makes it whole again; who waits now is told that it was broken.
    pub fn reset(&self) {
        self.is_broken.set(false);
        self.let_go(|_| Err(BrokenBarrier));
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> bool {
        self.is_broken.get()
    }

    /// How it stands.
    pub fn statistics(&self) -> BarrierStatistics {
        BarrierStatistics {
            parties: self.parties,
            is_broken: self.is_broken(),
            waiting: self.waiting.tasks(),
        }
    }

    /// Tells everyone who waits what `news` makes of the number in the group; says how many these were.
    fn let_go(&self, news: impl Fn(usize) -> Result<usize, BrokenBarrier>) -> usize {
        // Counted before: a waker of somebody else's may bring the next group meanwhile.
        let count = self.waiting.len();
        (0..count).take_while(|&number| self.waiting.grant_first(|()| Some(news(number)))).count()
    }
}

/// Being one of the group that gathers.
struct Party<'a> {
    /// The barrier.
    barrier: &'a Barrier,
    /// The place among those who wait.
    place: Place,
}

impl Drop for Party<'_> {
    fn drop(&mut self) {
        // A round ends for all of its party: there is nobody to hand it on to.
        let _ = self.barrier.waiting.leave(&mut self.place);
    }
}
