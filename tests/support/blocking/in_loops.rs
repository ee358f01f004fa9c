//! Jobs and loops: what is awaited, what time does meanwhile, and loops that are gone.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use greenroom::blocking::{JobHandle, Pool};
use greenroom::{
    BlockOnError, Event, Observer, Runtime, WaitReason, now, sleep, spawn, spawn_blocking, tasks, yield_now,
};

use super::support::{Tally, counting_waker, panic_text, within_patience};
use super::{Gate, held};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_job_is_awaited_in_the_loop_and_says_so() {
    let runtime = Runtime::new().unwrap();
    let sum = runtime.block_on(async {
        let (gate, job) = held(&Pool::new(1), 40);
        let other = spawn(async move {
            assert_eq!(tasks()[0].reason, WaitReason::Job);
            assert_eq!(tasks()[0].reason.to_string(), "job on another thread");
            drop(gate);
            2
        });
        job.await.unwrap() + other.await.unwrap()
    });
    assert_eq!(sum, 42);
    let error = runtime.block_on(spawn_blocking(|| panic!("far away"))).unwrap_err();
    assert_eq!(panic_text(error.try_into_panic().unwrap()), "far away");
}

/// Opens a gate when the loop goes to sleep for as long as it takes.
struct OpenWhenAsleep(RefCell<Option<Gate>>);

impl Observer for OpenWhenAsleep {
    fn observe(&self, _: Duration, event: &Event<'_>) {
        if matches!(event, Event::WaitStarted { timeout: None }) {
            drop(self.0.take());
        }
    }
}

/// A virtual clock whose loop opens the gate when nothing else is left to it.
fn patient_runtime(gate: Gate) -> Runtime {
    let observer = OpenWhenAsleep(RefCell::new(Some(gate)));
    Runtime::builder().virtual_clock(true).observer(observer).build().unwrap()
}

#[test]
fn virtual_time_stands_still_for_a_job_that_a_loop_awaits() {
    let (gate, closed) = mpsc::channel::<()>();
    let pool = Pool::new(1);
    patient_runtime(Gate(gate)).block_on(async {
        let start = now();
        let job = pool.spawn(move || closed.recv());
        let timer = spawn(sleep(HOUR));
        job.await.unwrap().unwrap_err();
        assert_eq!(now() - start, Duration::ZERO, "time jumped while a job was under way");
        timer.await.unwrap();
        assert_eq!(now() - start, HOUR);
    });
}

#[test]
fn virtual_time_stands_still_for_a_job_that_nobody_awaits() {
    let (gate, closed) = mpsc::channel::<()>();
    let (over, is_over) = mpsc::channel();
    let pool = Pool::new(1);
    patient_runtime(Gate(gate)).block_on(async {
        pool.spawn(move || over.send(closed.recv().is_err())).detach();
        sleep(HOUR).await;
        assert_eq!(is_over.try_recv(), Ok(true), "the hour was over before the job");
    });
}

#[test]
fn virtual_time_stands_still_for_a_job_of_others_that_a_loop_awaits() {
    let pool = Pool::new(1);
    let (gate, job) = held(&pool, 7);
    patient_runtime(gate).block_on(async {
        let start = now();
        let timer = spawn(sleep(HOUR));
        assert_eq!(job.await.unwrap(), 7);
        assert_eq!(now() - start, Duration::ZERO);
        drop(timer);
    });
    let (gate, job) = held(&pool, 7);
    patient_runtime(gate).block_on(async {
        let start = now();
        let timer = spawn(sleep(HOUR));
        let mut results = pool.imap_unordered(1, [1], |number| number);
        let (seven, one) = futures::join!(job, results.next());
        assert_eq!((seven.unwrap(), one.unwrap().unwrap()), (7, 1));
        assert_eq!(now() - start, Duration::ZERO);
        drop(timer);
    });
}

#[test]
fn a_job_that_is_over_does_not_hold_time_or_hide_a_stall() {
    within_patience(job_is_over);
}

fn job_is_over() {
    let pool = Pool::new(1);
    let (gate, mut job) = held(&pool, 1);
    let runtime = patient_runtime(gate);
    let stalled = runtime.try_block_on(async {
        // Polled once, done, and never asked again: the handle is kept all the same.
        let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut job).poll(context).is_ready())).await;
        assert!(!polled);
        let start = now();
        sleep(HOUR).await;
        assert_eq!(now() - start, HOUR);
        assert!(job.is_finished());
        pending::<()>().await;
    });
    assert!(matches!(stalled, Err(BlockOnError::Stalled(_))), "{stalled:?}");
}

/// Drops a job's handle when the loop goes to sleep for as long as it takes.
struct DropWhenAsleep(Rc<RefCell<Option<JobHandle<()>>>>);

impl Observer for DropWhenAsleep {
    fn observe(&self, _: Duration, event: &Event<'_>) {
        if matches!(event, Event::WaitStarted { timeout: None }) {
            drop(self.0.take());
        }
    }
}

