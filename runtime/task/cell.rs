//! A task's memory: the header, and behind it the future and later its output, in one allocation.
//!
//! The functions in [`Vtable`] are the only ones that know the future's type. All of them run at
//! home (or, after the loop is gone, for the one owner of the handle), and all of them keep the
//! panics of user code inside: a future that panics, or panics while it is dropped, ends in an
//! output that says so.
//!
//! Read next: `run.rs`.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::error::JoinError;
use super::header::{Header, Payload, TaskRef, Vtable};
use super::here::Here;
use super::waker::{drop_payload, guard};
use crate::id::TaskId;
use crate::observer::Ending;

/// What the handle gets.
type Outcome<F> = Result<<F as Future>::Output, JoinError>;

/// What stands behind the header.
enum Stage<F: Future> {
    /// The task is not finished.
    Future(F),
    /// It is, and the handle has not taken this yet.
    Output(Outcome<F>),
    /// Nothing any more.
    Empty,
}

/// One task in memory. `repr(C)`: a pointer to the cell is a pointer to its header.
#[repr(C)]
struct TaskCell<F: Future> {
    /// The part that does not depend on `F`.
    header: Header,
    /// The part that does; the state in the header says who may touch it.
    stage: UnsafeCell<Stage<F>>,
}

/// Makes a task of `here`'s loop and takes it in; gives the reference that its handle will own.
pub(crate) fn spawn_cell<F: Future + 'static>(
    here: &Here,
    location: &'static Location<'static>,
    name: Option<Box<str>>,
    future: F,
) -> TaskRef {
    let id = TaskId(here.tasks.borrow().next_key());
    let task = new_cell(Header::new(vtable::<F>(), here.home.clone(), id, location, name), future);
    here.admit(task.clone());
    task
}

/// A task in memory that no loop knows yet.
pub(crate) fn new_cell<F: Future + 'static>(header: Header, future: F) -> TaskRef {
    let stage = UnsafeCell::new(Stage::Future(future));
    let cell = NonNull::from(Box::leak(Box::new(TaskCell { header, stage })));
    // SAFETY: the cell is alive and its one counted reference is this one.
    unsafe { TaskRef::from_counted(cell.cast()) }
}

/// The functions for tasks of this type.
fn vtable<F: Future + 'static>() -> &'static Vtable {
    const {
        &Vtable {
            poll: poll::<F>,
            cancel: cancel::<F>,
            take_output: take_output::<F>,
            drop_output: drop_output::<F>,
            free: free::<F>,
        }
    }
}

/// The stage of a cell.
///
/// # Safety
/// `header` starts a live `TaskCell<F>`, and the caller alone may touch its stage now.
unsafe fn stage<'a, F: Future>(header: NonNull<Header>) -> &'a mut Stage<F> {
    // SAFETY: the caller's promise; `UnsafeCell` lets us through the shared pointer.
    unsafe { &mut *header.cast::<TaskCell<F>>().as_ref().stage.get() }
}

/// [`Vtable::poll`].
///
/// # Safety
/// As [`stage`]; the future is there.
unsafe fn poll<F: Future>(header: NonNull<Header>, context: &mut Context<'_>) -> Option<Ending> {
    // SAFETY: a running task's stage is the runner's.
    let stage = unsafe { stage::<F>(header) };
    let Stage::Future(future) = stage else {
        unreachable!("a task that is not finished has a future");
    };
    // SAFETY: the future is not moved before it is dropped: the cell stays where it is.
    let future = unsafe { Pin::new_unchecked(future) };
    match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
        Ok(Poll::Pending) => None,
        Ok(Poll::Ready(value)) => Some(end(header, stage, Ok(value))),
        Err(payload) => Some(end(header, stage, Err(payload))),
    }
}

