//! Tasks that belong together: `task_group`, its children and its errors, under the virtual clock.
//! What happens when one fails is in `tests/group_failures.rs`. To replay one:
//! `cargo test --test group <name>`.

#[path = "support/waiting/cancel.rs"]
mod cancel;
#[path = "support/core/mod.rs"]
mod support;

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use cancel::cancel_everywhere;
use greenroom::group::{Child, NotReady, Ready};
use greenroom::{
    BlockOnError, GroupError, Order, Runtime, TaskGroup, WaitReason, now, sleep, spawn, task_group, tasks,
    timeout, yield_now,
};
use support::{Bomb, Tally, assert_whole, keep_log, logged, virtual_runtime};

const SECOND: Duration = Duration::from_secs(1);

/// The error of the groups here.
type Text = &'static str;

/// What happened, in order, shared by tasks.
type Log<T> = Rc<RefCell<Vec<T>>>;

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

async fn sleeper(duration: Duration) -> Result<(), Text> {
    sleep(duration).await;
    Ok(())
}

#[test]
fn leaving_waits_for_children_and_their_children() {
    for seed in 0..300 {
        shuffled(seed).block_on(async {
            let (start, log) = (now(), Log::default());
            let value = task_group(async |group: TaskGroup<Text>| {
                for n in [3, 1, 2] {
                    let (more, log) = (group.clone(), log.clone());
                    group.spawn(async move {
                        sleep(n * SECOND).await;
                        more.spawn(async move {
                            sleep(n * SECOND).await;
                            log.borrow_mut().push((n, now() - start));
                            Ok(())
                        });
                        Ok(())
                    });
                }
                Ok(group.len())
            })
            .await;
            assert_eq!(value.unwrap(), 3);
            assert_eq!(*log.borrow(), [1, 2, 3].map(|n| (n, 2 * n * SECOND)), "seed {seed}");
            assert_eq!(tasks().len(), 1, "only main is left");
        });
    }
}

#[test]
fn values_are_there_for_those_who_ask() {
    virtual_runtime().block_on(async {
        let drops = Tally::new();
        let token = drops.token();
        let sum = task_group(async |group: TaskGroup<Text>| {
            group.spawn(async { Ok(token) });
            let named = group.spawn_named("two", async {
                sleep(SECOND).await;
                assert_eq!(tasks().iter().filter_map(|task| task.name.as_deref()).count(), 2);
                Ok(2)
            });
            let mut cancelled = group.spawn(sleeper(SECOND));
            assert_eq!(Some(cancelled.id()), tasks().last().map(|task| task.id));
            cancelled.cancel();
            assert_eq!((&mut cancelled).await, None);
            assert!(cancelled.is_finished() && !named.is_finished());
            Ok(named.await.unwrap() + 1)
        })
        .await;
        assert_eq!((sum.unwrap(), drops.get()), (3, 1));
    });
}

#[test]
fn a_cancelled_group_gives_the_value_of_its_body_if_there_is_one() {
    virtual_runtime().block_on(async {
        let forever = |group: &TaskGroup<Text>| {
            group.spawn(async {
                pending::<()>().await;
                Ok(())
            })
        };
        let value = task_group(async |group| {
            forever(&group);
            group.cancel();
            assert!(group.is_cancelled() && !group.is_empty());
            // Whoever comes now is cancelled before its first turn.
            group.spawn(async { panic!("never polled") }) as Child<()>;
            Ok(5)
        })
        .await;
        assert_eq!(value.unwrap(), 5);
        let result: Result<(), _> = task_group(async |group| {
            forever(&group);
            let child = group.clone();
            group.spawn(async move {
                sleep(SECOND).await;
                child.cancel();
                Ok(())
            });
            pending().await
        })
        .await;
        assert_eq!(cause(result), "the group was cancelled");
    });
}

