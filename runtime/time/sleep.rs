//! Sleeping: a future that is ready when its time has come.
//!
//! A [`Sleep`] sets its timer when it is first polled and takes it out of the heap when it is
//! dropped, so an abandoned timeout leaves nothing behind. Its deadline counts from the moment it
//! was made, read afresh from the clock: no sleep is shorter than asked. It may be longer by the
//! rest of the turn, and by up to a millisecond (see `reactor.rs`).
//!
//! Read next: `timeout.rs`.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::atomic::Arc;
use crate::clock::Moment;
use crate::executor::local_loop::{LocalLoop, Target, current_if, expect_current};
use crate::future::give_way;
use crate::id::WaitReason;
use crate::table::Key;
use crate::task::header::{Home, LocalWaker, Mail};
use crate::task::here;

/// Waits for `duration`; `Duration::MAX` is for ever. One of no length is over at once: to let the others
/// run, there is [`yield_now`](crate::yield_now).
///
/// # Panics
/// If there is no loop on this thread.
///
/// # Cancel safety
/// Dropping it loses nothing.
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    let current = expect_current("sleep");
    Sleep::until(&current, current.clock().read().after(duration))
}

/// Waits until `deadline` on the loop's clock (see [`now`](crate::now)).
///
/// # Panics
/// If there is no loop on this thread.
///
/// # Cancel safety
/// Dropping it loses nothing.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    let current = expect_current("sleep_until");
    Sleep::until(&current, current.clock().to_moment(deadline))
}

/// The future of [`sleep`] and [`sleep_until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    /// The loop in which it sleeps.
    home: Arc<Home>,
    /// When it ends.
    deadline: Moment,
    /// Its timer, once it waits.
    timer: Option<Key>,
    /// Whether it has waited already, so that its end needs nothing of the poll's share: what is polled
    /// before it, and is always ready, would leave it none, and a timeout would never end.
    has_waited: bool,
}

impl Sleep {
    /// A sleep in `current` that ends at `deadline`.
    pub(crate) fn until(current: &LocalLoop, deadline: Moment) -> Sleep {
        Sleep { home: current.home().clone(), deadline, timer: None, has_waited: false }
    }

    /// Gives the sleep a new deadline, `duration` from now, in place of the old one.
    ///
    /// # Panics
    /// On a thread that is not inside of the sleep's loop.
    #[track_caller]
    pub fn reset(&mut self, duration: Duration) {
        let current = expect_home(&self.home);
        self.set_deadline(&current, current.clock().read().after(duration));
    }

    /// Gives the sleep a new deadline.
    pub(crate) fn set_deadline(&mut self, current: &LocalLoop, deadline: Moment) {
        // Whoever waits goes on waiting, for the new deadline.
        let waiting = self.timer.take().and_then(|timer| unset(current, timer));
        self.timer = waiting.map(|waker| current.timers.borrow_mut().insert(deadline, waker));
        self.deadline = deadline;
    }

    /// When it ends.
    pub(crate) fn deadline(&self) -> Moment {
        self.deadline
    }
}

/// The loop of a sleep, which this thread must be inside of.
#[track_caller]
fn expect_home(home: &Arc<Home>) -> std::rc::Rc<LocalLoop> {
    match current_if(home) {
        Some(current) => current,
        None => panic!("a Sleep was used outside of the loop that it was made in"),
    }
}

/// Takes a timer out; what it held is given back, so that it is dropped without a borrow.
fn unset(current: &LocalLoop, timer: Key) -> Option<Target> {
    current.timers.borrow_mut().remove(timer)
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let current = expect_home(&self.home);
        if self.deadline <= current.clock().cached() {
            // Sleeps of no length, one after the other, must not keep the loop to themselves.
            if !self.has_waited && !here::spend_share() {
                self.has_waited = true;
                give_way(context);
                return Poll::Pending;
            }
            self.has_waited = false;
            drop(self.timer.take().and_then(|timer| unset(&current, timer)));
            return Poll::Ready(());
        }
        let waker = Target::Waker(LocalWaker::of(context));
        let mut timers = current.timers.borrow_mut();
        let old = match self.timer.and_then(|timer| timers.get_mut(timer)) {
            // The task that polls may be another than last time.
            Some(set) => Some(std::mem::replace(set, waker)),
            None => {
                self.timer = Some(timers.insert(self.deadline, waker));
                None
            }
        };
        drop(timers);
        drop(old);
        self.has_waited = true;
        here::waits_for(WaitReason::Sleep { until: self.deadline.since_start() });
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(timer) = self.timer.take() else {
            return;
        };
        match current_if(&self.home) {
            Some(current) => drop(unset(&current, timer)),
            None => {
                let unset_there = move || drop(unset(&expect_current("a sleep's end"), timer));
                drop(self.home.post(Mail::Run(Box::new(unset_there))));
            }
        }
    }
}
