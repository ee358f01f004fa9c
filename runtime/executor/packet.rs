//! How one result crosses from the thread that makes it to the one that waits for it.
//!
//! Used by tasks that are awaited abroad (`remote.rs`) and by jobs of a pool (`blocking/job.rs`).
//! Beside the result a packet has room for what its two sides have to tell each other until it is
//! there, and that goes when it has arrived.
//!
//! Invariant: the result is written before anybody is told that it is there; what goes with it goes
//! after that. Checked under loom, `tests/loom/`.
//!
//! Read next: `remote.rs`.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::atomic::{Arc, Condvar, Mutex, MutexGuard, Ordering};
use crate::fault::{self, Fault};
use crate::task::header::{Home, Mail};
use crate::task::waker::guard;

/// What can be sent in a packet.
pub(crate) trait Delivery {
    /// What the one who waits has in hand, for messages.
    const HANDLE: &'static str;

    /// Nobody has taken it: says so if that must not pass in silence.
    fn unseen(&self);
}

/// Where a result crosses over, and with it `S`, which ends when the result is there. Its destructor runs
/// no user code and knows nothing of packets: a lock is held.
#[derive(Debug)]
pub(crate) struct Packet<R: Delivery, S: Default> {
    /// What both sides share.
    slot: Mutex<Slot<R, S>>,
    /// Wakes the threads that wait in [`wait`](Packet::wait).
    arrived: Condvar,
}

/// What the lock of a packet guards.
#[derive(Debug)]
struct Slot<R, S> {
    /// The result, until it is taken.
    result: Option<R>,
    /// Whether the result is, or was, there.
    done: bool,
    /// The future that waits for the result.
    waker: Option<Waker>,
    /// What goes when the result is there.
    side: S,
}

impl<R: Delivery, S: Default> Packet<R, S> {
    /// An empty packet.
    pub(crate) fn new(side: S) -> Packet<R, S> {
        Packet {
            slot: Mutex::new(Slot { result: None, done: false, waker: None, side }),
            arrived: Condvar::new(),
        }
    }

    /// The lock, which no user code can poison: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Slot<R, S>> {
        self.slot.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Whether the result is, or was, there.
    pub(crate) fn is_done(&self) -> bool {
        self.lock().done
    }

    /// Runs `f`, which may not run user code, on whether the result is there, and on what goes with it.
    pub(crate) fn with_side<V>(&self, f: impl FnOnce(bool, &mut S) -> V) -> V {
        let mut slot = self.lock();
        let done = slot.done;
        f(done, &mut slot.side)
    }

    /// Puts the result in and tells whoever waits. Only the first result counts.
    pub(crate) fn deliver(&self, result: R) {
        if fault::is_on(Fault::AnnounceBeforeResult) {
            let waker = self.lock().waker.take();
            self.announce(waker);
        }
        if fault::is_on(Fault::EndCountBeforeResult) {
            self.end_side();
        }
        let mut slot = self.lock();
        if slot.done && !fault::is_on(Fault::DeliverTwice) {
            return;
        }
        slot.done = true;
        slot.result = Some(result);
        let waker = slot.waker.take();
        drop(slot);
        if !fault::is_on(Fault::AnnounceBeforeResult) {
            self.announce(waker);
        }
        self.end_side();
    }

    /// Wakes whoever waits in `wait` or `poll`.
    fn announce(&self, waker: Option<Waker>) {
        self.arrived.notify_all();
        if let Some(waker) = waker {
            guard("a waker", || waker.wake());
        }
    }

    /// Ends what goes with the result; both sides see to it, so that it is over for whoever comes first.
    fn end_side(&self) {
        // Under the lock, or the other side could go on while this one is still about to. None of it is
        // user code.
        self.lock().side = S::default();
    }

    /// Blocks this thread until the result is there, and takes it.
    pub(crate) fn wait(&self) -> R {
        self.wait_for(Duration::MAX).expect("that is for ever")
    }

    /// The same for at most `limit`.
    pub(crate) fn wait_for(&self, limit: Duration) -> Option<R> {
        let deadline = Instant::now().checked_add(limit);
        let mut slot = self.lock();
        loop {
            if let Some(result) = slot.result.take() {
                drop(slot);
                self.end_side();
                return Some(result);
            }
            assert!(!slot.done, "{} was waited for after it gave its value", R::HANDLE);
            slot = match deadline {
                None => self.arrived.wait(slot).unwrap_or_else(|poison| poison.into_inner()),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.arrived.wait_timeout(slot, left).unwrap_or_else(|poison| poison.into_inner()).0
                }
            };
        }
    }

    /// Takes the result if it is there, else keeps the waker.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<R> {
        // Cloned before and dropped after the lock is held: it may be somebody else's.
        let waker = context.waker().clone();
        let mut slot = self.lock();
        if let Some(result) = slot.result.take() {
            drop(slot);
            self.end_side();
            return Poll::Ready(result);
        }
        let (done, old) = (slot.done, slot.waker.replace(waker));
        drop(slot);
        drop(old);
        assert!(!done, "{} was polled after it gave its value", R::HANDLE);
        Poll::Pending
    }

    /// Whoever listened does not any more, and need not be woken.
    pub(crate) fn stop_listening(&self) {
        let waker = self.lock().waker.take();
        drop(waker);
    }

    /// Wakes `waker` when the result is there, at once if it is.
    pub(crate) fn wake_when_done(&self, waker: Waker) {
        let mut slot = self.lock();
        let done = slot.done;
        let other = if done { Some(waker) } else { slot.waker.replace(waker) };
        drop(slot);
        if let Some(waker) = other.filter(|_| done) {
            guard("a waker", || waker.wake());
        }
    }
}

impl<R: Delivery, S: Default> Drop for Packet<R, S> {
    /// What nobody has taken may have to be told.
    fn drop(&mut self) {
        let result = self.lock().result.take();
        if let Some(result) = result {
            result.unseen();
        }
    }
}

/// Counts as a job of a loop for as long as it lives: another thread will surely send word, so the
/// loop is not stalled, and virtual time stands still. Then the loop is told, which may have waited
/// for it alone.
#[derive(Debug)]
pub(crate) struct JobCount(Arc<Home>);

impl JobCount {
    /// One job more for the loop of `home`.
    pub(crate) fn new(home: &Arc<Home>) -> JobCount {
        home.jobs.fetch_add(1, Ordering::Relaxed);
        JobCount(home.clone())
    }

    /// Whether it is counted for the loop of `home`.
    pub(crate) fn is_of(&self, home: &Arc<Home>) -> bool {
        Arc::ptr_eq(&self.0, home)
    }
}

impl Drop for JobCount {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::Release);
        // Also at home: an observer may have dropped it when the loop was about to sleep.
        drop(self.0.post(Mail::LookAgain));
    }
}
