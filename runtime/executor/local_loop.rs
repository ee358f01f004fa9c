//! The loop: everything that one thread's callbacks and tasks share.
//!
//! This file holds the parts together and knows where a thread's loop is; what the loop *does* is
//! in `turn.rs`.
//!
//! Invariant: no `RefCell` here is borrowed while user code runs: futures, callbacks, wakers of
//! others, observers, destructors. Each may come back into the loop.
//!
//! Read next: `callbacks.rs`.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;
use std::panic::Location;
use std::rc::Rc;

use super::callback::{Callback, Watch};
use crate::atomic::{Arc, Ordering};
use crate::clock::{Clock, Moment};
use crate::observer::{Event, Observer};
use crate::reactor::Reactor;
use crate::rng::Rng;
use crate::table::{Key, Table};
use crate::task::header::{Home, LocalWaker, Mail};
use crate::task::here::{self, Here, Indivisible, Ready, Undropped};
use crate::task::join::drop_handle;
use crate::task::waker::guard;
use crate::timer_heap::TimerHeap;

/// In which order the ready tasks and callbacks of one turn run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// First come, first served.
    #[default]
    Fifo,
    /// Each turn's generation in an order that this seed decides: the same seed, the same run.
    Shuffled(u64),
}

/// How large the stack of a green thread is by default, in bytes; only what is used of it costs memory.
pub(crate) const GREEN_STACK_BYTES: usize = 256 * 1024;

/// What a timer or a ready descriptor sets going.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// A task, or another executor's.
    Waker(LocalWaker),
    /// A callback.
    Callback(Key),
}

/// One thread's loop.
pub(crate) struct LocalLoop {
    /// The tasks' view: run queue, task table, clock.
    pub(crate) here: Rc<Here>,
    /// What is due when.
    pub(crate) timers: RefCell<TimerHeap<Target>>,
    /// What waits for descriptors.
    pub(crate) reactor: RefCell<Reactor<Target>>,
    /// The callbacks that are registered.
    pub(crate) callbacks: RefCell<Table<Callback>>,
    /// The descriptors that callbacks watch.
    pub(crate) watches: RefCell<HashMap<RawFd, Watch>>,
    /// What shuffles the generations; `None` is first come, first served.
    pub(crate) shuffle: Option<RefCell<Rng>>,
    /// The coin of `select`. Not the one above: what a program asks of chance changes no order.
    coin: RefCell<Rng>,
    /// What is left of the generation that runs. Should a panic ever end a turn early, the next one
    /// goes on with it; the same holds for the next two.
    pub(crate) generation: RefCell<VecDeque<Ready>>,
    /// What is left of the timers that were due.
    pub(crate) due: RefCell<VecDeque<(Moment, Target)>>,
    /// What is left of the letters that were taken from the inbox.
    pub(crate) letters: RefCell<VecDeque<Mail>>,
    /// Who hears the events.
    observer: Option<Box<dyn Observer>>,
    /// How large the stacks of its green threads are, in bytes, unless they say otherwise.
    pub(crate) green_stack_bytes: usize,
    /// How many turns there were.
    pub(crate) turns: Cell<u64>,
    /// How many tasks and callbacks ran since the loop last looked at timers and the world.
    pub(crate) ran_since_look: Cell<usize>,
    /// How many of the reactor's waiters are there for child processes that nobody waits for: these alone
    /// do not keep the loop going.
    pub(crate) abandoned: Cell<usize>,
    /// Whether `stop` was called.
    pub(crate) stopping: Cell<bool>,
    /// Whether "cannot tell whether we are stalled" was logged already.
    pub(crate) said_uncertain: Cell<bool>,
}

impl LocalLoop {
    /// A loop for this thread.
    ///
    /// # Errors
    /// Those of [`Reactor::new`].
    pub(crate) fn new(
        clock: Clock,
        order: Order,
        observer: Option<Box<dyn Observer>>,
        green_stack_bytes: usize,
    ) -> io::Result<Rc<LocalLoop>> {
        let (reactor, notifier) = Reactor::new()?;
        let unregister = Box::new(reactor.unregister_from_anywhere()?);
        let notify = Box::new(move || {
            // Writing to an eventfd fails only when the loop that owns it is gone.
            if let Err(error) = notifier.wake() {
                log::error!("cannot wake the loop: {error}");
            }
        });
        Ok(Rc::new(LocalLoop {
            here: Rc::new(Here::new(Arc::new(Home::new(notify, unregister)), clock)),
            timers: RefCell::new(TimerHeap::new()),
            reactor: RefCell::new(reactor),
            callbacks: RefCell::new(Table::new()),
            watches: RefCell::new(HashMap::new()),
            shuffle: match order {
                Order::Fifo => None,
                Order::Shuffled(seed) => Some(RefCell::new(Rng::new(seed))),
            },
            coin: RefCell::new(Rng::new(match order {
                Order::Fifo => 0,
                Order::Shuffled(seed) => seed.rotate_left(32),
            })),
            generation: RefCell::new(VecDeque::new()),
            due: RefCell::new(VecDeque::new()),
            letters: RefCell::new(VecDeque::new()),
            observer,
            green_stack_bytes,
            turns: Cell::new(0),
            ran_since_look: Cell::new(0),
            abandoned: Cell::new(0),
            stopping: Cell::new(false),
            said_uncertain: Cell::new(false),
        }))
    }

