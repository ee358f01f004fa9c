//! One value from one task to another.
//!
//! Read next: `watch.rs`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::holders::Numbered;
use crate::id::{TaskId, WaitReason};
use crate::waiters::{Place, WaitList};

/// All senders are gone, and nothing they sent is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderGone;

impl fmt::Display for SenderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the sender is gone, and nothing it sent is left")
    }
}

impl std::error::Error for SenderGone {}

/// A channel for one value.
pub fn oneshot<T>() -> (OneshotSender<T>, OneshotReceiver<T>) {
    let slot = Rc::new(Slot {
        number: Numbered::new("oneshot"),
        value: RefCell::new(None),
        is_closed: Cell::new(false),
        waiting: WaitList::new(),
    });
    let receiver = OneshotReceiver { slot: slot.clone(), place: Place::default() };
    (OneshotSender { slot }, receiver)
}

/// What both sides see.
#[derive(Debug)]
struct Slot<T> {
    /// The number for reports.
    number: Numbered,
    /// The value, on its way.
    value: RefCell<Option<T>>,
    /// Whether a side is gone, or has said that it wants no more.
    is_closed: Cell<bool>,
    /// The receiver who waits for the value, or the sender who waits for the receiver to lose interest.
    waiting: WaitList,
}

impl<T> Slot<T> {
    /// From now on nothing more happens.
    fn close(&self) {
        self.is_closed.set(true);
        self.waiting.grant_all(());
    }
}

/// How a [`oneshot`] channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OneshotStatistics {
    /// Whether the receiver is gone, or was closed.
    pub is_closed: bool,
    /// The task that waits for the value, or for the receiver to go.
    pub waiting: Vec<TaskId>,
}

/// The side that sends.
pub struct OneshotSender<T> {
    /// What both sides see.
    slot: Rc<Slot<T>>,
}

impl<T> OneshotSender<T> {
    /// Sends the value. It may still be dropped unseen, if the receiver goes before it looks.
    ///
    /// # Errors
    /// If the receiver is gone; the value is in the error.
    pub fn send(self, value: T) -> Result<(), T> {
        if self.slot.is_closed.get() {
            return Err(value);
        }
        self.slot.value.replace(Some(value));
        Ok(())
    }

    /// Whether the receiver is gone, or was closed.
    pub fn is_closed(&self) -> bool {
        self.slot.is_closed.get()
    }

    /// How the channel stands.
    pub fn statistics(&self) -> OneshotStatistics {
        OneshotStatistics { is_closed: self.is_closed(), waiting: self.slot.waiting.tasks() }
    }

    /// Waits until the receiver is gone, or closed: nobody wants the value any more.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn closed(&mut self) {
        let reason = WaitReason::Oneshot(self.slot.number.id());
        self.slot.waiting.wait_until(reason, || self.is_closed()).await;
    }
}

impl<T> Drop for OneshotSender<T> {
    fn drop(&mut self) {
        self.slot.close();
    }
}

impl<T> fmt::Debug for OneshotSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneshotSender({:?})", self.slot.number)
    }
}

/// The side that receives: a future of the value.
///
/// Awaiting gives an error if the sender was dropped without a value.
///
/// # Cancel safety
/// Awaiting `&mut receiver` loses nothing when dropped.
#[must_use = "futures do nothing unless awaited"]
pub struct OneshotReceiver<T> {
    /// What both sides see.
    slot: Rc<Slot<T>>,
    /// Our place while we wait.
    place: Place,
}

impl<T> OneshotReceiver<T> {
    /// The value, if it is there.
    ///
    /// # Errors
    /// If it will never be.
    pub fn try_receive(&mut self) -> Result<Option<T>, SenderGone> {
        match self.slot.value.take() {
            Some(value) => Ok(Some(value)),
            None if self.slot.is_closed.get() => Err(SenderGone),
            None => Ok(None),
        }
    }

    /// Wants no value any more; one that was sent already can still be received.
    pub fn close(&mut self) {
        self.slot.close();
    }
}

impl<T> Future for OneshotReceiver<T> {
    type Output = Result<T, SenderGone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, SenderGone>> {
        let OneshotReceiver { slot, place } = &mut *self;
        let reason = WaitReason::Oneshot(slot.number.id());
        let take = || slot.is_closed.get().then_some(());
        let closed = slot.waiting.poll_take(place, context, reason, (), take);
        closed.map(|()| slot.value.take().ok_or(SenderGone))
    }
}

impl<T> Drop for OneshotReceiver<T> {
    fn drop(&mut self) {
        let _ = self.slot.waiting.leave(&mut self.place);
        self.slot.close();
        let value = self.slot.value.take();
        drop(value);
    }
}

impl<T> fmt::Debug for OneshotReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneshotReceiver({:?})", self.slot.number)
    }
}
