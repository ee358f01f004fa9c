//! The receiving end of a channel.
//!
//! A message leaves the channel only as the value of a finished call: a `recv` that is dropped has
//! taken nothing.
//!
//! Read next: `blocking/error.rs`.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::books::Channel;
use super::parked::{assert_plain_thread, deadline, wait_for};
use crate::atomic::Arc;
use crate::future::give_way;
use crate::id::WaitReason;
use crate::task::here;
use crate::time::Elapsed;

/// Receives the messages of a channel; also a [`Stream`] of them. Dropping it closes the channel,
/// and drops what was not received.
pub struct Receiver<T> {
    /// The channel.
    channel: Arc<Channel<T>>,
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is none at the moment.
    Empty,
    /// There will never be one again: all senders are gone, or the channel was closed and is empty.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("the channel is empty at the moment"),
            TryRecvError::Closed => f.write_str("the channel is empty, and nobody can send any more"),
        }
    }
}

impl std::error::Error for TryRecvError {}

impl<T> Receiver<T> {
    /// The receiver of a new channel.
    pub(super) fn new(channel: Arc<Channel<T>>) -> Receiver<T> {
        Receiver { channel }
    }

    /// Waits for the next message; `None` when there will never be one again: all senders are gone,
    /// or the channel was [closed](Receiver::close), and everything in it was received.
    ///
    /// # Cancel safety
    /// If it is dropped before it is done, no message was taken.
    pub fn recv(&mut self) -> Receiving<'_, T> {
        Receiving { receiver: self, waits: false }
    }

    /// The poll behind [`recv`](Receiver::recv). The last one that was pending is the one that is woken.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        if !here::spend_share() {
            give_way(context);
            return Poll::Pending;
        }
        let mut polled = self.channel.poll_take(None);
        if polled.is_pending() {
            // Looks again: there may be a message by now.
            polled = self.channel.poll_take(Some(context.waker().clone()));
        }
        if polled.is_pending() {
            here::waits_for(WaitReason::ChannelReceive);
        }
        polled
    }

    /// Takes the next message if there is one. Never waits.
    ///
    /// # Errors
    /// If there is none at the moment, or there will never be one again.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.channel.poll_take(None) {
            Poll::Ready(Some(message)) => Ok(message),
            Poll::Ready(None) => Err(TryRecvError::Closed),
            Poll::Pending => Err(TryRecvError::Empty),
        }
    }

    /// [`recv`](Receiver::recv) for a plain thread, which is blocked until there is a message.
    ///
    /// # Panics
    /// On a thread that is inside of a loop: it would stop that.
    #[track_caller]
    pub fn recv_blocking(&mut self) -> Option<T> {
        assert_plain_thread("Receiver::recv_blocking", "`recv().await` or `try_recv`");
        wait_for(&mut self.recv(), None).expect("there is no deadline")
    }

    /// The same, but for no longer than `limit`.
    ///
    /// # Errors
    /// If there was no message in time.
    ///
    /// # Panics
    /// On a thread that is inside of a loop: it would stop that.
    #[track_caller]
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Option<T>, Elapsed> {
        assert_plain_thread("Receiver::recv_timeout", "`timeout(limit, receiver.recv()).await`");
        wait_for(&mut self.recv(), deadline(limit)).ok_or(Elapsed { limit })
    }

    /// Lets nothing more be sent: senders that wait get their messages back. What is in the channel
    /// can still be received.
    pub fn close(&mut self) {
        self.channel.close();
    }

    /// How many messages are in the channel.
    pub fn len(&self) -> usize {
        self.channel.lock().len()
    }

    /// Whether there is no message in the channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages the channel has room for; `None` is any number.
    pub fn capacity(&self) -> Option<usize> {
        self.channel.lock().capacity()
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(context)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.close();
        // The messages' own destructors run last, when everybody was told, and without the lock.
        drop(self.channel.clear());
    }
}

/// The future of [`Receiver::recv`].
#[must_use = "futures do nothing unless awaited"]
pub struct Receiving<'a, T> {
    /// The receiver.
    receiver: &'a mut Receiver<T>,
    /// Whether our waker may be in the channel.
    waits: bool,
}

impl<T> Future for Receiving<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let polled = self.receiver.poll_recv(context);
        self.waits = polled.is_pending();
        polled
    }
}

impl<T> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        // A waker that is left would make the loop believe that somebody may still use it.
        if self.waits {
            self.receiver.channel.forget_receiver();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.channel).finish()
    }
}

impl<T> fmt::Debug for Receiving<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiving").field(&self.receiver.channel).finish()
    }
}
