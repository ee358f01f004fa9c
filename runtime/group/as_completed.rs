//! Values in the order in which they come.
//!
//! Read next: `bell.rs`.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::branches::{Batch, Branches};

/// Runs `futures` side by side, in the task that awaits, and gives their values as they come: of those
/// that are ready at once, first woken first, and at the beginning in argument order. They may borrow.
/// They progress only while [`next`](AsCompleted::next) is awaited.
///
/// ```
/// # use std::time::Duration;
/// # greenroom::Runtime::builder().virtual_clock(true).build()?.block_on(async {
/// let mut naps = greenroom::as_completed([3, 1, 2].map(async |n| {
///     greenroom::sleep(Duration::from_secs(n)).await;
///     n
/// }));
/// while let Some(n) = naps.next().await {
///     println!("{n}"); // 1, 2, 3
/// }
/// # });
/// # std::io::Result::Ok(())
/// ```
pub fn as_completed<I>(futures: I) -> AsCompleted<I::Item>
where
    I: IntoIterator<Item: Future>,
{
    let mut branches = Branches::new();
    for future in futures {
        branches.push(Box::pin(future));
    }
    AsCompleted { branches }
}

/// Values as they come: of [`as_completed`]. Also a [`Stream`]. Dropping it drops the futures that have
/// not finished.
#[must_use = "the futures do nothing unless `next` is awaited"]
pub struct AsCompleted<F> {
    /// Those that are not finished.
    branches: Branches<Pin<Box<F>>>,
}

impl<F: Future> AsCompleted<F> {
    /// The next value; `None` once there was one from each.
    ///
    /// # Panics
    /// If one of the futures panics. It is gone then; the others can still be awaited.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn next(&mut self) -> Option<F::Output> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl<F: Future> Stream for AsCompleted<F> {
    type Item = F::Output;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let next = self.branches.poll_next(context, &mut Batch::default());
        next.map(|finished| finished.map(|(_, value)| value))
    }
}

impl<F> fmt::Debug for AsCompleted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").finish_non_exhaustive()
    }
}
