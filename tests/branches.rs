//! The set of futures under `join_all` and its kin: few polls, fair to other tasks, exact reports of a
//! stalled loop, whole after a panic. To replay one: `cargo test --test branches <name>`.

#[path = "support/core/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use greenroom::sync::Event;
use greenroom::{
    BlockOnError, Either, Event as Notice, Observer, Runtime, Stalled, WaitReason, as_completed, join_all,
    select, sleep, spawn, spawn_named, timeout, yield_now,
};
use support::{Bomb, Tally, assert_whole, panic_of, virtual_runtime, within_patience};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
type Log<T> = RefCell<Vec<T>>;

#[track_caller]
fn stalled<T: std::fmt::Debug>(result: Result<T, BlockOnError>) -> Stalled {
    match result {
        Err(BlockOnError::Stalled(stalled)) => stalled,
        other => panic!("not stalled: {other:?}"),
    }
}

/// Counts how often it polls what it wraps.
async fn counted<F: Future>(polls: &Cell<usize>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        polls.set(polls.get() + 1);
        future.as_mut().poll(context)
    })
    .await
}

/// A waker whose clones can be counted.
struct Counted(Tally);

impl std::task::Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.add();
    }
}

#[test]
fn ten_thousand_are_polled_twice_each() {
    const COUNT: u32 = 10_000;
    let (polls, parent) = (Cell::new(0), Cell::new(0));
    virtual_runtime().block_on(async {
        // Distinct wake times, in an order that has nothing to do with the arguments'.
        let naps = (0..COUNT).map(|n| counted(&polls, sleep((n * 7919 % COUNT + 1) * SECOND)));
        counted(&parent, join_all(naps)).await;
    });
    assert_eq!(polls.get(), 2 * COUNT as usize);
    // The first polls take a share of 128 each.
    assert_eq!(parent.get(), COUNT as usize + COUNT.div_ceil(128) as usize);
}

#[test]
fn many_that_are_ready_give_way_to_others() {
    virtual_runtime().block_on(async {
        let turns = Rc::new(Cell::new(0));
        let count = turns.clone();
        let other = spawn(async move {
            loop {
                count.set(count.get() + 1);
                yield_now().await;
            }
        });
        join_all((0..1280).map(|_| ready(()))).await;
        assert_eq!(turns.get(), 9, "the ten polls of a share each had nine turns of the other in between");
        // One that is woken again and again has one poll in a turn, like a task.
        yield_now().await;
        let before = turns.get();
        join_all([async {
            for _ in 0..50 {
                yield_now().await;
            }
        }])
        .await;
        assert_eq!(turns.get() - before, 50);
        drop(other);
    });
}

#[test]
fn things_that_never_come_stall_with_an_exact_report() {
    let runtime = virtual_runtime();
    let result = runtime.try_block_on(async {
        let task = spawn_named("stuck", sleep(Duration::MAX));
        let event = Event::new();
        let nested = join_all([join_all([event.wait(), event.wait()])]);
        let both = async {
            join_all((0..300).map(|_| sleep(Duration::MAX))).await;
        };
        let parts: [Pin<Box<dyn Future<Output = ()>>>; 4] = [
            Box::pin(sleep(SECOND)),
            Box::pin(async { task.await.unwrap() }),
            Box::pin(async { drop(nested.await) }),
            Box::pin(both),
        ];
        join_all(parts).await;
    });
    let report = stalled(result);
    // Only the sleep of a second was polled again; all the others are remembered.
    let [main, stuck] = [0, 1].map(|index| &report.tasks[index]);
    assert_eq!((main.reason, main.more_reasons), (WaitReason::Join(stuck.id), 2 + 300));
    assert_eq!((stuck.reason, stuck.more_reasons), (WaitReason::Sleep { until: Duration::MAX }, 0));
    assert_whole(&runtime);
}

/// Tells whenever the loop is about to wait for the world.
struct TellWaits(mpsc::Sender<()>);

