//! How a green thread waits: it polls, and while that is pending its stack is left.
//!
//! ```text
//!   the task's poll ─► resume ─► the body … wait(future)
//!                                             poll future with the task's own Context
//!                                               ready:   on with the body
//!                                               pending: suspend ─► the task's poll returns Pending
//!                      resume ◄── the next poll of the task, because somebody woke it
//!                                             poll future again …
//! ```
//!
//! So whatever a task can await a green thread can wait for, with the same wakers, reasons, shares and
//! cancellation.
//!
//! Read next: `local.rs`.

use std::fmt;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::coroutine::Control;
use super::stack::touched_bytes;
use super::visit::{self, Visit};
use crate::future;
use crate::group;
use crate::task::error::JoinError;
use crate::task::here::Indivisible;
use crate::task::join::JoinHandle;
use crate::time;

/// Why there can be no waiting here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CannotWait {
    /// This is no green thread: a task, a callback, or a thread of the system.
    NoGreenThread,
    /// The green thread is unwinding, because of a panic or because it was cancelled; to leave a stack in the
    /// middle of that is not possible. A destructor can spawn a task for what is left to do.
    Unwinding,
    /// A future is being polled here, which is to wait by `.await`, so that what is polled beside it goes on.
    InsideFuture,
    /// This is inside of a call that must be over before others run: of [`Runtime::enter`](crate::Runtime::enter),
    /// of an [`Observer`](crate::Observer), of a set of futures ([`join_all`](crate::join_all) and its kin) that is
    /// polled by hand, of the `Ord` of an item in a queue.
    InsideRuntime,
}

impl fmt::Display for CannotWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CannotWait::NoGreenThread => {
                "this is not a green thread: wait inside of `green::spawn(|| …)`, or `.await` the future in a task"
            }
            CannotWait::Unwinding => {
                "this green thread is unwinding, by a panic or because it was cancelled, and cannot wait: let the \
                 destructor spawn a task for what is left to do"
            }
            CannotWait::InsideFuture => {
                "a green thread cannot wait inside of a future that it polls: use `.await` there"
            }
            CannotWait::InsideRuntime => {
                "a green thread cannot wait inside of `Runtime::enter`, an observer, a set of futures that is \
                 polled by hand or the `Ord` of a queue's item: leave that first"
            }
        })
    }
}

impl std::error::Error for CannotWait {}

impl From<CannotWait> for io::Error {
    fn from(error: CannotWait) -> io::Error {
        io::Error::other(error)
    }
}

/// Waits for `future` and gives its output. The other green threads and tasks run meanwhile.
///
/// It may be called at any depth of calls in a green thread. A value that is borrowed or locked across it (a
/// `RefCell`, a lock of std) is so for everybody who runs meanwhile, as across an `.await`.
///
/// Thread-locals are the thread's, and shared by all who run on it. Never wait in the initializer of one, nor inside
/// of a function that keeps a borrowed value in one while it runs your closure (the crate scoped-tls): both count
/// on nobody else to run meanwhile, for their soundness too, and nothing can tell them here.
///
/// # Panics
/// Where waiting is not possible, see [`CannotWait`]: the message says what to do instead. In a destructor that
/// runs because of a panic or cancellation this ends the process, as every panic there does; use [`try_wait`].
///
/// # Cancel safety
/// A green thread that is cancelled while it waits is unwound from here: `future` is dropped, and so is all that
/// the stack holds. See [`Cancellation`](crate::green::Cancellation).
#[inline]
#[track_caller]
pub fn wait<F: IntoFuture>(future: F) -> F::Output {
    match try_wait(future) {
        Ok(output) => output,
        Err(error) => panic!("{error}"),
    }
}

