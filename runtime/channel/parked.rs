//! How a plain thread waits for a future of the channel: it sleeps until the future's waker is used.
//!
//! So there is one way to wait for a channel, and one line of those who wait, whether they are
//! tasks or threads. This is no executor: one thread, one future, which nobody else sees.
//!
//! Read next: `sender.rs`.

use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::atomic::{Condvar, Mutex, MutexGuard};
use crate::executor::local_loop::current;
use crate::fault::{self, Fault};

/// A thread that sleeps until it is woken; a wake that comes first is not lost.
struct ParkedThread {
    /// Whether it was woken since it last slept.
    woken: Mutex<bool>,
    /// Rung when it is woken.
    bell: Condvar,
}

impl ParkedThread {
    /// The lock, which no user code can poison: none runs while it is held.
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.woken.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Sleeps until the next wake, or one that was not noticed yet; false: the time was over before.
    fn sleep(&self, deadline: Option<Instant>) -> bool {
        let mut woken = self.lock();
        while !*woken || fault::is_on(Fault::SleepWithoutLooking) {
            let Some(deadline) = deadline else {
                woken = self.bell.wait(woken).unwrap_or_else(|poison| poison.into_inner());
                if fault::is_on(Fault::SleepWithoutLooking) { break } else { continue }
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            woken = self.bell.wait_timeout(woken, left).unwrap_or_else(|poison| poison.into_inner()).0;
        }
        *woken = false;
        true
    }
}

impl Wake for ParkedThread {
    fn wake(self: StdArc<Self>) {
        *self.lock() = true;
        self.bell.notify_one();
    }
}

/// When `limit` is over, counted from now; `None` is never.
pub(super) fn deadline(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

/// # Panics
/// If this thread is inside of a loop, which would stop and could not be woken.
#[track_caller]
pub(super) fn assert_plain_thread(what: &str, instead: &str) {
    assert!(current().is_none(), "{what} would stop the loop of this thread; there, use {instead}");
}

/// Blocks this thread until `future` is done, or until the deadline; then there is no value.
pub(crate) fn wait_for<F: Future + Unpin>(future: &mut F, deadline: Option<Instant>) -> Option<F::Output> {
    let thread = StdArc::new(ParkedThread { woken: Mutex::new(false), bell: Condvar::new() });
    let waker = Waker::from(thread.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = Pin::new(&mut *future).poll(&mut context) {
            return Some(value);
        }
        if !thread.sleep(deadline) {
            return None;
        }
    }
}
