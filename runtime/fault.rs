//! Deliberate faults, so that the models can show that they would notice.
//!
//! Each model of `tests/loom/` runs as the code is, and again with a fault switched on, where it
//! must fail. Outside of loom builds [`is_on`] is a constant `false`.
//!
//! Read next: `table.rs`.

pub(crate) use switch::*;

/// One way to break what crosses threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A sender leaves mail at a sleeping home and does not wake it.
    PostWithoutNotify,
    /// Everyone who leaves mail at a sleeping home wakes it, not only the first.
    NotifyEveryPost,
    /// The home goes to sleep without looking whether mail has come.
    ParkWithoutLooking,
    /// Mail is left at a loop that is gone, where nobody will ever read it.
    PostToClosedBox,
    /// A waker that finds the "in the inbox" mark set only looks at it: what it wrote before may
    /// stay unseen by the poll that it asked for.
    WakeWithoutRelease,
    /// The home clears that mark without having seen what those who set it did before.
    UnmarkWithoutAcquire,
    /// A task is called finished without making visible that its future is gone.
    FinishWithoutRelease,
    /// The last reference frees the task without having seen what the others did before.
    FreeWithoutAcquire,
    /// The result of a remote task is announced before it is there.
    AnnounceBeforeResult,
    /// A second result takes the place of the first.
    DeliverTwice,
    /// A job is not counted any more before its result is there.
    EndCountBeforeResult,
    /// A remote task that will never have a result goes without saying so.
    DropWithoutResult,
    /// The last handle or waker goes and does not tell the home, which may have waited for it alone.
    LeaveWithoutWord,
    /// A pool's thread that has idled long enough ends without looking whether a job has come.
    LeaveWithoutLooking,
    /// Whoever brings a job counts on a thread that is idle, though that has a job coming already.
    CountOnBusyThread,
    /// A pool that closes does not tell its idle threads.
    CloseWithoutNotify,
    /// A message is put into a channel whose receiver waits, and does not wake it.
    SendWithoutWake,
    /// A message is put into a channel that is closed, where nobody will ever take it out.
    SendToClosed,
    /// The receiver of a channel leaves its waker without looking whether a message has come.
    WaitWithoutLooking,
    /// A channel is closed, and only the first of those who wait is told.
    CloseForTheFirst,
    /// The last sender goes and does not tell the receiver, which waits for it alone.
    LastSenderSilent,
    /// A sender that was granted room leaves without handing it on.
    KeepGrantedRoom,
    /// A plain thread goes to sleep without looking whether it was woken already.
    SleepWithoutLooking,
}

#[cfg(not(loom))]
mod switch {
    /// Whether `fault` is switched on.
    #[inline(always)]
    pub(crate) const fn is_on(_fault: super::Fault) -> bool {
        false
    }
}

#[cfg(loom)]
mod switch {
    use super::Fault;
    use std::cell::Cell;

    thread_local! {
        /// The fault that is on in the models of this thread: loom's threads all run on the one
        /// that explores them, so that tests do not disturb each other.
        static ON: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Whether `fault` is switched on.
    pub(crate) fn is_on(fault: Fault) -> bool {
        ON.get() == Some(fault)
    }

    /// Runs `model`, which must not panic, with `fault` on.
    #[allow(dead_code, reason = "called by the models alone, which are tests")]
    pub(crate) fn with<R>(fault: Fault, model: impl FnOnce() -> R) -> R {
        ON.set(Some(fault));
        let result = model();
        ON.set(None);
        result
    }
}
