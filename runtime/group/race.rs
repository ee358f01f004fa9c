//! Waiting for the first: of many alike, or of two that differ.
//!
//! [`race`] prefers: of two that are ready at once the earlier wins, so its result is known from its
//! arguments. [`select`] is fair: a loop around it serves both sides, however busy one of them is.
//!
//! Read next: `as_completed.rs`.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use super::branches::{Batch, Branches};
use crate::executor::local_loop::current;
use crate::id::WaitReason;
use crate::task::here;

/// Awaits the first of `futures` to finish, in the task that awaits: they may borrow. Of several that
/// are ready when first asked the first in argument order wins; later, the one that was woken first.
/// The losers are dropped before the value is given.
///
/// A race of no futures never ends.
///
/// # Panics
/// When awaited: if one of the futures panics.
///
/// # Cancel safety
/// Dropping it drops the futures. What the losers had done is lost if they are not cancel safe.
pub fn race<I>(futures: I) -> Race<I::Item>
where
    I: IntoIterator<Item: Future>,
{
    let mut branches = Branches::new();
    for future in futures {
        branches.push(Box::pin(future));
    }
    Race { branches }
}

/// The future of [`race`].
#[must_use = "futures do nothing unless awaited"]
pub struct Race<F> {
    /// Those that run.
    branches: Branches<Pin<Box<F>>>,
}

impl<F: Future> Future for Race<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.branches.poll_next(context, &mut Batch::default()) {
            Poll::Ready(Some((_, value))) => {
                drop(std::mem::replace(&mut self.branches, Branches::new()));
                Poll::Ready(value)
            }
            Poll::Ready(None) => {
                here::waits_for(WaitReason::Sleep { until: Duration::MAX });
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<F> fmt::Debug for Race<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Race").finish_non_exhaustive()
    }
}

/// Which one of two was first, and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Either<A, B> {
    /// The first argument.
    First(A),
    /// The second argument.
    Second(B),
}

/// Awaits `first` or `second`, whichever is ready first, in the task that awaits: they may borrow. At
/// each poll a coin decides which one is asked first, so that neither starves the other in a loop. The
/// coin is the loop's, and its seed that of the loop's [`Order`](crate::Order): the same seed, the same
/// run. Without a loop, `first` is asked first.
///
/// The loser is dropped before the value is given.
///
/// # Cancel safety
/// Dropping it drops both. What the loser had done is lost if it is not cancel safe: lend it,
/// pinned, to have it back (`select(reading.as_mut(), ticking.as_mut())`).
pub async fn select<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| {
        let mut poll_first = |context: &mut _| first.as_mut().poll(context).map(Either::First);
        let mut poll_second = |context: &mut _| second.as_mut().poll(context).map(Either::Second);
        match current().is_some_and(|current| current.toss()) {
            false => or_else(poll_first(context), || poll_second(context)),
            true => or_else(poll_second(context), || poll_first(context)),
        }
    })
    .await
}

/// What is ready, or else what the other one gives.
fn or_else<T>(one: Poll<T>, other: impl FnOnce() -> Poll<T>) -> Poll<T> {
    if one.is_ready() { one } else { other() }
}
