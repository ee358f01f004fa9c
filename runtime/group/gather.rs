//! A task for each future, and what became of each.
//!
//! Read next: `failure.rs`.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::executor::local_loop::expect_current;
use crate::task::error::JoinError;
use crate::task::join::JoinHandle;

/// Runs each of `futures` as a task of its own, from now on, and gives their values, or what became of
/// them instead, in argument order: a panic of one is an error in its place, and the others go on.
///
/// To await them in the task itself, so that they may borrow, see [`join_all`](crate::join_all); to
/// stop all when one fails, [`task_group`](crate::task_group).
///
/// # Panics
/// If there is no loop on this thread.
///
/// # Cancel safety
/// Dropping it cancels the tasks that have not finished, each at its next turn, and drops the values of
/// those that have.
#[track_caller]
pub fn gather<I>(futures: I) -> Gather<<I::Item as Future>::Output>
where
    I: IntoIterator<Item: Future + 'static>,
{
    let (current, location) = (expect_current("gather"), Location::caller());
    let tasks: Vec<_> = futures.into_iter().map(|future| current.spawn(future, None, location)).collect();
    Gather { results: Vec::with_capacity(tasks.len()), tasks }
}

/// The future of [`gather`].
#[must_use = "dropping it cancels the tasks"]
pub struct Gather<T> {
    /// The tasks, by argument.
    tasks: Vec<JoinHandle<T>>,
    /// What became of the first of them; the next is the one that is waited for.
    results: Vec<Result<T, JoinError>>,
}

// Nothing of a result is pinned.
impl<T> Unpin for Gather<T> {}

impl<T> Future for Gather<T> {
    type Output = Vec<Result<T, JoinError>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Gather { tasks, results } = &mut *self;
        // One after the other: whoever ends before its turn keeps its value until then.
        while let Some(task) = tasks.get_mut(results.len()) {
            let result = ready!(Pin::new(task).poll(context));
            results.push(result);
        }
        tasks.clear();
        Poll::Ready(std::mem::take(results))
    }
}

impl<T> Drop for Gather<T> {
    fn drop(&mut self) {
        for task in self.tasks.iter_mut().skip(self.results.len()) {
            task.cancel();
        }
    }
}

impl<T> fmt::Debug for Gather<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}
