//! The waker of a task: the vtable behind `std::task::Waker`, and the two ways that a wake takes.
//!
//! ```text
//!   wake ──► is this thread inside of the task's loop?
//!              yes: state, then the run queue                     no atomic read-modify-write
//!              no:  set the in_inbox mark; was it set already?
//!                     yes: done, the wake is on its way
//!                     no:  post the task to the home's inbox      at most one letter per task
//! ```
//!
//! A waker is a counted reference to the task, not to the loop: it may be used, cloned and
//! dropped on any thread, and after the loop is gone, when it does nothing.
//!
//! Read next: `error.rs`.

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use super::header::{Header, Home, LocalWaker, Mail, TaskRef};
use super::here::{self, Here};
use crate::atomic::Arc;
use crate::id::TaskId;

/// What a `Waker` of ours does. The data pointer is a counted `NonNull<Header>`.
static WAKER_VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

/// The waker for one poll of `task`: it borrows the caller's reference and counts none.
pub(crate) fn borrowed_waker(task: &TaskRef) -> ManuallyDrop<Waker> {
    let data = task.as_ptr().as_ptr().cast_const().cast();
    // SAFETY: the vtable below keeps the contract of `RawWaker`; since the waker is never dropped,
    // the reference that it stands for remains the caller's. Tested by `tests/wakers.rs`.
    ManuallyDrop::new(unsafe { Waker::new(data, &WAKER_VTABLE) })
}

/// Wakes `task` from any thread.
pub(crate) fn wake_task(task: &TaskRef) {
    if here::at(&task.home, |here| here.wake(task)).is_none() && task.mark_in_inbox() {
        // A closed inbox gives the letter back: the loop is gone, and the wake with it.
        drop(task.home.post(Mail::Wake(task.clone())));
    }
}

/// The reference behind a waker's data pointer, without counting.
///
/// # Safety
/// `data` is that of a live waker of this vtable.
unsafe fn borrow(data: *const ()) -> ManuallyDrop<TaskRef> {
    let header = data.cast_mut().cast::<Header>();
    // SAFETY: the caller's waker counts one reference; `ManuallyDrop` leaves it there.
    ManuallyDrop::new(unsafe { TaskRef::from_counted(NonNull::new_unchecked(header)) })
}

/// `Waker::clone`: counts one more.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: std calls this with the data of a live waker.
    let task = unsafe { borrow(data) };
    let counted = TaskRef::clone(&task).into_counted();
    RawWaker::new(counted.as_ptr().cast_const().cast(), &WAKER_VTABLE)
}

/// `Waker::wake`: wakes, and uses the waker up.
unsafe fn wake(data: *const ()) {
    // SAFETY: std calls this with the data of a live waker, whose reference is ours now.
    let task = ManuallyDrop::into_inner(unsafe { borrow(data) });
    if here::at(&task.home, |here| here.wake(&task)).is_some() {
        return;
    }
    if !task.mark_in_inbox() {
        return let_go(task);
    }
    // The letter takes the waker's reference along: the home lets go of it, and then looks what is left.
    let home = task.home.clone();
    drop(home.post(Mail::Wake(task)));
}

/// `Waker::wake_by_ref`.
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: std calls this with the data of a live waker.
    let task = unsafe { borrow(data) };
    wake_task(&task);
}

/// `Waker::drop`: counts one less.
unsafe fn release(data: *const ()) {
    // SAFETY: std calls this with the data of a live waker, whose reference is ours now.
    let_go(ManuallyDrop::into_inner(unsafe { borrow(data) }));
}

/// Drops a waker's reference. Abroad, if it may have been the last waker of its task, the home is told:
/// it may be asleep because that waker might have been used.
fn let_go(task: TaskRef) {
    if here::at(&task.home, |_| ()).is_some() {
        return drop(task);
    }
    let home = task.home.clone();
    // What is left is the table's reference, or that and the handle's.
    if matches!(task.release(), 2 | 3) {
        drop(home.post(Mail::LookAgain));
    }
}

impl LocalWaker {
    /// What to keep in order to wake `context`'s task later, on this thread.
    pub(crate) fn of(context: &Context<'_>) -> LocalWaker {
        let waker = context.waker();
        if std::ptr::eq(waker.vtable(), &raw const WAKER_VTABLE) {
            // SAFETY: the vtable tells that this is a waker of ours, and it is alive.
            let task = unsafe { borrow(waker.data()) };
            if let Some(id) = here::at(&task.home, |_| task.id) {
                return LocalWaker::Task(id);
            }
        }
        match here::branch_of(waker) {
            Some(branch) => LocalWaker::Branch(branch),
            None => LocalWaker::Other(waker.clone()),
        }
    }

    /// Wakes. A panic in somebody else's waker is logged; the loop goes on.
    pub(crate) fn wake(self, here: &Here) {
        self.wake_in(Some(here));
    }

    /// The same if the task's loop may be gone, and the task with it.
    pub(crate) fn wake_in(self, here: Option<&Here>) {
        match (self, here) {
            (LocalWaker::Task(id), Some(here)) => here.wake_id(id),
            (LocalWaker::Task(_), None) => {}
            (LocalWaker::Branch(branch), _) => match branch.upgrade().and_then(|branch| branch.mark()) {
                Some((LocalWaker::Task(id), Some(home))) => wake_at(id, &home, here),
                Some((parent, _)) => parent.wake_in(here),
                None => {}
            },
            (LocalWaker::Other(waker), _) => guard("a waker", || waker.wake()),
        }
    }
}

/// Wakes the task `id` of the loop `home`, which `here` is not if the task's branch has moved since it was
/// kept: then the loop gets a letter.
fn wake_at(id: TaskId, home: &Arc<Home>, here: Option<&Here>) {
    match here.filter(|here| Arc::ptr_eq(&here.home, home)) {
        Some(here) => here.wake_id(id),
        None => {
            let at_home = home.clone();
            let wake = move || here::at(&at_home, |here| here.wake_id(id)).unwrap_or_default();
            drop(home.post(Mail::Run(Box::new(wake))));
        }
    }
}

/// Runs user code of which a panic must not go further: it is logged with what it came from.
pub(crate) fn guard(what: impl fmt::Display, user_code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(user_code)) {
        log::error!("{what} panicked: {}", panic_message(&*payload));
        drop_payload(payload);
    }
}

/// What a panic said, as far as it is text.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a value that is not text"
    }
}

/// Drops what a panic left behind, which may panic in its turn; then it is leaked.
pub(crate) fn drop_payload(payload: Box<dyn std::any::Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}
