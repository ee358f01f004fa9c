//! Small futures that wait for nothing but a turn.
//!
//! Read next: `time/sleep.rs`.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::id::WaitReason;
use crate::task::here;

/// Lets every other ready task run once before this one goes on.
///
/// # Cancel safety
/// Dropping it loses nothing.
pub fn yield_now() -> YieldNow {
    YieldNow { gave_way: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    /// Whether the others had their turn.
    gave_way: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.gave_way {
            return Poll::Ready(());
        }
        self.gave_way = true;
        give_way(context);
        Poll::Pending
    }
}

/// Asks for another turn for the running task, after the others.
pub(crate) fn give_way(context: &Context<'_>) {
    here::waits_for(WaitReason::Turn);
    context.waker().wake_by_ref();
}
