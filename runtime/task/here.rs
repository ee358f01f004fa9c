//! The loop of this thread as its tasks see it: who is ready, who exists, who runs.
//!
//! A thread-local holds it while a loop is entered. Having a [`Here`] in hand *is* being at home:
//! the type cannot leave its thread, so everything in it is plain memory.
//!
//! Invariants: a task in state queued stands in `ready` exactly once, and every task in `ready`
//! stands in `tasks`, whose reference keeps it alive. No borrow of these fields is held while a
//! future, a waker of somebody else's or a destructor runs.
//!
//! Read next: `waker.rs`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Weak;
use std::task::{RawWakerVTable, Waker};

use super::header::{Header, Home, TaskBranch, TaskRef};
use super::state::TaskState;
use crate::atomic::{Arc, thread_local};
use crate::clock::Clock;
use crate::id::{LoopTask, TaskId, WaitReason};
use crate::table::{Key, Table};

/// How often one poll of a task may find something ready (an I/O call that went through, a time that has
/// come) before it must give way.
const SHARE_OF_A_POLL: i32 = 128;

/// An entry of the run queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ready {
    /// A task in state queued; `tasks` keeps it alive.
    Task(QueuedTask),
    /// A callback, if it was not cancelled meanwhile.
    Callback(Key),
}

/// A pointer to a task that is alive because it is queued. It is made where a task becomes
/// queued: by [`Here::admit`] and [`Here::push`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct QueuedTask(NonNull<Header>);

impl QueuedTask {
    /// The reference that the table holds, borrowed: good until the task leaves the table, which
    /// its runner alone brings about.
    pub(super) fn borrow(self) -> ManuallyDrop<TaskRef> {
        // SAFETY: a queued task stands in the table, whose reference is counted; `ManuallyDrop`
        // leaves it counted. Tested by `tests/executor_model.rs` under valgrind.
        ManuallyDrop::new(unsafe { TaskRef::from_counted(self.0) })
    }
}

/// What the home thread knows about its tasks.
pub(crate) struct Here {
    /// The same loop, as other threads know it.
    pub(crate) home: Arc<Home>,
    /// The loop's clock.
    pub(crate) clock: Clock,
    /// The run queue.
    pub(crate) ready: RefCell<VecDeque<Ready>>,
    /// All tasks that are not finished.
    pub(crate) tasks: RefCell<Table<TaskRef>>,
    /// The task that is being polled.
    running: Cell<Option<NonNull<Header>>>,
    /// The branch of it that is being polled, if that can be woken by name.
    branch: Cell<Option<RunningBranch>>,
    /// What is left of its share; below 0, how often it was told so.
    share_left: Cell<i32>,
}

/// Why a poll, or a branch's part of one, ended without a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reasons {
    /// The first thing to wait for.
    pub(crate) first: WaitReason,
    /// How many things there are.
    pub(crate) count: u16,
}

/// The branch that is being polled, and the waker that it is polled with.
#[derive(Debug)]
pub(crate) struct RunningBranch {
    /// The waker's data pointer, only ever compared.
    data: *const (),
    /// The waker's vtable, only ever compared.
    vtable: *const RawWakerVTable,
    /// The branch's name.
    name: Weak<dyn TaskBranch>,
}

impl RunningBranch {
    /// The branch `name`, polled with `waker`.
    pub(crate) fn new(name: Weak<dyn TaskBranch>, waker: &Waker) -> RunningBranch {
        RunningBranch { data: waker.data(), vtable: waker.vtable(), name }
    }
}

/// What the thread-locals hold. Without a destructor they can be used as long as the thread runs, also by
/// a `Runtime` in another thread-local that is dropped at its end; `enter` leaves nothing in them.
pub(crate) type Undropped<T> = ManuallyDrop<Option<Rc<T>>>;

