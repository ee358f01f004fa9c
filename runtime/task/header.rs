//! What every task starts with in memory, whatever its future: the header, and the counted
//! reference to it.
//!
//! ```text
//!   TaskRef ──► ┌ Header ─────────────────────────────┐ ◄── data pointer of each Waker
//!               │ for everyone: vtable, home, id,      │
//!               │   spawned at, name, refs, in_inbox   │
//!               │ for home only: state, reason, since, │
//!               │   joiner                             │
//!               ├ Stage (`cell.rs`) ───────────────────┤
//!               │ the future, then its output          │
//!               └──────────────────────────────────────┘   one allocation
//! ```
//!
//! Invariants: the memory lives as long as `refs` is not 0. Home-only fields are touched on the
//! home thread only, or after the loop is gone by the one owner of the `JoinHandle`. `in_inbox`
//! is set by whoever posts the task and cleared by the home when it takes the letter.
//!
//! Read next: `here.rs`.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::os::fd::RawFd;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Weak;
use std::task::{Context, Waker};
use std::thread::ThreadId;

use super::state::TaskState;
use crate::atomic::{Arc, AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence};
use crate::clock::Moment;
use crate::fault::{self, Fault};
use crate::id::{LoopId, TaskId, WaitReason};
use crate::inbox::{Inbox, Posted};
use crate::observer::Ending;

/// What a panic leaves behind.
pub(crate) type Payload = Box<dyn Any + Send>;

/// A loop as its tasks and handles know it, from any thread.
pub(crate) struct Home {
    /// Which loop of the process it is.
    pub(crate) id: LoopId,
    /// Where other threads leave word.
    pub(crate) inbox: Inbox<Mail>,
    /// Wakes the thread when it sleeps in its reactor.
    pub(crate) notify: Box<dyn Fn() + Send + Sync>,
    /// Takes a descriptor that is still open out of the reactor's epoll instance.
    pub(crate) unregister: Box<dyn Fn(RawFd) + Send + Sync>,
    /// The thread that the loop never leaves.
    pub(crate) thread: ThreadId,
    /// How many public handles exist: while there is one, something may still come from outside.
    pub(crate) handles: AtomicUsize,
    /// Whether the loop is ending: new tasks are cancelled before their first turn, and other threads are
    /// told that it is gone, or those who send without end would keep it.
    pub(crate) closing: AtomicBool,
    /// How many jobs other threads do for the loop: while there is one, virtual time stands still.
    pub(crate) jobs: AtomicUsize,
}

impl Home {
    /// A home for a new loop of this thread.
    pub(crate) fn new(
        notify: Box<dyn Fn() + Send + Sync>,
        unregister: Box<dyn Fn(RawFd) + Send + Sync>,
    ) -> Home {
        Home {
            id: LoopId::next(),
            inbox: Inbox::new(),
            notify,
            unregister,
            thread: std::thread::current().id(),
            handles: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            jobs: AtomicUsize::new(0),
        }
    }

    /// Leaves a letter and wakes the home if it sleeps; gives the letter back if the loop is gone.
    pub(crate) fn post(&self, letter: Mail) -> Option<Mail> {
        if fault::is_on(Fault::LeaveWithoutWord) && matches!(letter, Mail::LookAgain) {
            return None;
        }
        match self.inbox.post(letter) {
            Posted::Delivered => None,
            Posted::WakeHome => {
                (self.notify)();
                None
            }
            Posted::Closed(letter) => Some(letter),
        }
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Home of {:?}", self.thread)
    }
}

/// What other threads ask of a loop.
pub(crate) enum Mail {
    /// Wake this task.
    Wake(TaskRef),
    /// Cancel this task.
    Cancel(TaskRef),
    /// The task's `JoinHandle` was dropped far from home.
    DropHandle(TaskRef),
    /// Run this, with the loop entered.
    Run(Box<dyn FnOnce() + Send>),
    /// Something that might still have happened will not: see whether the loop is stalled now.
    LookAgain,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mail::Wake(task) => write!(f, "wake {}", task.id),
            Mail::Cancel(task) => write!(f, "cancel {}", task.id),
            Mail::DropHandle(task) => write!(f, "detach {}", task.id),
            Mail::Run(_) => write!(f, "run"),
            Mail::LookAgain => write!(f, "look again"),
        }
    }
}