    /// The loop as other threads know it.
    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.here.home
    }

    /// The loop's clock.
    pub(crate) fn clock(&self) -> &Clock {
        &self.here.clock
    }

    /// Whether a task or callback is ready.
    pub(crate) fn has_ready(&self) -> bool {
        !self.here.ready.borrow().is_empty() || !self.generation.borrow().is_empty()
    }

    /// Heads or tails, as the seed has it.
    pub(crate) fn toss(&self) -> bool {
        self.coin.borrow_mut().below(2) == 1
    }

    /// Tells the observer, if there is one; `event` is not even made if there is none.
    pub(crate) fn announce<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if let Some(observer) = &self.observer {
            let at = self.clock().cached().since_start();
            // Of those who hear events some come in pairs, and `guard` would keep a cancellation.
            let _indivisible = Indivisible::begin();
            guard("an observer", || observer.observe(at, &event()));
        }
    }

    /// Sets going what was waited for.
    pub(crate) fn trigger(&self, target: Target) {
        match target {
            Target::Waker(waker) => waker.wake(&self.here),
            Target::Callback(key) => self.here.ready.borrow_mut().push_back(Ready::Callback(key)),
        }
    }

    /// Does what other threads asked for.
    pub(crate) fn open_letter(&self, letter: Mail) {
        match letter {
            Mail::Wake(task) => {
                task.unmark_in_inbox();
                self.here.wake(&task);
            }
            Mail::Cancel(task) => self.here.cancel(&task),
            Mail::DropHandle(task) => guard("a handle dropped far from home", || drop_handle(&task)),
            // Reading it was all that was asked for.
            Mail::LookAgain => {}
            Mail::Run(run) => guard("a message from another thread", run),
        }
    }

    /// Whether another thread does a job for this loop, of which it will send word.
    pub(crate) fn has_outside_jobs(&self) -> bool {
        self.home().jobs.load(Ordering::Acquire) > 0
    }

    /// Whether another thread does a job for this loop or may hold a `Handle` of it.
    pub(crate) fn has_outside_help(&self) -> bool {
        self.has_outside_jobs() || self.home().handles.load(Ordering::Acquire) > 0
    }
}

impl fmt::Debug for LocalLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalLoop(turn {})", self.turns.get())
    }
}

thread_local! {
    /// The loop that this thread is inside of.
    static CURRENT: RefCell<Undropped<LocalLoop>> = const { RefCell::new(ManuallyDrop::new(None)) };

    /// Where the loop that runs on this thread was started.
    static RUNNING_FROM: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// Running a loop on this thread; dropping it ends that.
#[derive(Debug)]
pub(crate) struct Running(());

impl Running {
    /// Begins to run a loop from `location`.
    ///
    /// # Errors
    /// If one runs already; the error is where that was started.
    pub(crate) fn start(location: &'static Location<'static>) -> Result<Running, &'static Location<'static>> {
        match RUNNING_FROM.get() {
            Some(outer) => Err(outer),
            None => {
                RUNNING_FROM.set(Some(location));
                Ok(Running(()))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING_FROM.set(None);
    }
}

/// Being inside of a loop; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Entered {
    /// The loop that the thread was inside of before.
    outer: Option<Rc<LocalLoop>>,
    /// Who enters later leaves earlier.
    _indivisible: Indivisible,
}

impl LocalLoop {
    /// Goes inside: `spawn`, `sleep` and all the rest mean this loop until the guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        here::enter(Some(self.here.clone()));
        let outer = replace_current(Some(self.clone()));
        Entered { outer, _indivisible: Indivisible::begin() }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let outer = self.outer.take();
        here::enter(outer.as_ref().map(|outer| outer.here.clone()));
        drop(replace_current(outer));
    }
}

/// Makes `current` the loop that this thread is inside of; returns the one before.
fn replace_current(current: Option<Rc<LocalLoop>>) -> Option<Rc<LocalLoop>> {
    ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(current)))
}

/// The loop that this thread is inside of.
pub(crate) fn current() -> Option<Rc<LocalLoop>> {
    CURRENT.with_borrow(|current| Option::clone(current))
}

/// The loop that this thread is inside of, if it is the one of `home`.
pub(crate) fn current_if(home: &Arc<Home>) -> Option<Rc<LocalLoop>> {
    current().filter(|current| Arc::ptr_eq(current.home(), home))
}

/// There is no loop on this thread to do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLoop {
    /// What was asked, as the function's name.
    pub what: &'static str,
}

impl fmt::Display for NoLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: no loop on this thread; call it inside `Runtime::block_on`, `run` or `enter`, or \
             send it to the loop's thread with a `Handle`",
            self.what
        )
    }
}

impl std::error::Error for NoLoop {}

impl From<NoLoop> for io::Error {
    fn from(error: NoLoop) -> io::Error {
        io::Error::other(error)
    }
}

/// The loop that this thread is inside of, or why there is none.
pub(crate) fn try_current(what: &'static str) -> Result<Rc<LocalLoop>, NoLoop> {
    current().ok_or(NoLoop { what })
}

/// The loop that this thread is inside of.
///
/// # Panics
/// If there is none; the message names `what` and the caller's caller.
#[track_caller]
pub(crate) fn expect_current(what: &'static str) -> Rc<LocalLoop> {
    match try_current(what) {
        Ok(current) => current,
        Err(error) => panic!("{error}"),
    }
}
