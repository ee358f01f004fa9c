//! A `task_group` of which a child or the body fails: who is cancelled, and what the caller gets. To
//! replay one: `cargo test --test group_failures <name>`.

#[path = "support/core/mod.rs"]
mod support;

use std::cell::Cell;
use std::error::Error;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use greenroom::group::Failure;
use greenroom::{GroupError, Order, Runtime, TaskGroup, current_task, now, sleep, task_group, yield_now};
use support::{Bomb, Tally, assert_whole, panic_of, panic_text, virtual_runtime};

const SECOND: Duration = Duration::from_secs(1);

/// The error of the groups here.
type Text = &'static str;

fn shuffled(seed: u64) -> Runtime {
    Runtime::builder().virtual_clock(true).order(Order::Shuffled(seed)).build().unwrap()
}

/// The cause of a group's end, as text.
#[track_caller]
fn cause<R: std::fmt::Debug>(result: Result<R, GroupError<Text>>) -> String {
    let error = result.expect_err("the group failed");
    assert!(error.others.is_empty(), "{error:?}");
    error.cause.to_string()
}

#[test]
fn the_first_error_cancels_the_rest_and_the_body() {
    for seed in 0..300 {
        shuffled(seed).block_on(async {
            let (start, drops, ends) = (now(), Tally::new(), Tally::new());
            let result: Result<(), _> = task_group(async |group| {
                for n in 1..6 {
                    let (token, ends) = (drops.token(), ends.clone());
                    group.spawn(async move {
                        let _token = token;
                        sleep(n * SECOND).await;
                        ends.add();
                        if n == 3 { Err("the third") } else { Ok(()) }
                    });
                }
                let _token = drops.token();
                pending().await
            })
            .await;
            assert_eq!(cause(result), "the third", "seed {seed}");
            assert_eq!((now() - start, drops.get(), ends.get()), (3 * SECOND, 6, 3), "seed {seed}");
        });
    }
}

#[test]
fn an_error_of_the_body_cancels_the_children() {
    virtual_runtime().block_on(async {
        let drops = Tally::new();
        let result: Result<(), _> = task_group(async |group| {
            let token = drops.token();
            group.spawn(async move {
                let _token = token;
                pending::<()>().await;
                Ok(())
            });
            yield_now().await;
            Err("the body")
        })
        .await;
        assert_eq!((cause(result).as_str(), drops.get()), ("the body", 1));
    });
}

#[test]
fn an_error_after_the_body_is_done_still_counts() {
    virtual_runtime().block_on(async {
        let result = task_group(async |group| {
            group.spawn(async {
                sleep(SECOND).await;
                Err::<(), _>("late")
            });
            Ok(1)
        })
        .await;
        assert_eq!(cause(result), "late");
    });
}

#[test]
fn a_panic_of_a_child_comes_out_as_an_error_that_carries_it() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let id = Rc::new(Cell::new(None));
        let seen = id.clone();
        let result: Result<(), GroupError<std::io::Error>> = task_group(async |group| {
            group.spawn(async move {
                seen.set(current_task());
                yield_now().await;
                if seen.get().is_some() {
                    panic!("oh no");
                }
                Ok(())
            });
            pending().await
        })
        .await;
        let error = result.unwrap_err();
        let text = format!("{} panicked: oh no", id.get().unwrap());
        assert_eq!((error.to_string(), error.source().unwrap().to_string()), (text.clone(), text));
        let Failure::Panic(error) = error.cause else { panic!("{error:?}") };
        assert_eq!(panic_text(error.try_into_panic().unwrap()), "oh no");
    });
    assert_whole(&runtime);
}

#[test]
fn a_panic_of_a_destructor_is_heard_of_too() {
    virtual_runtime().block_on(async {
        // Of those that are cancelled; and of one that has finished, after which the other is not begun.
        for finishes in [false, true] {
            let result: Result<(), _> = task_group(async |group: TaskGroup<Text>| {
                for text in ["one", "two"] {
                    group.spawn(async move {
                        let _bomb = Bomb(text);
                        if !finishes {
                            pending::<()>().await;
                        }
                        Ok(())
                    });
                }
                sleep(SECOND).await;
                group.cancel();
                pending().await
            })
            .await;
            let error = result.unwrap_err();
            let others: Vec<_> = error.others.iter().map(ToString::to_string).collect();
            if finishes {
                assert!(error.to_string().ends_with(" panicked: one") && others.is_empty(), "{error:?}");
            } else {
                assert!(error.to_string().ends_with(" panicked: one (and 1 more)"), "{error:?}");
                assert!(others[0].ends_with(" panicked: two"), "{error:?}");
            }
        }
    });
}

#[test]
fn a_panic_of_the_body_goes_on_once_the_children_are_gone() {
    let runtime = virtual_runtime();
    let drops = Tally::new();
    let text = panic_of(|| {
        runtime.block_on(async {
            let result: Result<(), GroupError<Text>> = task_group(async |group: TaskGroup<Text>| {
                let token = drops.token();
                group.spawn(async move {
                    let _token = token;
                    pending::<()>().await;
                    Ok(())
                });
                let _bomb = Bomb("not this one: a panic is under way");
                yield_now().await;
                panic!("in the body")
            })
            .await;
            drop(result);
        })
    });
    assert_eq!((text.as_str(), drops.get()), ("in the body", 1));
    assert_whole(&runtime);
}

#[test]
fn errors_of_the_same_turn_are_kept() {
    virtual_runtime().block_on(async {
        let result: Result<(), _> = task_group(async |group: TaskGroup<Text>| {
            let again = group.clone();
            group.spawn(async move {
                again.cancel();
                Err::<(), _>("after it was cancelled")
            });
            Err("the body")
        })
        .await;
        // The child was cancelled before its first turn: one error.
        assert_eq!(cause(result), "the body");
        let result: Result<(), _> = task_group(async |group: TaskGroup<Text>| {
            for text in ["first", "second"] {
                group.spawn(async move {
                    sleep(SECOND).await;
                    Err::<(), _>(text)
                });
            }
            pending().await
        })
        .await;
        assert_eq!(cause(result), "first", "the second was cancelled before its turn came");
    });
}