thread_local! {
    /// The loop that this thread is inside of.
    static HERE: RefCell<Undropped<Here>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

thread_local! {
    /// How many [`Indivisible`] calls are under way on this thread.
    static INDIVISIBLE: Cell<usize> = const { Cell::new(0) };
}

/// As long as it lives, no green thread may leave its stack, if it came there after it was made: whoever ran
/// meanwhile would find things half done, or undo them in another order.
#[derive(Debug)]
pub(crate) struct Indivisible(PhantomData<*const ()>);

impl Indivisible {
    /// From now on.
    pub(crate) fn begin() -> Indivisible {
        INDIVISIBLE.with(|count| count.set(count.get() + 1));
        Indivisible(PhantomData)
    }

    /// How many there are.
    #[inline]
    pub(crate) fn count() -> usize {
        INDIVISIBLE.with(Cell::get)
    }
}

impl Drop for Indivisible {
    fn drop(&mut self) {
        INDIVISIBLE.with(|count| count.set(count.get() - 1));
    }
}

/// Makes `here` the loop that this thread is inside of, or none; returns the one before.
pub(crate) fn enter(here: Option<Rc<Here>>) -> Option<Rc<Here>> {
    ManuallyDrop::into_inner(HERE.with(|current| current.replace(ManuallyDrop::new(here))))
}

/// Runs `f`, which may not run user code, if this thread is inside of a loop.
fn with<R>(f: impl FnOnce(&Here) -> R) -> Option<R> {
    HERE.with(|current| current.borrow().as_deref().map(f))
}

/// Runs `f`, which may not run user code, if this thread is inside of the loop `home`.
pub(crate) fn at<R>(home: &Arc<Home>, f: impl FnOnce(&Here) -> R) -> Option<R> {
    with(|here| Arc::ptr_eq(&here.home, home).then(|| f(here))).flatten()
}

/// The loop that this thread is inside of, as other threads know it.
pub(crate) fn home() -> Option<Arc<Home>> {
    with(|here| here.home.clone())
}

/// Calls `f`, which may not run user code, with the running task as people know it. For a signal handler: it
/// neither waits nor allocates, and does nothing if the signal came in the middle of a change.
pub(crate) fn running_name<R>(f: impl FnOnce(&Header) -> R) -> Option<R> {
    HERE.with(|current| current.try_borrow().ok()?.as_deref()?.with_running(f))
}

/// Records why the running task is about to wait. Every future of ours calls it before it
/// returns pending; the first reason of a poll is kept, the others are counted.
pub(crate) fn waits_for(reason: WaitReason) {
    with(|here| {
        here.with_running(|task| {
            match task.reasons.get() {
                0 => task.reason.set(reason),
                _ if task.reason.get() == reason => return,
                _ => {}
            }
            task.reasons.set(task.reasons.get().saturating_add(1));
        })
    });
}

/// Records why a branch waits that was, or was not, polled again: for a poll of which it is a part.
pub(crate) fn waits_like(branches: Reasons) {
    with(|here| {
        here.with_running(|task| {
            if task.reasons.get() == 0 {
                task.reason.set(branches.first);
            }
            task.reasons.set(task.reasons.get().saturating_add(branches.count));
        })
    });
}

/// Polls a branch of the running task: `poll` must not unwind. Why the branch waits is told apart from
/// why the rest of the task does. Without a `branch`, whoever waits in it keeps its waker, not a name.
pub(crate) fn poll_branch<R>(branch: Option<RunningBranch>, poll: impl FnOnce() -> R) -> (R, Reasons) {
    let outer_branch = with(|here| here.branch.replace(branch)).flatten();
    let outer = swap_reasons(Reasons { first: WaitReason::Unknown, count: 0 });
    let indivisible = Indivisible::begin();
    let result = poll();
    drop(indivisible);
    let reasons = swap_reasons(outer);
    drop(with(|here| here.branch.replace(outer_branch)));
    (result, reasons)
}

/// Gives the running task other reasons to wait; returns those that it had.
fn swap_reasons(new: Reasons) -> Reasons {
    with(|here| {
        here.with_running(|task| Reasons {
            first: task.reason.replace(new.first),
            count: task.reasons.replace(new.count),
        })
    })
    .flatten()
    .unwrap_or(new)
}

/// The name behind a waker, if it is that of the branch that is being polled.
pub(crate) fn branch_of(waker: &Waker) -> Option<Weak<dyn TaskBranch>> {
    with(|here| {
        let running = here.branch.take();
        let same = running
            .as_ref()
            .filter(|running| running.data == waker.data() && std::ptr::eq(running.vtable, waker.vtable()));
        let name = same.map(|running| running.name.clone());
        here.branch.set(running);
        name
    })
    .flatten()
}

/// The task that is being polled on this thread.
pub(crate) fn running_id() -> Option<TaskId> {
    running().map(|task| task.id)
}

/// The same with its loop, for who may look at it from another.
pub(crate) fn running() -> Option<LoopTask> {
    with(|here| here.with_running(|task| LoopTask { home: here.home.id, id: task.id })).flatten()
}

/// Spends a unit of the running task's share. False: it has had its share and must give way.
pub(crate) fn spend_share() -> bool {
    with(|here| {
        let left = here.share_left.get();
        // Whoever goes on asking within the poll is an executor inside of the task (a `block_on` of others):
        // to give way leads nowhere there, and would for ever.
        here.share_left.set(if left == -SHARE_OF_A_POLL { SHARE_OF_A_POLL } else { left - 1 });
        // Outside of any task there is no poll that could end.
        left > 0 || here.running.get().is_none()
    })
    .unwrap_or(true)
}

impl Drop for Here {
    /// Shutting down has ended every task. One that is left all the same (its destructor spawned
    /// the next, and so on) is leaked: a waker far from home may hold the last reference, and no
    /// other thread may drop a future.
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut();
        for key in tasks.keys() {
            if let Some(task) = tasks.remove(key) {
                log::error!("{} never ended and is leaked", *task);
                std::mem::forget(task);
            }
        }
    }
}

