//! A limit on how long to wait for any future.
//!
//! Read next: `interval.rs`.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::sleep::Sleep;
use crate::executor::local_loop::expect_current;

/// The time was over before the future was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed {
    /// The limit that was set.
    pub limit: Duration,
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not done within {:?}", self.limit)
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(error: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, error)
    }
}

/// Awaits `future`, but no longer than `limit` from now; then it is dropped. The future is asked
/// first: if both it and the time are ready, its value counts.
///
/// # Errors
/// [`Elapsed`] if the time was over first.
///
/// # Panics
/// If there is no loop on this thread.
///
/// # Cancel safety
/// That of `future`.
#[track_caller]
pub fn timeout<F: Future>(limit: Duration, future: F) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let current = expect_current("timeout");
    let mut sleep = Sleep::until(&current, current.clock().read().after(limit));
    async move {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(value));
            }
            Pin::new(&mut sleep).poll(context).map(|()| Err(Elapsed { limit }))
        })
        .await
    }
}
