//! Many futures in one task: `join_all`, `try_join_all`, `race`, `select`, `as_completed`. What the
//! set under them promises is in `tests/branches.rs`. To replay one: `cargo test --test combinators <name>`.

#[path = "support/waiting/cancel.rs"]
mod cancel;
#[path = "support/core/mod.rs"]
mod support;

use std::cell::RefCell;
use std::future::ready;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use cancel::cancel_everywhere;
use futures::StreamExt;
use greenroom::sync::Event;
use greenroom::{
    BlockOnError, Either, Order, Runtime, Stalled, WaitReason, as_completed, join, join_all, now, race,
    select, sleep, spawn, try_join_all, yield_now,
};
use support::{Tally, on_drop, virtual_runtime};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
type Log<T> = RefCell<Vec<T>>;

fn shuffled(seed: u64) -> Runtime {
    Runtime::builder().virtual_clock(true).order(Order::Shuffled(seed)).build().unwrap()
}

#[track_caller]
fn stalled<T: std::fmt::Debug>(result: Result<T, BlockOnError>) -> Stalled {
    match result {
        Err(BlockOnError::Stalled(stalled)) => stalled,
        other => panic!("not stalled: {other:?}"),
    }
}

#[test]
fn all_values_come_in_argument_order_after_the_longest() {
    virtual_runtime().block_on(async {
        let (start, log) = (now(), Log::default());
        let values = join_all([3, 1, 2].map(async |n| {
            sleep(n * SECOND).await;
            log.borrow_mut().push((n, now() - start));
            n * 10
        }))
        .await;
        assert_eq!(values, [30, 10, 20]);
        assert_eq!(log.into_inner(), [1, 2, 3].map(|n| (n, n * SECOND)));
        assert_eq!(join_all(Vec::<std::future::Ready<u8>>::new()).await, []);
    });
}

#[test]
fn two_of_different_types_are_awaited_together_and_neither_is_polled_after_its_end() {
    virtual_runtime().block_on(async {
        let (start, mutex) = (now(), greenroom::sync::Mutex::new(1));
        let slow = async {
            let guard = mutex.lock().await;
            sleep(3 * SECOND).await;
            *guard
        };
        let quick = async {
            sleep(SECOND).await;
            drop(mutex.lock().await);
            "two"
        };
        assert_eq!(join(slow, quick).await, (1, "two"));
        assert_eq!(now() - start, 3 * SECOND, "side by side");
        assert_eq!(join(ready(1), async { yield_now().await }).await, (1, ()));
    });
}

#[test]
fn the_first_error_ends_it_and_drops_the_rest() {
    virtual_runtime().block_on(async {
        let (start, drops) = (now(), Tally::new());
        let naps = |bad: u32| {
            [3, 1, 2].map(|n| {
                let token = drops.token();
                async move {
                    let _token = token;
                    sleep(n * SECOND).await;
                    if n == bad { Err(n) } else { Ok(n) }
                }
            })
        };
        assert_eq!(try_join_all(naps(2)).await, Err(2));
        assert_eq!((now() - start, drops.get()), (2 * SECOND, 3));
        assert_eq!(try_join_all(naps(0)).await, Ok(vec![3, 1, 2]));
    });
}

#[test]
fn the_first_to_finish_wins_and_ties_go_by_argument() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let (start, drops) = (now(), Tally::new());
        let winner = race([3, 1, 2].map(|n| {
            let token = drops.token();
            async move {
                let _token = token;
                sleep(n * SECOND).await;
                n
            }
        }));
        assert_eq!(winner.await, 1);
        assert_eq!((now() - start, drops.get()), (SECOND, 3), "the losers are gone");
        assert_eq!(race([ready('a'), ready('b')]).await, 'a');
        let tie = ['a', 'b', 'c'].map(async |letter| {
            sleep(SECOND).await;
            letter
        });
        assert_eq!(race(tie).await, 'a');
    });
    let result = runtime.try_block_on(race(Vec::<std::future::Ready<u8>>::new()));
    assert_eq!(stalled(result).tasks[0].reason, WaitReason::Sleep { until: Duration::MAX });
}

