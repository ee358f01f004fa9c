//! Tasks that belong together: whoever leaves the group has waited for all of them.
//!
//! ```text
//!   1. the body runs, in the caller's task, until it is done or the group is cancelled;
//!   2. what is left of the body is dropped; if it failed, that cancels the group;
//!   3. wait until every child is gone.
//! ```
//!
//! The first failure, of the body or of a child, cancels the group, and is what the caller gets. The
//! rules are those of trio's nurseries (trio.readthedocs.io, "Nurseries and spawning").
//!
//! Read next: `channel/books.rs`.

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::failure::{Failure, GroupError};
use super::members::Members;
use super::promise::{Promise, Promised, promise};
use crate::atomic::Arc;
use crate::executor::local_loop::expect_current;
use crate::id::{TaskId, WaitReason};
use crate::task::header::{Home, Mail, Payload};
use crate::task::here;
use crate::task::waker::drop_payload;
use crate::waiters::Place;

/// Runs `body`, which may spawn children into the group that it is given, and waits for all of them: a
/// child cannot outlive the call.
///
/// The first error, of the body or of a child, cancels all the others: the children's futures, and the
/// body if it still runs, are dropped, and once all are gone the error is returned. So does a child's
/// panic, which the error then carries. A panic of the body goes on once the children are gone.
///
/// ```
/// use greenroom::{GroupError, task_group};
/// # greenroom::Runtime::new()?.block_on(async {
/// let sum: Result<u32, GroupError<std::io::Error>> = task_group(async |group| {
///     let two = group.spawn(async { Ok(2) });
///     group.spawn(async { Ok(println!("nobody waits for me but the group")) });
///     Ok(1 + two.await.expect("it did not fail"))
/// })
/// .await;
/// assert_eq!(sum.unwrap(), 3);
/// # });
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
/// If the body or a child failed, or the group was [cancelled](TaskGroup::cancel) before the body was done.
///
/// # Panics
/// If the body panics.
///
/// # Cancel safety
/// Dropping it drops the body and cancels every child. These are tasks: their futures are dropped at
/// their next turn, not within the call. Failures that come then are logged.
pub async fn task_group<R, E: 'static>(
    body: impl AsyncFnOnce(TaskGroup<E>) -> Result<R, E>,
) -> Result<R, GroupError<E>> {
    let group = Leader { members: Members::new(), place: Place::default() };
    let body = body(TaskGroup { members: group.members.clone() });
    group.lead(body).await
}

/// Whoever waits for the members; dropped, it cancels them.
struct Leader<E> {
    /// Those who are led.
    members: Rc<Members<E>>,
    /// Where it waits for their news.
    place: Place,
}

impl<E> Drop for Leader<E> {
    fn drop(&mut self) {
        self.members.news.leave(&mut self.place);
        self.members.cancel();
    }
}

/// How the body ended.
enum BodyEnd<R, E> {
    /// By itself.
    Done(Result<R, E>),
    /// With a panic.
    Panicked(Payload),
    /// The group was cancelled while it ran.
    Stopped,
}

impl<E: 'static> Leader<E> {
    /// The whole of a group's life, with the steps of the file's head.
    async fn lead<R>(mut self, body: impl Future<Output = Result<R, E>>) -> Result<R, GroupError<E>> {
        let mut body = Box::pin(body);
        let mut end = poll_fn(|context| self.poll_body(body.as_mut(), context)).await; // 1
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(body))) {
            end = match end {
                BodyEnd::Panicked(first) => {
                    drop_payload(second);
                    BodyEnd::Panicked(first)
                }
                _ => BodyEnd::Panicked(second),
            };
        }
        let value = match end {
            BodyEnd::Done(Ok(value)) => Ok(Some(value)),
            BodyEnd::Done(Err(error)) => {
                self.members.fail(Failure::Error(error)); // 2
                Ok(None)
            }
            BodyEnd::Panicked(payload) => {
                self.members.cancel();
                Err(payload)
            }
            BodyEnd::Stopped => Ok(None),
        };
        poll_fn(|context| self.poll_nobody(context)).await; // 3
        let value = value.unwrap_or_else(|payload| resume_unwind(payload));
        let mut failures = self.members.take_failures().into_iter();
        let cause = match (failures.next(), value) {
            (None, Some(value)) => return Ok(value),
            (None, None) => Failure::Cancelled,
            (Some(first), _) => first,
        };
        Err(GroupError { cause, others: failures.collect() })
    }

    /// Ready when the body is done, or shall be left.
    fn poll_body<R>(
        &mut self,
        body: Pin<&mut impl Future<Output = Result<R, E>>>,
        context: &mut Context<'_>,
    ) -> Poll<BodyEnd<R, E>> {
        if self.members.is_cancelled() {
            return Poll::Ready(BodyEnd::Stopped);
        }
        match catch_unwind(AssertUnwindSafe(|| body.poll(context))) {
            Ok(Poll::Ready(result)) => Poll::Ready(BodyEnd::Done(result)),
            Err(payload) => Poll::Ready(BodyEnd::Panicked(payload)),
            Ok(Poll::Pending) => {
                let is_so = || self.members.is_cancelled();
                let cancelled =
                    self.members.news.poll_until(&mut self.place, context, WaitReason::Group, is_so);
                cancelled.map(|()| BodyEnd::Stopped)
            }
        }
    }

    /// Ready when all children are gone.
    fn poll_nobody(&mut self, context: &Context<'_>) -> Poll<()> {
        let is_so = || self.members.is_empty();
        self.members.news.poll_until(&mut self.place, context, WaitReason::Group, is_so)
    }
}

