//! Connecting to the first of several addresses that answers: "happy eyeballs", RFC 8305.
//!
//! ```text
//!   attempt 1 ────250 ms────┐ no answer yet
//!   attempt 2               └─────── refused ┐ so the next begins at once
//!   attempt 3                                └──── connected: it wins, attempt 1 is dropped
//! ```
//!
//! Of the RFC's look-up in two halves (section 3) there is nothing: getaddrinfo(3) answers for both
//! families at once.
//!
//! Read next: `stream_socket.rs`.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::attempts::{Failures, families_in_turn};
use crate::time::{Sleep, sleep};

/// How long an attempt may stay without an answer before the next one joins it (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// One attempt to connect.
pub(crate) type Attempt<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Attempts that race each other: the first to succeed wins, the others are dropped with the race.
#[must_use = "futures do nothing unless awaited"]
pub(crate) struct Race<T> {
    /// Begins an attempt.
    begin: fn(SocketAddr) -> Attempt<T>,
    /// What was not tried yet.
    left: VecDeque<SocketAddr>,
    /// The attempts under way.
    running: Vec<(SocketAddr, Attempt<T>)>,
    /// The time until the next one joins them.
    delay: Option<Sleep>,
    /// What has failed so far.
    failures: Failures,
}

impl<T> Race<T> {
    /// A race to `addresses`, which come in the order of preference.
    pub(crate) fn new(addresses: &[SocketAddr], begin: fn(SocketAddr) -> Attempt<T>) -> Race<T> {
        Race {
            begin,
            left: families_in_turn(addresses).into(),
            running: Vec::new(),
            delay: None,
            failures: Failures::new("connect to"),
        }
    }

    /// Ends the race for want of time: what has failed, who has not answered, who was not tried.
    pub(crate) fn out_of_time(mut self, limit: Duration) -> io::Error {
        let late = |what: &str| io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {limit:?}"));
        for (address, _) in self.running.drain(..) {
            self.failures.add(address, late("no answer"));
        }
        for address in self.left.drain(..) {
            self.failures.add(address, late("not tried"));
        }
        self.failures.error()
    }

    /// Polls each attempt under way. Ready with the winner, or with whether one has failed.
    fn poll_running(&mut self, context: &mut Context<'_>) -> Result<T, bool> {
        let mut has_failed = false;
        let mut at = 0;
        while let Some((address, attempt)) = self.running.get_mut(at) {
            match attempt.as_mut().poll(context) {
                Poll::Pending => at += 1,
                Poll::Ready(Ok(winner)) => return Ok(winner),
                Poll::Ready(Err(error)) => {
                    self.failures.add(*address, error);
                    drop(self.running.remove(at));
                    has_failed = true;
                }
            }
        }
        Err(has_failed)
    }

    /// Whether those under way have had the time that an attempt has for itself.
    fn delay_is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.left.is_empty() {
            return false;
        }
        let delay = self.delay.get_or_insert_with(|| sleep(ATTEMPT_DELAY));
        Pin::new(delay).poll(context).is_ready()
    }
}

impl<T> Future for Race<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            let has_failed = match self.poll_running(context) {
                Ok(winner) => return Poll::Ready(Ok(winner)),
                Err(has_failed) => has_failed,
            };
            if !(self.running.is_empty() || has_failed || self.delay_is_over(context)) {
                return Poll::Pending;
            }
            match self.left.pop_front() {
                Some(address) => {
                    let attempt = (self.begin)(address);
                    self.running.push((address, attempt));
                    self.delay = None;
                }
                None if self.running.is_empty() => return Poll::Ready(Err(self.failures.error())),
                None => return Poll::Pending,
            }
        }
    }
}

impl<T> fmt::Debug for Race<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Race({} under way, {} to come)", self.running.len(), self.left.len())
    }
}
