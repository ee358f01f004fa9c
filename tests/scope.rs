//! Children that borrow from their parent: values, order, panics, and what a scope promises when it is
//! dropped or forgotten half way. That a child cannot outlive what it borrows is shown by the examples in
//! the docs of `scope` that must not compile. To replay one: `cargo test --test scope <name>`.

#[path = "support/waiting/cancel.rs"]
mod cancel;
#[path = "support/core/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use cancel::cancel_everywhere;
use greenroom::sync::Event;
use greenroom::{
    BlockOnError, Order, Runtime, WaitReason, join_all, now, scope, sleep, spawn, timeout, yield_now,
};
use support::{Bomb, Tally, assert_whole, counting_waker, panic_of, virtual_runtime};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn children_borrow_and_the_scope_waits_for_them() {
    virtual_runtime().block_on(async {
        let start = now();
        let names = ["one".to_string(), "three".to_string()];
        let (mut slow, log) = (0, RefCell::new(Vec::new()));
        let value = scope(async |scope| {
            scope.spawn(async {
                sleep(3 * SECOND).await;
                slow += 1;
                log.borrow_mut().push("slow");
            });
            let lengths = names.iter().map(|name| scope.spawn(async { name.len() })).collect::<Vec<_>>();
            log.borrow_mut().push("body");
            join_all(lengths).await
        })
        .await;
        assert_eq!((value, slow), (vec![Some(3), Some(5)], 1));
        assert_eq!((log.into_inner(), now() - start), (vec!["body", "slow"], 3 * SECOND));
        drop(names);
    });
}

#[test]
fn children_spawn_more_and_run_side_by_side() {
    for seed in 0..200 {
        let runtime = Runtime::builder().virtual_clock(true).order(Order::Shuffled(seed)).build().unwrap();
        runtime.block_on(async {
            let (start, log) = (now(), RefCell::new(Vec::new()));
            scope(async |scope| {
                for n in [3, 1, 2] {
                    let (more, log) = (scope.clone(), &log);
                    scope.spawn(async move {
                        sleep(n * SECOND).await;
                        more.spawn(async move {
                            sleep(n * SECOND).await;
                            log.borrow_mut().push((n, now() - start));
                        });
                    });
                }
            })
            .await;
            assert_eq!(log.into_inner(), [1, 2, 3].map(|n| (n, 2 * n * SECOND)), "seed {seed}");
        });
    }
}

#[test]
fn another_task_may_spawn_into_a_scope_that_waits() {
    virtual_runtime().block_on(async {
        let seen = Rc::new(Cell::new(0));
        let count = seen.clone();
        let late = RefCell::new(None);
        scope(async |scope| {
            let event = Rc::new(Event::new());
            let heard = event.clone();
            let outside = scope.clone();
            let task = spawn(async move {
                sleep(SECOND).await;
                outside.spawn(async move {
                    count.set(count.get() + 1);
                    heard.set();
                });
                outside
            });
            event.wait().await;
            late.replace(task.await.ok());
        })
        .await;
        let late = late.take().unwrap().spawn(async {});
        assert_eq!(late.await, None, "the scope is over");
        assert_eq!(seen.get(), 1);
    });
}

#[test]
fn a_child_is_polled_only_when_it_was_woken() {
    let polls = Cell::new(0);
    virtual_runtime().block_on(async {
        scope(async |scope| {
            for n in 1..=1000 {
                let polls = &polls;
                let mut nap = Box::pin(sleep(n * SECOND));
                scope.spawn(poll_fn(move |context| {
                    polls.set(polls.get() + 1);
                    nap.as_mut().poll(context)
                }));
            }
        })
        .await;
    });
    assert_eq!(polls.get(), 2000);
}

#[test]
fn dropping_the_scope_drops_its_children_at_once() {
    virtual_runtime().block_on(async {
        let drops = Tally::new();
        let scoped = scope(async |scope| {
            let _body = drops.token();
            for _ in 0..3 {
                let token = drops.token();
                scope.spawn(async move {
                    let _token = token;
                    pending::<()>().await;
                });
            }
            sleep(SECOND).await;
            // Spawned, but not taken in before the end.
            let (token, more) = (drops.token(), scope.clone());
            scope.spawn(async move { drop((token, more)) });
            pending::<()>().await
        });
        let mut scoped = Box::pin(timeout(SECOND, scoped));
        assert!(scoped.as_mut().await.is_err());
        drop(scoped);
        assert_eq!(drops.get(), 5);
    });
}

