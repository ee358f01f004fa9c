//! A bounded pool of threads for work that would hold a loop up.
//!
//! ```text
//!   spawn ──► queue ──► an idle thread, or a new one if the limit allows, or the first that is free
//! ```
//!
//! A thread that has idled for a while ends; the last one looks for jobs once more before it goes
//! (`queue.rs`). Threads know the queue, not the pool, so the pool closes when its last clone is dropped.
//!
//! Read next: `map.rs`.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::OnceLock;
use std::time::Duration;

use super::error::{NotStarted, Refused};
use super::job::{Contract, JobHandle};
use super::queue::{EndPacket, JobQueue, Work};
use crate::atomic::Arc;
use crate::executor::local_loop::current;
use crate::executor::packet::{JobCount, Packet};
use crate::id::WaitReason;
use crate::task::here;
use crate::task::waker::{drop_payload, guard};
use crate::time::timeout;

/// How many threads the process-wide pool may have.
const DEFAULT_THREADS: usize = 64;

/// How a [`Pool`] shall be.
#[derive(Clone, Debug)]
pub struct PoolBuilder {
    /// The most threads.
    threads: usize,
    /// How long a thread waits for its next job before it ends.
    idle_after: Duration,
    /// What the threads are called.
    name: String,
    /// The size of a thread's stack; none is the standard library's choice.
    stack_bytes: Option<usize>,
}

impl PoolBuilder {
    /// How long a thread without work is kept. Longer than 30 years is for ever; default: 10 seconds.
    pub fn idle_after(mut self, idle_after: Duration) -> PoolBuilder {
        self.idle_after = idle_after;
        self
    }

    /// What the threads are called (default "pool"). Linux shows the first 15 bytes of it, see
    /// pthread_setname_np(3); a zero byte is left out.
    pub fn name(mut self, name: &str) -> PoolBuilder {
        self.name = name.replace('\0', "");
        self
    }

    /// The size of each thread's stack, in bytes; by default the standard library's, 2 MiB. The memory is
    /// taken from the system as it is used.
    pub fn stack_bytes(mut self, stack_bytes: usize) -> PoolBuilder {
        self.stack_bytes = Some(stack_bytes);
        self
    }

    /// The pool; it has no thread until there is a job.
    pub fn build(self) -> Pool {
        Pool { owner: Arc::new(Owner { queue: Arc::new(JobQueue::new(self.threads)), plan: self }) }
    }
}

/// A pool of threads. Clones are the same pool.
///
/// Threads are made when jobs come that no idle thread is left for, and end when they have had nothing to
/// do for a while. Jobs are begun in the order in which they came.
///
/// When the last clone is dropped, no more jobs can come; those that were taken are still done, and then
/// the threads end. The end of the process does not wait for that: see [`shutdown`](Pool::shutdown).
#[derive(Clone)]
pub struct Pool {
    /// What all clones share.
    owner: Arc<Owner>,
}

/// A pool itself; its drop closes the queue.
struct Owner {
    /// The jobs, shared with the threads.
    queue: Arc<JobQueue>,
    /// How the threads shall be.
    plan: PoolBuilder,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// How a pool ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolReport {
    /// Where the jobs were handed in that are still under way; they go on to their end.
    pub still_running: Vec<&'static Location<'static>>,
    /// Where the jobs were handed in that were dropped before they began.
    pub not_started: Vec<&'static Location<'static>>,
}

impl fmt::Display for PoolReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (running, dropped) = (self.still_running.len(), self.not_started.len());
        write!(f, "{running} jobs still running, {dropped} jobs dropped before they began")?;
        for location in &self.still_running {
            write!(f, "\n  still running: from {location}")?;
        }
        for location in &self.not_started {
            write!(f, "\n  never begun: from {location}")?;
        }
        Ok(())
    }
}

/// What a pool is doing at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatistics {
    /// How many threads it has.
    pub threads: usize,
    /// How many of them have nothing to do.
    pub idle: usize,
    /// How many jobs wait for a thread.
    pub queued: usize,
    /// How many jobs are under way.
    pub running: usize,
}

impl Pool {
    /// A pool of at most `threads` threads, at least one, with the defaults of [`PoolBuilder`].
    pub fn new(threads: usize) -> Pool {
        Pool::builder(threads).build()
    }

    /// To choose more than the number of threads.
    pub fn builder(threads: usize) -> PoolBuilder {
        let idle_after = Duration::from_secs(10);
        PoolBuilder { threads: threads.max(1), idle_after, name: "pool".into(), stack_bytes: None }
    }

    /// The most threads it may have.
    pub fn max_threads(&self) -> usize {
        self.owner.plan.threads
    }

