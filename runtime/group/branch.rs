//! A branch: one of several futures that a single future polls, woken by itself, so that of ten
//! thousand only those are polled again that have news.
//!
//! ```text
//!   a place of ours ──name──► Branch ──► Woken: which were woken ──name──► the task
//!   code of others ──waker──► BranchWaker ──► Branch ──► Woken ──waker──► the task
//! ```
//!
//! Used by `branches.rs` alone. The stall detector counts the wakers of a task (`executor/stall.rs`),
//! so its answer stays exact only if a set keeps no waker of its task without need. Our own waiting
//! places keep a branch's *name* (`LocalWaker::Branch`), and wake the task by its name. A waker of the
//! task is kept in [`Woken`] while the set polls, and after that only as long as somebody else holds a
//! [`BranchWaker`]: such a one is *lent*, and the last to go takes the task's waker with it.
//!
//! A name is good in one loop, and as long as the set is polled with a waker that has one. A set that
//! moves away from either polls all branches anew; what they have left behind there, a timer say, finds
//! the task through the loop that the set was polled in last.
//!
//! Invariants: a branch stands in the queue once if its mark is set, else not at all. `lent` is the
//! number of `BranchWaker`s that are marked as lent. The lock is never held while a waker is cloned,
//! used or dropped.
//!
//! Read next: `branches.rs`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Wake, Waker};

use crate::atomic;
use crate::id::TaskId;
use crate::task::header::{Home, LocalWaker, TaskBranch};
use crate::task::here;

/// Which branches of a set were woken, and whom to wake for it.
pub(crate) struct Woken {
    /// In a lock because the branches' wakers may be used on any thread.
    inside: Mutex<Inside>,
}

/// What the lock of [`Woken`] guards.
struct Inside {
    /// The branches that were woken and not polled since, first woken first.
    queue: VecDeque<u64>,
    /// The task's name, if it has one.
    name: Option<LocalWaker>,
    /// The loop in which the set was polled last, where the name is good.
    home: Option<atomic::Arc<Home>>,
    /// The task's waker, while it may be needed and until it is used.
    waker: Option<Waker>,
    /// How many branches' wakers are held by others.
    lent: usize,
    /// Whether the set is being polled.
    polling: bool,
}

impl Woken {
    /// Nobody was woken, and there is nobody to wake.
    pub(crate) fn new() -> Arc<Woken> {
        let queue = VecDeque::new();
        let inside = Inside { queue, name: None, home: None, waker: None, lent: 0, polling: false };
        Arc::new(Woken { inside: Mutex::new(inside) })
    }

    /// The lock, which no user code can poison: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// How many branches wait to be polled.
    pub(crate) fn len(&self) -> usize {
        self.lock().queue.len()
    }

    /// The next branch to poll.
    pub(crate) fn pop(&self) -> Option<u64> {
        self.lock().queue.pop_front()
    }

    /// Begins a poll of the set, which ends when the guard is dropped.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Polling<'_> {
        let waker = context.waker().clone();
        let name = match LocalWaker::of(context) {
            LocalWaker::Other(_) => None,
            name => Some(name),
        };
        let is_named = name.is_some();
        let mut inside = self.lock();
        inside.polling = true;
        let (has_moved, old_home) = inside.move_home();
        let old = (inside.waker.replace(waker), std::mem::replace(&mut inside.name, name));
        let has_moved = has_moved || (old.1.is_some() && !is_named);
        drop(inside);
        let polling = Polling { woken: self, is_named, has_moved };
        // Only now: it may be a waker of somebody else's, and panic.
        drop((old, old_home));
        polling
    }

    /// A lent waker is back. The task's waker may not be needed any more.
    fn take_back(&self) {
        let mut inside = self.lock();
        inside.lent -= 1;
        let unneeded = inside.unneeded_waker();
        drop(inside);
        drop(unneeded);
    }
}

impl Inside {
    /// Notes the loop that polls; says whether it is another than before, and which that was.
    fn move_home(&mut self) -> (bool, Option<atomic::Arc<Home>>) {
        if self.home.as_ref().is_some_and(|home| here::at(home, |_| ()).is_some()) {
            return (false, None);
        }
        let old = std::mem::replace(&mut self.home, here::home());
        (old.is_some() || self.home.is_some(), old)
    }

    /// The task's waker, if nobody could ask for it.
    fn unneeded_waker(&mut self) -> Option<Waker> {
        if self.polling || self.lent > 0 { None } else { self.waker.take() }
    }
}

impl fmt::Debug for Woken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Woken({} in queue)", self.len())
    }
}

