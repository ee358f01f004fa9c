//! New tasks, and what is known of those that exist.
//!
//! Read next: `block_on.rs`.

use std::panic::Location;
use std::rc::Rc;
use std::time::Instant;

use super::local_loop::{LocalLoop, current, expect_current};
use super::stall::TaskInfo;
use crate::atomic::Ordering;
use crate::id::TaskId;
use crate::observer::Event;
use crate::task::here;
use crate::task::join::{JoinHandle, spawn_task};

impl LocalLoop {
    /// Makes a task for `future`. While the loop is closing, the task is cancelled before its
    /// first turn.
    pub(crate) fn spawn<F: Future + 'static>(
        self: &Rc<Self>,
        future: F,
        name: Option<&str>,
        location: &'static Location<'static>,
    ) -> JoinHandle<F::Output> {
        let mut handle = spawn_task(&self.here, location, name.map(Into::into), future);
        self.announce(|| Event::Spawned { task: handle.id(), name, location });
        if self.home().closing.load(Ordering::Relaxed) {
            handle.cancel();
        }
        handle
    }
}

/// Runs `future` as a task of this thread's loop; it need not be `Send`. It is polled first in
/// the loop's next turn.
///
/// # Panics
/// If there is no loop on this thread. From other threads, use a [`Handle`](crate::Handle).
#[track_caller]
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    expect_current("spawn").spawn(future, None, Location::caller())
}

/// Like [`spawn`], with a name that reports, traces and panics use.
///
/// # Panics
/// If there is no loop on this thread.
#[track_caller]
pub fn spawn_named<F: Future + 'static>(name: &str, future: F) -> JoinHandle<F::Output> {
    expect_current("spawn_named").spawn(future, Some(name), Location::caller())
}

/// The task that is being polled, if one is.
pub fn current_task() -> Option<TaskId> {
    here::running_id()
}

/// Every task of this thread's loop that is not finished, and what it waits for.
///
/// # Panics
/// If there is no loop on this thread.
#[track_caller]
pub fn tasks() -> Vec<TaskInfo> {
    expect_current("tasks").task_list()
}

/// The time on the clock of this thread's loop: virtual where that is, else the system's
/// monotonic clock. Without a loop, the latter.
pub fn now() -> Instant {
    current().map_or_else(Instant::now, |current| current.clock().to_instant(current.clock().read()))
}
