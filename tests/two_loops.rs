//! Two loops on one thread, other executors inside of a task, and the end of a thread: a name that means
//! something in one loop must mean nothing in another. To replay one: `cargo test --test two_loops <name>`.

#![expect(clippy::async_yields_async, reason = "futures are handed from loop to loop here")]

#[path = "support/core/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use greenroom::sync::{Event, Mutex, Queue, RLock};
use greenroom::{BlockOnError, Rng, Runtime, join_all, scope, select, sleep, spawn, yield_now};
use support::{assert_whole, virtual_runtime, within_patience};

const SECOND: Duration = Duration::from_secs(1);

/// Polls once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

#[test]
fn a_set_that_moves_into_another_executor_is_woken_there() {
    within_patience(|| {
        let runtime = virtual_runtime();
        runtime.block_on(async {
            let mut set = join_all([sleep(SECOND), sleep(2 * SECOND)]);
            assert!(poll_once(&mut set).await.is_pending());
            // From here on the set is polled with a waker that the loop does not know.
            let mut crowd = FuturesUnordered::from_iter([set]);
            assert_eq!(crowd.next().await.map(|values| values.len()), Some(2));
        });
        assert_whole(&runtime);
    });
}

#[test]
fn a_set_that_comes_back_from_another_executor_is_woken_here() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let mut set = join_all([sleep(SECOND), sleep(2 * SECOND)]);
        let mut stranger = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(Pin::new(&mut set).poll(&mut stranger).is_pending());
            assert!(poll_once(&mut set).await.is_pending());
        }
        set.await;
    });
    assert_whole(&runtime);
}

#[test]
fn a_nested_set_that_moves_into_another_executor_is_woken_there() {
    within_patience(|| {
        virtual_runtime().block_on(async {
            let mut set = join_all([join_all([sleep(SECOND)]), join_all([sleep(2 * SECOND)])]);
            assert!(poll_once(&mut set).await.is_pending());
            let mut crowd = FuturesUnordered::from_iter([set]);
            assert!(crowd.next().await.is_some());
        });
    });
}

#[test]
fn what_a_set_left_in_another_loop_wakes_it_where_it_is() {
    let (one, two) = (virtual_runtime(), virtual_runtime());
    let event = Rc::new(Event::new());
    let waits = event.clone();
    let set = one.block_on(async {
        // A branch that leaves a timer behind in the first loop, and then waits for something else.
        let mut left = Box::pin(sleep(SECOND));
        let mut begun = false;
        let mut wait = Box::pin(async move { waits.wait().await });
        let mut set = join_all([poll_fn(move |context| {
            if !std::mem::replace(&mut begun, true) {
                assert!(left.as_mut().poll(context).is_pending());
                return Poll::Pending;
            }
            wait.as_mut().poll(context)
        })]);
        assert!(poll_once(&mut set).await.is_pending());
        set
    });
    let mut task = two.block_on(async {
        let task = spawn(set);
        yield_now().await;
        task
    });
    // The timer of the first loop goes off while the set waits in the second.
    let polls = Rc::new(Cell::new(0));
    let counted = polls.clone();
    one.block_on(async move {
        for _ in 0..4 {
            let counted = counted.clone();
            spawn(poll_fn(move |_| {
                counted.set(counted.get() + 1);
                Poll::<()>::Pending
            }))
            .detach();
        }
        sleep(2 * SECOND).await;
    });
    assert_eq!(polls.get(), 4, "a stranger of the first loop was woken by the name of a task of the second");
    two.block_on(async {
        event.set();
        (&mut task).await.unwrap();
    });
    assert_whole(&two);
}

#[test]
fn an_rlock_tells_tasks_of_two_loops_apart() {
    let (one, two) = (virtual_runtime(), virtual_runtime());
    let lock = Rc::new(RLock::new());
    let inner = lock.clone();
    one.block_on(async move {
        spawn(async move {
            let _guard = inner.lock().await;
            pending::<()>().await
        })
        .detach();
        yield_now().await;
    });
    let inner = lock.clone();
    let entered =
        two.block_on(async move { spawn(async move { inner.try_lock().is_some() }).await.unwrap() });
    assert!(!entered, "a task of another loop has the same number, and is another");
}

#[test]
fn a_report_names_what_tasks_of_its_own_loop_hold() {
    let (one, two) = (virtual_runtime(), virtual_runtime());
    let mutex = Rc::new(Mutex::new(()));
    let inner = mutex.clone();
    one.block_on(async move {
        spawn(async move {
            let _guard = inner.lock().await;
            pending::<()>().await
        })
        .detach();
        yield_now().await;
    });
    let inner = mutex.clone();
    let stalled = two.try_block_on(async move {
        spawn(async move { drop(inner.lock().await) }).await.unwrap();
    });
    let Err(BlockOnError::Stalled(report)) = stalled else { panic!("{stalled:?}") };
    assert_eq!((&report.tasks[1].holds[..], &report.tasks[1].held_by[..]), (&[][..], &[][..]), "{report}");
}

