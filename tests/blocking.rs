//! The pool of threads: who does which job, what becomes of one that is taken back, panics, or comes too
//! late, and what the loop makes of it all.
//!
//! Jobs are held and let go by gates, so nothing depends on how fast a thread is. To replay one test:
//! `cargo test --test blocking NAME`.

#[path = "support/blocking/ends.rs"]
mod ends;
#[path = "support/blocking/in_loops.rs"]
mod in_loops;
#[path = "support/blocking/maps.rs"]
mod maps;

#[path = "support/io/child.rs"]
mod child;
#[path = "support/core/mod.rs"]
mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use child::in_child;
use greenroom::blocking::{JobError, JobHandle, NotStarted, Pool};

use support::{Bomb, Tally, keep_log, panic_of, panic_text, within_patience};

/// Keeps a job under way until it is opened, or dropped.
struct Gate(#[allow(dead_code, reason = "its drop opens it")] mpsc::Sender<()>);

/// A job in `pool` that is under way from now on and gives `value` when its gate opens.
fn held<T: Send + 'static>(pool: &Pool, value: T) -> (Gate, JobHandle<T>) {
    let (gate, closed) = mpsc::channel();
    let (begun, begins) = mpsc::channel();
    let job = pool.spawn(move || {
        begun.send(()).unwrap();
        let _ = closed.recv();
        value
    });
    begins.recv().unwrap();
    (Gate(gate), job)
}

/// Waits until `pool` has so many threads, of which so many are idle.
fn settle(pool: &Pool, threads: usize, idle: usize) {
    loop {
        let now = pool.statistics();
        if (now.threads, now.idle) == (threads, idle) {
            return;
        }
        thread::yield_now();
    }
}

#[test]
fn a_job_gives_its_result_or_its_panic() {
    let pool = Pool::new(2);
    assert_eq!(pool.spawn(|| 6 * 7).wait().unwrap(), 42);
    let error = pool.spawn(|| -> u8 { panic!("out of {}", "ideas") }).wait().unwrap_err();
    assert!(error.is_panic() && !error.is_cancelled() && error.not_started_because().is_none());
    assert_eq!(error.to_string(), "a job panicked: out of ideas");
    assert_eq!(panic_text(error.try_into_panic().unwrap()), "out of ideas");
    assert_eq!(pool.spawn(|| 1).wait().unwrap(), 1, "the pool goes on");
}