impl Observer for TellWaits {
    fn observe(&self, _: Duration, event: &Notice<'_>) {
        if matches!(event, Notice::WaitStarted { .. }) {
            // At the end of the test nobody listens any more.
            let _ = self.0.send(());
        }
    }
}

#[test]
fn a_waker_that_somebody_holds_leaves_the_question_open_until_it_is_gone() {
    within_patience(|| {
        let (told, waits) = mpsc::channel();
        let runtime = Runtime::builder().virtual_clock(true).observer(TellWaits(told)).build().unwrap();
        let (sender, receiver) = futures::channel::oneshot::channel::<u8>();
        let thread = std::thread::spawn(move || {
            waits.recv().unwrap();
            sender.send(7).unwrap();
            waits
        });
        assert_eq!(runtime.block_on(join_all([receiver])), [Ok(7)]);
        let waits = thread.join().unwrap();
        while waits.try_recv().is_ok() {}
        // A waker that is dropped on another thread ends the wait: the loop looks again, and is stalled.
        let mut waits = Some(waits);
        let result = runtime.try_block_on(async {
            let parked = poll_fn(|context| {
                if let Some(waits) = waits.take() {
                    let waker = context.waker().clone();
                    std::thread::spawn(move || {
                        waits.recv().unwrap();
                        drop(waker);
                    });
                }
                Poll::<()>::Pending
            });
            join_all([parked]).await;
        });
        assert_eq!(stalled(result).tasks.len(), 1);
        assert_whole(&runtime);
    });
}

#[test]
fn a_waker_that_outlives_its_branch_or_its_set_keeps_nothing_open() {
    within_patience(|| {
        let runtime = virtual_runtime();
        let kept: Log<Waker> = Log::default();
        let result = runtime.try_block_on(async {
            let keep = || {
                let mut polled = false;
                let kept = &kept;
                poll_fn(move |context| {
                    kept.borrow_mut().push(context.waker().clone());
                    context.waker().wake_by_ref();
                    if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
                })
            };
            join_all([keep()]).await;
            let parts: [Pin<Box<dyn Future<Output = ()>>>; 2] = [Box::pin(keep()), Box::pin(pending())];
            let _ = timeout(SECOND, join_all(parts)).await;
            pending::<()>().await;
        });
        assert!(kept.borrow().len() >= 4);
        assert_eq!(stalled(result).tasks[0].reason, WaitReason::Unknown);
        kept.into_inner().into_iter().for_each(Waker::wake);
        assert_whole(&runtime);
    });
}

#[test]
fn a_set_that_moves_to_another_task_is_woken_there() {
    within_patience(|| {
        let (sender, receiver) = futures::channel::oneshot::channel::<u8>();
        let runtime = Runtime::new().unwrap();
        let got = runtime.block_on(async {
            let mut set = join_all([receiver]);
            let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut set).poll(context))).await;
            assert!(polled.is_pending());
            let elsewhere = spawn(set);
            yield_now().await;
            let thread = std::thread::spawn(move || sender.send(3).unwrap());
            let got = elsewhere.await.unwrap();
            thread.join().unwrap();
            got
        });
        assert_eq!(got, [Ok(3)]);
    });
}

#[test]
fn in_another_loop_the_futures_of_the_first_say_so() {
    let (one, other) = (virtual_runtime(), virtual_runtime());
    let mut set = one.enter(|| join_all([sleep(SECOND)]));
    let polled = one.block_on(poll_fn(|context| Poll::Ready(Pin::new(&mut set).poll(context))));
    assert!(polled.is_pending());
    let text = panic_of(|| other.block_on(set));
    assert_eq!(text, "a Sleep was used outside of the loop that it was made in");
    assert_whole(&one);
    assert_whole(&other);
}

