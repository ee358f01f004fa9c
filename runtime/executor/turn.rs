//! One turn of the loop: the whole of it on one screen, in [`LocalLoop::turn`].
//!
//! 1. run one generation of the run queue;
//! 2. fire the timers that are due;
//! 3. wait for the world: not at all if anything is ready, else until the next deadline;
//! 4. take in what other threads have left in the inbox;
//! 5. if nothing is ready and nothing could ever make anything ready: the loop is stalled.
//!
//! A turn that has work left skips 2 to 5 unless enough was run since they were last done, since
//! a look at the world is a system call and a turn of one ready task takes nanoseconds. Whatever
//! runs, the world is looked at after [`LOOK_EVERY`] tasks and callbacks and one generation. It is
//! polls that count, not time: a clock read per poll would cost more than most polls.
//!
//! Read next: `spawn.rs`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use super::local_loop::{LocalLoop, Target};
use crate::clock::Moment;
use crate::observer::Event;
use crate::task::here::{QueuedTask, Ready};
use crate::task::run::{TurnEnd, run_task};

/// How many tasks and callbacks may run before the loop looks at timers and the world again.
const LOOK_EVERY: usize = 64;

/// What one turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// Step 1: how many tasks and callbacks ran.
    pub ran: usize,
    /// Step 2: how many timers were due.
    pub fired: usize,
    /// Step 3: how many events the operating system reported.
    pub events: usize,
    /// Step 4: how many messages other threads had left.
    pub messages: usize,
    /// Step 5: whether nothing can ever happen again.
    pub stalled: bool,
}

/// Takes the first one out, with no borrow left when it is used.
fn next<T>(queue: &RefCell<VecDeque<T>>) -> Option<T> {
    queue.borrow_mut().pop_front()
}

impl LocalLoop {
    /// One turn. `may_wait` is asked after step 1; if it says no, step 3 only looks.
    pub(crate) fn turn(&self, may_wait: impl FnOnce() -> bool) -> Turn {
        let mut turn = Turn {
            ran: self.run_generation(), // 1
            ..Turn::default()
        };
        if self.is_time_to_look(turn.ran) {
            turn.fired = self.fire_timers(); // 2
            turn.events = self.wait_for_world(may_wait()); // 3
            turn.messages = self.take_in_mail(); // 4
            turn.stalled = self.is_stalled(); // 5
        }
        turn
    }

    /// Step 1. What these make ready waits for the next turn, so nothing starves.
    pub(crate) fn run_generation(&self) -> usize {
        self.turns.set(self.turns.get() + 1);
        if self.generation.borrow().is_empty() {
            // The two queues change places each turn, so neither is allocated again.
            self.generation.swap(&self.here.ready);
            if let Some(rng) = &self.shuffle {
                rng.borrow_mut().shuffle(self.generation.borrow_mut().make_contiguous());
            }
        }
        let (turn, count) = (self.turns.get(), self.generation.borrow().len());
        self.announce(|| Event::TurnStarted { turn, ready: count });
        while let Some(ready) = next(&self.generation) {
            match ready {
                Ready::Task(task) => self.run_task(task),
                Ready::Callback(key) => self.run_callback(key),
            }
        }
        count
    }

    /// One task's part in step 1.
    fn run_task(&self, task: QueuedTask) {
        let (task, end) = run_task(&self.here, task, |task| {
            self.announce(|| Event::PollStarted { task: task.id, name: task.name() });
        });
        self.announce(|| match end {
            TurnEnd::Parked(reason, more) => Event::Parked { task, reason, more },
            TurnEnd::Requeued => Event::Yielded { task },
            TurnEnd::Finished(how) => Event::Finished { task, how },
        });
    }

    /// Makes the next turn do all of its steps.
    pub(crate) fn look_now(&self) {
        self.ran_since_look.set(LOOK_EVERY);
    }

    /// Whether this turn does steps 2 to 5.
    fn is_time_to_look(&self, ran: usize) -> bool {
        let since_look = self.ran_since_look.get() + ran;
        let look = since_look >= LOOK_EVERY || !self.has_ready();
        self.ran_since_look.set(if look { 0 } else { since_look });
        look
    }

    /// Step 2. All that are due are taken out first, so a timer that sets itself anew at once
    /// cannot hold the loop; a callback cancelled by an earlier one is gone when its turn comes.
    fn fire_timers(&self) -> usize {
        if self.timers.borrow().len() == 0 && self.due.borrow().is_empty() {
            return 0;
        }
        let now = self.clock().read();
        while let Some(timer) = self.timers.borrow_mut().pop_due(now) {
            self.due.borrow_mut().push_back(timer);
        }
        let count = self.due.borrow().len();
        while let Some((deadline, target)) = next(&self.due) {
            self.announce(|| Event::TimerFired { late: now.since(deadline) });
            match target {
                Target::Waker(waker) => waker.wake(&self.here),
                Target::Callback(key) => self.run_callback(key),
            }
        }
        count
    }

    /// Step 3.
    fn wait_for_world(&self, may_wait: bool) -> usize {
        let may_wait = may_wait && !self.has_ready() && self.letters.borrow().is_empty();
        let deadline = self.timers.borrow().next_deadline().filter(|&at| at != Moment::NEVER);
        if may_wait && self.clock().is_virtual() && !self.has_outside_jobs() {
            let events = self.wait(Some(Duration::ZERO));
            if events == 0 && !self.has_ready() && !self.has_mail() {
                match deadline {
                    Some(deadline) => self.clock().jump_to(deadline),
                    None if self.nothing_can_happen() => {}
                    None => return self.sleep(None),
                }
            }
            return events;
        }
        if !may_wait || (deadline.is_none() && self.nothing_can_happen()) {
            return self.wait(Some(Duration::ZERO));
        }
        // Virtual time stands still here: a job of another thread is what we wait for.
        let deadline = deadline.filter(|_| !self.clock().is_virtual());
        // Read afresh: the callbacks of step 2 may have taken their time.
        self.sleep(deadline.map(|deadline| deadline.since(self.clock().read())))
    }

    /// Waits for as long as it takes, or `timeout`, unless there is mail.
    fn sleep(&self, timeout: Option<Duration>) -> usize {
        if !self.home().inbox.park() {
            return self.wait(Some(Duration::ZERO));
        }
        let events = self.wait(timeout);
        self.home().inbox.unpark();
        self.clock().read();
        events
    }

    /// Asks the reactor, and sets going what it reports.
    fn wait(&self, timeout: Option<Duration>) -> usize {
        self.announce(|| Event::WaitStarted { timeout });
        // An observer may have made something ready just now.
        let timeout = if self.has_ready() { Some(Duration::ZERO) } else { timeout };
        let mut due = Vec::new();
        let waited = self.reactor.borrow_mut().wait(timeout, &mut due);
        let events = waited.unwrap_or_else(|error| {
            // Only a loop whose epoll descriptor was closed from outside gets here.
            panic!("the loop cannot wait for events any more: {error}")
        });
        self.announce(|| Event::WaitEnded { events });
        for target in due {
            self.trigger(target);
        }
        events
    }

    /// Step 4.
    fn take_in_mail(&self) -> usize {
        self.home().inbox.take(&mut self.letters.borrow_mut());
        let messages = self.letters.borrow().len();
        if messages > 0 {
            self.announce(|| Event::MailTaken { messages });
        }
        while let Some(letter) = next(&self.letters) {
            self.open_letter(letter);
        }
        messages
    }

    /// Whether another thread has left word that was not taken in.
    pub(crate) fn has_mail(&self) -> bool {
        !self.home().inbox.is_empty()
    }
}
