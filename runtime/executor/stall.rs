//! When everything waits: the exact answer to "can anything ever happen again?"
//!
//! The loop is stalled when nothing is ready, no timer is set, no descriptor has a waiter, no
//! other thread works for the loop or holds a `Handle`, and no task's `Waker` exists anywhere:
//! our own waiting places keep a task's *name*, so a counted waker is one that somebody else
//! holds, who may use it. Then, and only then, the tasks that are left wait for each other, or
//! for nothing at all, and the report says who waits for what.
//!
//! Limit: a `JoinHandle` that was moved to another thread could still cancel its task; keep a
//! `Handle` beside it there.
//!
//! Read next: `turn.rs`.

use std::fmt;
use std::iter::repeat;
use std::panic::Location;
use std::time::Duration;

use super::local_loop::LocalLoop;
use crate::clock::Moment;
use crate::holders::{Primitive, all_held, look_up};
use crate::id::{TaskId, WaitReason};
use crate::observer::Event;
use crate::task::header::TaskRef;

/// One task that is not finished: who it is, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskInfo {
    /// The runtime's name for it.
    pub id: TaskId,
    /// The name it was spawned with.
    pub name: Option<String>,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
    /// What it waits for; the first thing, if several.
    pub reason: WaitReason,
    /// How many things it waits for besides.
    pub more_reasons: usize,
    /// What it waits for, if that is a lock or a semaphore of [`sync`](crate::sync).
    pub awaited: Option<Primitive>,
    /// The tasks of this loop that hold it; the one that waits may be among them.
    pub held_by: Vec<TaskId>,
    /// What it holds itself.
    pub holds: Vec<Primitive>,
    /// For how long: the time since it was last polled.
    pub waited: Duration,
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        write!(f, ", spawned at {}, waits for {:?}: {}", self.location, self.waited, self.reason)?;
        if let Some(name) = self.awaited.as_ref().and_then(|awaited| awaited.name.as_ref()) {
            write!(f, " {name:?}")?;
        }
        match self.held_by.as_slice() {
            [only] if *only == self.id => write!(f, ", which it holds itself")?,
            holders => write_list(f, ", held by", holders)?,
        }
        if self.more_reasons > 0 {
            write!(f, " (and {} more)", self.more_reasons)?;
        }
        write_list(f, "; holds", &self.holds)
    }
}

/// Writes `; holds a and b and c`, or nothing at all.
fn write_list(f: &mut fmt::Formatter<'_>, lead: &str, items: &[impl fmt::Display]) -> fmt::Result {
    let leads = [lead].into_iter().chain(repeat(" and"));
    items.iter().zip(leads).try_for_each(|(item, lead)| write!(f, "{lead} {item}"))
}

/// Nothing can ever happen again: who waits, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stalled {
    /// All tasks of the loop, in the order of their slots.
    pub tasks: Vec<TaskInfo>,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the loop is stalled: nothing can ever happen again, and {} wait", self.tasks.len())?;
        for task in &self.tasks {
            write!(f, "\n  {task}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Stalled {}

impl LocalLoop {
    /// Step 5 of a turn.
    pub(crate) fn is_stalled(&self) -> bool {
        // The cheap questions first: this is asked each time the loop is about to sleep.
        let stalled = !self.has_ready()
            && self.timers.borrow().next_deadline().is_none_or(|at| at == Moment::NEVER)
            && self.nothing_can_happen();
        let tasks = self.here.tasks.borrow().len();
        if stalled && tasks > 0 {
            self.announce(|| Event::Stalled { tasks });
        }
        stalled
    }

    /// Whether neither the world nor another thread can make anything ready.
    pub(crate) fn nothing_can_happen(&self) -> bool {
        if self.reactor.borrow().armed() > self.abandoned.get() || self.has_outside_help() {
            return false;
        }
        let held_elsewhere = {
            let tasks = self.here.tasks.borrow();
            tasks.iter().map(|(_, task)| task).find(|task| has_counted_waker(task)).cloned()
        };
        if let Some(task) = held_elsewhere {
            if !self.said_uncertain.replace(true) {
                log::debug!(
                    target: "greenroom",
                    "waiting for something outside of the loop: a waker of {} is held by code that \
                     the loop cannot see, so it cannot tell whether it is stalled",
                    *task
                );
            }
            return false;
        }
        // The inbox last: whoever dropped the last handle or waker left word before.
        !self.has_mail()
    }

    /// Every task that is not finished.
    pub(crate) fn task_list(&self) -> Vec<TaskInfo> {
        let now = self.clock().read();
        let home = self.home().id;
        let held = all_held(home);
        let info = |task: &TaskRef| {
            let (awaited, held_by) = task.reason.get().primitive().and_then(|id| look_up(id, home)).unzip();
            TaskInfo {
                id: task.id,
                name: task.name().map(str::to_string),
                location: task.location,
                reason: task.reason.get(),
                more_reasons: task.more_reasons(),
                awaited,
                held_by: held_by.unwrap_or_default(),
                holds: held.get(&task.id).cloned().unwrap_or_default(),
                waited: now.since(task.since.get()),
            }
        };
        self.here.tasks.borrow().iter().map(|(_, task)| info(task)).collect()
    }
}

/// Whether a `Waker` of this parked task exists. The table and the handle count one reference each; what
/// our own waiting places keep is a name, which counts none; the rest are wakers.
fn has_counted_waker(task: &TaskRef) -> bool {
    task.refs() > 1 + u32::from(task.state().has_handle())
}
