//! The life of a task as pure functions: a state and an event give the next state and what the
//! caller must do now. Nothing here touches memory, queues or other threads.
//!
//! ```text
//!              (1) spawned
//!                   ▼        (2) start
//!        ┌──────► Queued ──────────────────► Running ─┐
//!        │          ▲ ▲                       │ │  ▲  │ (4) woken: once more, later
//!   (3) wake        │ └─(5) pending, woken ───┘ │  └──┘
//!        │          │                           │
//!      Parked ◄─────┼────(6) pending ───────────┤
//!        └─(7) cancel                           ▼ (8) finish: returned, panicked or cancelled
//!                                            Finished
//! ```
//!
//! Four flags. *Woken*: a wake came while it ran; whoever ends the run owes it another turn. *Cancel*:
//! somebody asked; the next start drops the future. *Handle*: a `JoinHandle` exists, which owes the
//! output its end. *Output*: it is there and nobody has taken it.
//!
//! Read next: `header.rs`.

/// Where a task is in its life, and what is asked of it: one byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskState(pub(crate) u8);

const PHASE: u8 = 0b11;
const PARKED: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const FINISHED: u8 = 3;
const WOKEN: u8 = 1 << 2;
const CANCEL: u8 = 1 << 3;
const HANDLE: u8 = 1 << 4;
const OUTPUT: u8 = 1 << 5;

/// What to do with a task that was taken from the run queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Poll its future.
    Poll,
    /// Drop its future: it was cancelled.
    Drop,
}

/// What to do with a task whose poll came back pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Nothing: it waits.
    Park,
    /// Put it into the run queue: it was woken meanwhile.
    Requeue,
    /// Drop its future: it was cancelled meanwhile.
    Drop,
}

impl TaskState {
    /// (1) A new task, queued, with a handle.
    pub(crate) const SPAWNED: TaskState = TaskState(QUEUED | HANDLE);

    const fn phase(self) -> u8 {
        self.0 & PHASE
    }

    const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    /// The same flags in another phase.
    const fn in_phase(self, phase: u8) -> TaskState {
        TaskState((self.0 & !PHASE) | phase)
    }

    /// (2) Taken from the run queue. Only a queued task is.
    pub(crate) const fn start(self) -> (TaskState, Start) {
        assert!(self.phase() == QUEUED, "started a task that was not queued");
        let action = if self.has(CANCEL) { Start::Drop } else { Start::Poll };
        (self.in_phase(RUNNING), action)
    }

    /// (3) or (4): a waker was used. True: push it to the run queue.
    pub(crate) const fn wake(self) -> (TaskState, bool) {
        match self.phase() {
            PARKED => (self.in_phase(QUEUED), true),
            RUNNING => (TaskState(self.0 | WOKEN), false),
            _ => (self, false),
        }
    }

    /// (5) or (6): the poll came back pending. Only a running task's does.
    pub(crate) const fn pending(self) -> (TaskState, Pending) {
        assert!(self.phase() == RUNNING, "a task that did not run came back");
        if self.has(CANCEL) {
            (self, Pending::Drop)
        } else if self.has(WOKEN) {
            (TaskState(self.0 & !WOKEN).in_phase(QUEUED), Pending::Requeue)
        } else {
            (self.in_phase(PARKED), Pending::Park)
        }
    }

    /// (7) Somebody asks the task to stop. True: push it to the run queue.
    pub(crate) const fn cancel(self) -> (TaskState, bool) {
        match self.phase() {
            FINISHED => (self, false),
            PARKED => (TaskState(self.0 | CANCEL).in_phase(QUEUED), true),
            _ => (TaskState(self.0 | CANCEL), false),
        }
    }

    /// (8) The future is gone. True: keep the output for the handle; false: drop it, nobody wants it.
    pub(crate) const fn finish(self) -> (TaskState, bool) {
        assert!(self.phase() == RUNNING, "a task that did not run has finished");
        let keep = self.has(HANDLE);
        let flags = if keep { HANDLE | OUTPUT } else { 0 };
        (TaskState(flags | FINISHED), keep)
    }

    /// The handle asks for the output. True: it is there, and is the handle's from now on.
    pub(crate) const fn take_output(self) -> (TaskState, bool) {
        (TaskState(self.0 & !OUTPUT), self.has(OUTPUT))
    }

    /// The handle is gone: the task is detached. True: drop the output, nobody will take it.
    pub(crate) const fn drop_handle(self) -> (TaskState, bool) {
        (TaskState(self.0 & !(HANDLE | OUTPUT)), self.has(OUTPUT))
    }