/// A part of a task that is woken by a name of its own, so that the task polls only what was woken
/// (see `group/branch.rs`).
pub(crate) trait TaskBranch: fmt::Debug + Send + Sync {
    /// Marks the branch as woken. Gives whom to wake for that, and the loop in which a name is good, unless
    /// it was marked already.
    fn mark(&self) -> Option<(LocalWaker, Option<Arc<Home>>)>;

    /// The task.
    fn task(&self) -> Option<TaskId>;
}

/// A waker as our own waiting places keep it: the name of a task of this loop, or of a part of one,
/// which costs no reference and can go stale harmlessly, or a waker that somebody else made.
#[derive(Clone, Debug)]
pub(crate) enum LocalWaker {
    /// A task of this loop.
    Task(TaskId),
    /// A branch of a task of this loop.
    Branch(Weak<dyn TaskBranch>),
    /// A waker around a task's waker, or one of another executor.
    Other(Waker),
}

impl LocalWaker {
    /// The task that it wakes, if it is one of a loop of this thread.
    pub(crate) fn task(&self) -> Option<TaskId> {
        match self {
            LocalWaker::Task(id) => Some(*id),
            LocalWaker::Branch(branch) => branch.upgrade()?.task(),
            LocalWaker::Other(_) => None,
        }
    }
}

impl PartialEq for LocalWaker {
    fn eq(&self, other: &LocalWaker) -> bool {
        match (self, other) {
            (LocalWaker::Task(one), LocalWaker::Task(two)) => one == two,
            (LocalWaker::Branch(one), LocalWaker::Branch(two)) => one.ptr_eq(two),
            (LocalWaker::Other(one), LocalWaker::Other(two)) => one.will_wake(two),
            _ => false,
        }
    }
}

/// What differs from one type of future to the next. All functions want a pointer to the header
/// of a cell of the right type, at home.
#[derive(Debug)]
pub(crate) struct Vtable {
    /// Polls the future; when it ends in any way, drops it and keeps its output. `None` is pending.
    pub(crate) poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Option<Ending>,
    /// Drops the future unfinished; the output says so, or tells of a panic in the drop.
    pub(crate) cancel: unsafe fn(NonNull<Header>) -> Ending,
    /// Moves the output to a place for an `Option<Result<Output, JoinError>>`.
    pub(crate) take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output; a panic that nobody has seen is logged.
    pub(crate) drop_output: unsafe fn(NonNull<Header>),
    /// Frees the cell, in which neither future nor output is left.
    pub(crate) free: unsafe fn(NonNull<Header>),
}

/// The common start of every task's memory.
#[repr(C)]
pub(crate) struct Header {
    /// How to treat the rest of the cell.
    pub(crate) vtable: &'static Vtable,
    /// The loop that the task belongs to.
    pub(crate) home: Arc<Home>,
    /// The task's name for the runtime.
    pub(crate) id: TaskId,
    /// Where `spawn` was called.
    pub(crate) location: &'static Location<'static>,
    /// The task's name for people; boxed twice because most tasks have none, and then it costs a word.
    pub(crate) name: Option<Box<TaskName>>,
    /// How many `TaskRef`s and `Waker`s there are.
    refs: AtomicU32,
    /// Whether a wake of this task is in the inbox already.
    in_inbox: AtomicBool,
    /// The [`TaskState`]: written at home only, so plain stores do; others may look whether it is finished.
    state: AtomicU8,
    /// Home only: how many reasons to wait were recorded in the last poll.
    pub(crate) reasons: Cell<u16>,
    /// Home only: the first of these reasons.
    pub(crate) reason: Cell<WaitReason>,
    /// Home only: when the last poll was.
    pub(crate) since: Cell<Moment>,
    /// Home only: who waits for the output.
    pub(crate) joiner: Cell<Option<LocalWaker>>,
}

/// A name given to `spawn_named`.
#[derive(Debug)]
pub(crate) struct TaskName(pub(crate) Box<str>);

impl Header {
    /// The header of a new task, with one reference.
    pub(crate) fn new(
        vtable: &'static Vtable,
        home: Arc<Home>,
        id: TaskId,
        location: &'static Location<'static>,
        name: Option<Box<str>>,
    ) -> Header {
        Header {
            vtable,
            home,
            id,
            location,
            name: name.map(|name| Box::new(TaskName(name))),
            refs: AtomicU32::new(1),
            in_inbox: AtomicBool::new(false),
            state: AtomicU8::new(TaskState::SPAWNED.0),
            reasons: Cell::new(0),
            reason: Cell::new(WaitReason::Turn),
            since: Cell::new(Moment(0)),
            joiner: Cell::new(None),
        }
    }