#[test]
fn select_is_fair_and_its_seed_decides() {
    let choices = |runtime: &Runtime| {
        runtime.block_on(async {
            let mut choices = Vec::new();
            for _ in 0..200 {
                choices.push(matches!(select(ready(1), ready("two")).await, Either::First(1)));
            }
            choices
        })
    };
    let mut different = Vec::new();
    for seed in 0..100 {
        let first = choices(&shuffled(seed));
        assert_eq!(first, choices(&shuffled(seed)), "seed {seed}");
        let count = first.iter().filter(|&&first| first).count();
        assert!((60..=140).contains(&count), "seed {seed}: {count} of 200");
        different.push(first);
    }
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 100);
    assert_eq!(choices(&virtual_runtime()), choices(&virtual_runtime()));
}

#[test]
fn select_drops_the_loser_and_can_lend_it_instead() {
    virtual_runtime().block_on(async {
        let drops = Tally::new();
        let token = drops.token();
        let long = async move {
            let _token = token;
            sleep(3 * SECOND).await
        };
        assert_eq!(select(long, sleep(SECOND)).await, Either::Second(()));
        assert_eq!(drops.get(), 1);
        let start = now();
        let mut long = pin!(sleep(3 * SECOND));
        assert_eq!(select(long.as_mut(), sleep(SECOND)).await, Either::Second(()));
        long.await;
        assert_eq!(now() - start, 3 * SECOND);
    });
}

#[test]
fn values_come_as_they_are_completed() {
    for seed in 0..300 {
        shuffled(seed).block_on(async {
            let start = now();
            let mut naps = as_completed([4, 1, 3, 2, 1].map(async |n: u32| {
                sleep(n * SECOND).await;
                (n, now() - start)
            }));
            let mut log = Vec::new();
            while let Some(nap) = naps.next().await {
                log.push(nap);
            }
            assert_eq!(log, [1, 1, 2, 3, 4].map(|n| (n, n * SECOND)), "seed {seed}");
        });
    }
    virtual_runtime().block_on(async {
        let stream = as_completed([2, 1].map(async |n| sleep(n * SECOND).await));
        assert_eq!(stream.count().await, 2);
    });
}

#[test]
fn tasks_in_a_shuffled_loop_all_arrive_whatever_the_order() {
    for seed in 0..300 {
        shuffled(seed).block_on(async {
            let event = Rc::new(Event::new());
            let tasks = (0..20).map(|n| {
                let event = event.clone();
                let task = spawn(async move {
                    for _ in 0..n % 4 {
                        yield_now().await;
                    }
                    if n == 7 {
                        event.set();
                    } else {
                        event.wait().await;
                    }
                    n
                });
                async { task.await.unwrap() }
            });
            let values = join_all([join_all(tasks)]).await;
            assert_eq!(values, [(0..20).collect::<Vec<_>>()], "seed {seed}");
        });
    }
}

#[test]
fn cancelled_at_each_await_everything_is_dropped_and_nothing_is_left() {
    let cancelled = cancel_everywhere(|fuse| async move {
        let (started, ended) = (Tally::new(), Tally::new());
        let nap = async |n: u32| {
            started.add();
            let _end = on_drop(|| ended.add());
            sleep(n * SECOND).await;
            yield_now().await;
        };
        let all = async {
            let mut set = as_completed([nap(1), nap(2)]);
            join_all([nap(1), nap(2), nap(3)]).await;
            race([nap(1), nap(2)]).await;
            select(nap(1), nap(2)).await;
            while set.next().await.is_some() {}
        };
        fuse.burn(all).await;
        assert_eq!(started.get(), ended.get());
    });
    assert!(cancelled > 21 * 20, "{cancelled}");
}
