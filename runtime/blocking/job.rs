//! One job on its way through a pool, and the handle by which its result is awaited.
//!
//! ```text
//!   handed in ──(1)──► waits ──(2)──► under way ──(3)──► delivered
//!                        └──(4)──► given up
//! ```
//!
//! 1. the loop that hands it in counts it as a job under way: it is not stalled, virtual time stands still;
//! 2. a thread of the pool takes it;
//! 3. the result, or the panic, crosses over in a packet; only then is the loop's count taken back;
//! 4. its handle takes it back, or the pool ends: its closure is dropped, the packet says why.
//!
//! Invariant: the packet gets exactly one result, whatever panics. A loop that is gone hears nothing: its
//! tasks are gone with their handles, and what the job gives is dropped by the pool's thread.
//!
//! Read next: `pool.rs`.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::error::{JobError, NotStarted};
use super::queue::{JobQueue, Work};
use crate::atomic::Arc;
use crate::executor::local_loop::current;
use crate::executor::packet::{Delivery, JobCount, Packet};
use crate::id::WaitReason;
use crate::task::here;
use crate::task::waker::guard;

/// How a job's result crosses over; with it go the counts of the loops that wait for it.
type JobPacket<T> = Packet<Result<T, JobError>, Vec<JobCount>>;

impl<T> Delivery for Result<T, JobError> {
    const HANDLE: &'static str = "a JobHandle";

    fn unseen(&self) {
        if let Err(error) = self
            && error.is_panic()
        {
            log::error!("{error}; nobody awaited it");
        }
    }
}

/// A job with its type.
struct Job<F, T> {
    /// What to do.
    f: F,
    /// Where the result goes.
    packet: Arc<JobPacket<T>>,
}

impl<F, T> Work for Job<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn run(self: Box<Self>) {
        let Job { f, packet } = *self;
        let result = catch_unwind(AssertUnwindSafe(f));
        packet.deliver(result.map_err(JobError::panicked));
        // If nobody waits any more, the result is dropped here.
        guard("a job's result", || drop(packet));
    }

    fn give_up(self: Box<Self>, why: Option<NotStarted>) {
        let Job { f, packet } = *self;
        guard("dropping a job", || drop(f));
        packet.deliver(Err(why.map_or_else(JobError::cancelled, JobError::not_started)));
    }
}

/// The handle of a job: a future of what it gives, `Ok`, or a [`JobError`] if it panicked or was never
/// begun. It may be awaited in any loop or executor, or waited for on a plain thread.
///
/// Dropping it takes the job back if no thread has begun it; one that is under way goes on to its end, and
/// its result is dropped. To let a job be done with nobody waiting, [`detach`](JobHandle::detach) it.
///
/// # Panics
/// Polled after it gave its value.
///
/// # Cancel safety
/// Awaiting `&mut handle` loses nothing when dropped.
#[must_use = "dropping a JobHandle takes the job back if it has not begun; to let it be done, call `detach`"]
pub struct JobHandle<T> {
    /// Where the result comes in.
    packet: Arc<JobPacket<T>>,
    /// Where the job waits, and its number there; none if it was let go, or never taken.
    ticket: Option<(Arc<JobQueue>, u64)>,
    /// What the one who awaits it is said to wait for.
    reason: WaitReason,
}

/// The way from a closure to a handle: the closure as work, and where its result will come in.
pub(crate) struct Contract<T>(Arc<JobPacket<T>>);

impl<T: Send + 'static> Contract<T> {
    /// (1) A job of this thread's loop, if there is one.
    pub(crate) fn new() -> Contract<T> {
        let counts = current().map(|current| JobCount::new(current.home()));
        Contract(Arc::new(Packet::new(counts.into_iter().collect())))
    }

    /// The closure as work.
    pub(crate) fn to_work<F: FnOnce() -> T + Send + 'static>(&self, f: F) -> Box<dyn Work> {
        Box::new(Job { f, packet: self.0.clone() })
    }

    /// The handle of the job that has this number in `queue`.
    pub(crate) fn into_handle(self, queue: &Arc<JobQueue>, number: u64) -> JobHandle<T> {
        JobHandle { packet: self.0, ticket: Some((queue.clone(), number)), reason: WaitReason::Job }
    }
}

impl<T> JobHandle<T> {
    /// The handle of a job that was refused.
    pub(crate) fn refused(why: NotStarted) -> JobHandle<T> {
        let packet = Arc::new(Packet::new(Vec::new()));
        packet.deliver(Err(JobError::not_started(why)));
        JobHandle { packet, ticket: None, reason: WaitReason::Job }
    }

    /// The same handle; who awaits it waits for `reason`.
    pub(crate) fn because(mut self, reason: WaitReason) -> JobHandle<T> {
        self.reason = reason;
        self
    }

    /// Takes the job back. True: no thread had begun it, none will, and its closure is dropped; awaiting
    /// the handle says so. False: it is under way, or over, and what it gives can be awaited.
    // Not `must_use`: a request alone is lawful.
    pub fn cancel(&self) -> bool {
        let work = self.ticket.as_ref().and_then(|(queue, number)| queue.remove(*number));
        work.map(|work| work.give_up(None)).is_some()
    }

    /// Whether the job is over in any way.
    pub fn is_finished(&self) -> bool {
        self.packet.is_done()
    }

    /// Lets the job be done with nobody waiting for it. A panic of it is logged.
    pub fn detach(mut self) {
        self.ticket = None;
    }

    /// Blocks this thread until the job is over.
    ///
    /// A job that waits so for another of its own pool holds one of the pool's threads: when all threads
    /// wait for jobs that have none, none of them ever goes on. Give the inner jobs a pool of their own.
    ///
    /// # Errors
    /// If the job panicked, was taken back, or was never begun.
    ///
    /// # Panics
    /// Inside of a loop, which it would stop, if the job is not over. Await the handle there.
    #[track_caller]
    pub fn wait(self) -> Result<T, JobError> {
        assert!(
            self.is_finished() || current().is_none(),
            "JobHandle::wait would stop the loop of this thread until the job is over; await it"
        );
        let result = self.packet.wait();
        self.is_taken();
        result
    }

    /// Wakes `waker`, and nobody else, when the job is over; at once if it is.
    pub(crate) fn wake_when_over(&self, waker: Waker) {
        self.packet.wake_when_done(waker);
    }

    /// What the job gave has been taken, so the pool need not call it under way any more.
    fn is_taken(&self) {
        if let Some((queue, number)) = &self.ticket {
            queue.over(*number);
        }
    }

    /// A loop that awaits the job counts it, also if it did not hand it in.
    pub(crate) fn count_here(&self) {
        if let Some(current) = current() {
            let home = current.home();
            self.packet.with_side(|done, counts| {
                if !done && !counts.iter().any(|count| count.is_of(home)) {
                    counts.push(JobCount::new(home));
                }
            });
        }
    }
}

impl<T> Future for JobHandle<T> {
    type Output = Result<T, JobError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.count_here();
        let polled = self.packet.poll(context);
        match &polled {
            Poll::Ready(_) => self.is_taken(),
            Poll::Pending => here::waits_for(self.reason),
        }
        polled
    }
}

impl<T> Drop for JobHandle<T> {
    fn drop(&mut self) {
        self.packet.stop_listening();
        self.cancel();
    }
}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ticket {
            Some((_, number)) => write!(f, "JobHandle(job {number})"),
            None => write!(f, "JobHandle(no job)"),
        }
    }
}
