//! Events by time, then priority, then order, like Python's `sched` module, on top of `call_at`.
//!
//! ```text
//!   enter, enterabs ──► a sorted map: (time, priority, order) ──► action
//!   run ──► one timer, for the first of them ──► it is due: take it out, set the timer anew, act
//! ```
//!
//! Two timers of equal deadline run in the order they were made, which leaves no room for a priority: so there
//! is one timer, and the map decides. Each event is a callback of its own, so sockets get their turn between two.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenroom::{CallHandle, call_at, now};

/// What runs when an event's time has come.
type Action = Box<dyn FnOnce()>;

/// A planned event: when, how urgent, and which of several that agree in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// When it is due.
    pub time: Instant,
    /// Smaller is more urgent.
    pub priority: i64,
    /// How many were planned before it.
    order: u64,
}

/// Runs events in their order. Clones share the plan.
#[derive(Clone, Default)]
pub struct Scheduler(Rc<Plan>);

/// What the clones share.
#[derive(Default)]
struct Plan {
    /// The events that have not run.
    queue: RefCell<BTreeMap<Event, Action>>,
    /// How many there were.
    planned: Cell<u64>,
    /// Whether events run as their time comes.
    running: Cell<bool>,
    /// The timer for the first event.
    timer: RefCell<Option<CallHandle>>,
}

impl Scheduler {
    /// Plans `action` for `time`; one that has passed is as soon as possible.
    pub fn enterabs(&self, time: Instant, priority: i64, action: impl FnOnce() + 'static) -> Event {
        let order = self.0.planned.replace(self.0.planned.get() + 1);
        let event = Event { time, priority, order };
        self.0.queue.borrow_mut().insert(event, Box::new(action));
        self.set_timer();
        event
    }

    /// Plans `action` for `delay` from now.
    pub fn enter(&self, delay: Duration, priority: i64, action: impl FnOnce() + 'static) -> Event {
        self.enterabs(now() + delay, priority, action)
    }

    /// Takes an event out; whether it was still planned.
    pub fn cancel(&self, event: Event) -> bool {
        let action = self.0.queue.borrow_mut().remove(&event);
        self.set_timer();
        action.is_some()
    }

    /// The events that are planned, in the order in which they will run.
    pub fn queue(&self) -> Vec<Event> {
        self.0.queue.borrow().keys().copied().collect()
    }

    /// Lets the events run, each when its time comes, for as long as the loop runs.
    pub fn run(&self) {
        self.0.running.set(true);
        self.set_timer();
    }

    /// Sets the timer for the event that is the first now.
    fn set_timer(&self) {
        if let Some(old) = self.0.timer.take() {
            old.cancel();
        }
        let first = self.0.queue.borrow().keys().next().copied();
        if let Some(first) = first.filter(|_| self.0.running.get()) {
            let scheduler = self.clone();
            let timer = call_at(first.time, move || scheduler.run_first());
            self.0.timer.replace(Some(timer));
        }
    }

    /// Runs the event whose time has come.
    fn run_first(&self) {
        // The timer was set anew with each change, so the first is the one that it was set for.
        let first = self.0.queue.borrow_mut().pop_first();
        // Before the action, which may plan, cancel, or panic.
        self.set_timer();
        if let Some((_, action)) = first {
            action();
        }
    }
}
