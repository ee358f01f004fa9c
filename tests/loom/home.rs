//! A home for models: the real inbox, tasks and run queue; instead of a reactor, a bell.
//!
//! Its turn has the order of `executor/turn.rs`: run, sleep, take the mail. The bell rings
//! spuriously once, as a descriptor that becomes ready would wake the real home.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use crate::atomic::Arc;
use crate::clock::Clock;
use crate::task::error::JoinError;
use crate::task::header::{Home, Mail};
use crate::task::here::{self, Here, Ready};
use crate::task::join::{JoinHandle, drop_handle, spawn_task};
use crate::task::run::run_task;
use crate::task::waker::borrowed_waker;

use super::check::Calm;

/// What wakes the home.
pub(super) struct Bell {
    /// Set by ringing, cleared by waking up.
    rung: loom::sync::Notify,
    /// How often it was rung.
    rings: AtomicUsize,
}

/// A loop in a model.
pub(super) struct ModelHome {
    /// The tasks' view of it.
    pub(super) here: Calm<Rc<Here>>,
    /// What its `notify` rings.
    bell: StdArc<Bell>,
    /// How often it went to sleep.
    sleeps: Cell<usize>,
}

/// Being inside of the loop, for as long as the home does not sleep: loom's thread-locals cannot
/// be reached any more once a model has failed in a sleep.
pub(super) struct Inside;

impl Drop for Inside {
    fn drop(&mut self) {
        here::enter(None);
    }
}

impl ModelHome {
    /// A loop of the thread that runs the model.
    pub(super) fn new() -> ModelHome {
        let bell = StdArc::new(Bell { rung: loom::sync::Notify::new(), rings: AtomicUsize::new(0) });
        let rope = bell.clone();
        let notify = Box::new(move || {
            rope.rings.fetch_add(1, Ordering::Relaxed);
            rope.rung.notify();
        });
        let unregister = Box::new(|_| unreachable!("a model has no descriptors"));
        let here = Here::new(Arc::new(Home::new(notify, unregister)), Clock::new(true));
        ModelHome { here: Calm::new(Rc::new(here)), bell, sleeps: Cell::new(0) }
    }

    /// The loop as other threads know it.
    pub(super) fn home(&self) -> Calm<Arc<Home>> {
        Calm::new(self.here.home.clone())
    }

    /// Goes inside of the loop.
    pub(super) fn enter(&self) -> Inside {
        here::enter(Some(self.here.clone()));
        Inside
    }

    /// A new task.
    #[track_caller]
    pub(super) fn spawn<F: Future + 'static>(&self, future: F) -> Calm<JoinHandle<F::Output>> {
        Calm::new(spawn_task(&self.here, Location::caller(), None, future))
    }

    /// A waker of the task.
    pub(super) fn waker<T>(&self, handle: &JoinHandle<T>) -> Calm<Waker> {
        let tasks = self.here.tasks.borrow();
        let task = tasks.get(handle.id().0).expect("the task is not finished");
        Calm::new(Waker::clone(&borrowed_waker(task)))
    }

    /// Turns until `is_done`, which is asked before each sleep.
    pub(super) fn turn_until(&self, is_done: impl Fn() -> bool) {
        self.run();
        while !is_done() {
            if self.here.ready.borrow().is_empty() {
                self.sleep();
            }
            self.take_in_mail();
            self.run();
        }
    }

    /// Turns until the task is over, and gives what it gave.
    pub(super) fn block_on<T>(&self, mut task: Calm<JoinHandle<T>>) -> Result<T, JoinError> {
        self.turn_until(|| task.is_finished());
        let _inside = self.enter();
        match Pin::new(&mut *task).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => {
                drop(task.release());
                result
            }
            Poll::Pending => unreachable!("a finished task has a result"),
        }
    }

    /// Runs what is ready.
    pub(super) fn run(&self) {
        let _inside = self.enter();
        for ready in self.here.ready.take() {
            match ready {
                Ready::Task(task) => drop(run_task(&self.here, task, |_| ())),
                Ready::Callback(_) => unreachable!("a model has no callbacks"),
            }
        }
    }

    /// Waits for the bell, unless there is mail.
    pub(super) fn sleep(&self) {
        if self.here.home.inbox.park() {
            self.sleeps.set(self.sleeps.get() + 1);
            self.bell.rung.wait();
            self.here.home.inbox.unpark();
        }
    }

    /// Opens the letters, as `LocalLoop::open_letter` does.
    pub(super) fn take_in_mail(&self) -> usize {
        let _inside = self.enter();
        let mut letters = VecDeque::new();
        self.here.home.inbox.take(&mut letters);
        let count = letters.len();
        for letter in letters {
            match letter {
                Mail::Wake(task) => {
                    task.unmark_in_inbox();
                    self.here.wake(&task);
                }
                Mail::Cancel(task) => self.here.cancel(&task),
                Mail::DropHandle(task) => drop_handle(&task),
                Mail::LookAgain => {}
                Mail::Run(run) => run(),
            }
        }
        count
    }

    /// However many knocked, each sleep was ended by one of them at most.
    pub(super) fn assert_one_ring_per_sleep(&self) {
        let (rings, sleeps) = (self.bell.rings.load(Ordering::Relaxed), self.sleeps.get());
        assert!(rings <= sleeps, "the bell rang {rings} times in {sleeps} sleeps");
    }
}

/// The end of the loop, as in `LocalLoop::shut_down`: cancels everybody, closes the inbox, and
/// treats what nobody read. Whoever knocks from now on gets the letter back.
impl Drop for ModelHome {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let tasks: Vec<_> = self.here.tasks.borrow().iter().map(|(_, task)| task.clone()).collect();
        for task in tasks {
            self.here.cancel(&task);
        }
        self.run();
        let _inside = self.enter();
        for letter in self.here.home.inbox.close() {
            match letter {
                Mail::DropHandle(task) => drop_handle(&task),
                unread => drop(unread),
            }
        }
    }
}

/// A future that is never done by itself.
pub(super) fn never() -> impl Future<Output = ()> {
    poll_fn(|_| Poll::Pending)
}