/// Drops the future and leaves the outcome; a panic of the drop counts like one of the poll.
fn end<F: Future>(
    header: NonNull<Header>,
    stage: &mut Stage<F>,
    result: Result<F::Output, Payload>,
) -> Ending {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop_in_place(stage)));
    let result = match (result, dropped) {
        (Ok(value), Ok(())) => Ok(value),
        (Ok(value), Err(payload)) => {
            guard("a task's output", || drop(value));
            Err(payload)
        }
        (Err(first), Ok(())) => Err(first),
        (Err(first), Err(second)) => {
            drop_payload(second);
            Err(first)
        }
    };
    // SAFETY: the cell is alive while its stage is borrowed.
    let id = unsafe { header.as_ref() }.id;
    let (outcome, ending) = match result {
        Ok(value) => (Ok(value), Ending::Returned),
        Err(payload) => (Err(JoinError::panicked(id, payload)), Ending::Panicked),
    };
    *stage = Stage::Output(outcome);
    ending
}

/// Empties the stage where it stands: a pinned future may be dropped, not moved. When a
/// destructor panics the stage is empty all the same.
fn drop_in_place<F: Future>(stage: &mut Stage<F>) {
    struct SetEmpty<F: Future>(*mut Stage<F>);
    impl<F: Future> Drop for SetEmpty<F> {
        fn drop(&mut self) {
            // SAFETY: the old content was just dropped, so it is overwritten without another drop.
            unsafe { self.0.write(Stage::Empty) }
        }
    }
    let place: *mut Stage<F> = stage;
    let _set_empty = SetEmpty(place);
    // SAFETY: the place holds a stage, and nobody reads it before `SetEmpty` has overwritten it.
    unsafe { place.drop_in_place() }
}

/// [`Vtable::cancel`].
///
/// # Safety
/// As [`stage`]; the future is there.
unsafe fn cancel<F: Future>(header: NonNull<Header>) -> Ending {
    // SAFETY: a running task's stage is the runner's.
    let stage = unsafe { stage::<F>(header) };
    // SAFETY: the cell is alive while its stage is borrowed.
    let id = unsafe { header.as_ref() }.id;
    match catch_unwind(AssertUnwindSafe(|| drop_in_place(stage))) {
        Ok(()) => {
            *stage = Stage::Output(Err(JoinError::cancelled(id)));
            Ending::Cancelled
        }
        Err(payload) => {
            *stage = Stage::Output(Err(JoinError::panicked(id, payload)));
            Ending::Panicked
        }
    }
}

/// [`Vtable::take_output`].
///
/// # Safety
/// As [`stage`]; `place` points to an `Option<Outcome<F>>`.
unsafe fn take_output<F: Future>(header: NonNull<Header>, place: *mut ()) {
    // SAFETY: the output of a finished task is its handle's, which is the caller.
    let stage = unsafe { stage::<F>(header) };
    if let Stage::Output(outcome) = std::mem::replace(stage, Stage::Empty) {
        // SAFETY: the caller's promise.
        unsafe { *place.cast::<Option<Outcome<F>>>() = Some(outcome) }
    }
}

/// [`Vtable::drop_output`].
///
/// # Safety
/// As [`stage`].
unsafe fn drop_output<F: Future>(header: NonNull<Header>) {
    // SAFETY: the caller owns the output that nobody will take.
    let stage = unsafe { stage::<F>(header) };
    // SAFETY: the cell is alive while its stage is borrowed.
    let task = unsafe { header.as_ref() };
    if let Stage::Output(Err(error)) = stage
        && error.is_panic()
    {
        log::error!("{error} ({task}, spawned at {}; nobody awaited it)", task.location);
    }
    guard("an output that nobody took", || drop_in_place(stage));
}

/// [`Vtable::free`].
///
/// # Safety
/// `header` starts a live `TaskCell<F>` that nobody refers to any more.
unsafe fn free<F: Future>(header: NonNull<Header>) {
    // SAFETY: the caller's promise; the box was leaked in `new_cell`.
    let cell = unsafe { Box::from_raw(header.cast::<TaskCell<F>>().as_ptr()) };
    drop(cell);
}