#[test]
fn jobs_begin_in_the_order_in_which_they_came() {
    let pool = Pool::new(1);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (gate, first) = held(&pool, ());
    let note = |number| {
        let seen = seen.clone();
        pool.spawn(move || seen.lock().unwrap().push(number))
    };
    let jobs: Vec<_> = (0..100).map(note).collect();
    drop(gate);
    first.wait().unwrap();
    jobs.into_iter().for_each(|job| job.wait().unwrap());
    assert_eq!(*seen.lock().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn as_many_jobs_run_at_a_time_as_there_may_be_threads_and_no_more() {
    within_patience(|| {
        let pool = Pool::new(3);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let meeting = Arc::new(Barrier::new(3));
        let job = |_| {
            let (now, most, meeting) = (now.clone(), most.clone(), meeting.clone());
            pool.spawn(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Passed by three at a time, so three there must be.
                meeting.wait();
                now.fetch_sub(1, Ordering::SeqCst);
                thread::current().id()
            })
        };
        let jobs: Vec<_> = (0..300).map(job).collect();
        let threads: HashSet<_> = jobs.into_iter().map(|job| job.wait().unwrap()).collect();
        assert_eq!((threads.len(), most.load(Ordering::SeqCst)), (3, 3));
    });
}

#[test]
fn a_thread_is_made_only_when_none_is_idle_and_ends_when_idle_for_long() {
    let pool = Pool::new(8);
    assert_eq!(pool.statistics().threads, 0, "none before there is a job");
    pool.spawn(|| ()).wait().unwrap();
    settle(&pool, 1, 1);
    let (_gate, _job) = held(&pool, ());
    assert_eq!(pool.statistics().threads, 1, "an idle one was there");
    let (_gate, _job) = held(&pool, ());
    assert_eq!(pool.statistics().threads, 2, "none was idle");

    let pool = Pool::builder(8).idle_after(Duration::ZERO).build();
    for round in 0..100 {
        assert_eq!(pool.spawn(move || round).wait().unwrap(), round);
        settle(&pool, 0, 0);
    }
}

#[test]
fn threads_have_the_name_of_the_pool() {
    let pool = Pool::builder(1).name("sums\0 and more").build();
    let name = pool.spawn(|| thread::current().name().map(str::to_string)).wait().unwrap();
    assert_eq!(name.as_deref(), Some("sums and more"));
}

#[test]
fn a_job_that_has_not_begun_can_be_taken_back_and_one_that_has_cannot() {
    let pool = Pool::new(1);
    let (closures, runs) = (Tally::new(), Tally::new());
    let (gate, first) = held(&pool, 7);
    let job = || {
        let (token, runs) = (closures.token(), runs.clone());
        pool.spawn(move || {
            let _token = token;
            runs.add();
        })
    };
    let (cancelled, dropped, detached, wanted) = (job(), job(), job(), job());
    assert_eq!(pool.statistics().queued, 4);
    assert!(cancelled.cancel());
    assert!(!cancelled.cancel(), "there is nothing to take back any more");
    assert_eq!((closures.get(), pool.statistics().queued), (1, 3), "the closure is gone at once");
    let error = cancelled.wait().unwrap_err();
    assert!(error.is_cancelled() && !error.is_panic());
    drop(dropped);
    assert_eq!((closures.get(), pool.statistics().queued), (2, 2));
    detached.detach();
    assert!(!first.cancel() && !first.is_finished(), "it is under way");
    drop(gate);
    wanted.wait().unwrap();
    assert_eq!((closures.get(), runs.get()), (4, 2));
    assert_eq!(first.wait().unwrap(), 7, "the request to stop changed nothing");
}

#[test]
fn the_result_of_a_job_whose_handle_is_gone_is_dropped() {
    let pool = Pool::new(1);
    let results = Tally::new();
    let (gate, job) = held(&pool, results.token());
    drop(job);
    assert_eq!(results.get(), 0);
    drop(gate);
    pool.spawn(|| ()).wait().unwrap();
    assert_eq!(results.get(), 1);
}

#[test]
fn destructors_that_panic_do_no_harm() {
    let pool = Pool::new(1);
    let (gate, first) = held(&pool, Bomb("as a result"));
    let bomb = Bomb("as a closure");
    let job = pool.spawn(move || drop(bomb));
    assert!(job.cancel());
    assert!(job.wait().unwrap_err().is_cancelled());
    first.detach();
    drop(gate);
    assert_eq!(pool.spawn(|| 5).wait().unwrap(), 5);
    assert_eq!(pool.statistics().threads, 1, "the same thread");
}

#[test]
fn a_panic_that_nobody_awaits_is_logged() {
    keep_log();
    let pool = Pool::new(1);
    let job = pool.spawn(|| panic!("unheard"));
    while !job.is_finished() {
        thread::yield_now();
    }
    // Here, unless the pool's thread is the last to have it: then it is that thread's log.
    pool.shutdown_blocking(Duration::MAX);
    settle(&pool, 0, 0);
    drop(job);
    assert_eq!(support::logged(), ["ERROR: a job panicked: unheard; nobody awaited it"]);
}

#[test]
fn ten_thousand_jobs_from_four_threads_with_threads_that_come_and_go() {
    within_patience(|| {
        let pool = Pool::builder(4).idle_after(Duration::ZERO).build();
        let hand_in = |first: u64| {
            let pool = pool.clone();
            thread::spawn(move || {
                let jobs: Vec<_> =
                    (first..first + 2500).map(|number| pool.spawn(move || 2 * number)).collect();
                jobs.into_iter().map(|job| job.wait().unwrap()).sum::<u64>()
            })
        };
        let hands: Vec<_> = (0..4).map(|hand| hand_in(2500 * hand)).collect();
        let sum: u64 = hands.into_iter().map(|hand| hand.join().unwrap()).sum();
        assert_eq!(sum, 9_999 * 10_000);
        settle(&pool, 0, 0);
    });
}

#[test]
fn jobs_one_by_one_find_threads_that_are_about_to_leave() {
    within_patience(|| {
        let pool = Pool::builder(2).idle_after(Duration::ZERO).build();
        for number in 0..5000 {
            assert_eq!(pool.spawn(move || number).wait().unwrap(), number);
        }
    });
}

/// A pool that the system gives no thread: no memory is that large.
fn without_threads() -> Pool {
    Pool::builder(4).stack_bytes(1 << 60).build()
}

fn has_no_thread(error: &JobError) -> bool {
    matches!(error.not_started_because(), Some(NotStarted::NoThread(_)))
}

#[test]
fn a_job_that_no_thread_can_be_made_for_comes_back() {
    let pool = without_threads();
    let refused = pool.try_spawn(|| 42).unwrap_err();
    let text = refused.to_string();
    assert!(text.starts_with("the pool has no thread and cannot make one: ") && text.contains("ulimit -u"));
    assert_eq!((refused.job)(), 42, "nothing is lost");
    assert!(has_no_thread(&pool.spawn(|| ()).wait().unwrap_err()));
    let results: Vec<_> = pool.imap(0..3, |number| number).blocking().collect();
    assert!(results.len() == 3 && results.iter().all(|result| has_no_thread(result.as_ref().unwrap_err())));
    let now = pool.statistics();
    assert_eq!((now.threads, now.queued, now.running), (0, 0, 0));
}

#[test]
fn a_job_that_no_further_thread_can_be_made_for_waits_for_one_that_is_there() {
    in_child("a_job_that_no_further_thread_can_be_made_for_waits_for_one_that_is_there", || {
        const STACK: usize = 64 << 20;
        let pool = Pool::builder(4).stack_bytes(STACK).build();
        let (gate, first) = held(&pool, 1);
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
        // SAFETY: sysconf(3) takes and gives numbers.
        let in_use = pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
        let limit = libc::rlimit { rlim_cur: in_use + STACK as u64 / 2, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: setrlimit(2) reads the struct it is given.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        let second = pool.try_spawn(|| 2).expect("there is a thread that will do it");
        let now = pool.statistics();
        assert_eq!((now.threads, now.queued), (1, 1), "no second thread can be made");
        drop(gate);
        assert_eq!((first.wait().unwrap(), second.wait().unwrap()), (1, 2));
    });
}

#[test]
fn a_thread_inside_of_a_loop_may_not_be_blocked() {
    let (pool, runtime) = (Pool::new(1), greenroom::Runtime::new().unwrap());
    let (_gate, job) = held(&pool, ());
    let said = runtime.enter(|| {
        [
            panic_of(|| job.wait()),
            panic_of(|| pool.shutdown_blocking(Duration::ZERO)),
            panic_of(|| pool.imap(0..1, |_| ()).blocking().next()),
        ]
    });
    assert_eq!(said[0], "JobHandle::wait would stop the loop of this thread until the job is over; await it");
    assert!(said[1].contains("await Pool::shutdown") && said[2].contains("use Imap::next"));
}
