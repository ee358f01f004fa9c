//! Wakers: used on any thread, at any time, and mixed with those of other executors.
//!
//! Run one with `cargo test --test wakers name`. Threads are put into order by channels and by
//! the loop's own events, never by time; a lost wake ends in the watchdog's panic.

#[path = "support/core/mod.rs"]
mod support;

#[path = "support/core/foreign_wakers.rs"]
mod foreign;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use greenroom::{Event, Observer, Runtime, sleep, spawn, yield_now};
use support::{Tally, assert_whole, counting_waker, on_drop, virtual_runtime, within_patience};

/// A task that is never ready, and a waker of it.
fn waiting_task(runtime: &Runtime, polls: &Tally) -> (greenroom::JoinHandle<()>, Waker) {
    let place: Rc<RefCell<Option<Waker>>> = Rc::default();
    let (kept, polls) = (place.clone(), polls.clone());
    let handle = runtime.spawn(poll_fn(move |context| {
        polls.add();
        *kept.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }));
    runtime.turn_now();
    let waker = place.take().unwrap();
    (handle, waker)
}

#[test]
fn a_waker_works_on_another_thread_and_after_everything_is_gone() {
    let runtime = Runtime::new().unwrap();
    let polls = Tally::new();
    let (mut task, waker) = waiting_task(&runtime, &polls);
    let clone = waker.clone();
    assert!(clone.will_wake(&waker));
    let on_thread = |job: fn(Waker), waker: Waker| thread::spawn(move || job(waker)).join().unwrap();
    on_thread(Waker::wake, waker.clone());
    on_thread(|waker| waker.wake_by_ref(), waker.clone());
    on_thread(|waker| drop(waker.clone()), waker.clone());
    assert_eq!(polls.get(), 1, "no other thread polls");
    assert_eq!(runtime.turn_now().messages, 1, "one letter for both wakes");
    runtime.turn_now();
    assert_eq!(polls.get(), 2);
    task.cancel();
    runtime.turn_now();
    runtime.turn_now();
    assert!(task.is_finished());
    on_thread(Waker::wake, waker.clone());
    runtime.turn_now();
    runtime.enter(|| waker.wake_by_ref());
    assert_eq!(runtime.turn_now().ran, 0, "a wake after the end does nothing");
    drop((runtime, task));
    waker.wake_by_ref();
    on_thread(Waker::wake, waker.clone());
    on_thread(drop, waker);
    clone.wake();
    assert_eq!(polls.get(), 2);
}

#[test]
fn every_wake_of_many_threads_is_seen() {
    const THREADS: usize = 4;
    let rounds = support::number_from_env("GREENROOM_STEPS", 20_000) as usize / THREADS;
    within_patience(move || {
        let runtime = Runtime::new().unwrap();
        let written = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(AtomicUsize::new(0));
        let (wakers, takes) = mpsc::channel::<Waker>();
        let threads: Vec<_> = {
            let (written, seen) = (written.clone(), seen.clone());
            let start = move || {
                let waker = takes.recv().unwrap();
                let clones: Vec<Waker> = (0..THREADS).map(|_| waker.clone()).collect();
                let work = |waker: Waker| {
                    for _ in 0..rounds {
                        let mine = written.fetch_add(1, Ordering::Relaxed) + 1;
                        waker.wake_by_ref();
                        // Nobody goes on before the home has seen this very wake.
                        while seen.load(Ordering::Acquire) < mine {
                            thread::yield_now();
                        }
                    }
                };
                thread::scope(|scope| {
                    for waker in clones {
                        scope.spawn(|| work(waker));
                    }
                });
            };
            vec![thread::spawn(start)]
        };
        runtime.block_on(poll_fn(|context| {
            let _ = wakers.send(context.waker().clone());
            let now = written.load(Ordering::Relaxed);
            seen.store(now, Ordering::Release);
            if now == rounds * THREADS { Poll::Ready(()) } else { Poll::Pending }
        }));
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Says when the loop is about to sleep without an end.
struct Sleeps(mpsc::Sender<()>);

impl Observer for Sleeps {
    fn observe(&self, _at: Duration, event: &Event<'_>) {
        if let Event::WaitStarted { timeout: None } = event {
            let _ = self.0.send(());
        }
    }
}

#[test]
fn a_wake_from_abroad_ends_the_loops_sleep() {
    within_patience(|| {
        let (sender, asleep) = mpsc::channel();
        let runtime = Runtime::builder().observer(Sleeps(sender)).build().unwrap();
        let (wakers, takes) = mpsc::channel::<Waker>();
        let abroad = thread::spawn(move || {
            for waker in takes {
                asleep.recv().unwrap();
                waker.wake();
            }
        });
        let rounds = Cell::new(0);
        runtime.block_on(poll_fn(|context| {
            rounds.set(rounds.get() + 1);
            if rounds.get() == 500 {
                return Poll::Ready(());
            }
            wakers.send(context.waker().clone()).unwrap();
            Poll::Pending
        }));
        drop(wakers);
        abroad.join().unwrap();
    });
}

thread_local! {
    /// Wakers that are used while their thread is torn down.
    static LAST_WORDS: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
    /// A loop that lives as long as its thread.
    static LOOP: Runtime = Runtime::new().unwrap();
}

#[test]
fn wakes_from_thread_local_destructors_arrive() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        let polls = Tally::new();
        let (task, waker) = waiting_task(&runtime, &polls);
        let abroad = waker.clone();
        thread::spawn(move || {
            LAST_WORDS.with(|words| words.borrow_mut().push(Box::new(on_drop(move || abroad.wake()))));
        })
        .join()
        .unwrap();
        assert_eq!(runtime.turn_now().messages, 1);
        runtime.turn_now();
        assert_eq!(polls.get(), 2);
        // The same at home, where the loop's own thread-locals may be gone already.
        drop((task, runtime));
        LAST_WORDS.with(|words| words.borrow_mut().push(Box::new(on_drop(move || waker.wake()))));
    });
}

