//! Accepting with patience: whose fault an error of accept(2) is, and what to do about it.
//!
//! Facts, then what they force on us:
//! * accept(2) hands on errors of the one connection that it was about to give (`ECONNABORTED`
//!   and the network errors it lists): go on with the next.
//! * Out of descriptors or memory, accept fails at once, over and over, even when nobody waits. So
//!   stop for a while: 5 ms, doubling up to a second; one line a second in the log.
//!
//! Read next: `server.rs`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::listener::Listener;
use crate::executor::spawn::now;
use crate::time::{Sleep, sleep};

/// How long the first pause is when accept runs out of something.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// How long a pause gets at most; also the time between two log lines about it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts, and knows which errors are whose.
#[derive(Debug)]
pub(crate) struct Acceptor<L> {
    /// Where the connections come in.
    listener: L,
    /// The pause after running out of something.
    pause: Pause,
}

/// When to try again, and when to say so.
#[derive(Debug, Default)]
struct Pause {
    /// The pause that is under way.
    sleep: Option<Sleep>,
    /// How long the next one is; zero after a success.
    length: Duration,
    /// When it was logged last.
    logged: Option<Instant>,
}

/// What an error of accept(2) means, and so what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// It was this one connection's: take the next.
    Next,
    /// Something has run out, descriptors or memory: take the next in a while.
    Later,
    /// The listener is broken.
    Broken,
}

impl AcceptError {
    /// Sorts an error, with the lists of accept(2).
    pub fn of(error: &io::Error) -> AcceptError {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC) => {
                AcceptError::Later
            }
            Some(
                libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EINTR
                | libc::EPROTO
                | libc::EPERM
                | libc::ENETDOWN
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH
                | libc::ETIMEDOUT,
            ) => AcceptError::Next,
            // Not from accept(2), but from adding the new connection to epoll.
            None if matches!(error.kind(), io::ErrorKind::OutOfMemory | io::ErrorKind::StorageFull) => {
                AcceptError::Later
            }
            _ => AcceptError::Broken,
        }
    }
}

impl<L: Listener> Acceptor<L> {
    /// Accepts from `listener`.
    pub(crate) fn new(listener: L) -> Acceptor<L> {
        Acceptor { listener, pause: Pause::default() }
    }

    /// The next connection. Errors are those of the listener itself.
    pub(crate) fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(L::Stream, L::Peer)>> {
        loop {
            if let Some(sleep) = &mut self.pause.sleep {
                if Pin::new(sleep).poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.pause.sleep = None;
            }
            match self.listener.poll_accept(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(connection)) => {
                    self.pause.length = Duration::ZERO;
                    return Poll::Ready(Ok(connection));
                }
                Poll::Ready(Err(error)) => match AcceptError::of(&error) {
                    AcceptError::Next => log::debug!("a connection failed before it was accepted: {error}"),
                    AcceptError::Later => self.pause.start(&error),
                    AcceptError::Broken => return Poll::Ready(Err(error)),
                },
            }
        }
    }
}

impl Pause {
    /// Begins a pause, twice as long as the one before.
    fn start(&mut self, error: &io::Error) {
        self.length = (self.length * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.sleep = Some(sleep(self.length));
        let now = now();
        if self.logged.is_none_or(|logged| now - logged >= LONGEST_PAUSE) {
            self.logged = Some(now);
            log::warn!(
                "cannot accept connections for now: {error}; they wait in the backlog. Raise the \
                 limit of open files (ulimit -n), or allow fewer connections"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_accept_are_sorted_by_whose_they_are() {
        let sort = |code| AcceptError::of(&io::Error::from_raw_os_error(code));
        assert_eq!(sort(libc::EMFILE), AcceptError::Later);
        assert_eq!(sort(libc::ECONNABORTED), AcceptError::Next);
        assert_eq!(sort(libc::ENONET), AcceptError::Next);
        assert_eq!(sort(libc::EBADF), AcceptError::Broken);
        assert_eq!(sort(libc::EINVAL), AcceptError::Broken);
    }
}