impl Here {
    /// A loop without tasks.
    pub(crate) fn new(home: Arc<Home>, clock: Clock) -> Here {
        Here {
            home,
            clock,
            ready: RefCell::new(VecDeque::new()),
            tasks: RefCell::new(Table::new()),
            running: Cell::new(None),
            branch: Cell::new(None),
            share_left: Cell::new(SHARE_OF_A_POLL),
        }
    }

    /// (1) Takes a new task in: it exists from now on, and is ready.
    pub(crate) fn admit(&self, task: TaskRef) {
        let queued = QueuedTask(task.as_ptr());
        let key = self.tasks.borrow_mut().insert(task);
        debug_assert_eq!(key, queued.borrow().id.0);
        self.ready.borrow_mut().push_back(Ready::Task(queued));
    }

    /// Puts a task whose state has just become queued into the run queue.
    pub(crate) fn push(&self, task: &TaskRef) {
        let queued = QueuedTask(task.as_ptr());
        self.ready.borrow_mut().push_back(Ready::Task(queued));
    }

    /// (3), (4) Wakes a task of this loop: a compare, a store and a push.
    pub(crate) fn wake(&self, task: &TaskRef) {
        self.change(task, TaskState::wake);
    }

    /// (7) Asks a task of this loop to stop.
    pub(crate) fn cancel(&self, task: &TaskRef) {
        self.change(task, TaskState::cancel);
    }

    /// Wakes the task `id` if it still exists.
    pub(crate) fn wake_id(&self, id: TaskId) {
        let tasks = self.tasks.borrow();
        if let Some(task) = tasks.get(id.0) {
            self.wake(task);
        }
    }

    /// Asks the task `id` to stop if it still exists.
    pub(crate) fn cancel_id(&self, id: TaskId) {
        let tasks = self.tasks.borrow();
        if let Some(task) = tasks.get(id.0) {
            self.cancel(task);
        }
    }

    /// A transition that may push.
    fn change(&self, task: &TaskRef, transition: impl FnOnce(TaskState) -> (TaskState, bool)) {
        let state = task.state();
        let (next, push) = transition(state);
        // A finished task changes no more, and may be in the hands of its handle's thread by now.
        if next != state {
            task.set_state(next);
        }
        if push {
            self.push(task);
        }
    }

    /// Runs `poll` with `task` as the running one, with a full share and no reason to wait.
    pub(crate) fn run<R>(&self, task: &TaskRef, poll: impl FnOnce() -> R) -> R {
        task.reasons.set(0);
        task.reason.set(WaitReason::Unknown);
        task.since.set(self.clock.cached());
        self.share_left.set(SHARE_OF_A_POLL);
        let outer = self.running.replace(Some(task.as_ptr()));
        let result = poll();
        self.running.set(outer);
        self.share_left.set(SHARE_OF_A_POLL);
        result
    }

    /// Runs `f`, which may not run user code, on the running task.
    fn with_running<R>(&self, f: impl FnOnce(&Header) -> R) -> Option<R> {
        let header = self.running.get()?;
        // SAFETY: `run` has a reference to the running task until it has unset `running` again.
        // Tested by every test in which a task waits.
        Some(f(unsafe { header.as_ref() }))
    }
}
