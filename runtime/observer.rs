//! What the loop tells about itself, and the one hook to hear it.
//!
//! The loop announces each step as an [`Event`]; whoever was given to
//! [`Builder::observer`](crate::Builder::observer) hears it. Without an observer an event costs
//! one branch. The tracer behind `RUST_LOG=greenroom=trace` is an ordinary client, as are the
//! slow-poll warning and the recorder that tests use.
//!
//! An observer runs between the loop's steps and holds nothing of the loop's; its panics are
//! logged and change nothing.
//!
//! Read next: `timer_heap.rs`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::id::{TaskId, WaitReason};

/// One thing that happened in the loop.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A turn begins.
    TurnStarted {
        /// The turn's number, from 1.
        turn: u64,
        /// How many tasks and callbacks are ready: this turn's generation.
        ready: usize,
    },
    /// A task was made.
    Spawned {
        /// The new task.
        task: TaskId,
        /// Its name, if it was given one.
        name: Option<&'a str>,
        /// Where `spawn` was called.
        location: &'static Location<'static>,
    },
    /// Step 1: a task is about to run.
    PollStarted {
        /// The task.
        task: TaskId,
        /// Its name, if it was given one.
        name: Option<&'a str>,
    },
    /// Step 1: the task has come back and waits.
    Parked {
        /// The task.
        task: TaskId,
        /// The first thing it waits for.
        reason: WaitReason,
        /// How many things it waits for besides.
        more: usize,
    },
    /// Step 1: the task has come back and wants to run again.
    Yielded {
        /// The task.
        task: TaskId,
    },
    /// The task is over: its value is there, or it panicked, or it was cancelled.
    Finished {
        /// The task.
        task: TaskId,
        /// How it ended.
        how: Ending,
    },
    /// Steps 1 and 2: a callback is about to run.
    CallbackStarted {
        /// Where it was registered.
        location: &'static Location<'static>,
    },
    /// Step 2: a timer was due.
    TimerFired {
        /// By how much its time had passed.
        late: Duration,
    },
    /// Step 3: the loop is about to wait for the world.
    WaitStarted {
        /// For how long at most; `None` is for ever.
        timeout: Option<Duration>,
    },
    /// Step 3: the wait is over.
    WaitEnded {
        /// How many events the operating system reported.
        events: usize,
    },
    /// Step 4: messages from other threads were taken in.
    MailTaken {
        /// How many.
        messages: usize,
    },
    /// Step 5: nothing can ever happen again.
    Stalled {
        /// How many tasks wait for each other.
        tasks: usize,
    },
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a value.
    Returned,
    /// By a panic.
    Panicked,
    /// Because somebody asked for it, or because the loop ended.
    Cancelled,
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |name: &Option<&str>| name.map(|n| format!(" {n:?}")).unwrap_or_default();
        match self {
            Event::TurnStarted { turn, ready } => write!(f, "turn {turn}: {ready} ready"),
            Event::Spawned { task, name, location } => {
                write!(f, "  spawned {task}{} at {location}", named(name))
            }
            Event::PollStarted { task, name } => write!(f, "  1 runs {task}{}", named(name)),
            Event::Parked { task, reason, more: 0 } => write!(f, "  1 {task} waits: {reason}"),
            Event::Parked { task, reason, more } => {
                write!(f, "  1 {task} waits: {reason} (and {more} more)")
            }
            Event::Yielded { task } => write!(f, "  1 {task} wants another turn"),
            Event::Finished { task, how } => write!(f, "  1 {task} is over: {how:?}"),
            Event::CallbackStarted { location } => write!(f, "    calls back {location}"),
            Event::TimerFired { late } => write!(f, "  2 timer due, {late:?} late"),
            Event::WaitStarted { timeout: None } => write!(f, "  3 waits until something happens"),
            Event::WaitStarted { timeout: Some(Duration::ZERO) } => write!(f, "  3 looks what has happened"),
            Event::WaitStarted { timeout: Some(timeout) } => write!(f, "  3 waits {timeout:?} at most"),
            Event::WaitEnded { events } => write!(f, "  3 {events} events"),
            Event::MailTaken { messages } => {
                write!(f, "  4 {messages} messages from other threads")
            }
            Event::Stalled { tasks } => write!(f, "  5 stalled: {tasks} tasks wait for ever"),
        }
    }
}

/// Hears every event of one loop.
pub trait Observer {
    /// `at` is the loop's time since its start, as last read.
    fn observe(&self, at: Duration, event: &Event<'_>);
}

/// Writes every event to the log, level trace, target `greenroom`.
#[derive(Debug, Default)]
pub struct Tracer;

impl Observer for Tracer {
    fn observe(&self, at: Duration, event: &Event<'_>) {
        log::trace!(target: "greenroom", "{:>12.6} {event}", at.as_secs_f64());
    }
}

/// Warns, in the log, of each poll that kept the loop longer than it should.
#[derive(Debug)]
pub struct SlowPolls {
    /// How long a poll may take.
    threshold: Duration,
    /// When the poll that is under way began, and whose it is.
    started: Cell<Option<(Instant, TaskId)>>,
}

impl SlowPolls {
    /// Warns of polls that take longer than `threshold`, in real time.
    pub fn new(threshold: Duration) -> SlowPolls {
        SlowPolls { threshold, started: Cell::new(None) }
    }
}

impl Observer for SlowPolls {
    fn observe(&self, _at: Duration, event: &Event<'_>) {
        match event {
            Event::PollStarted { task, .. } => self.started.set(Some((Instant::now(), *task))),
            Event::Parked { .. } | Event::Yielded { .. } | Event::Finished { .. } => {
                if let Some((started, task)) = self.started.take()
                    && started.elapsed() > self.threshold
                {
                    log::warn!("{task} kept the loop for {:?} in one poll", started.elapsed());
                }
            }
            _ => {}
        }
    }
}

/// Keeps every event as a line of text, for tests that compare exact lists.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// The lines so far, shared by all clones.
    lines: Rc<RefCell<Vec<String>>>,
}

impl Recorder {
    /// A recorder without lines; a clone of it sees the same lines.
    pub fn new() -> Recorder {
        Recorder::default()
    }

    /// Takes the lines recorded so far.
    pub fn take(&self) -> Vec<String> {
        self.lines.take()
    }
}

impl Observer for Recorder {
    fn observe(&self, _at: Duration, event: &Event<'_>) {
        self.lines.borrow_mut().push(event.to_string());
    }
}
