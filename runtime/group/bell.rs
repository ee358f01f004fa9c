//! News for everyone: tasks wait until something is so, and are told when it may be.
//!
//! Used by the rest of this folder, whose news are for all, so that a waiter who leaves has nothing
//! to hand on.
//!
//! Read next: `promise.rs`.

use std::task::{Context, Poll, ready};

use crate::future::give_way;
use crate::id::WaitReason;
use crate::task::here;
use crate::waiters::{Place, WaitList};

/// What those who wait listen to.
#[derive(Debug)]
pub(crate) struct Bell {
    /// Those who wait.
    listeners: WaitList,
}

impl Bell {
    /// Nobody listens.
    pub(crate) fn new() -> Bell {
        Bell { listeners: WaitList::new() }
    }

    /// Ready when it `is_so`, which is asked now and whenever the bell has rung.
    pub(crate) fn poll_until(
        &self,
        place: &mut Place,
        context: &Context<'_>,
        reason: WaitReason,
        is_so: impl Fn() -> bool,
    ) -> Poll<()> {
        while !is_so() {
            ready!(self.listeners.poll_grant(place, context, reason, ()));
        }
        if !here::spend_share() {
            // Some news are so for ever: whoever asks in a loop must not keep the loop to itself.
            give_way(context);
            return Poll::Pending;
        }
        self.leave(place);
        Poll::Ready(())
    }

    /// Listens no more.
    pub(crate) fn leave(&self, place: &mut Place) {
        // The news are for all: there is nobody to hand them on to.
        let _ = self.listeners.leave(place);
    }

    /// Tells everyone who listens.
    pub(crate) fn ring(&self) {
        self.listeners.grant_all(());
    }
}