    /// Has `f` done by a thread of the pool. If the pool takes no job, the handle says why, and `f` is
    /// dropped; [`try_spawn`](Pool::try_spawn) gives it back.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_from(Location::caller(), f)
    }

    /// The same for a job that comes from `location`.
    pub(crate) fn spawn_from<F, T>(&self, location: &'static Location<'static>, f: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.push(location, f).unwrap_or_else(|Refused { reason, job }| {
            // It may be the user's, and panic.
            guard("dropping a job", || drop(job));
            JobHandle::refused(reason)
        })
    }

    /// [`spawn`](Pool::spawn) with its refusals as values.
    ///
    /// If a thread cannot be made, the job waits for one that is there.
    ///
    /// # Errors
    /// If the pool was shut down, or if it has no thread and none can be made. `f` is in the error.
    #[track_caller]
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JobHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.push(Location::caller(), f)
    }

    /// Puts a job into the queue.
    fn push<F, T>(&self, location: &'static Location<'static>, f: F) -> Result<JobHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (owner, contract) = (&self.owner, Contract::new());
        match owner.queue.push(f, location, |f| contract.to_work(f), || owner.make_thread()) {
            Ok(number) => Ok(contract.into_handle(&owner.queue, number)),
            Err((job, reason)) => Err(Refused { job, reason }),
        }
    }

    /// What it is doing now.
    pub fn statistics(&self) -> PoolStatistics {
        let numbers = self.owner.queue.numbers();
        PoolStatistics {
            threads: numbers.threads,
            idle: numbers.idle,
            queued: numbers.queued,
            running: numbers.running,
        }
    }

    /// Ends the pool, at once for new jobs: those that were taken are done, and awaited for at most
    /// `limit`. Then the ones that no thread has begun are dropped (their handles say so), and the ones
    /// under way are left alone, since no thread is ended from outside; both are reported.
    ///
    /// The loop counts this as a job under way, so that virtual time stands still until all jobs are over:
    /// there, a limit other than zero is never reached.
    ///
    /// # Panics
    /// Polled on a thread without a loop; use [`shutdown_blocking`](Pool::shutdown_blocking) there.
    ///
    /// # Cancel safety
    /// Once called, the pool takes no more jobs. Dropping the future drops the report: the jobs that were
    /// taken are done, however long that takes.
    pub fn shutdown(&self, limit: Duration) -> impl Future<Output = PoolReport> + use<> {
        let queue = self.owner.queue.clone();
        queue.close();
        async move {
            if !limit.is_zero() {
                let counts = current().map(|current| JobCount::new(current.home()));
                let end = Awaited(Arc::new(Packet::new(counts.into_iter().collect())));
                queue.at_end(end.0.clone());
                let ended = poll_fn(|context| {
                    let polled = end.0.poll(context);
                    if polled.is_pending() {
                        here::waits_for(WaitReason::Job);
                    }
                    polled
                });
                // Whether in time or not is for the report.
                let _ = timeout(limit, ended).await;
            }
            report(&queue)
        }
    }

    /// The same for a plain thread, which it blocks. A job must not wait so for the end of its own pool.
    ///
    /// # Panics
    /// Inside of a loop, which it would stop. Await [`shutdown`](Pool::shutdown) there.
    #[track_caller]
    pub fn shutdown_blocking(&self, limit: Duration) -> PoolReport {
        assert!(
            current().is_none(),
            "Pool::shutdown_blocking would stop the loop of this thread; await Pool::shutdown"
        );
        let queue = &self.owner.queue;
        queue.close();
        let end = Arc::new(Packet::new(Vec::new()));
        queue.at_end(end.clone());
        let _ = end.wait_for(limit);
        report(queue)
    }
}

/// The end of a pool, while a loop waits for it. Whoever has stopped waiting, in whatever way, does not count
/// on it any more: the jobs may be others', and take as long as they like.
struct Awaited(Arc<EndPacket>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.stop_listening();
        self.0.deliver(());
    }
}

/// Drops what was not begun, and reports it.
fn report(queue: &JobQueue) -> PoolReport {
    let left = queue.abandon();
    let give_up = |(work, location): (Box<dyn Work>, _)| {
        work.give_up(Some(NotStarted::PoolClosed));
        location
    };
    PoolReport { still_running: left.running, not_started: left.jobs.into_iter().map(give_up).collect() }
}

impl Owner {
    /// One thread more.
    fn make_thread(&self) -> io::Result<()> {
        let mut builder = std::thread::Builder::new().name(self.plan.name.clone());
        if let Some(bytes) = self.plan.stack_bytes {
            builder = builder.stack_size(bytes);
        }
        let (queue, idle_after) = (self.queue.clone(), self.plan.idle_after);
        builder.spawn(move || work(&queue, idle_after)).map(drop)
    }
}

/// What a thread of a pool does: jobs, until there is none for long enough, or the pool is closed.
fn work(queue: &JobQueue, idle_after: Duration) {
    // What std adds to the time now must not overflow.
    let idle_after = idle_after.min(Duration::from_secs(30 * 365 * 24 * 3600));
    while let Some((number, work)) = queue.next(|news, books| {
        let (books, waited) =
            news.wait_timeout(books, idle_after).unwrap_or_else(|poison| poison.into_inner());
        (books, waited.timed_out())
    }) {
        whatever_panics(|| work.run());
        whatever_panics(|| queue.over(number));
    }
}

/// Runs `f`, in which a logger may panic, or what somebody left to be dropped: the thread must go on, or
/// the books would count one that is not there.
fn whatever_panics(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        drop_payload(payload);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({:?}, {:?})", self.owner.plan.name, self.statistics())
    }
}

/// The pool of the whole process, made when it is first asked for: at most 64 threads, each kept 10 seconds
/// without work. It does [`spawn_blocking`]'s jobs and name look-ups. It can be shut down like any other, at
/// the end of a program: then both are refused.
pub fn default_pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool::builder(DEFAULT_THREADS).name("blocking").build())
}

/// Has `f` done on a thread of the [`default_pool`]: for calls that block, such as those of files and
/// databases. For computations, a [`Pool`] with as many threads as there are processors is better.
///
/// ```
/// # let runtime = greenroom::Runtime::new()?;
/// let read = runtime.block_on(greenroom::spawn_blocking(|| std::fs::read_to_string("Cargo.toml")));
/// assert!(read??.contains("greenroom"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JobHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    default_pool().spawn(f)
}
