//! Deliberate faults, so that the models can show that they would notice.
//!
//! Each model of `tests/loom/` runs twice: as the code is, and with one fault switched on, where
//! the model must fail. Outside of loom builds [`is_on`] is a constant `false`.

/// One way to break what crosses threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A sender leaves mail at a sleeping home and does not wake it.
    PostWithoutNotify,
    /// The home goes to sleep without looking whether mail has come.
    ParkWithoutLooking,
    /// A waker that finds the "in the inbox" mark set only looks at it: what it wrote before may
    /// stay unseen by the poll that it asked for.
    WakeWithoutRelease,
    /// The last reference frees the task without having seen what the others did before.
    FreeWithoutAcquire,
    /// The result of a remote task is announced before it is there.
    AnnounceBeforeResult,
}

/// Whether `fault` is switched on.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn is_on(_fault: Fault) -> bool {
    false
}

#[cfg(loom)]
pub(crate) use switched::{is_on, with};

#[cfg(loom)]
mod switched {
    use super::Fault;
    use std::sync::Mutex;

    /// The one fault that is on, outside of what loom sees.
    static ON: Mutex<Option<Fault>> = Mutex::new(None);

    /// Whether `fault` is switched on.
    pub(crate) fn is_on(fault: Fault) -> bool {
        *ON.lock().unwrap_or_else(|poison| poison.into_inner()) == Some(fault)
    }

    /// Runs `model` with `fault` on.
    pub(crate) fn with(fault: Fault, model: impl FnOnce()) {
        *ON.lock().unwrap_or_else(|poison| poison.into_inner()) = Some(fault);
        model();
        *ON.lock().unwrap_or_else(|poison| poison.into_inner()) = None;
    }
}