thread_local! {
    /// A runtime that ends with its thread.
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

#[test]
fn a_runtime_may_end_with_its_thread_after_the_list_of_primitives() {
    std::thread::spawn(|| {
        // First the runtime, so that it goes last.
        RUNTIME.set(Some(virtual_runtime()));
        RUNTIME.with_borrow(|runtime| {
            runtime.as_ref().unwrap().block_on(async {
                let mutex = Rc::new(Mutex::new(1));
                spawn(async move {
                    let _guard = mutex.lock().await;
                    // Made when the list is gone already.
                    let _late = support::on_drop(|| drop(Event::new()));
                    scope(async |_| pending::<()>().await).await
                })
                .detach();
                yield_now().await;
            });
        });
    })
    .join()
    .unwrap();
}

#[test]
fn a_waiter_that_outlives_its_loop_hands_its_grant_on() {
    let mutex = Mutex::new(());
    let (one, two) = (virtual_runtime(), virtual_runtime());
    let guard = mutex.try_lock().unwrap();
    let mut left = pin!(mutex.lock());
    assert!(one.block_on(poll_fn(|context| Poll::Ready(left.as_mut().poll(context).is_pending()))));
    drop(one);
    drop(guard);
    assert!(mutex.is_locked(), "granted to the one in line");
    assert!(two.block_on(poll_fn(|context| Poll::Ready(left.as_mut().poll(context).is_ready()))));
    assert!(!mutex.is_locked());
}

/// What each branch of the wanderer waits for, and how often it has got that.
type Inbox = Rc<(Queue<()>, Cell<usize>)>;

/// Gets for ever.
async fn gets(inbox: Inbox) {
    while inbox.0.get().await.is_ok() {
        inbox.1.set(inbox.1.get() + 1);
    }
}

/// Several that get for ever, in one of three kinds of set.
fn crowd(kind: usize, inboxes: &[Inbox]) -> Pin<Box<dyn Future<Output = ()>>> {
    let inboxes = inboxes.to_vec();
    match kind {
        0 => Box::pin(async { drop(join_all(inboxes.into_iter().map(gets)).await) }),
        1 => Box::pin(async { FuturesUnordered::from_iter(inboxes.into_iter().map(gets)).collect().await }),
        _ => Box::pin(async {
            scope(async |scope| {
                for inbox in inboxes {
                    scope.spawn(gets(inbox));
                }
            })
            .await
        }),
    }
}

/// Polls `set` in a manner that depends on `kind`, until told to stop; gives the set back.
async fn host(
    mut set: Pin<Box<dyn Future<Output = ()>>>,
    kind: usize,
    stop: Rc<Event>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    let lend = async move {
        let _ = select(set.as_mut(), stop.wait()).await;
        set
    };
    match kind {
        0 => lend.await,
        1 => FuturesUnordered::from_iter([lend]).next().await.unwrap(),
        2 => join_all([lend]).await.pop().unwrap(),
        _ => join_all([FuturesUnordered::from_iter([lend]).into_future()]).await.pop().unwrap().0.unwrap(),
    }
}

#[test]
fn a_set_that_wanders_between_executors_loops_and_tasks_misses_no_wake() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let loops = [virtual_runtime(), virtual_runtime()];
        let inboxes: Vec<Inbox> = (0..6).map(|_| Rc::new((Queue::unbounded(), Cell::new(0)))).collect();
        let parts = inboxes.chunks(2).map(|pair| crowd(rng.below(3), pair)).collect::<Vec<_>>();
        let mut set: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async { drop(join_all(parts).await) });
        let put = [const { Cell::new(0) }; 6];
        for _ in 0..20 {
            let send = |rng: &mut Rng| {
                let to = rng.below(6);
                inboxes[to].0.try_put(()).unwrap();
                put[to].set(put[to].get() + 1);
            };
            if rng.below(2) == 1 {
                send(&mut rng); // while nobody polls
            }
            let (at, kind) = (rng.below(2), rng.below(4));
            set = loops[at].block_on(async {
                let stop = Rc::new(Event::new());
                let task = spawn(host(set, kind, stop.clone()));
                for _ in 0..rng.below(6) {
                    (0..rng.below(3)).for_each(|_| send(&mut rng));
                    for _ in 0..rng.below(12) {
                        yield_now().await;
                    }
                }
                for _ in 0..12 {
                    yield_now().await;
                }
                let got = inboxes.iter().map(|inbox| inbox.1.get()).collect::<Vec<_>>();
                assert_eq!(got, put.each_ref().map(Cell::get), "seed {seed}, polled in the manner {kind}");
                stop.set();
                task.await.unwrap()
            });
        }
    }
}
