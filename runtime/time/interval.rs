//! A beat to await: tick, tick, tick.
//!
//! Read next: `waiters.rs`.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::sleep::Sleep;
use crate::executor::callbacks::next_beat;
use crate::executor::local_loop::expect_current;

/// What an [`Interval`] does about ticks that nobody was there to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTicks {
    /// Leaves them out: the next tick is at the next multiple of the period.
    #[default]
    Skip,
    /// Lets the rhythm slip: the next tick is a period after the late one was taken.
    Delay,
    /// Gives them all, one right after the other, until it has caught up.
    Burst,
}

/// Ticks at once, then every `period`. Missed ticks are skipped; see
/// [`Interval::missed_ticks`] for the other ways.
///
/// # Panics
/// If there is no loop on this thread, or `period` is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "interval: the period is zero; to give way to others, use yield_now");
    let current = expect_current("interval");
    let sleep = Sleep::until(&current, current.clock().read());
    Interval { sleep, period, missed_ticks: MissedTicks::default() }
}

/// A beat; also a [`Stream`] that never ends.
#[derive(Debug)]
#[must_use = "an interval does nothing unless its ticks are awaited"]
pub struct Interval {
    /// Waits for the next tick.
    sleep: Sleep,
    /// The time from tick to tick.
    period: Duration,
    /// What to do about ticks that nobody took.
    missed_ticks: MissedTicks,
}

impl Interval {
    /// Chooses what to do about ticks that nobody was there to take.
    pub fn missed_ticks(mut self, missed_ticks: MissedTicks) -> Interval {
        self.missed_ticks = missed_ticks;
        self
    }

    /// Waits for the next tick; gives the time at which it was due.
    ///
    /// # Panics
    /// Outside of the loop that the interval was made in.
    ///
    /// # Cancel safety
    /// A tick that was not given is still due.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|context| self.poll_tick(context)).await
    }

    /// The poll behind [`tick`](Interval::tick).
    pub fn poll_tick(&mut self, context: &mut Context<'_>) -> Poll<Instant> {
        let due = self.sleep.deadline();
        ready!(Pin::new(&mut self.sleep).poll(context));
        let current = expect_current("interval");
        let now = current.clock().read();
        let next = match self.missed_ticks {
            MissedTicks::Burst => due.after(self.period),
            MissedTicks::Delay => now.after(self.period),
            MissedTicks::Skip => next_beat(due, self.period, now).0,
        };
        self.sleep.set_deadline(&current, next);
        Poll::Ready(current.clock().to_instant(due))
    }
}

impl Stream for Interval {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll_tick(context).map(Some)
    }
}
