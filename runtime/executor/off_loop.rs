//! A blocking job on a thread of its own, its result awaited in the loop.
//!
//! Used by name look-ups. While a job is under way the loop is not stalled, and virtual time
//! stands still: both wait for it as for the world.
//!
//! Read next: `shutdown.rs`.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::local_loop::try_current;
use super::remote::Packet;
use crate::atomic::{Arc, Ordering};
use crate::id::WaitReason;
use crate::task::error::JoinError;
use crate::task::header::{Home, Mail};
use crate::task::here;

/// Counts a job as long as it lives; then tells the loop, which may have waited for it alone.
struct Job(Arc<Home>);

impl Drop for Job {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::Release);
        drop(self.0.post(Mail::LookAgain));
    }
}

/// Starts `job` on a new thread called `name`; the future is its result.
///
/// # Errors
/// If there is no loop on this thread, or no thread can be made.
pub(crate) fn off_loop<T: Send + 'static>(
    name: &'static str,
    reason: WaitReason,
    job: impl FnOnce() -> T + Send + 'static,
) -> io::Result<impl Future<Output = Result<T, JoinError>>> {
    let home = try_current(name)?.home().clone();
    home.jobs.fetch_add(1, Ordering::Relaxed);
    let counted = Job(home);
    let packet = Arc::new(Packet::new());
    let sender = packet.clone();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        // The count falls after the result is there: in between, nothing would be under way.
        let _counted = counted;
        let result = catch_unwind(AssertUnwindSafe(job));
        sender.deliver(result.map_err(JoinError::job_panicked));
    })?;
    Ok(async move {
        poll_fn(|context| {
            let polled = packet.poll(context);
            if polled.is_pending() {
                here::waits_for(reason);
            }
            polled
        })
        .await
    })
}