#[test]
fn a_scope_that_is_forgotten_half_way_leaves_its_children_unpolled() {
    let runtime = virtual_runtime();
    let polls = Tally::new();
    runtime.block_on(async {
        let borrowed = Cell::new(0);
        let mut scoped = Box::pin(scope(async |scope| {
            scope.spawn(async {
                loop {
                    polls.add();
                    borrowed.set(borrowed.get() + 1);
                    sleep(SECOND).await;
                }
            });
        }));
        let mut polled_twice = 0;
        poll_fn(|context| {
            polled_twice += 1;
            assert!(scoped.as_mut().poll(context).is_pending());
            if polled_twice == 3 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        std::mem::forget(scoped);
        // What the child borrowed is free again, and nothing touches it.
        let before = borrowed.into_inner();
        sleep(10 * SECOND).await;
        assert_eq!(polls.get(), before);
        assert!(before > 0);
    });
    assert_whole(&runtime);
}

#[test]
fn a_panic_of_a_child_or_the_body_is_the_scopes() {
    for in_body in [false, true] {
        let runtime = virtual_runtime();
        let drops = Tally::new();
        let text = panic_of(|| {
            runtime.block_on(scope(async |scope| {
                let token = drops.token();
                scope.spawn(async move {
                    let _token = token;
                    pending::<()>().await;
                });
                scope.spawn(async {
                    sleep(SECOND).await;
                    assert!(in_body, "in a child");
                });
                let _token = drops.token();
                sleep(2 * SECOND).await;
                panic!("in the body");
            }))
        });
        assert_eq!(text, if in_body { "in the body" } else { "in a child" });
        assert_eq!(drops.get(), 2);
        assert_whole(&runtime);
    }
    let runtime = virtual_runtime();
    let text = panic_of(|| {
        runtime.block_on(scope(async |scope| {
            let _in_body = Bomb("first");
            scope.spawn(async {
                let _bomb = Bomb("second");
                pending::<()>().await;
            });
            yield_now().await;
            panic!("in the body, too");
        }))
    });
    assert_eq!(text, "in the body, too");
    assert_whole(&runtime);
}

#[test]
fn a_scope_that_waits_for_ever_is_reported_as_stalled() {
    let runtime = virtual_runtime();
    let never = Event::new();
    let result = runtime.try_block_on(scope(async |scope| {
        scope.spawn(never.wait());
        scope.spawn(sleep(SECOND));
        yield_now().await;
    }));
    let Err(BlockOnError::Stalled(report)) = result else { panic!("{result:?}") };
    let [main] = &report.tasks[..] else { panic!("{report}") };
    assert!(matches!(main.reason, WaitReason::Event(_)), "{report}");
    assert_eq!(main.more_reasons, 0);
}

#[test]
fn other_executors_can_run_a_scope() {
    let wakes = Tally::new();
    let waker = counting_waker(&wakes);
    let mut context = Context::from_waker(&waker);
    let total = Cell::new(0);
    let mut scoped = pin!(scope(async |scope| {
        for n in 1..=3 {
            let total = &total;
            scope.spawn(async move { total.set(total.get() + n) });
        }
        "done"
    }));
    assert!(scoped.as_mut().poll(&mut context).is_pending());
    assert!(wakes.get() > 0, "the new children ask for a poll");
    assert_eq!(Pin::new(&mut scoped).poll(&mut context), Poll::Ready("done"));
    assert_eq!(total.get(), 6);
}

#[test]
fn cancelled_at_each_await_all_that_is_borrowed_is_free_again() {
    let cancelled = cancel_everywhere(|fuse| async move {
        let inside = Cell::new(0);
        let count = |by: i32| inside.set(inside.get() + by);
        let scoped = scope(async |scope| {
            for n in 1..4 {
                let count = &count;
                let more = scope.clone();
                scope.spawn(async move {
                    count(1);
                    let _out = support::on_drop(|| count(-1));
                    sleep(n * SECOND).await;
                    more.spawn(yield_now()).await;
                });
            }
            sleep(2 * SECOND).await;
        });
        fuse.burn(scoped).await;
        assert_eq!(inside.into_inner(), 0);
    });
    assert!(cancelled > 21 * 10, "{cancelled}");
}
