//! From other threads: the public [`Handle`] of a loop, and tasks whose value is awaited abroad.
//!
//! A handle holds the address of the loop's inbox and nothing else of it. While a handle exists
//! something may come from outside, so the loop does not call itself stalled.
//!
//! Read next: `shutdown.rs`.

use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::callback::{Closure, Schedule};
use super::local_loop::{NoLoop, current, current_if, expect_current, try_current};
use super::packet::{Delivery, Packet};
use crate::atomic::{Arc, Ordering};
use crate::clock::Moment;
use crate::fault::{self, Fault};
use crate::id::{TaskId, WaitReason};
use crate::task::error::JoinError;
use crate::task::header::{Home, Mail, Payload};
use crate::task::here;
use crate::task::waker::{drop_payload, guard};

/// A loop, from any thread: spawn `Send` futures on it, and run callbacks in it.
#[derive(Debug)]
pub struct Handle {
    /// The loop.
    home: Arc<Home>,
}

/// The loop that was asked for something is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopGone;

impl fmt::Display for LoopGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the loop is gone: its Runtime was dropped")
    }
}

impl std::error::Error for LoopGone {}

impl Handle {
    /// A handle of `home`.
    pub(crate) fn new(home: Arc<Home>) -> Handle {
        home.handles.fetch_add(1, Ordering::Relaxed);
        Handle { home }
    }

    /// The handle of the loop that this thread is inside of.
    ///
    /// # Errors
    /// If there is none.
    pub fn current() -> Result<Handle, NoLoop> {
        try_current("Handle::current").map(|current| Handle::new(current.home().clone()))
    }

    /// Runs `f` in the loop, soon, after what is ready there already.
    ///
    /// # Errors
    /// If the loop is gone; `f` is dropped here.
    #[track_caller]
    pub fn call_soon_threadsafe(&self, f: impl FnOnce() + Send + 'static) -> Result<(), LoopGone> {
        let location = Location::caller();
        self.at_home(move || {
            let current = expect_current("call_soon_threadsafe");
            current.register(Closure::Once(Box::new(f)), Schedule::Soon, Moment::NEVER, location);
        })
    }

    /// Runs `future` as a task of the loop. Its value can be awaited, or waited for, on any thread.
    ///
    /// If the loop is gone, the future is dropped here, and the handle gives a [`JoinError`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> RemoteJoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let location = Location::caller();
        let packet = Arc::new(Packet::new(Errand::default()));
        let sender = PacketSender(packet.clone());
        // If the loop is gone, the closure is dropped here and the sender with it, which says so.
        let _ = self.at_home(move || {
            let packet = sender.0.clone();
            let delivering = Delivering { future: Some(Box::pin(future)), sender };
            let mut task = expect_current("Handle::spawn").spawn(delivering, None, location);
            let cancel_asked = packet.with_side(|_, errand| {
                errand.task = Some(task.id());
                errand.cancel_asked
            });
            if cancel_asked {
                task.cancel();
            }
        });
        RemoteJoinHandle { packet, handle: self.clone() }
    }

    /// Whether the loop is gone.
    pub fn is_closed(&self) -> bool {
        self.home.inbox.is_closed()
    }

    /// Runs `f` at home, with the loop entered, as soon as the inbox is read.
    fn at_home(&self, f: impl FnOnce() + Send + 'static) -> Result<(), LoopGone> {
        if self.home.closing.load(Ordering::Relaxed) {
            return Err(LoopGone);
        }
        match self.home.post(Mail::Run(Box::new(f))) {
            None => Ok(()),
            Some(_) => Err(LoopGone),
        }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Handle {
        Handle::new(self.home.clone())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.home.handles.fetch_sub(1, Ordering::Release) == 1 {
            // The loop may be asleep because we might still have come; let it think again.
            drop(self.home.post(Mail::LookAgain));
        }
    }
}

/// The packet of a remote task.
pub(crate) type RemotePacket<T> = Packet<Result<T, JoinError>, Errand>;

/// What a remote task's handle and its loop say to each other, until there is a result.
#[derive(Debug, Default)]
pub(crate) struct Errand {
    /// The task, from when it exists.
    task: Option<TaskId>,
    /// Whether somebody asked it to stop before it existed.
    cancel_asked: bool,
}