#[test]
fn a_loop_may_live_in_a_thread_local() {
    let drops = Tally::new();
    let token = drops.token();
    within_patience(move || {
        LOOP.with(|runtime| {
            runtime.block_on(async { yield_now().await });
            let waits = async move {
                let _token = token;
                pending::<()>().await
            };
            runtime.spawn(waits).detach();
            runtime.turn_now();
        });
        // The thread ends, and its loop with it.
    });
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_sleep_wakes_who_polled_it_last() {
    let runtime = virtual_runtime();
    let (first, second) = (Tally::new(), Tally::new());
    runtime.block_on(async {
        let mut nap = pin!(sleep(Duration::from_secs(1)));
        let (one, two) = (counting_waker(&first), counting_waker(&second));
        for waker in [&one, &two, &two] {
            assert!(nap.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        }
        sleep(Duration::from_secs(2)).await;
        assert_eq!((first.get(), second.get()), (0, 1));
        assert!(nap.as_mut().poll(&mut Context::from_waker(&one)).is_ready());
    });
}

#[test]
fn a_sleep_moved_to_another_task_wakes_that_one() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let mut nap = Box::pin(sleep(Duration::from_secs(9)));
        let first = spawn(async move {
            let polled = poll_fn(|context| Poll::Ready(nap.as_mut().poll(context)));
            assert!(polled.await.is_pending());
            Some(nap)
        });
        let nap = first.await.unwrap().unwrap();
        spawn(nap).await.unwrap();
        assert_eq!(greenroom::tasks()[0].waited, Duration::from_secs(0));
    });
}

#[test]
fn a_waker_of_one_loop_works_inside_of_another() {
    let (near, far) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let polls = Tally::new();
    let (task, waker) = waiting_task(&far, &polls);
    near.block_on(async move {
        waker.wake_by_ref();
        yield_now().await;
        drop(waker);
    });
    assert_eq!(polls.get(), 1, "its home was not inside of its loop");
    far.turn_now();
    far.turn_now();
    assert_eq!(polls.get(), 2);
    drop(task);
}

#[test]
fn futures_of_another_crate_run_in_our_tasks() {
    use futures::channel::{mpsc, oneshot};
    use futures::future::{Either, join_all, select};
    use futures::stream::{FuturesUnordered, StreamExt};
    use futures::{FutureExt, SinkExt};

    let runtime = virtual_runtime();
    runtime.block_on(async {
        let naps: FuturesUnordered<_> = (0..50_u64)
            .map(|number| sleep(Duration::from_secs(number * 7 % 50)).map(move |()| number * 7 % 50))
            .collect();
        assert_eq!(naps.collect::<Vec<_>>().await, (0..50).collect::<Vec<_>>());

        let tasks = (0..20).map(|number| {
            spawn(async move {
                yield_now().await;
                number
            })
        });
        let values: Vec<i32> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(values, (0..20).collect::<Vec<_>>());

        let (mut numbers, taken) = mpsc::channel::<u32>(1);
        let sends = spawn(async move {
            for number in 0..100 {
                numbers.send(number).await.unwrap();
            }
        });
        assert_eq!(taken.fold(0, |sum, number| async move { sum + number }).await, 4950);
        sends.await.unwrap();

        let (never, waits) = oneshot::channel::<()>();
        match select(waits, pin!(sleep(Duration::from_secs(1)))).await {
            Either::Right(((), waits)) => drop(waits),
            Either::Left(_) => panic!("nobody sent"),
        }
        assert!(never.is_canceled());
        futures::select! {
            () = pending::<()>().fuse() => panic!("never"),
            () = sleep(Duration::from_secs(1)).fuse() => {}
        }
    });
    assert_whole(&runtime);
}
