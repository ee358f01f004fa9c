//! `gather`, and `CancellationToken`: tasks that are cancelled from outside, and work that is asked to
//! stop. To replay one: `cargo test --test tokens <name>`.

#[path = "support/core/mod.rs"]
mod support;

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use greenroom::{
    CancellationToken, Order, Runtime, WaitReason, gather, join_all, now, sleep, spawn, tasks, timeout,
    yield_now,
};
use support::{Tally, virtual_runtime};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order, shared by tasks.
type Log<T> = Rc<RefCell<Vec<T>>>;

fn shuffled(seed: u64) -> Runtime {
    Runtime::builder().virtual_clock(true).order(Order::Shuffled(seed)).build().unwrap()
}

#[test]
fn gather_gives_values_and_panics_in_argument_order() {
    for seed in 0..200 {
        shuffled(seed).block_on(async {
            let start = now();
            let results = gather([3, 1, 2].map(|n| async move {
                sleep(n * SECOND).await;
                assert!(n != 1, "one");
                n
            }))
            .await;
            assert_eq!(now() - start, 3 * SECOND);
            let texts: Vec<_> =
                results.iter().map(|result| result.as_ref().map_err(ToString::to_string)).collect();
            assert_eq!((texts[0].clone(), texts[2].clone()), (Ok(&3), Ok(&2)));
            assert!(texts[1].as_ref().unwrap_err().ends_with("panicked: one"), "{texts:?}");
        });
    }
}

#[test]
fn dropping_a_gather_cancels_its_tasks() {
    virtual_runtime().block_on(async {
        let drops = Tally::new();
        let naps = [1, 3, 4].map(|n| {
            let token = drops.token();
            async move {
                sleep(n * SECOND).await;
                token
            }
        });
        assert!(timeout(2 * SECOND, gather(naps)).await.is_err());
        assert_eq!(drops.get(), 1, "the value of the first");
        yield_now().await;
        assert_eq!((drops.get(), tasks().len()), (3, 1));
    });
}

#[test]
fn a_token_cancels_its_children_and_not_its_parent() {
    virtual_runtime().block_on(async {
        let parent = CancellationToken::new();
        let (one, two) = (parent.child(), parent.child());
        let grandchild = one.child();
        let log = Log::default();
        let wait = |name: &'static str, token: &CancellationToken| {
            let (cancelled, log) = (token.cancelled(), log.clone());
            spawn(async move {
                cancelled.await;
                log.borrow_mut().push(name);
            })
        };
        let all =
            [wait("grandchild", &grandchild), wait("two", &two), wait("parent", &parent), wait("one", &one)];
        yield_now().await;
        assert!(tasks()[1..].iter().all(|task| task.reason == WaitReason::Cancellation));
        one.cancel();
        one.cancel();
        yield_now().await;
        assert_eq!(*log.borrow(), ["one", "grandchild"]);
        assert!(!parent.is_cancelled() && !two.is_cancelled() && grandchild.is_cancelled());
        parent.clone().cancel();
        join_all(all).await;
        assert_eq!(*log.borrow(), ["one", "grandchild", "parent", "two"]);
        assert!(parent.child().is_cancelled(), "born late");
        parent.cancelled().await;
    });
}

#[test]
fn a_long_line_of_tokens_is_cancelled_and_dropped_without_recursion() {
    for drop_from_the_end in [false, true] {
        let first = CancellationToken::new();
        let mut last = first.child();
        for _ in 0..100_000 {
            last = last.child();
        }
        if drop_from_the_end {
            drop(first);
        } else {
            first.cancel();
            assert!(last.is_cancelled());
        }
        drop(last);
    }
}

#[test]
fn run_until_cancelled_gives_the_value_or_drops_the_work() {
    virtual_runtime().block_on(async {
        let token = CancellationToken::new();
        assert_eq!(token.run_until_cancelled(async { 1 }).await, Some(1));
        let (drops, canceller) = (Tally::new(), token.child());
        let child = canceller.clone();
        let cancel = spawn(async move {
            sleep(SECOND).await;
            child.cancel();
        });
        let held = drops.token();
        let work = async move {
            let _held = held;
            pending::<()>().await;
        };
        assert_eq!(canceller.run_until_cancelled(work).await, None);
        assert_eq!(drops.get(), 1);
        let never = async { panic!("not begun") };
        assert_eq!(canceller.run_until_cancelled::<_>(never).await, None::<()>);
        assert_eq!(token.run_until_cancelled(sleep(SECOND)).await, Some(()));
        cancel.await.unwrap();
    });
}

#[test]
fn a_cancelled_token_that_is_awaited_in_a_loop_gives_way_now_and_then() {
    shuffled(1).block_on(async {
        let token = CancellationToken::new();
        token.cancel();
        let (other, mut count) = (spawn(async {}), 0);
        while !other.is_finished() && count < 1000 {
            token.cancelled().await;
            count += 1;
        }
        assert!(count < 1000, "the other never ran");
    });
}
