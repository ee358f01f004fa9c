//! Waiting for all: their values in argument order, or the first error.
//!
//! Read next: `race.rs`.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use super::branches::{Batch, Branches};

/// Awaits all `futures` side by side, in the task that awaits: they may borrow. The values come in
/// argument order. Of many futures only those are polled again that were woken.
///
/// # Panics
/// When awaited: if one of the futures panics. To have that as a value, see [`gather`](crate::gather).
///
/// # Cancel safety
/// Dropping it drops the futures, and the values of those that had finished.
///
/// ```
/// # greenroom::Runtime::new()?.block_on(async {
/// let words = ["cue", "prop"];
/// let lengths = greenroom::join_all(words.iter().map(async |word| word.len())).await;
/// assert_eq!(lengths, [3, 4]);
/// # });
/// # std::io::Result::Ok(())
/// ```
pub fn join_all<I>(futures: I) -> JoinAll<I::Item>
where
    I: IntoIterator<Item: Future>,
{
    let mut branches = Branches::new();
    let values = futures.into_iter().map(|future| branches.push(Box::pin(future))).map(|_| None).collect();
    JoinAll { branches, values }
}

/// Awaits two futures of different types side by side, in the task that awaits.
///
/// # Panics
/// When awaited: if one of the futures panics.
///
/// # Cancel safety
/// Dropping it drops the futures, and the value of the one that had finished.
///
/// ```
/// # greenroom::Runtime::new()?.block_on(async {
/// assert_eq!(greenroom::join(async { 1 }, async { "two" }).await, (1, "two"));
/// # });
/// # std::io::Result::Ok(())
/// ```
pub async fn join<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut one, mut two) = (None, None);
    poll_fn(|context| {
        poll_into(&mut one, first.as_mut(), context);
        poll_into(&mut two, second.as_mut(), context);
        match (one.take(), two.take()) {
            (Some(one), Some(two)) => Poll::Ready((one, two)),
            unfinished => {
                (one, two) = unfinished;
                Poll::Pending
            }
        }
    })
    .await
}

/// Polls the future if its value is not there yet.
fn poll_into<F: Future>(value: &mut Option<F::Output>, future: Pin<&mut F>, context: &mut Context<'_>) {
    if value.is_none()
        && let Poll::Ready(ready) = future.poll(context)
    {
        *value = Some(ready);
    }
}

/// The future of [`join_all`].
#[must_use = "futures do nothing unless awaited"]
pub struct JoinAll<F: Future> {
    /// Those that are not finished.
    branches: Branches<Pin<Box<F>>>,
    /// The values of those that are, by argument.
    values: Vec<Option<F::Output>>,
}

// The futures stand in boxes, and of a value nothing is pinned.
impl<F: Future> Unpin for JoinAll<F> {}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<F::Output>> {
        let JoinAll { branches, values } = &mut *self;
        let mut batch = Batch::default();
        while let Some((id, value)) = ready!(branches.poll_next(context, &mut batch)) {
            values[id as usize] = Some(value);
        }
        Poll::Ready(std::mem::take(values).into_iter().flatten().collect())
    }
}

impl<F: Future> fmt::Debug for JoinAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAll").field("len", &self.values.len()).finish_non_exhaustive()
    }
}

/// Awaits all `futures` side by side, like [`join_all`], unless one gives an error.
///
/// # Errors
/// The first that comes; the futures that have not finished then are dropped.
///
/// # Panics
/// When awaited: if one of the futures panics.
///
/// # Cancel safety
/// Dropping it drops the futures, and the values of those that had finished.
pub fn try_join_all<I, T, E>(futures: I) -> TryJoinAll<I::Item, T>
where
    I: IntoIterator<Item: Future<Output = Result<T, E>>>,
{
    let mut branches = Branches::new();
    let values = futures.into_iter().map(|future| branches.push(Box::pin(future))).map(|_| None).collect();
    TryJoinAll { branches, values }
}

/// The future of [`try_join_all`].
#[must_use = "futures do nothing unless awaited"]
pub struct TryJoinAll<F, T> {
    /// Those that are not finished.
    branches: Branches<Pin<Box<F>>>,
    /// The values of those that are, by argument.
    values: Vec<Option<T>>,
}

// As for `JoinAll`.
impl<F, T> Unpin for TryJoinAll<F, T> {}

impl<F: Future<Output = Result<T, E>>, T, E> Future for TryJoinAll<F, T> {
    type Output = Result<Vec<T>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Vec<T>, E>> {
        let TryJoinAll { branches, values } = &mut *self;
        let mut batch = Batch::default();
        while let Some((id, result)) = ready!(branches.poll_next(context, &mut batch)) {
            match result {
                Ok(value) => values[id as usize] = Some(value),
                Err(error) => {
                    drop(std::mem::replace(branches, Branches::new()));
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(std::mem::take(values).into_iter().flatten().collect()))
    }
}

impl<F, T> fmt::Debug for TryJoinAll<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryJoinAll").field("len", &self.values.len()).finish_non_exhaustive()
    }
}