/// A poll of a set, while it lasts.
pub(crate) struct Polling<'a> {
    /// The set's.
    woken: &'a Woken,
    /// Whether the task that polls can be woken by name.
    pub(crate) is_named: bool,
    /// Whether the names that the branches have left behind are good no more: all must be polled.
    pub(crate) has_moved: bool,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let mut inside = self.woken.lock();
        inside.polling = false;
        let unneeded = inside.unneeded_waker();
        drop(inside);
        drop(unneeded);
    }
}

/// One branch, as those know it who may wake it.
#[derive(Debug)]
pub(crate) struct Branch {
    /// Which one of its set it is.
    id: u64,
    /// Whether it stands in the queue.
    is_queued: AtomicBool,
    /// Its set's queue.
    woken: Arc<Woken>,
}

impl Branch {
    /// A new branch, in the queue for its first poll.
    pub(crate) fn new(id: u64, woken: &Arc<Woken>) -> Arc<Branch> {
        let branch = Branch { id, is_queued: AtomicBool::new(false), woken: woken.clone() };
        branch.enqueue(|_| ());
        Arc::new(branch)
    }

    /// Puts the branch in the queue, if it is not there, and then gives what `then` finds.
    fn enqueue<R>(&self, then: impl FnOnce(&mut Inside) -> R) -> Option<R> {
        // Locked before: the set must not be polled and move on between the mark and the queue.
        let mut inside = self.woken.lock();
        // Whoever sets the mark releases what it wrote; `unqueue` acquires it, from all who have.
        if self.is_queued.swap(true, Ordering::AcqRel) {
            return None;
        }
        inside.queue.push_back(self.id);
        Some(then(&mut inside))
    }

    /// The branch was taken from the queue, and is about to be polled.
    pub(crate) fn unqueue(&self) {
        self.is_queued.swap(false, Ordering::AcqRel);
    }

    /// Puts the branch in the queue for a task that polls already.
    pub(crate) fn queue_again(&self) {
        self.enqueue(|_| ());
    }
}

impl TaskBranch for Branch {
    fn mark(&self) -> Option<(LocalWaker, Option<atomic::Arc<Home>>)> {
        let whom = self.enqueue(|inside| {
            // A name that was left behind in a place finds the waker, if the set is polled without one now.
            let waker = &mut inside.waker;
            let whom = inside.name.clone().or_else(|| waker.take().map(LocalWaker::Other));
            whom.map(|whom| (whom, inside.home.clone()))
        });
        whom.flatten()
    }

    fn task(&self) -> Option<TaskId> {
        let name = self.woken.lock().name.clone();
        name?.task()
    }
}

/// What stands behind the `Waker` of a branch.
pub(crate) struct BranchWaker {
    /// The branch.
    branch: Arc<Branch>,
    /// Whether it is counted as lent.
    is_lent: AtomicBool,
}

impl Wake for BranchWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Used once, since the task, once woken, comes and brings the next.
        let waker = self.branch.enqueue(|inside| inside.waker.take()).flatten();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for BranchWaker {
    fn drop(&mut self) {
        self.end_loan();
    }
}

impl BranchWaker {
    /// Counts the waker as lent.
    fn lend(&self) {
        if !self.is_lent.swap(true, Ordering::AcqRel) {
            self.branch.woken.lock().lent += 1;
        }
    }

    /// Counts it as lent no more.
    fn end_loan(&self) {
        if self.is_lent.swap(false, Ordering::AcqRel) {
            self.branch.woken.take_back();
        }
    }
}

/// A branch's waker as its set keeps it from poll to poll.
#[derive(Default)]
pub(crate) struct KeptWaker {
    /// The waker, if nobody else has it.
    own: Option<Arc<BranchWaker>>,
    /// The way to it if others have it; when they are gone, so is it.
    lent: Weak<BranchWaker>,
}

impl KeptWaker {
    /// Takes the waker out for a poll, or makes a new one.
    pub(crate) fn take(&mut self, branch: &Arc<Branch>) -> Arc<BranchWaker> {
        self.own.take().or_else(|| self.lent.upgrade()).unwrap_or_else(|| {
            Arc::new(BranchWaker { branch: branch.clone(), is_lent: AtomicBool::new(false) })
        })
    }

    /// Keeps the waker after a poll.
    pub(crate) fn keep(&mut self, waker: Arc<BranchWaker>) {
        if Arc::strong_count(&waker) == 1 {
            waker.end_loan();
            self.lent = Weak::new();
            self.own = Some(waker);
        } else {
            waker.lend();
            self.lent = Arc::downgrade(&waker);
        }
    }
}

impl Drop for KeptWaker {
    fn drop(&mut self) {
        // The branch is over: what others do with its waker is of no concern any more.
        if let Some(waker) = self.lent.upgrade() {
            waker.end_loan();
        }
    }
}
