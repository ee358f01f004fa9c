//! How a pool ends: in time, too late, with its last clone, with the process.

use std::cell::Cell;
use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;

use futures::poll;
use greenroom::blocking::{NotStarted, Pool, default_pool};
use greenroom::{Runtime, sleep};

use super::support::{Tally, virtual_runtime, within_patience};
use super::{held, in_child, settle};

/// Far more than any of these tests takes.
const LONG: Duration = Duration::from_secs(100);

#[test]
fn a_shutdown_in_time_leaves_nothing() {
    let pool = Pool::new(2);
    let done = Tally::new();
    for _ in 0..100 {
        let done = done.clone();
        pool.spawn(move || done.add()).detach();
    }
    let report = pool.shutdown_blocking(LONG);
    assert_eq!(report.to_string(), "0 jobs still running, 0 jobs dropped before they began");
    assert_eq!(done.get(), 100);
    settle(&pool, 0, 0);
    assert_eq!(pool.shutdown_blocking(Duration::ZERO), report, "the end of what has ended");
}

#[test]
fn a_loop_awaits_the_end_of_a_pool_and_goes_on_meanwhile() {
    let (pool, runtime) = (Pool::new(1), Runtime::new().unwrap());
    let (gate, job) = held(&pool, 1);
    let report = runtime.block_on(async {
        let end = pool.shutdown(LONG);
        let opener = greenroom::spawn(async move { drop(gate) });
        let report = end.await;
        opener.await.unwrap();
        report
    });
    assert!(report.still_running.is_empty() && report.not_started.is_empty());
    assert!(job.is_finished());
}

#[test]
fn a_shutdown_that_is_given_up_holds_neither_time_nor_the_verdict() {
    within_patience(|| {
        let (pool, runtime) = (Pool::new(1), virtual_runtime());
        let (gate, job) = held(&pool, 1);
        let stalled = runtime.try_block_on(async {
            let mut end = Box::pin(pool.shutdown(LONG));
            assert!(poll!(&mut end).is_pending());
            drop(end);
            sleep(LONG).await;
            pending::<()>().await;
        });
        assert!(stalled.is_err(), "the job is not this loop's, and it waits for its end no more");
        drop(gate);
        assert_eq!(job.wait().unwrap(), 1);
    });
}

#[test]
fn what_a_shutdown_leaves_when_time_is_over_is_reported() {
    let runtime = Runtime::new().unwrap();
    for limit in [Duration::ZERO, Duration::from_millis(5)] {
        for in_a_loop in [false, true] {
            let (pool, closures) = (Pool::new(1), Tally::new());
            let (gate, running) = held(&pool, 5);
            let token = closures.token();
            let (line, waiting) = (line!(), pool.spawn(move || drop(token)));
            let report = match in_a_loop {
                false => pool.shutdown_blocking(limit),
                true => runtime.block_on(pool.shutdown(limit)),
            };
            assert_eq!(report.still_running.len(), 1);
            assert!(report.still_running[0].file().ends_with("blocking.rs"));
            assert_eq!(report.not_started.iter().map(|at| at.line()).collect::<Vec<_>>(), [line]);
            assert_eq!(closures.get(), 1, "the job that did not begin is dropped");
            let error = waiting.wait().unwrap_err();
            assert!(matches!(error.not_started_because(), Some(NotStarted::PoolClosed)), "{error}");
            assert_eq!(error.to_string(), "the job was never begun: the pool was shut down");
            drop(gate);
            assert_eq!(running.wait().unwrap(), 5, "a job that runs goes on to its end");
            settle(&pool, 0, 0);
        }
    }
}

#[test]
fn a_pool_that_was_shut_down_gives_jobs_back() {
    let pool = Pool::new(1);
    assert_eq!(pool.spawn(|| 1).wait().unwrap(), 1);
    let report = pool.shutdown_blocking(Duration::ZERO);
    assert!(report.still_running.is_empty(), "a job whose result was taken is over: {report}");
    let refused = pool.try_spawn(|| 2).unwrap_err();
    assert!(matches!(refused.reason, NotStarted::PoolClosed));
    assert_eq!((refused.job)(), 2);
    assert!(pool.spawn(|| 3).wait().unwrap_err().not_started_because().is_some());
    settle(&pool, 0, 0);
}

#[test]
fn a_pool_without_clones_does_what_it_has_taken_and_ends() {
    let pool = Pool::new(1);
    let clone = pool.clone();
    let (gate, first) = held(&pool, 1);
    let second = clone.spawn(|| 2);
    drop(pool);
    let third = clone.spawn(|| 3);
    drop(clone);
    drop(gate);
    assert_eq!([first, second, third].map(|job| job.wait().unwrap()), [1, 2, 3]);
}

thread_local! {
    /// Tells of the end of its thread.
    static TELLS: Cell<Option<mpsc::Sender<()>>> = const { Cell::new(None) };
}

#[test]
fn the_idle_threads_of_a_pool_without_clones_end() {
    let pool = Pool::builder(1).idle_after(Duration::MAX).build();
    let (tells, ended) = mpsc::channel();
    pool.spawn(move || TELLS.set(Some(tells))).wait().unwrap();
    settle(&pool, 1, 1);
    assert_eq!(ended.try_recv(), Err(mpsc::TryRecvError::Empty));
    drop(pool);
    assert_eq!(ended.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn names_are_looked_up_by_the_default_pool() {
    in_child("ends::names_are_looked_up_by_the_default_pool", || {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(greenroom::net::TcpListener::bind("localhost:0"));
        assert!(listener.is_ok() && default_pool().statistics().threads == 1);
        let report = default_pool().shutdown_blocking(LONG);
        assert!(report.still_running.is_empty());
        let error = runtime.block_on(greenroom::net::TcpStream::connect("localhost:1")).unwrap_err();
        assert_eq!(error.to_string(), "the job was never begun: the pool was shut down");
        assert!(runtime.block_on(greenroom::spawn_blocking(|| ())).is_err());
    });
}

#[test]
fn a_job_may_be_the_last_owner_of_its_pool() {
    let pool = Pool::new(1);
    let clone = pool.clone();
    let job = pool.spawn(move || clone.spawn(|| 2));
    drop(pool);
    assert_eq!(job.wait().unwrap().wait().unwrap(), 2);
}

#[test]
fn a_shutdown_that_nobody_waits_for_still_closes_the_pool() {
    let (pool, runtime) = (Pool::new(1), virtual_runtime());
    let (gate, job) = held(&pool, 1);
    drop(runtime.enter(|| pool.shutdown(LONG)));
    assert!(pool.try_spawn(|| ()).is_err());
    drop(gate);
    assert_eq!(job.wait().unwrap(), 1);
}

#[test]
fn a_process_ends_while_jobs_run() {
    in_child("ends::a_process_ends_while_jobs_run", || {
        let (begun, begins) = mpsc::channel();
        let for_ever = move || {
            begun.send(()).unwrap();
            loop {
                std::thread::park();
            }
        };
        let job = greenroom::spawn_blocking(for_ever);
        begins.recv().unwrap();
        job.detach();
        // What never began does not keep the process either.
        let pool = Pool::new(1);
        let (gate, running) = held(&pool, ());
        pool.spawn(|| ()).detach();
        running.detach();
        std::mem::forget((gate, pool));
    });
}