/// A group of tasks, of [`task_group`]. Clones are the same group, for children that spawn more.
pub struct TaskGroup<E> {
    /// The children.
    members: Rc<Members<E>>,
}

impl<E: 'static> TaskGroup<E> {
    /// Runs `future` as a task of the group. Its value is the handle's, and is dropped with it; its error
    /// ends the group. In a group that is cancelled or was left already, the task is cancelled before its
    /// first turn.
    ///
    /// # Panics
    /// If there is no loop on this thread.
    #[track_caller]
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = Result<T, E>> + 'static) -> Child<T> {
        self.admit(future, None, Location::caller())
    }

    /// Like [`spawn`](TaskGroup::spawn), with a name that reports, traces and panics use.
    ///
    /// # Panics
    /// If there is no loop on this thread.
    #[track_caller]
    pub fn spawn_named<T: 'static>(
        &self,
        name: &str,
        future: impl Future<Output = Result<T, E>> + 'static,
    ) -> Child<T> {
        self.admit(future, Some(name), Location::caller())
    }

    /// Runs `child` as a task of the group, from now on, and waits until it says that it is ready, with a
    /// value (the address it listens on, say). It runs on after that.
    ///
    /// # Errors
    /// [`NotReady`] if the child ended without having said so; if it failed, that ends the group besides.
    ///
    /// # Panics
    /// If there is no loop on this thread.
    ///
    /// # Cancel safety
    /// Dropping it before the child is ready cancels the child.
    #[track_caller]
    pub fn start<T: 'static, F>(&self, child: F) -> impl Future<Output = Result<T, NotReady>> + use<T, F, E>
    where
        F: AsyncFnOnce(Ready<T>) -> Result<(), E> + 'static,
    {
        let (promise, promised) = promise();
        let child = async move { child(Ready { promise }).await };
        let mut starting = Starting { child: self.admit(child, None, Location::caller()), ready: promised };
        async move { Pin::new(&mut starting.ready).await.ok_or(NotReady) }
    }

    /// Makes a child.
    fn admit<T: 'static>(
        &self,
        future: impl Future<Output = Result<T, E>> + 'static,
        name: Option<&str>,
        location: &'static Location<'static>,
    ) -> Child<T> {
        let home = expect_current("TaskGroup::spawn").home().clone();
        let (id, promised) = self.members.admit(future, name, location);
        Child { id, home, promised }
    }

    /// Cancels all children, those to come, and the body, if that has not finished when it next waits. The
    /// group then gives [`Failure::Cancelled`], or the body's value if there is one.
    pub fn cancel(&self) {
        self.members.cancel();
    }

    /// Whether the group was cancelled, by [`cancel`](TaskGroup::cancel) or a failure, or was left.
    pub fn is_cancelled(&self) -> bool {
        self.members.is_cancelled()
    }

    /// How many children there are that have not ended.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> TaskGroup<E> {
        TaskGroup { members: self.members.clone() }
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskGroup({} tasks)", self.members.len())
    }
}

/// A child's handle: a future of its value, or of `None` if it has none, since it failed (which the group
/// hears), or was cancelled. Dropping it changes nothing for the child; the value is dropped.
///
/// # Cancel safety
/// Awaiting `&mut child` loses nothing when dropped.
// Not `must_use`: that the group waits is the common case.
pub struct Child<T> {
    /// The task.
    id: TaskId,
    /// Its loop.
    home: Arc<Home>,
    /// The value.
    promised: Promised<T>,
}

impl<T> Child<T> {
    /// The task.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Whether it has ended in any way.
    pub fn is_finished(&self) -> bool {
        self.promised.is_settled()
    }

    /// Asks this child alone to stop: its future is dropped at its next turn. For the group this is no failure.
    pub fn cancel(&self) {
        let id = self.id;
        if here::at(&self.home, |here| here.cancel_id(id)).is_none() {
            let cancel = move || expect_current("Child::cancel").here.cancel_id(id);
            drop(self.home.post(Mail::Run(Box::new(cancel))));
        }
    }
}

impl<T> Future for Child<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.promised).poll(context)
    }
}

impl<T> fmt::Debug for Child<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({})", self.id)
    }
}

/// How a child that was [started](TaskGroup::start) says that it is ready.
pub struct Ready<T> {
    /// The word to the one who started it.
    promise: Promise<T>,
}

impl<T> Ready<T> {
    /// Says so. If whoever started the child waits no more, the value is dropped.
    pub fn set(self, value: T) {
        self.promise.keep(value);
    }
}

impl<T> fmt::Debug for Ready<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}

/// A child ended before it said that it was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotReady;

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the child ended before it said that it was ready")
    }
}

impl std::error::Error for NotReady {}

/// Waiting for a child to be ready.
struct Starting<T> {
    /// The child.
    child: Child<()>,
    /// Its word.
    ready: Promised<T>,
}

impl<T> Drop for Starting<T> {
    fn drop(&mut self) {
        if !self.ready.is_settled() {
            self.child.cancel();
        }
    }
}
