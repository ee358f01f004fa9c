//! The jobs of a pool that nobody has begun, and the books about its threads.
//!
//! ```text
//!   push ──► jobs ──► next, by a thread of the pool ──► running ──► over
//!              └────► remove, abandon: never begun
//! ```
//!
//! Used by `pool.rs`; this file knows neither what a job is nor what a thread is.
//!
//! Invariants (checked under loom, `tests/loom/`): where there are jobs there is a thread, and if all
//! jobs find idle threads, none waits for one that is busy. Each job is begun once or given back once.
//! A thread leaves under the lock, having seen that there is no job; whoever brings the next one sees
//! that it has left. A thread is made under the lock: if that fails, it is known who else there is.
//!
//! Read next: `job.rs`.

use std::collections::BTreeMap;
use std::io;
use std::panic::Location;

use super::error::NotStarted;
use crate::atomic::{Arc, Condvar, Mutex, MutexGuard};
use crate::executor::packet::{Delivery, JobCount, Packet};
use crate::fault::{self, Fault};

/// A job whose type is forgotten.
pub(crate) trait Work: Send {
    /// Does it, and delivers what it gives.
    fn run(self: Box<Self>);

    /// Says that it will not be done; `why` is none if its own handle took it back.
    fn give_up(self: Box<Self>, why: Option<NotStarted>);
}

/// The end of a pool, as someone who waits for it hears of it.
pub(crate) type EndPacket = Packet<(), Vec<JobCount>>;

impl Delivery for () {
    const HANDLE: &'static str = "the end of a pool";

    fn unseen(&self) {}
}

/// A job that has not begun.
struct Waiting {
    /// What to do.
    work: Box<dyn Work>,
    /// Where it was handed in.
    location: &'static Location<'static>,
}

/// The jobs of one pool.
pub(crate) struct JobQueue {
    /// What the lock guards.
    books: Mutex<Books>,
    /// Wakes an idle thread when a job comes, and all when the pool closes.
    news: Condvar,
    /// The most threads there may be.
    limit: usize,
}

/// The lock of the books, in the hands of someone who waits.
pub(crate) type BooksGuard<'a> = MutexGuard<'a, Books>;

/// What is known of jobs and threads.
#[derive(Default)]
pub(crate) struct Books {
    /// The jobs that nobody has begun, by the number that each got when it came.
    jobs: BTreeMap<u64, Waiting>,
    /// Where the jobs that are under way were handed in.
    running: BTreeMap<u64, &'static Location<'static>>,
    /// The number of the next job.
    next: u64,
    /// How many threads there are, those that have just been made included.
    threads: usize,
    /// How many of these have no job, those included that were woken for one and have not come to it.
    idle: usize,
    /// Whether no more jobs are taken.
    closed: bool,
    /// Who waits until all is done.
    ends: Vec<Arc<EndPacket>>,
}

/// What is left in a pool that was told to end at once.
pub(crate) struct Abandoned {
    /// The jobs that nobody will begin any more, each with where it was handed in.
    pub(crate) jobs: Vec<(Box<dyn Work>, &'static Location<'static>)>,
    /// Where the jobs that are still under way were handed in.
    pub(crate) running: Vec<&'static Location<'static>>,
}

/// The numbers of a pool at one moment.
pub(crate) struct Numbers {
    /// How many threads there are.
    pub(crate) threads: usize,
    /// How many of them have nothing to do.
    pub(crate) idle: usize,
    /// How many jobs wait for a thread.
    pub(crate) queued: usize,
    /// How many jobs are under way.
    pub(crate) running: usize,
}

impl JobQueue {
    /// An open queue without jobs and threads, for at most `limit` threads.
    pub(crate) fn new(limit: usize) -> JobQueue {
        JobQueue { books: Mutex::new(Books::default()), news: Condvar::new(), limit }
    }