/// Like [`wait`], with refusals as values; the future was not polled then.
///
/// # Errors
/// Where waiting is not possible.
///
/// # Cancel safety
/// As [`wait`].
#[inline]
pub fn try_wait<F: IntoFuture>(future: F) -> Result<F::Output, CannotWait> {
    let mut future = pin!(future.into_future());
    loop {
        let visit = may_wait()?;
        let polls = Polls::begin(visit);
        // SAFETY: the host's context lasts as long as the visit, and the host does not use it meanwhile; `polls`
        // saw to it that nobody else has it.
        let context = unsafe { polls.0.context.ok_or(CannotWait::Unwinding)?.as_mut() };
        let poll = future.as_mut().poll(context);
        drop(polls);
        if let Poll::Ready(output) = poll {
            return Ok(output);
        }
        // SAFETY: the current visit is to this stack.
        unsafe { Control::suspend(visit.control) };
    }
}

/// The current visit, if its green thread may wait now.
#[inline]
fn may_wait<'a>() -> Result<&'a Visit, CannotWait> {
    let visit = visit::current().ok_or(CannotWait::NoGreenThread)?;
    // SAFETY: the visit lasts until this stack suspends, after which `try_wait` asks for the next one.
    let visit = unsafe { visit.as_ref() };
    if visit.polls.get() {
        return Err(CannotWait::InsideFuture);
    }
    // A host that unwinds says nothing about this stack.
    if !visit.unwinding_before && std::thread::panicking() {
        return Err(CannotWait::Unwinding);
    }
    if visit.indivisible != Indivisible::count() {
        return Err(CannotWait::InsideRuntime);
    }
    // Last: a body that has caught its cancellation is unwound again. If the thread was unwinding before, nothing
    // tells such a body from a destructor, where a panic would end the process: it is refused.
    // SAFETY: the control is on this stack.
    if unsafe { Control::is_to_end(visit.control) } {
        if visit.unwinding_before {
            return Err(CannotWait::Unwinding);
        }
        Control::unwind();
    }
    Ok(visit)
}

/// While it is there, a future is being polled.
struct Polls<'a>(&'a Visit);

impl Polls<'_> {
    /// Begins to poll.
    #[inline]
    fn begin(visit: &Visit) -> Polls<'_> {
        visit.polls.set(true);
        Polls(visit)
    }
}

impl Drop for Polls<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.polls.set(false);
    }
}

/// Waits for `duration`. See [`sleep`](crate::sleep()).
///
/// # Panics
/// As [`wait`].
#[inline]
#[track_caller]
pub fn sleep(duration: Duration) {
    // Made when it is polled: where there is no waiting, there may be no clock either.
    wait(async move { time::sleep(duration).await });
}

/// Lets every other ready task and green thread run once. See [`yield_now`](crate::yield_now()).
///
/// # Panics
/// As [`wait`].
#[inline]
#[track_caller]
pub fn yield_now() {
    wait(future::yield_now());
}

/// Waits for a task or green thread to end, and gives its value.
///
/// # Errors
/// If it panicked or was cancelled.
///
/// # Panics
/// As [`wait`].
#[track_caller]
pub fn join<T>(handle: JoinHandle<T>) -> Result<T, JoinError> {
    wait(handle)
}

/// Waits for all of them, and gives what [`join`] would, in their order.
///
/// # Panics
/// As [`wait`].
#[track_caller]
pub fn join_all<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<Result<T, JoinError>> {
    wait(group::join_all(handles))
}

/// How many bytes of its stack the current green thread has used so far, at the deepest: in whole pages, and 8 KiB
/// in any case, which a stack that was used before keeps. `None` where there is no green thread.
///
/// It asks the kernel which pages were touched (mincore(2)); a page that was swapped out is not counted.
pub fn stack_high_water() -> Option<usize> {
    visit::with(|visit| touched_bytes(visit.stack_low, visit.stack_bytes))
}

/// How many bytes the current green thread's stack has. `None` where there is no green thread.
pub fn stack_bytes() -> Option<usize> {
    visit::with(|visit| visit.stack_bytes)
}
