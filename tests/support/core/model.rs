//! The executor as a few vectors: what it should do, written a second time and without pointers.
//!
//! A task here is a puppet: at each poll it takes the next [`Action`] of its plan. Both the real
//! puppets and these do the same, and both note what happens as [`Note`]s, to be compared.

use std::collections::VecDeque;

/// How many of its wakers a puppet leaves lying about.
pub const WAKERS_KEPT: usize = 3;

/// What a puppet does in one poll.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Comes back pending.
    Park,
    /// Wakes itself and comes back pending.
    Yield,
    /// Uses one of another's wakers, then parks.
    Wake(usize),
    /// Asks another to stop, then parks.
    Cancel(usize),
    /// Drops another's handle, then parks.
    DropHandle(usize),
    /// Spawns the next puppet, whose plan is empty, then parks.
    Spawn,
    /// Takes another's handle and awaits it, poll after poll; returns when it is over.
    Join(usize),
    /// Returns a value.
    Return,
    /// Panics.
    Panic,
}

/// How a puppet ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Value,
    Panicked,
    Cancelled,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Note {
    Polled(usize),
    FutureDropped(usize),
    ValueDropped(usize),
    /// Who awaited whom, and how that one ended; `None` is the world outside.
    Joined(Option<usize>, usize, End),
}

/// What lies in the inbox.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Letter {
    Wake(usize),
    Cancel(usize),
    DropHandle(usize),
    /// A waker was dropped that may have been the last one.
    LookAgain,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Parked,
    Queued,
    Running,
    Finished,
}

/// One task of the model.
#[derive(Debug)]
struct Task {
    phase: Phase,
    /// Woken while it ran.
    woken: bool,
    cancelled: bool,
    /// Whether a handle exists anywhere.
    has_handle: bool,
    /// Whether the world has the handle: not dropped, not taken by a puppet.
    handle_is_free: bool,
    /// How it ended, as long as the handle has not taken that.
    output: Option<End>,
    /// Who awaits it.
    joiner: Option<usize>,
    /// Whose handle it has.
    holds: Option<usize>,
    in_inbox: bool,
    /// How many wakers of it lie about.
    wakers: usize,
    plan: VecDeque<Action>,
    /// Whether its future's destructor panics.
    drop_panics: bool,
}

/// What a turn did, as far as puppets can tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelTurn {
    pub ran: usize,
    pub messages: usize,
    pub stalled: bool,
}

/// All tasks and the run queue.
#[derive(Debug, Default)]
pub struct Model {
    tasks: Vec<Task>,
    queue: VecDeque<usize>,
    mail: Vec<Letter>,
    /// What happened since somebody last looked.
    pub notes: Vec<Note>,
}

impl Model {
    pub fn count(&self) -> usize {
        self.tasks.len()
    }

    pub fn live(&self) -> usize {
        self.tasks.iter().filter(|task| task.phase != Phase::Finished).count()
    }

    pub fn is_finished(&self, id: usize) -> bool {
        self.tasks[id].phase == Phase::Finished
    }

    pub fn handle_is_free(&self, id: usize) -> bool {
        self.tasks[id].handle_is_free
    }

    pub fn has_waker(&self, id: usize) -> bool {
        self.tasks[id].wakers > 0
    }

    pub fn spawn(&mut self, drop_panics: bool) -> usize {
        self.queue.push_back(self.tasks.len());
        self.tasks.push(Task {
            phase: Phase::Queued,
            woken: false,
            cancelled: false,
            has_handle: true,
            handle_is_free: true,
            output: None,
            joiner: None,
            holds: None,
            in_inbox: false,
            wakers: 0,
            plan: VecDeque::new(),
            drop_panics,
        });
        self.tasks.len() - 1
    }

    pub fn plan(&mut self, id: usize, action: Action) {
        self.tasks[id].plan.push_back(action);
    }

    pub fn forget_waker(&mut self, id: usize) {
        self.tasks[id].wakers -= 1;
    }

    /// How many references there are: the table's, the handle's, wakers, and letters.
    pub fn references(&self, id: usize) -> usize {
        let task = &self.tasks[id];
        let has_handle = task.handle_is_free || self.tasks.iter().any(|other| other.holds == Some(id));
        let names = [Letter::Wake(id), Letter::Cancel(id), Letter::DropHandle(id)];
        let letters = self.mail.iter().filter(|letter| names.contains(letter)).count();
        usize::from(task.phase != Phase::Finished) + usize::from(has_handle) + task.wakers + letters
    }

    /// A waker is dropped outside of the loop when there are this many references.
    pub fn let_go(&mut self, references: usize) {
        if matches!(references, 2 | 3) {
            self.post(Letter::LookAgain);
        }
    }

    /// A wake or a cancel from inside of the loop.
    pub fn wake(&mut self, id: usize) {
        match self.tasks[id].phase {
            Phase::Parked => self.queue_up(id),
            Phase::Running => self.tasks[id].woken = true,
            Phase::Queued | Phase::Finished => {}
        }
    }

    pub fn cancel(&mut self, id: usize) {
        if self.tasks[id].phase != Phase::Finished {
            self.tasks[id].cancelled = true;
        }
        if self.tasks[id].phase == Phase::Parked {
            self.queue_up(id);
        }
    }