#[test]
fn start_waits_until_the_child_is_ready() {
    virtual_runtime().block_on(async {
        let (start, log) = (now(), Log::default());
        let note = log.clone();
        let value = task_group(async |group: TaskGroup<Text>| {
            let address = group
                .start(async move |ready: Ready<u16>| {
                    sleep(SECOND).await;
                    ready.set(7000);
                    sleep(SECOND).await;
                    note.borrow_mut().push(now() - start);
                    Ok(())
                })
                .await;
            log.borrow_mut().push(now() - start);
            Ok(address)
        })
        .await;
        assert_eq!(value.unwrap(), Ok(7000));
        assert_eq!(*log.borrow(), [SECOND, 2 * SECOND]);
        let silent =
            task_group(async |group: TaskGroup<Text>| Ok(group.start(async |_: Ready<()>| Ok(())).await))
                .await;
        assert_eq!(silent.unwrap(), Err(NotReady));
        let fails: Result<(), _> = task_group(async |group| {
            let _ = group.start(async |_: Ready<()>| Err("not today")).await;
            pending().await
        })
        .await;
        assert_eq!(cause(fails), "not today");
        // Whoever gives up waiting for a child cancels it.
        let drops = Tally::new();
        let token = drops.token();
        let given_up = task_group(async |group: TaskGroup<Text>| {
            let starting = group.start(async move |ready: Ready<()>| {
                let _kept = (token, ready);
                pending().await
            });
            Ok(timeout(SECOND, starting).await.is_err())
        })
        .await;
        assert_eq!((given_up.unwrap(), drops.get()), (true, 1));
    });
}

#[test]
fn dropping_the_group_cancels_the_children_at_their_next_turn() {
    keep_log();
    virtual_runtime().block_on(async {
        let drops = Tally::new();
        let kept: Log<TaskGroup<Text>> = Log::default();
        let mut grouped = Box::pin(task_group(async |group| {
            for text in ["one", "two"] {
                let token = drops.token();
                group.spawn(async move {
                    let _token = token;
                    let _bomb = (text == "two").then(|| Bomb("a late one"));
                    pending::<()>().await;
                    Ok(())
                });
            }
            kept.borrow_mut().push(group);
            pending::<Result<(), Text>>().await
        }));
        assert!(timeout(SECOND, grouped.as_mut()).await.is_err());
        drop(grouped);
        assert_eq!(drops.get(), 0);
        yield_now().await;
        assert_eq!(drops.get(), 2);
        // The group was left: who comes now is not begun.
        let late = kept.borrow()[0].spawn(async { Ok(1) });
        assert_eq!(late.await, None);
        assert_eq!(logged(), Vec::<String>::new());
        kept.borrow_mut().clear();
        let log = logged();
        assert!(log.len() == 1 && log[0].contains("panicked: a late one; its group was gone"), "{log:?}");
    });
}

#[test]
fn cancelled_at_each_await_no_child_is_left() {
    let cancelled = cancel_everywhere(|fuse| async move {
        let (started, ended) = (Tally::new(), Tally::new());
        let (begin, end) = (started.clone(), ended.clone());
        let grouped = task_group(async move |group: TaskGroup<Text>| {
            let nap = move |n: u32| {
                let (begin, end) = (begin.clone(), end.clone());
                async move {
                    begin.add();
                    let _end = support::on_drop(move || end.add());
                    sleep(n * SECOND).await;
                    yield_now().await;
                    Ok(())
                }
            };
            group.spawn(nap(2));
            let more = group.clone();
            let inner = nap.clone();
            let _ = group
                .start(async move |ready: Ready<()>| {
                    sleep(SECOND).await;
                    ready.set(());
                    more.spawn(inner(1));
                    Ok(())
                })
                .await;
            group.spawn(nap(3));
            nap(2).await
        });
        let _ = fuse.burn(grouped).await;
        yield_now().await;
        yield_now().await;
        assert!(started.get() > 0 || tasks().len() == 1);
        assert_eq!((started.get(), tasks().len()), (ended.get(), 1));
    });
    assert!(cancelled >= 21 * 8, "{cancelled}");
}

#[test]
fn a_group_that_waits_for_ever_is_reported_as_stalled() {
    let runtime = virtual_runtime();
    let result = runtime.try_block_on(task_group(async |group: TaskGroup<Text>| {
        group.spawn_named("stuck", sleeper(Duration::MAX));
        Ok(())
    }));
    let Err(BlockOnError::Stalled(report)) = result else { panic!("{result:?}") };
    assert_eq!(report.tasks[0].reason, WaitReason::Group);
    assert_eq!(report.tasks[1].reason, WaitReason::Sleep { until: Duration::MAX });
    assert_whole(&runtime);
}

#[test]
fn a_group_without_children_can_be_cancelled_by_another_task() {
    virtual_runtime().block_on(async {
        let result: Result<(), GroupError<Text>> = task_group(async |group| {
            let outside = group.clone();
            drop(spawn(async move {
                sleep(SECOND).await;
                outside.cancel();
            }));
            pending().await
        })
        .await;
        assert_eq!(cause(result), "the group was cancelled");
    });
}
