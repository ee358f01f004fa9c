//! One turn of a task: from the run queue through a poll to wherever it goes next.
//!
//! The arrows are those of `state.rs`. Whoever calls this holds no borrow of the loop: the
//! future, the output's destructor and the joiner's waker are user code.
//!
//! Read next: `join.rs`.

use std::task::Context;

use super::header::TaskRef;
use super::here::{Here, QueuedTask};
use super::state::{Pending, Start};
use super::waker::borrowed_waker;
use crate::id::{TaskId, WaitReason};
use crate::observer::Ending;

/// Where a task went after its turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TurnEnd {
    /// It waits for this, and for so many things besides.
    Parked(WaitReason, usize),
    /// It is in the run queue again.
    Requeued,
    /// It is over.
    Finished(Ending),
}

/// Gives a queued task its turn. `before` hears which task it is.
pub(crate) fn run_task(here: &Here, queued: QueuedTask, before: impl FnOnce(&TaskRef)) -> (TaskId, TurnEnd) {
    let task = queued.borrow();
    let id = task.id;
    before(&task);
    let (running, start) = task.state().start(); // (2)
    task.set_state(running);
    let ending = here.run(&task, || match start {
        Start::Drop => Some(cancel_future(&task)),
        Start::Poll => poll_future(&task),
    });
    if let Some(ending) = ending {
        finish(here, &task);
        return (id, TurnEnd::Finished(ending));
    }
    let (next, pending) = task.state().pending(); // (5), (6)
    task.set_state(next);
    match pending {
        Pending::Park => (id, TurnEnd::Parked(task.reason.get(), task.more_reasons())),
        Pending::Requeue => {
            here.push(&task);
            (id, TurnEnd::Requeued)
        }
        Pending::Drop => {
            let ending = here.run(&task, || cancel_future(&task));
            finish(here, &task);
            (id, TurnEnd::Finished(ending))
        }
    }
}

/// Polls the future of a running task.
fn poll_future(task: &TaskRef) -> Option<Ending> {
    let waker = borrowed_waker(task);
    let mut context = Context::from_waker(&waker);
    // SAFETY: the task runs, so its future is there and its stage is ours. Tested by every test.
    unsafe { (task.vtable.poll)(task.as_ptr(), &mut context) }
}

/// Drops the future of a running task.
fn cancel_future(task: &TaskRef) -> Ending {
    // SAFETY: the task runs, so its future is there and its stage is ours. Tested by `tests/tasks.rs`.
    unsafe { (task.vtable.cancel)(task.as_ptr()) }
}

/// (8) The future is gone: the task leaves the table, and whoever waits for it hears.
fn finish(here: &Here, task: &TaskRef) {
    let (next, keep_output) = task.state().finish();
    task.set_state(next);
    // Held to the end: it may be the last reference.
    let table_ref = here.tasks.borrow_mut().remove(task.id.0);
    if !keep_output {
        // SAFETY: the task is finished and has no handle, so its output is ours to drop.
        unsafe { (task.vtable.drop_output)(task.as_ptr()) }
    }
    if let Some(joiner) = task.joiner.take() {
        joiner.wake(here);
    }
    drop(table_ref);
}