    /// The lock, which no user code can poison: nothing panics while it is held.
    pub(crate) fn lock(&self) -> BooksGuard<'_> {
        self.books.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Hands in `job`, which becomes work by `to_work`; makes a thread with `make_thread` if no idle one is
    /// left for it and the limit allows. The number is good for [`remove`](JobQueue::remove).
    ///
    /// # Errors
    /// Gives the job back if the queue is closed, or if there is no thread at all and none can be made.
    pub(crate) fn push<J>(
        &self,
        job: J,
        location: &'static Location<'static>,
        to_work: impl FnOnce(J) -> Box<dyn Work>,
        make_thread: impl FnOnce() -> io::Result<()>,
    ) -> Result<u64, (J, NotStarted)> {
        let mut books = self.lock();
        if books.closed {
            return Err((job, NotStarted::PoolClosed));
        }
        // Each job that waits already will take an idle thread.
        let taken = if fault::is_on(Fault::CountOnBusyThread) { 0 } else { books.jobs.len() };
        if books.idle <= taken && books.threads < self.limit {
            match make_thread() {
                Ok(()) => books.threads += 1,
                Err(error) if books.threads == 0 => return Err((job, NotStarted::NoThread(error))),
                // It waits for a thread that is there.
                Err(_) => {}
            }
        }
        let number = books.next;
        books.next += 1;
        books.jobs.insert(number, Waiting { work: to_work(job), location });
        drop(books);
        self.news.notify_one();
        Ok(number)
    }

    /// By a thread of the pool: its next job, with its number; none if the thread is to end. When there is
    /// no job, `idle` waits for news with the lock given up, and says whether the thread has idled for long
    /// enough.
    pub(crate) fn next<'a>(
        &'a self,
        idle: impl Fn(&Condvar, BooksGuard<'a>) -> (BooksGuard<'a>, bool),
    ) -> Option<(u64, Box<dyn Work>)> {
        let mut books = self.lock();
        let mut leaves = false;
        loop {
            let blind = leaves && fault::is_on(Fault::LeaveWithoutLooking);
            if !blind && let Some((number, waiting)) = books.jobs.pop_first() {
                books.running.insert(number, waiting.location);
                return Some((number, waiting.work));
            }
            if leaves || books.closed {
                books.threads -= 1;
                return None;
            }
            books.idle += 1;
            (books, leaves) = idle(&self.news, books);
            books.idle -= 1;
        }
    }

    /// The job is done; said by its thread and by whoever takes what it gave, so that it is not among those
    /// under way any more for the one who comes first.
    pub(crate) fn over(&self, number: u64) {
        let mut books = self.lock();
        books.running.remove(&number);
        let ends = books.ends();
        drop(books);
        tell(ends);
    }

    /// Takes a job back that nobody has begun.
    pub(crate) fn remove(&self, number: u64) -> Option<Box<dyn Work>> {
        let mut books = self.lock();
        let waiting = books.jobs.remove(&number)?;
        let ends = books.ends();
        drop(books);
        tell(ends);
        Some(waiting.work)
    }

    /// Takes no more jobs; those that were taken are done, and the threads end.
    pub(crate) fn close(&self) {
        let mut books = self.lock();
        books.closed = true;
        let ends = books.ends();
        drop(books);
        if !fault::is_on(Fault::CloseWithoutNotify) {
            self.news.notify_all();
        }
        tell(ends);
    }

    /// Closes, and takes everything out that nobody has begun.
    pub(crate) fn abandon(&self) -> Abandoned {
        let mut books = self.lock();
        books.closed = true;
        let jobs = std::mem::take(&mut books.jobs).into_values();
        let running = books.running.values().copied().collect();
        let ends = books.ends();
        drop(books);
        self.news.notify_all();
        tell(ends);
        Abandoned { jobs: jobs.map(|waiting| (waiting.work, waiting.location)).collect(), running }
    }

    /// Lets `end` know when the queue is closed and all its jobs are over.
    pub(crate) fn at_end(&self, end: Arc<EndPacket>) {
        let mut books = self.lock();
        books.ends.push(end);
        let ends = books.ends();
        drop(books);
        tell(ends);
    }

    /// How many there are of what.
    pub(crate) fn numbers(&self) -> Numbers {
        let books = self.lock();
        Numbers {
            threads: books.threads,
            idle: books.idle,
            queued: books.jobs.len(),
            running: books.running.len(),
        }
    }
}

impl Books {
    /// Who is to be told that all is done; nobody as long as it is not.
    fn ends(&mut self) -> Vec<Arc<EndPacket>> {
        let over = self.closed && self.jobs.is_empty() && self.running.is_empty();
        if over { std::mem::take(&mut self.ends) } else { Vec::new() }
    }
}

/// Tells those who wait for the end; with no lock held, since it may wake somebody else's wakers.
fn tell(ends: Vec<Arc<EndPacket>>) {
    for end in ends {
        end.deliver(());
    }
}
