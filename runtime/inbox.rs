//! The loop's letter box: the only door through which other threads reach it.
//!
//! ```text
//!   another thread                       home
//!     post(mail) ──► lock; push;           park(): lock; mail? then do not sleep
//!                    was parked? ─► notify         else parked = true; unlock; sleep
//!                    parked = false        take(): the mail, in the order it came
//! ```
//!
//! Invariant (checked under loom, `tests/loom/`): mail that was posted is taken, or the home is
//! not asleep, or somebody who saw `parked` is about to notify. However many post while the home
//! sleeps, one notifies; while it is awake, none does.
//!
//! The lock is held for a push or a swap, never while user code runs. When the loop is gone the
//! box is closed and gives every letter back to its sender.
//!
//! Read next: `task/state.rs`.

use std::collections::VecDeque;

use crate::atomic::{AtomicBool, Mutex, MutexGuard, Ordering};
use crate::fault::{self, Fault};

/// Mail for one loop.
#[derive(Debug)]
pub(crate) struct Inbox<M> {
    /// Whether there may be mail: spares the home the lock on each turn.
    has_mail: AtomicBool,
    /// The box itself.
    box_: Mutex<LetterBox<M>>,
}

/// What the lock guards.
#[derive(Debug)]
struct LetterBox<M> {
    /// The letters that nobody has taken yet.
    letters: VecDeque<M>,
    /// Whether the home sleeps, or is about to, and nobody has promised to notify it.
    parked: bool,
    /// Whether the loop is gone.
    closed: bool,
}

/// What became of a letter.
#[derive(Debug)]
pub(crate) enum Posted<M> {
    /// It will be read; the home is awake or somebody else wakes it.
    Delivered,
    /// It will be read once the sender has woken the home, which it must do now.
    WakeHome,
    /// The loop is gone; here is the letter back.
    Closed(M),
}

impl<M> Inbox<M> {
    /// An open, empty box.
    pub(crate) fn new() -> Inbox<M> {
        Inbox {
            has_mail: AtomicBool::new(false),
            box_: Mutex::new(LetterBox { letters: VecDeque::new(), parked: false, closed: false }),
        }
    }

    /// From any thread: leaves a letter.
    pub(crate) fn post(&self, letter: M) -> Posted<M> {
        let mut inside = self.lock();
        if inside.closed && !fault::is_on(Fault::PostToClosedBox) {
            drop(inside);
            return Posted::Closed(letter);
        }
        inside.letters.push_back(letter);
        self.has_mail.store(true, Ordering::Release);
        if !inside.parked || fault::is_on(Fault::PostWithoutNotify) {
            return Posted::Delivered;
        }
        inside.parked = fault::is_on(Fault::NotifyEveryPost);
        Posted::WakeHome
    }

    /// At home: moves all letters to the end of `taken`.
    pub(crate) fn take(&self, taken: &mut VecDeque<M>) {
        // A letter missed here is seen by `park`, under the lock.
        if self.has_mail.load(Ordering::Relaxed) {
            let mut inside = self.lock();
            self.has_mail.store(false, Ordering::Relaxed);
            taken.append(&mut inside.letters);
        }
    }

    /// At home, before it sleeps: true if it may; false if there is mail to take first.
    pub(crate) fn park(&self) -> bool {
        let mut inside = self.lock();
        let may_sleep = inside.letters.is_empty() || fault::is_on(Fault::ParkWithoutLooking);
        inside.parked = may_sleep;
        may_sleep
    }

    /// At home: whether nobody has left a letter.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().letters.is_empty()
    }

    /// At home, after it slept.
    pub(crate) fn unpark(&self) {
        self.lock().parked = false;
    }

    /// At home, when the loop ends: no more mail; the unread letters are the caller's.
    pub(crate) fn close(&self) -> VecDeque<M> {
        let mut inside = self.lock();
        inside.closed = true;
        std::mem::take(&mut inside.letters)
    }

    /// The same if there are none, else nothing; says whether it is closed.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut inside = self.lock();
        inside.closed |= inside.letters.is_empty();
        inside.closed
    }

    /// Whether the loop is gone. Once true, all that the loop did happened before.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// The lock, which no user code can poison: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, LetterBox<M>> {
        self.box_.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}