    /// Whether the future is gone.
    pub(crate) const fn is_finished(self) -> bool {
        self.phase() == FINISHED
    }

    /// Whether a handle exists.
    pub(crate) const fn has_handle(self) -> bool {
        self.has(HANDLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::panic::catch_unwind;

    const EVENTS: [&str; 7] = ["start", "wake", "pending", "cancel", "finish", "take", "drop handle"];

    /// Applies an event; `None` if the state refuses it.
    fn apply(state: TaskState, event: &'static str) -> Option<(TaskState, String)> {
        let apply = move || match event {
            "start" => (state.start().0, format!("{:?}", state.start().1)),
            "wake" => (state.wake().0, state.wake().1.to_string()),
            "pending" => (state.pending().0, format!("{:?}", state.pending().1)),
            "cancel" => (state.cancel().0, state.cancel().1.to_string()),
            "finish" => (state.finish().0, state.finish().1.to_string()),
            "take" => (state.take_output().0, state.take_output().1.to_string()),
            _ => (state.drop_handle().0, state.drop_handle().1.to_string()),
        };
        catch_unwind(apply).ok()
    }

    /// The states that a task can ever be in.
    fn reachable() -> BTreeSet<u8> {
        let mut found = BTreeSet::from([TaskState::SPAWNED.0]);
        let mut fresh = vec![TaskState::SPAWNED];
        while let Some(state) = fresh.pop() {
            for event in EVENTS {
                // The executor never starts or ends a run that the phase does not allow.
                if let Some((next, _)) = apply(state, event)
                    && found.insert(next.0)
                {
                    fresh.push(next);
                }
            }
        }
        found
    }

    /// What must happen, written a second time from the prose: (phase, flags) to the same and the action.
    fn expected(state: TaskState, event: &str) -> Option<(TaskState, String)> {
        let (phase, flags) = (state.0 & PHASE, state.0 & !PHASE);
        let (woken, cancel) = (flags & WOKEN != 0, flags & CANCEL != 0);
        let (handle, output) = (flags & HANDLE != 0, flags & OUTPUT != 0);
        let to = |phase, flags, action: &str| Some((TaskState(phase | flags), action.to_string()));
        match (event, phase) {
            ("start", QUEUED) if cancel => to(RUNNING, flags, "Drop"),
            ("start", QUEUED) => to(RUNNING, flags, "Poll"),
            ("start", _) => None,
            ("wake", PARKED) => to(QUEUED, flags, "true"),
            ("wake", RUNNING) => to(RUNNING, flags | WOKEN, "false"),
            ("wake", _) => to(phase, flags, "false"),
            ("pending", RUNNING) if cancel => to(RUNNING, flags, "Drop"),
            ("pending", RUNNING) if woken => to(QUEUED, flags & !WOKEN, "Requeue"),
            ("pending", RUNNING) => to(PARKED, flags, "Park"),
            ("pending", _) => None,
            ("cancel", PARKED) => to(QUEUED, flags | CANCEL, "true"),
            ("cancel", FINISHED) => to(FINISHED, flags, "false"),
            ("cancel", _) => to(phase, flags | CANCEL, "false"),
            ("finish", RUNNING) if handle => to(FINISHED, HANDLE | OUTPUT, "true"),
            ("finish", RUNNING) => to(FINISHED, 0, "false"),
            ("finish", _) => None,
            ("take", _) => to(phase, flags & !OUTPUT, if output { "true" } else { "false" }),
            (_, _) => to(phase, flags & !(HANDLE | OUTPUT), if output { "true" } else { "false" }),
        }
    }

    #[test]
    fn every_state_times_every_event() {
        for bits in 0..64 {
            for event in EVENTS {
                let state = TaskState(bits);
                assert!(apply(state, event) == expected(state, event), "{bits:06b} {event}");
            }
        }
    }

    #[test]
    fn what_can_be_reached_is_lawful() {
        let found = reachable();
        for &bits in &found {
            let state = TaskState(bits);
            assert!(!state.has(WOKEN) || state.phase() == RUNNING, "{bits:06b}: woken but not running");
            assert!(!state.has(CANCEL) || state.phase() != PARKED, "{bits:06b}: cancelled but parked");
            assert!(!state.has(OUTPUT) || state.is_finished(), "{bits:06b}: output too early");
            assert!(!state.has(OUTPUT) || state.has_handle(), "{bits:06b}: nobody owns the output");
        }
        assert_eq!(found.len(), 17, "{found:?}");
    }
}