    fn queue_up(&mut self, id: usize) {
        self.tasks[id].phase = Phase::Queued;
        self.queue.push_back(id);
    }

    /// The same, and the drop of a handle, from outside of the loop: a letter.
    pub fn post(&mut self, letter: Letter) {
        match letter {
            Letter::Wake(id) if std::mem::replace(&mut self.tasks[id].in_inbox, true) => return,
            Letter::DropHandle(id) => self.tasks[id].handle_is_free = false,
            _ => {}
        }
        self.mail.push(letter);
    }

    /// The handle's end inside of the loop.
    pub fn drop_handle(&mut self, id: usize) {
        let task = &mut self.tasks[id];
        task.handle_is_free = false;
        task.has_handle = false;
        task.joiner = None;
        if task.output.take() == Some(End::Value) {
            self.notes.push(Note::ValueDropped(id));
        }
    }

    /// Polls the handle of `id` for `by`; whether it was ready. Then the handle is dropped.
    pub fn poll_handle(&mut self, by: Option<usize>, id: usize) -> bool {
        let Some(end) = self.tasks[id].output.take() else {
            self.tasks[id].joiner = by;
            return false;
        };
        self.notes.push(Note::Joined(by, id, end));
        if end == End::Value {
            self.notes.push(Note::ValueDropped(id));
        }
        self.drop_handle(id);
        true
    }

    /// One turn that does not wait.
    pub fn turn(&mut self) -> ModelTurn {
        let generation = std::mem::take(&mut self.queue);
        let ran = generation.len();
        for id in generation {
            self.run(id);
        }
        let messages = self.mail.len();
        for letter in std::mem::take(&mut self.mail) {
            self.open(letter);
        }
        let is_open = |task: &Task| task.phase != Phase::Finished && task.wakers > 0;
        let stalled = self.queue.is_empty() && !self.tasks.iter().any(is_open);
        ModelTurn { ran, messages, stalled }
    }

    fn open(&mut self, letter: Letter) {
        match letter {
            Letter::Wake(id) => {
                self.tasks[id].in_inbox = false;
                self.wake(id);
            }
            Letter::Cancel(id) => self.cancel(id),
            Letter::DropHandle(id) => self.drop_handle(id),
            Letter::LookAgain => {}
        }
    }

    fn run(&mut self, id: usize) {
        self.tasks[id].phase = Phase::Running;
        if self.tasks[id].cancelled {
            return self.end(id, End::Cancelled);
        }
        self.notes.push(Note::Polled(id));
        if self.tasks[id].wakers < WAKERS_KEPT {
            self.tasks[id].wakers += 1;
        }
        match self.act(id) {
            Some(end) => self.end(id, end),
            None if self.tasks[id].cancelled => self.end(id, End::Cancelled),
            None if std::mem::take(&mut self.tasks[id].woken) => self.queue_up(id),
            None => self.tasks[id].phase = Phase::Parked,
        }
    }

    /// The next step of the plan; the end, if it is one.
    fn act(&mut self, id: usize) -> Option<End> {
        if let Some(other) = self.tasks[id].holds {
            return self.keep_joining(id, other);
        }
        match self.tasks[id].plan.pop_front().unwrap_or(Action::Park) {
            Action::Park => {}
            Action::Yield => self.wake(id),
            Action::Wake(other) if self.has_waker(other) => self.wake(other),
            Action::Cancel(other) if self.handle_is_free(other) => self.cancel(other),
            Action::DropHandle(other) if self.handle_is_free(other) => self.drop_handle(other),
            Action::Wake(_) | Action::Cancel(_) | Action::DropHandle(_) => {}
            Action::Spawn => {
                self.spawn(false);
            }
            Action::Join(other) if self.handle_is_free(other) => {
                self.tasks[other].handle_is_free = false;
                self.tasks[id].holds = Some(other);
                return self.keep_joining(id, other);
            }
            Action::Join(_) => {}
            Action::Return => return Some(End::Value),
            Action::Panic => return Some(End::Panicked),
        }
        None
    }

    fn keep_joining(&mut self, id: usize, other: usize) -> Option<End> {
        let is_over = self.poll_handle(Some(id), other);
        if is_over {
            self.tasks[id].holds = None;
        }
        is_over.then_some(End::Value)
    }

    /// The future is dropped, and with it the handle that it has; then the task is over.
    fn end(&mut self, id: usize, how: End) {
        self.notes.push(Note::FutureDropped(id));
        if let Some(other) = self.tasks[id].holds.take() {
            self.drop_handle(other);
        }
        let mut end = how;
        if self.tasks[id].drop_panics {
            end = End::Panicked;
            if how == End::Value {
                self.notes.push(Note::ValueDropped(id));
            }
        }
        let task = &mut self.tasks[id];
        task.phase = Phase::Finished;
        if task.has_handle {
            task.output = Some(end);
        } else if end == End::Value {
            self.notes.push(Note::ValueDropped(id));
        }
        if let Some(joiner) = self.tasks[id].joiner.take() {
            self.wake(joiner);
        }
    }
}
