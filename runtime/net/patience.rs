//! Trying again where epoll does not tell when: at once, then after 1 ms, doubling to 100 ms.
//!
//! Used by what a full Unix socket of somebody else turns away: connecting to it, and sending it
//! datagrams.
//!
//! Read next: `unix_address.rs`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::time::{Sleep, sleep};

/// How long the first pause is that is one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How long a pause gets at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How long to wait before the next attempt.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// The pause that is under way.
    pause: Option<Sleep>,
    /// How long the next one will be.
    length: Duration,
}

impl Patience {
    /// Begins a pause, twice as long as the one before; the first is none.
    pub(crate) fn begin_pause(&mut self) {
        self.pause = Some(sleep(self.length));
        self.length = (self.length * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    }

    /// Whether a pause is under way.
    pub(crate) fn is_pausing(&self) -> bool {
        self.pause.is_some()
    }

    /// Ready when no pause is under way.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(Pin::new(pause).poll(context));
            self.pause = None;
        }
        Poll::Ready(())
    }
}
