//! The handle of a task: await its value, ask it to stop, or let it go.
//!
//! Invariant: while a handle lives, the flag *handle* of the task's state is set and the output,
//! once there, is the handle's. Far from home a handle can be kept, dropped and asked to cancel;
//! each is a letter home. To await a value far from home, spawn through
//! [`Handle`](crate::Handle).
//!
//! Read next: `executor/local_loop.rs`.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::cell::spawn_cell;
use super::error::JoinError;
use super::header::{LocalWaker, Mail, TaskRef};
use super::here::{self, Here};
use crate::id::{TaskId, WaitReason};

/// A task's handle: a future of its value. Dropping it detaches the task, which runs on.
///
/// Awaiting gives `Ok(value)`, or a [`JoinError`] if the task panicked or was cancelled.
///
/// # Panics
/// Polled on a thread that is not inside of the task's loop, or after it gave its value.
///
/// # Cancel safety
/// Awaiting `&mut handle` loses nothing when dropped; dropping the handle itself detaches.
#[must_use = "dropping a JoinHandle detaches its task; to do that on purpose, call `detach`"]
pub struct JoinHandle<T> {
    /// The task.
    task: TaskRef,
    /// The handle owns the output when it is there.
    output: PhantomData<T>,
}

// Moving a handle moves no output: that stands in the task's cell until it is taken.
impl<T> Unpin for JoinHandle<T> {}

/// Makes a task of `here`'s loop for `future`, and its handle. It is ready from now on.
pub(crate) fn spawn_task<F: Future + 'static>(
    here: &Here,
    location: &'static Location<'static>,
    name: Option<Box<str>>,
    future: F,
) -> JoinHandle<F::Output> {
    JoinHandle { task: spawn_cell(here, location, name, future), output: PhantomData }
}

impl<T> JoinHandle<T> {
    /// The task.
    pub fn id(&self) -> TaskId {
        self.task.id
    }

    /// The name it was spawned with.
    pub fn name(&self) -> Option<&str> {
        self.task.name()
    }

    /// Where it was spawned.
    pub fn location(&self) -> &'static Location<'static> {
        self.task.location
    }

    /// Whether it has ended in any way. True on any thread means that its future is gone.
    pub fn is_finished(&self) -> bool {
        self.task.state().is_finished()
    }

    /// Lets the task run on with nobody waiting for it; the same as dropping the handle.
    pub fn detach(self) {}

    /// Asks the task to stop: its future is dropped when its next turn comes. Works from any thread.
    ///
    /// From there it does not count as something that may still happen: keep a [`Handle`](crate::Handle)
    /// beside it, or the loop may find itself stalled before the request comes.
    ///
    /// The request is made at once, whether or not the returned future is awaited. Awaiting it
    /// waits until the task has ended, and gives `Some(value)` if it had finished after all. If it
    /// panicked, that is logged and the result is `None`; to get at the panic, await the handle
    /// itself after the request.
    // Not `must_use`: a request alone is the common case.
    pub fn cancel(&mut self) -> Cancel<'_, T> {
        let home = &self.task.home;
        if here::at(home, |here| here.cancel(&self.task)).is_none() {
            drop(home.post(Mail::Cancel(self.task.clone())));
        }
        Cancel { handle: self }
    }

    /// Takes the output if it is there.
    fn take(&mut self) -> Option<Result<T, JoinError>> {
        let (next, is_there) = self.task.state().take_output();
        if !is_there {
            return None;
        }
        self.task.set_state(next);
        let mut output: Option<Result<T, JoinError>> = None;
        let place = (&raw mut output).cast();
        // SAFETY: the task is finished and its output is ours (the flags said so); its type is
        // that of the future that `spawn_task` was given. Tested by `tests/tasks.rs`.
        unsafe { (self.task.vtable.take_output)(self.task.as_ptr(), place) };
        output
    }

    /// What awaiting the handle does.
    fn poll_output(&mut self, context: &Context<'_>) -> Poll<Result<T, JoinError>> {
        let task = &self.task;
        let at_home = here::at(&task.home, |_| ()).is_some();
        assert!(
            at_home || task.home.inbox.is_closed(),
            "the handle of {} was polled outside of the task's loop; spawn through `Handle` to wait \
             for a task from elsewhere",
            **task
        );
        if let Some(output) = self.take() {
            return Poll::Ready(output);
        }
        let task = &self.task;
        assert!(!task.state().is_finished(), "the handle of {} was polled after it gave its value", **task);
        drop(task.joiner.replace(Some(LocalWaker::of(context))));
        here::waits_for(WaitReason::Join(task.id));
        Poll::Pending
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_output(context)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let task = &self.task;
        if here::at(&task.home, |_| ()).is_some() {
            drop_handle(task);
        } else if task.home.post(Mail::DropHandle(task.clone())).is_some() {
            // The loop is gone, so what it left is the handle's own: `T` may go where the handle went.
            drop_handle(task);
        }
    }
}

/// The handle of `task` is gone: at home, or when the loop is.
pub(crate) fn drop_handle(task: &TaskRef) {
    let joiner = task.joiner.take();
    let (next, drop_output) = task.state().drop_handle();
    task.set_state(next);
    if drop_output {
        // SAFETY: the task is finished, and the output belonged to the handle that is gone.
        unsafe { (task.vtable.drop_output)(task.as_ptr()) }
    }
    // Last: it may be somebody else's waker, and panic.
    drop(joiner);
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinHandle({})", &*self.task)
    }
}

/// A request to stop that was made; await it to learn how the task ended. See [`JoinHandle::cancel`].
#[derive(Debug)]
pub struct Cancel<'a, T> {
    /// The handle of the task that was asked.
    handle: &'a mut JoinHandle<T>,
}

impl<T> Future for Cancel<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(match ready!(self.handle.poll_output(context)) {
            Ok(value) => Some(value),
            Err(error) => {
                if error.is_panic() {
                    log::error!("{error} while it was being cancelled");
                }
                None
            }
        })
    }
}
