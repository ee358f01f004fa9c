//! The end of a loop, in order: ask, wait, drop, close.
//!
//! 1. every task is cancelled: its future is dropped at its next turn;
//! 2. for a grace period the loop goes on turning, for what destructors spawned in order to
//!    clean up;
//! 3. the doors close: new tasks are cancelled before their first turn; what is left is dropped
//!    and reported;
//! 4. callbacks, timers and unread letters are dropped, still inside of the loop;
//! 5. the inbox is closed: whoever knocks from now on gets the letter back.
//!
//! Read next: `future.rs`.

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::local_loop::{LocalLoop, Target};
use super::stall::TaskInfo;
use crate::atomic::Ordering;
use crate::clock::Moment;
use crate::table::Key;
use crate::task::header::{Mail, TaskRef};
use crate::task::join::drop_handle;
use crate::task::waker::guard;

/// The callback of a timer that shall only end a wait.
const NOBODY: Key = Key { slot: u32::MAX, generation: u32::MAX };

/// How often what destructors spawn and register is dropped in its turn, before it is given up.
const ROUNDS: usize = 100;

/// How a loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How many tasks were asked to stop.
    pub cancelled: usize,
    /// Who had not stopped when the grace period was over, and was dropped.
    pub not_stopped: Vec<TaskInfo>,
    /// How many jobs for the loop other threads had not done. Those under way go on to their end; what they
    /// give is dropped.
    pub jobs_left: usize,
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tasks cancelled", self.cancelled)?;
        if !self.not_stopped.is_empty() {
            write!(f, ", {} did not stop in time:", self.not_stopped.len())?;
        }
        for task in &self.not_stopped {
            write!(f, "\n  {task}")?;
        }
        match self.jobs_left {
            0 => Ok(()),
            jobs => write!(f, "\n  {jobs} jobs of other threads were not done"),
        }
    }
}

/// Drops letters that nobody has read.
fn drop_letters(letters: VecDeque<Mail>) {
    for letter in letters {
        guard("a letter that nobody read", || match letter {
            // The flag that says whose the output is must not stay behind.
            Mail::DropHandle(task) => drop_handle(&task),
            unread => drop(unread),
        });
    }
}

impl LocalLoop {
    /// Ends the loop; only once.
    pub(crate) fn shut_down(self: &Rc<Self>, grace: Duration) -> ShutdownReport {
        let _entered = self.enter();
        let cancelled = self.cancel_all();
        self.let_tasks_stop(grace);
        self.home().closing.store(true, Ordering::Relaxed);
        let not_stopped = self.task_list();
        self.drop_all();
        // The letters' destructors may spawn in their turn. The inbox is closed only once those tasks have
        // ended as well: from then on a handle that is dropped elsewhere takes its task's output there.
        for _ in 0..ROUNDS {
            let mut letters = VecDeque::new();
            self.home().inbox.take(&mut letters);
            drop_letters(letters);
            self.drop_all();
            if self.home().inbox.close_if_empty() {
                break;
            }
        }
        drop_letters(self.home().inbox.close());
        self.drop_what_waits();
        // What was dropped above took its jobs along, if they had not begun.
        let jobs_left = self.home().jobs.load(Ordering::Acquire);
        ShutdownReport { cancelled, not_stopped, jobs_left }
    }

    /// Drops every task and callback, and what their destructors make, and so on.
    fn drop_all(&self) {
        for _ in 0..ROUNDS {
            self.cancel_all();
            // Step 1 alone: the world and other threads have nothing to say any more.
            self.run_generation();
            if self.here.tasks.borrow().len() == 0 && self.drop_what_waits() == 0 {
                break;
            }
        }
    }

    /// Asks every task to stop; says how many there are.
    fn cancel_all(&self) -> usize {
        let tasks: Vec<TaskRef> = self.here.tasks.borrow().iter().map(|(_, task)| task.clone()).collect();
        for task in &tasks {
            self.here.cancel(task);
        }
        tasks.len()
    }

    /// Step 2: turns until no task is left, or the grace period is over.
    fn let_tasks_stop(self: &Rc<Self>, grace: Duration) {
        // One turn is everybody's: it is what being asked means.
        self.turn(|| false);
        let end = self.clock().read().after(grace);
        let timer = self.timers.borrow_mut().insert(end, Target::Callback(NOBODY));
        while self.here.tasks.borrow().len() > 0
            && self.clock().read() < end
            && !self.turn(|| self.here.tasks.borrow().len() > 0).stalled
        {}
        self.timers.borrow_mut().remove(timer);
    }

    /// Step 4: drops callbacks, timers, watches and whoever waits for a descriptor; says how many there were.
    fn drop_what_waits(&self) -> usize {
        let callbacks: Vec<_> = {
            let mut table = self.callbacks.borrow_mut();
            table.keys().into_iter().filter_map(|key| table.remove(key)).collect()
        };
        // Popped one by one: a key must not be valid in a second life of the heap.
        let timers: Vec<_> = {
            let mut heap = self.timers.borrow_mut();
            std::iter::from_fn(|| heap.pop_due(Moment::NEVER)).collect()
        };
        for watch in std::mem::take(&mut *self.watches.borrow_mut()).into_values() {
            self.reactor.borrow_mut().deregister(watch.source);
        }
        let waiters = self.reactor.borrow_mut().take_waiters();
        let dropped = callbacks.len() + timers.len() + waiters.len();
        // One by one: two panics at once would end the process.
        for callback in callbacks {
            guard("dropping a callback", || drop(callback));
        }
        for target in timers.into_iter().map(|(_, target)| target).chain(waiters) {
            guard("dropping a waker", || drop(target));
        }
        dropped
    }
}