#[test]
fn a_job_taken_back_while_the_loop_goes_to_sleep_does_not_leave_it_asleep() {
    within_patience(|| {
        let pool = Pool::new(1);
        let (gate, others) = held(&pool, ());
        let job = Rc::new(RefCell::new(None));
        let runtime = Runtime::builder().observer(DropWhenAsleep(job.clone())).build().unwrap();
        job.replace(Some(runtime.enter(|| pool.spawn(|| ()))));
        runtime.run().expect("nothing is left");
        drop(gate);
        others.wait().unwrap();
    });
}

#[test]
fn a_handle_can_be_dropped_at_any_point() {
    let runtime = Runtime::new().unwrap();
    let (closures, results, wakes) = (Tally::new(), Tally::new(), Tally::new());
    for polls in 0..3 {
        for moment in ["waiting", "running", "done"] {
            let pool = Pool::new(1);
            let (gate, first) = held(&pool, ());
            let (closure, result) = (closures.token(), results.token());
            let (second_gate, closed) = mpsc::channel::<()>();
            let (begun, begins) = mpsc::channel();
            let mut job = pin!(Some(pool.spawn(move || {
                let _closure = closure;
                begun.send(()).unwrap();
                let _ = closed.recv();
                result
            })));
            let waker = counting_waker(&wakes);
            runtime.enter(|| {
                for _ in 0..polls {
                    let polled = job.as_mut().as_pin_mut().unwrap().poll(&mut Context::from_waker(&waker));
                    assert!(polled.is_pending());
                }
            });
            if moment == "waiting" {
                job.set(None);
            }
            drop(gate);
            first.wait().unwrap();
            if moment == "running" {
                begins.recv().unwrap();
                job.set(None);
            }
            drop(second_gate);
            drop(pool.shutdown_blocking(HOUR));
            job.set(None);
        }
    }
    assert_eq!((closures.get(), results.get()), (9, 9));
    assert_eq!(wakes.get(), 2, "the two whose handles were polled and kept to the end");
}

#[test]
fn a_job_whose_loop_is_gone_ends_and_harms_nobody() {
    let (pool, results) = (Pool::new(1), Tally::new());
    let runtime = Runtime::new().unwrap();
    let (gate, job) = runtime.enter(|| held(&pool, results.token()));
    let queued = runtime.enter(|| pool.spawn(|| unreachable!("its task is gone")));
    runtime.spawn(async move { drop((job.await, queued.await)) }).detach();
    runtime.block_on(yield_now());
    let report = runtime.shutdown(Duration::ZERO);
    assert_eq!((report.cancelled, report.jobs_left), (1, 1), "{report}");
    assert_eq!(report.to_string(), "1 tasks cancelled\n  1 jobs of other threads were not done");
    drop(gate);
    let report = pool.shutdown_blocking(HOUR);
    assert!(report.still_running.is_empty() && report.not_started.is_empty());
    super::settle(&pool, 0, 0);
    assert_eq!(results.get(), 1);
}

#[test]
fn a_loop_whose_jobs_are_awaited_has_none_left() {
    for _ in 0..1000 {
        let runtime = Runtime::new().unwrap();
        let pool = Pool::new(2);
        runtime.block_on(async {
            pool.spawn(|| ()).await.unwrap();
            pool.map(0..2, |_| ()).await;
        });
        assert_eq!(pool.statistics().running, 0);
        assert_eq!(runtime.shutdown(Duration::ZERO).jobs_left, 0);
    }
}

#[test]
fn a_handle_may_go_to_another_loop() {
    let (near, pool) = (Runtime::new().unwrap(), Pool::new(1));
    let (gate, job) = near.enter(|| held(&pool, 3));
    let far = std::thread::spawn(move || {
        let runtime = Runtime::new().unwrap();
        let opener = runtime.spawn(async move { drop(gate) });
        let value = runtime.block_on(job).unwrap();
        drop(opener);
        value
    });
    assert_eq!(far.join().unwrap(), 3);
    assert_eq!(near.shutdown(Duration::ZERO).jobs_left, 0);
}

#[test]
fn ten_thousand_jobs_of_one_loop() {
    let (runtime, pool) = (Runtime::new().unwrap(), Pool::new(4));
    let most = Cell::new(0);
    let sum = runtime.block_on(async {
        let jobs: Vec<_> = (0..10_000_u64).map(|number| pool.spawn(move || number)).collect();
        let mut sum = 0;
        for job in jobs {
            sum += job.await.unwrap();
            most.set(most.get().max(pool.statistics().threads));
        }
        sum
    });
    assert_eq!(sum, 9_999 * 5_000);
    assert!(most.get() <= 4);
}

#[test]
fn without_a_loop_any_executor_will_do() {
    let value = futures::executor::block_on(Pool::new(1).spawn(|| 9));
    assert_eq!(value.unwrap(), 9);
    let mut job = Pool::new(1).spawn(|| 9);
    while !job.is_finished() {
        std::thread::yield_now();
    }
    assert!(Pin::new(&mut job).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    let again = super::panic_of(|| Pin::new(&mut job).poll(&mut Context::from_waker(Waker::noop())));
    assert_eq!(again, "a JobHandle was polled after it gave its value");
}