impl<T> Delivery for Result<T, JoinError> {
    const HANDLE: &'static str = "a RemoteJoinHandle";

    fn unseen(&self) {
        if let Err(error) = self
            && error.is_panic()
        {
            log::error!("{error}; nobody awaited it");
        }
    }
}

/// The side of a packet that owes a result: dropped without one, it says that there is none.
pub(crate) struct PacketSender<T>(pub(crate) Arc<RemotePacket<T>>);

impl<T> Drop for PacketSender<T> {
    fn drop(&mut self) {
        if fault::is_on(Fault::DropWithoutResult) {
            return;
        }
        let task = self.0.with_side(|_, errand| errand.task);
        self.0.deliver(Err(task.map_or(JoinError::loop_gone(), JoinError::cancelled)));
    }
}

/// A future that sends its value, or its panic, away, once the future itself is gone.
struct Delivering<F: Future> {
    /// The future, until it is done.
    future: Option<Pin<Box<F>>>,
    /// Where the value goes.
    sender: PacketSender<F::Output>,
}

impl<F: Future> Future for Delivering<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let future = this.future.as_mut().expect("a task that is not finished has a future");
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        let result = match polled {
            Ok(poll) => Ok(ready!(poll)),
            Err(payload) => Err(payload),
        };
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(this.future.take())));
        let result: Result<F::Output, Payload> = match (result, dropped) {
            (Ok(value), Err(payload)) => {
                guard("a task's output", || drop(value));
                Err(payload)
            }
            (Err(first), Err(second)) => {
                drop_payload(second);
                Err(first)
            }
            (result, Ok(())) => result,
        };
        let id = here::running_id();
        self.sender.0.deliver(result.map_err(|payload| match id {
            Some(id) => JoinError::panicked(id, payload),
            None => JoinError::loop_gone(),
        }));
        Poll::Ready(())
    }
}

/// The handle of a task that was spawned through a [`Handle`]: await its value in any executor,
/// or [`join`](RemoteJoinHandle::join) it from a plain thread. Dropping it detaches the task.
///
/// # Cancel safety
/// Awaiting `&mut handle` loses nothing when dropped.
#[must_use = "dropping a RemoteJoinHandle detaches its task; to do that on purpose, call `detach`"]
#[derive(Debug)]
pub struct RemoteJoinHandle<T> {
    /// Where the result comes in.
    packet: Arc<RemotePacket<T>>,
    /// The task's loop.
    handle: Handle,
}

impl<T> RemoteJoinHandle<T> {
    /// Blocks this thread until the task is over.
    ///
    /// # Errors
    /// If the task panicked or was cancelled, or its loop is gone.
    ///
    /// # Panics
    /// On the thread of the task's own loop, or inside of any: it would stop that. Await the handle there.
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        let would_stop_a_loop = current().is_some() || self.handle.home.thread == std::thread::current().id();
        assert!(
            self.is_finished() || !would_stop_a_loop,
            "RemoteJoinHandle::join would stop the loop of this thread, and then wait for ever; await it"
        );
        self.packet.wait()
    }

    /// Whether the task is over.
    pub fn is_finished(&self) -> bool {
        self.packet.is_done()
    }

    /// Asks the task to stop: its future is dropped at its next turn. Await or join the handle to
    /// learn how it ended.
    pub fn cancel(&self) {
        let task = self.packet.with_side(|_, errand| {
            errand.cancel_asked = true;
            errand.task
        });
        if let Some(task) = task {
            // If the loop is gone, so is the task.
            let _ = self.handle.at_home(move || expect_current("cancel").here.cancel_id(task));
        }
    }

    /// Lets the task run on with nobody waiting for it; the same as dropping the handle.
    pub fn detach(self) {}
}

impl<T> Drop for RemoteJoinHandle<T> {
    fn drop(&mut self) {
        // A waker that is left would make its loop believe that somebody may still use it.
        self.packet.stop_listening();
    }
}

impl<T> Future for RemoteJoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.packet.poll(context);
        if polled.is_pending() {
            // Of another loop's task the name would mean a stranger here.
            let at_home = current_if(&self.handle.home);
            let task = at_home.and_then(|_| self.packet.with_side(|_, errand| errand.task));
            here::waits_for(task.map_or(WaitReason::Job, WaitReason::Join));
        }
        polled
    }
}
