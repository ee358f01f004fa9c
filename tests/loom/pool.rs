//! The jobs of a pool and its threads: no job is lost when an idle thread leaves, when the pool closes, or
//! when somebody takes one back; and no idle thread is counted on twice.

use std::io;
use std::panic::Location;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::thread;

use super::check::{Calm, DEADLOCK, fails, holds};
use crate::atomic::{Arc, Condvar};
use crate::blocking::error::NotStarted;
use crate::blocking::queue::{BooksGuard, JobQueue, Work};
use crate::executor::packet::Packet;
use crate::fault::Fault;

const PREEMPTIONS: usize = 3;

/// How often jobs were begun and given up.
#[derive(Clone, Default)]
struct Tally(StdArc<(AtomicUsize, AtomicUsize)>);

impl Tally {
    /// Begun, given up.
    fn get(&self) -> (usize, usize) {
        (self.0.0.load(Ordering::Relaxed), self.0.1.load(Ordering::Relaxed))
    }
}

/// A job that counts, and then runs the rest.
struct Counted<F>(Tally, F);

impl<F: FnOnce() + Send> Work for Counted<F> {
    fn run(self: Box<Self>) {
        self.0.0.0.fetch_add(1, Ordering::Relaxed);
        (self.1)();
    }

    fn give_up(self: Box<Self>, _: Option<NotStarted>) {
        self.0.0.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// A pool with model threads.
struct ModelPool {
    /// Its jobs.
    queue: Calm<Arc<JobQueue>>,
    /// Whether its threads leave as soon as they find nothing to do, or wait for ever.
    impatient: bool,
}

impl ModelPool {
    fn new(limit: usize, impatient: bool) -> ModelPool {
        ModelPool { queue: Calm::new(Arc::new(JobQueue::new(limit))), impatient }
    }

    /// Hands in a job.
    fn push(&self, tally: &Tally, rest: impl FnOnce() + Send + 'static) -> u64 {
        let work = Counted(tally.clone(), rest);
        let pushed = self.queue.push(work, Location::caller(), |work| Box::new(work), || self.make_thread());
        pushed.map_err(|_| ()).expect("the pool is open")
    }

    fn make_thread(&self) -> io::Result<()> {
        let (queue, impatient) = (Calm::new((*self.queue).clone()), self.impatient);
        thread::spawn(move || {
            while let Some((number, work)) = queue.next(|news, books| idle(&queue, impatient, news, books)) {
                work.run();
                queue.over(number);
            }
        });
        Ok(())
    }

    /// Closes, and waits until all is done; a job that nobody does is a deadlock.
    fn end(self) {
        self.queue.close();
        let end = Calm::new(Arc::new(Packet::new(Vec::new())));
        self.queue.at_end((*end).clone());
        end.wait();
    }
}

/// What a thread does without work.
fn idle<'a>(
    queue: &'a JobQueue,
    impatient: bool,
    news: &Condvar,
    books: BooksGuard<'a>,
) -> (BooksGuard<'a>, bool) {
    if impatient {
        drop(books);
        // Time is up while others have the lock.
        return (queue.lock(), true);
    }
    (news.wait(books).expect("nothing panics under the lock"), false)
}

/// Jobs come while threads that find nothing to do leave.
fn jobs_while_threads_leave(limit: usize) {
    let (pool, tally) = (ModelPool::new(limit, true), Tally::default());
    pool.push(&tally, || ());
    pool.push(&tally, || ());
    pool.end();
    assert_eq!(tally.get(), (2, 0));
}

/// After a first job, two come that wait for each other: each needs a thread.
fn jobs_that_need_two_threads() {
    let (pool, tally) = (ModelPool::new(2, false), Tally::default());
    pool.push(&tally, || ());
    let [one, two] = [(); 2].map(|()| Arc::new(Packet::<(), ()>::new(())));
    for (mine, other) in [(one.clone(), two.clone()), (two, one)] {
        let (mine, other) = (Calm::new(mine), Calm::new(other));
        pool.push(&tally, move || {
            mine.deliver(());
            other.wait();
        });
    }
    pool.end();
    assert_eq!(tally.get(), (3, 0));
}

/// A job is taken back while a thread looks for work.
fn a_job_taken_back() {
    let (pool, tally) = (ModelPool::new(1, false), Tally::default());
    let number = pool.push(&tally, || ());
    pool.push(&tally, || ());
    let taken_back = pool.queue.remove(number).map(|work| work.give_up(None)).is_some();
    pool.end();
    assert_eq!(tally.get(), if taken_back { (1, 1) } else { (2, 0) });
}

/// A pool is told to end at once while a thread looks for work.
fn a_pool_abandoned() {
    let (pool, tally) = (ModelPool::new(1, false), Tally::default());
    pool.push(&tally, || ());
    pool.push(&tally, || ());
    for (work, _) in pool.queue.abandon().jobs {
        work.give_up(Some(NotStarted::PoolClosed));
    }
    pool.end();
    let (begun, given_up) = tally.get();
    assert_eq!(begun + given_up, 2, "a job was lost, or both done and given up");
}

#[test]
fn no_job_is_lost_when_the_last_thread_leaves() {
    holds(PREEMPTIONS, || jobs_while_threads_leave(1));
    holds(2, || jobs_while_threads_leave(2));
}

#[test]
fn a_thread_that_leaves_without_looking_is_noticed() {
    fails(Fault::LeaveWithoutLooking, DEADLOCK, PREEMPTIONS, || jobs_while_threads_leave(1));
}

#[test]
fn jobs_that_wait_for_each_other_get_a_thread_each() {
    holds(2, jobs_that_need_two_threads);
}

#[test]
fn an_idle_thread_that_is_counted_on_twice_is_noticed() {
    fails(Fault::CountOnBusyThread, DEADLOCK, 2, jobs_that_need_two_threads);
}

#[test]
fn a_job_is_begun_or_taken_back() {
    holds(PREEMPTIONS, a_job_taken_back);
}

#[test]
fn each_job_of_an_abandoned_pool_is_begun_or_given_up() {
    holds(PREEMPTIONS, a_pool_abandoned);
}

#[test]
fn idle_threads_that_do_not_hear_of_the_end_are_noticed() {
    fails(Fault::CloseWithoutNotify, DEADLOCK, PREEMPTIONS, || {
        let (pool, tally) = (ModelPool::new(1, false), Tally::default());
        pool.push(&tally, || ());
        pool.end();
    });
}