    /// The task's name for people.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_ref().map(|name| &*name.0)
    }

    /// At home: how many reasons to wait there are beside the first.
    pub(crate) fn more_reasons(&self) -> usize {
        usize::from(self.reasons.get()).saturating_sub(1)
    }

    /// Where the task is in its life; anywhere, a finished state means that all is written.
    pub(crate) fn state(&self) -> TaskState {
        TaskState(self.state.load(Ordering::Acquire))
    }

    /// At home: the next step of its life.
    pub(crate) fn set_state(&self, state: TaskState) {
        let release =
            if fault::is_on(Fault::FinishWithoutRelease) { Ordering::Relaxed } else { Ordering::Release };
        self.state.store(state.0, release);
    }

    /// How many references there are now.
    pub(crate) fn refs(&self) -> u32 {
        self.refs.load(Ordering::Acquire)
    }

    /// Abroad: true if the caller must post the task; false if a wake is on its way already.
    ///
    /// Also the second waker releases what it wrote before: the home reads the mark with a swap,
    /// and so sees the writes of everyone who has set it.
    pub(crate) fn mark_in_inbox(&self) -> bool {
        if fault::is_on(Fault::WakeWithoutRelease) && self.in_inbox.load(Ordering::Relaxed) {
            return false;
        }
        !self.in_inbox.swap(true, Ordering::AcqRel)
    }

    /// At home: the wake was taken from the inbox; from now on the next one is posted again.
    pub(crate) fn unmark_in_inbox(&self) {
        if fault::is_on(Fault::UnmarkWithoutAcquire) {
            return self.in_inbox.store(false, Ordering::Release);
        }
        self.in_inbox.swap(false, Ordering::AcqRel);
    }
}

/// `task 3 "name"`, for logs.
impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} {name:?}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

/// A counted reference to a task.
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: through a `TaskRef` other threads reach the reference count, the mark, the state (all
// atomic), the immutable fields, and `free`, which runs when the future and the output are gone.
// The home-only fields are kept to the home thread by the rest of `task/`. Tested by the loom
// models in `tests/loom/`.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// Takes over one reference that is counted already.
    ///
    /// # Safety
    /// `header` starts a live cell, and one counted reference to it has no owner.
    pub(crate) unsafe fn from_counted(header: NonNull<Header>) -> TaskRef {
        TaskRef(header)
    }

    /// Gives up ownership: the reference stays counted.
    pub(crate) fn into_counted(self) -> NonNull<Header> {
        let header = self.0;
        std::mem::forget(self);
        header
    }

    /// The header's address, good while some reference is.
    pub(crate) fn as_ptr(&self) -> NonNull<Header> {
        self.0
    }
}

impl std::ops::Deref for TaskRef {
    type Target = Header;

    fn deref(&self) -> &Header {
        // SAFETY: the reference that `self` counts keeps the cell alive.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> TaskRef {
        // Nobody can free the cell while `self` lives, so nothing needs to be ordered.
        let before = self.refs.fetch_add(1, Ordering::Relaxed);
        if before > u32::MAX / 2 {
            // Only a program that forgets wakers in a loop gets here; wrapping would free too early.
            std::process::abort();
        }
        TaskRef(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        self.uncount();
    }
}

impl TaskRef {
    /// Drops the reference; says how many there were before.
    pub(crate) fn release(self) -> u32 {
        std::mem::ManuallyDrop::new(self).uncount()
    }

    /// Counts one less, and frees the task with the last. Not to be used afterwards.
    fn uncount(&mut self) -> u32 {
        let before = self.refs.fetch_sub(1, Ordering::Release);
        if before == 1 {
            if !fault::is_on(Fault::FreeWithoutAcquire) {
                // Whoever frees must have seen what all the others did before they let go.
                fence(Ordering::Acquire);
            }
            // SAFETY: this was the last reference, so nobody else will look at the cell; the
            // future is gone with the task's end, the output with the handle's.
            unsafe { (self.vtable.free)(self.0) }
        }
        before
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