#[test]
fn other_executors_can_run_them() {
    within_patience(|| {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..10).map(|_| futures::channel::oneshot::channel::<usize>()).unzip();
        let thread = std::thread::spawn(move || {
            for (n, sender) in senders.into_iter().enumerate().rev() {
                sender.send(n).unwrap();
            }
        });
        let values = futures::executor::block_on(join_all(receivers));
        assert_eq!(values, (0..10).map(Ok).collect::<Vec<_>>());
        thread.join().unwrap();
        let first = futures::executor::block_on(select(ready(1), ready(2)));
        assert_eq!(first, Either::First(1));
    });
}

#[test]
fn each_wake_of_a_stranger_polls_its_branch_alone() {
    let wakes = Tally::new();
    let counted = Arc::new(Counted(wakes.clone()));
    let waker = Waker::from(counted.clone());
    let mut context = Context::from_waker(&waker);
    let polls = [(); 3].map(|()| Cell::new(0));
    let kept: [Log<Waker>; 3] = Default::default();
    let mut set = join_all((0..3).map(|n| {
        let (polls, kept) = (&polls, &kept);
        poll_fn(move |context| {
            polls[n].set(polls[n].get() + 1);
            *kept[n].borrow_mut() = vec![context.waker().clone()];
            Poll::<()>::Pending
        })
    }));
    let seen = || polls.each_ref().map(Cell::get);
    assert!(Pin::new(&mut set).poll(&mut context).is_pending());
    assert_eq!((seen(), wakes.get()), ([1, 1, 1], 0));
    kept[1].borrow()[0].wake_by_ref();
    kept[1].borrow()[0].wake_by_ref();
    kept[2].borrow()[0].wake_by_ref();
    assert_eq!(wakes.get(), 1, "the task is woken once");
    assert!(Pin::new(&mut set).poll(&mut context).is_pending());
    assert_eq!((seen(), wakes.get()), ([1, 2, 2], 1));
    // The task's waker is kept while somebody could ask for it, and no longer.
    assert_eq!(Arc::strong_count(&counted), 3);
    kept[1..].iter().for_each(|kept| kept.borrow_mut().clear());
    assert_eq!(Arc::strong_count(&counted), 3);
    kept[0].borrow_mut().clear();
    assert_eq!(Arc::strong_count(&counted), 2, "the test's own, and its waker");
}

#[test]
fn a_panic_in_a_branch_goes_on_and_the_others_are_whole() {
    let runtime = virtual_runtime();
    let drops = Tally::new();
    let text = panic_of(|| {
        runtime.block_on(join_all([0, 1, 2].map(async |n| {
            let _token = drops.token();
            sleep(n * SECOND).await;
            assert!(n != 1, "the second");
        })))
    });
    assert_eq!((text.as_str(), drops.get()), ("the second", 3));
    // With `as_completed` one can go on after it.
    runtime.block_on(async {
        let mut set = as_completed([0, 1, 2].map(async |n| {
            let _bomb = (n == 1).then(|| Bomb("in a destructor"));
            sleep(n * SECOND).await;
            n
        }));
        assert_eq!(set.next().await, Some(0));
        let next = std::panic::AssertUnwindSafe(set.next());
        let panicked = futures::FutureExt::catch_unwind(next).await;
        assert_eq!(support::panic_text(panicked.unwrap_err()), "in a destructor");
        assert_eq!(set.next().await, Some(2));
        assert_eq!(set.next().await, None);
    });
    assert_whole(&runtime);
}

#[test]
fn two_destructors_that_panic_end_in_one_panic() {
    let runtime = virtual_runtime();
    let drops = Tally::new();
    let text = panic_of(|| {
        runtime.block_on(async {
            let set = join_all(["one", "two"].map(async |text| {
                let _token = drops.token();
                let _bomb = Bomb(text);
                pending::<()>().await
            }));
            let _ = timeout(SECOND, set).await;
        })
    });
    assert_eq!((text.as_str(), drops.get()), ("one", 2));
    assert_whole(&runtime);
}
