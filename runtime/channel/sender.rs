//! The sending end of a channel.
//!
//! A send that finds no room stands in line; when room is granted to it, it is woken and puts its
//! message in. Dropped before that, it leaves the line, or hands the room on.
//!
//! Read next: `receiver.rs`.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::books::{Channel, IsClosed, Ticket};
use super::parked::{assert_plain_thread, deadline, wait_for};
use crate::atomic::Arc;
use crate::future::give_way;
use crate::id::WaitReason;
use crate::task::here;

/// Sends messages into a channel, from any thread. Clones send into the same channel; the
/// receiver hears of it when the last one is dropped.
pub struct Sender<T> {
    /// The channel, in which we are counted.
    channel: Arc<Channel<T>>,
}

/// The receiver is gone or has closed the channel; this is the message that was not sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why a message was not sent, with the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There was no room, or others wait for it; with [`Sender::send_timeout`]: not in time.
    Full(T),
    /// The receiver is gone or has closed the channel.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The message that was not sent.
    pub fn into_message(self) -> T {
        match self {
            TrySendError::Full(message) | TrySendError::Closed(message) => message,
        }
    }
}

impl<T> Sender<T> {
    /// The sender that a new channel has counted already.
    pub(super) fn first(channel: Arc<Channel<T>>) -> Sender<T> {
        Sender { channel }
    }

    /// Sends a message, and waits for room if there is none.
    ///
    /// # Errors
    /// If the receiver is gone or has closed the channel; the message is in the error.
    ///
    /// # Cancel safety
    /// If it is dropped before it is done, the message was not sent, and is dropped as well; the place in line is
    /// lost, room that it was granted goes to the next.
    pub fn send(&self, message: T) -> Sending<'_, T> {
        Sending { channel: &self.channel, message: Some(message), ticket: None }
    }

    /// Sends a message if there is room that nobody waits for. Never waits.
    ///
    /// # Errors
    /// If there is no room, or the receiver is gone or has closed the channel; the message is in the error.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut message = Some(message);
        let polled = self.channel.poll_put(&mut message, &mut None, None);
        match (polled, message) {
            (Poll::Pending, Some(message)) => Err(TrySendError::Full(message)),
            (Poll::Ready(Err(IsClosed)), Some(message)) => Err(TrySendError::Closed(message)),
            _ => Ok(()),
        }
    }

    /// Sends a message from a plain thread, which is blocked until there is room.
    ///
    /// # Errors
    /// If the receiver is gone or has closed the channel; the message is in the error.
    ///
    /// # Panics
    /// On a thread that is inside of a loop: it would stop that.
    #[track_caller]
    pub fn send_blocking(&self, message: T) -> Result<(), SendError<T>> {
        assert_plain_thread("Sender::send_blocking", "`send(message).await` or `try_send`");
        wait_for(&mut self.send(message), None).expect("there is no deadline")
    }

    /// The same, but for no longer than `limit`.
    ///
    /// # Errors
    /// If there was no room in time, or the receiver is gone or has closed the channel; the message is in
    /// the error.
    ///
    /// # Panics
    /// On a thread that is inside of a loop: it would stop that.
    #[track_caller]
    pub fn send_timeout(&self, message: T, limit: Duration) -> Result<(), TrySendError<T>> {
        assert_plain_thread("Sender::send_timeout", "`timeout(limit, sender.send(message)).await`");
        let mut sending = self.send(message);
        match wait_for(&mut sending, deadline(limit)) {
            Some(result) => result.map_err(|SendError(message)| TrySendError::Closed(message)),
            None => {
                Err(TrySendError::Full(sending.message.take().expect("a message that was not sent is here")))
            }
        }
    }

    /// Whether the receiver is gone or has closed the channel: nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.channel.lock().is_closed
    }

    /// Waits until the receiver is gone or closes the channel: nobody wants what we make.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub fn closed(&self) -> Closed<'_, T> {
        Closed { channel: &self.channel, ticket: None }
    }

    /// A sender that does not count as one: the receiver does not wait for it.
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { channel: self.channel.clone() }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.channel.add_sender();
        Sender { channel: self.channel.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

/// Can become a [`Sender`] as long as there is another. For those who may send but should not keep the
/// receiver waiting: a timer, a cache, the receiver's own task.
pub struct WeakSender<T> {
    /// The channel, in which we are not counted.
    channel: Arc<Channel<T>>,
}

impl<T> WeakSender<T> {
    /// A sender; `None` once the last one is gone.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        self.channel.add_sender().then(|| Sender { channel: self.channel.clone() })
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> WeakSender<T> {
        WeakSender { channel: self.channel.clone() }
    }
}

/// The future of [`Sender::send`].
#[must_use = "futures do nothing unless awaited"]
pub struct Sending<'a, T> {
    /// The channel.
    channel: &'a Channel<T>,
    /// The message, until it is sent.
    message: Option<T>,
    /// Our place in line, or the room that we were granted.
    ticket: Ticket,
}

// The message is moved, never pinned.
impl<T> Unpin for Sending<'_, T> {}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Sending { channel, message, ticket } = &mut *self;
        assert!(message.is_some(), "a future of `send` was polled after it was done");
        if !here::spend_share() {
            give_way(context);
            return Poll::Pending;
        }
        let mut polled = channel.poll_put(message, ticket, None);
        if polled.is_pending() {
            // Looks again: there may be room by now.
            polled = channel.poll_put(message, ticket, Some(context.waker().clone()));
        }
        if polled.is_pending() {
            here::waits_for(WaitReason::ChannelSend);
        }
        polled.map_err(|IsClosed| SendError(message.take().expect("a message that was not sent is here")))
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.channel.leave_line(ticket);
        }
    }
}

/// The future of [`Sender::closed`].
#[must_use = "futures do nothing unless awaited"]
pub struct Closed<'a, T> {
    /// The channel.
    channel: &'a Channel<T>,
    /// Our place among the watchers.
    ticket: Ticket,
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !here::spend_share() {
            give_way(context);
            return Poll::Pending;
        }
        let waker = context.waker().clone();
        let mut books = self.channel.lock();
        if books.is_closed {
            drop(books);
            self.ticket = None;
            return Poll::Ready(());
        }
        let old = books.watchers.stand(&mut self.ticket, waker);
        drop(books);
        drop(old);
        here::waits_for(WaitReason::ChannelSend);
        Poll::Pending
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waker = self.channel.lock().watchers.leave(ticket);
            drop(waker);
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.channel).finish()
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakSender").field(&self.channel).finish()
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sending").field(&self.channel).finish()
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Closed").field(&self.channel).finish()
    }
}

/// Errors can be reported whatever the message is.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed: its receiver is gone, or takes no more")
    }
}

impl<T> std::error::Error for SendError<T> {}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Full(_) => f.write_str("Full(..)"),
            TrySendError::Closed(_) => f.write_str("Closed(..)"),
        }
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Full(_) => f.write_str("the channel has no room"),
            TrySendError::Closed(_) => {
                f.write_str("the channel is closed: its receiver is gone, or takes no more")
            }
        }
    }
}

impl<T> std::error::Error for TrySendError<T> {}
