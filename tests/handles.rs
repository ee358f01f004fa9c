//! From other threads: `Handle`, `RemoteJoinHandle`, and our types far from their home.
//!
//! What is `Send` and `Sync` stands in `support/core/send_table.rs` and `send_waiting.rs`, values used far from home are
//! in `support/core/far_from_home.rs`. Run one with `cargo test --test handles name`.

#[path = "support/core/mod.rs"]
mod support;

#[path = "support/core/far_from_home.rs"]
mod far_from_home;
#[path = "support/core/send_table.rs"]
mod send_table;
#[path = "support/core/send_waiting.rs"]
mod send_waiting;

use std::future::{pending, poll_fn};
use std::panic::{panic_any, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use greenroom::{Handle, LoopGone, Runtime, WaitReason, sleep, spawn, tasks, timeout, yield_now};
use support::{Tally, assert_whole, keep_log, logged, on_drop, panic_of, virtual_runtime, within_patience};

/// Runs `abroad` on another thread while this one runs the loop, and gives its result.
fn while_running<R: Send + 'static>(
    runtime: &Runtime,
    abroad: impl FnOnce(Handle) -> R + Send + 'static,
) -> R {
    let handle = runtime.handle();
    let (done, is_done) = futures::channel::oneshot::channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        abroad(handle)
    });
    // Cancelled is what it becomes when the sender is gone, however the thread has ended.
    let _ = runtime.block_on(is_done);
    thread.join().unwrap_or_else(|payload| resume_unwind(payload))
}

#[test]
fn threads_spawn_and_join() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        let sum = while_running(&runtime, |handle| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    let handle = handle.clone();
                    let job = move || {
                        let value = move |step| async move {
                            yield_now().await;
                            // Its own tasks need not be `Send`.
                            let local = spawn(async move {
                                let shared = std::rc::Rc::new(step);
                                yield_now().await;
                                *shared
                            });
                            local.await.unwrap() + number
                        };
                        (0..100_usize).map(|step| handle.spawn(value(step)).join().unwrap()).sum::<usize>()
                    };
                    thread::spawn(job)
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(sum, 8 * 4950 + 100 * 28);
    });
}

#[test]
fn a_remote_task_is_awaited_in_other_executors() {
    within_patience(|| {
        let runtime = virtual_runtime();
        while_running(&runtime, |handle| {
            let nap = || handle.spawn(async { sleep(Duration::from_secs(5)).await });
            futures::executor::block_on(nap()).unwrap();
            let other = Runtime::new().unwrap();
            other.block_on(nap()).unwrap();
            let mut twice = nap();
            other.block_on(&mut twice).unwrap();
            assert!(twice.is_finished());
            let text = panic_of(|| other.block_on(&mut twice));
            assert_eq!(text, "a RemoteJoinHandle was polled after it gave its value");
            assert_whole(&other);
        });
        // And in its own loop.
        let handle = runtime.handle();
        assert_eq!(runtime.block_on(async { handle.spawn(async { 3 }).await }).unwrap(), 3);
    });
}

#[test]
fn who_awaits_a_remote_task_says_so_and_a_wait_that_was_given_up_hides_no_stall() {
    within_patience(|| {
        let (near, far) = (virtual_runtime(), Runtime::new().unwrap());
        let abroad = far.handle().spawn(pending::<()>());
        let stalled = near.try_block_on(async {
            let limit = Duration::from_secs(1);
            let look = spawn(async { tasks()[0].reason });
            assert!(timeout(limit, abroad).await.is_err());
            assert_eq!(look.await.unwrap(), WaitReason::Job);
            let at_home = Handle::current().unwrap().spawn(pending::<()>());
            sleep(limit).await; // until the loop has taken it in
            let look = spawn(async { tasks().iter().map(|task| (task.reason, task.id)).collect::<Vec<_>>() });
            assert!(timeout(limit, at_home).await.is_err());
            let seen = look.await.unwrap();
            assert!(seen[1..].iter().any(|(_, id)| seen[0].0 == WaitReason::Join(*id)), "{seen:?}");
            pending::<()>().await;
        });
        assert!(stalled.is_err(), "nobody can wake it any more");
    });
}

#[test]
fn join_inside_of_a_loop_is_refused() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let remote = handle.spawn(async { 1 });
    let text = panic_of(|| runtime.block_on(async { remote.join() }));
    assert!(text.starts_with("RemoteJoinHandle::join would stop the loop"), "{text}");
    assert_whole(&runtime);
}

#[test]
fn cancel_reaches_a_remote_task_before_and_after_its_start_and_its_end() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let (polls, drops) = (Tally::new(), Tally::new());
    let make = |waits: bool| {
        let (polls, token) = (polls.clone(), drops.token());
        handle.spawn(async move {
            let _token = token;
            polls.add();
            if waits {
                pending::<()>().await
            }
        })
    };
    let early = make(true);
    early.cancel();
    assert!(!early.is_finished());
    runtime.turn_now();
    runtime.turn_now();
    assert!(early.is_finished());
    assert_eq!((polls.get(), drops.get()), (0, 1), "dropped before its first turn");
    let late = make(true);
    runtime.turn_now();
    runtime.turn_now();
    assert_eq!(polls.get(), 1);
    late.cancel();
    late.cancel();
    runtime.turn_now();
    runtime.turn_now();
    assert_eq!(drops.get(), 2);
    let done = make(false);
    runtime.turn_now();
    runtime.turn_now();
    done.cancel();
    for (remote, is_value) in [(early, false), (late, false), (done, true)] {
        match remote.join() {
            Ok(()) => assert!(is_value),
            Err(error) => {
                assert!(!is_value && error.is_cancelled());
                assert_eq!(error.to_string(), format!("{} was cancelled", error.task().unwrap()));
            }
        }
    }
    assert_eq!((polls.get(), drops.get()), (2, 3));
}

#[test]
fn a_remote_panic_arrives_with_its_payload() {
    keep_log();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let (text, value) = (handle.spawn(async { panic!("far") }), handle.spawn(async { panic_any(5_u32) }));
    let in_drop = handle.spawn(async {
        let _bomb = support::Bomb("in drop");
    });
    runtime.turn_now();
    runtime.turn_now();
    let error = text.join().unwrap_err();
    assert!(error.is_panic() && error.to_string().ends_with(" panicked: far"), "{error}");
    let payload = value.join().unwrap_err().try_into_panic().unwrap();
    assert_eq!(payload.downcast_ref(), Some(&5_u32));
    assert!(in_drop.join().unwrap_err().to_string().ends_with(" panicked: in drop"));
    assert_eq!(logged(), [""; 0], "all were observed");
    assert_whole(&runtime);
}

#[test]
fn an_unobserved_remote_panic_is_logged() {
    keep_log();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    handle.spawn(async { panic!("nobody there") }).detach();
    runtime.turn_now();
    runtime.turn_now();
    let lines = logged();
    assert!(lines.len() == 1 && lines[0].contains("panicked: nobody there"), "{lines:?}");
    let late = handle.spawn(async { panic!("nobody asked") });
    runtime.turn_now();
    runtime.turn_now();
    assert_eq!(logged(), [""; 0], "the handle may still ask");
    drop(late);
    let lines = logged();
    assert!(lines.len() == 1 && lines[0].contains("panicked: nobody asked"), "{lines:?}");
}

#[test]
fn a_detached_remote_task_runs_on_and_its_output_is_dropped_once() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let drops = Tally::new();
    for is_early in [true, false] {
        let token = drops.token();
        let remote = handle.spawn(async move { token });
        if is_early {
            remote.detach();
            runtime.turn_now();
            runtime.turn_now();
        } else {
            runtime.turn_now();
            runtime.turn_now();
            assert_eq!(drops.get(), 1);
            drop(remote);
        }
    }
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_future_is_polled_and_dropped_at_home_only() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        let home = thread::current().id();
        let drops = Tally::new();
        let count = drops.clone();
        while_running(&runtime, move |handle| {
            for way in 0..3 {
                let drops = count.clone();
                let here = on_drop(move || {
                    assert_eq!(thread::current().id(), home);
                    drops.add();
                });
                let remote = handle.spawn(async move {
                    let _here = here;
                    assert_eq!(thread::current().id(), home);
                    if way > 0 {
                        pending::<()>().await
                    }
                });
                match way {
                    0 => remote.join().unwrap(),
                    1 => remote.cancel(),
                    _ => remote.detach(),
                }
            }
        });
        drop(runtime);
        assert_eq!(drops.get(), 3);
    });
}

#[test]
fn after_the_loop_is_gone_a_handle_says_so() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    assert!(!handle.is_closed());
    drop(runtime);
    assert!(handle.is_closed() && handle.clone().is_closed());
    let drops = Tally::new();
    let token = drops.token();
    assert_eq!(handle.call_soon_threadsafe(move || drop(token)), Err(LoopGone));
    assert_eq!(LoopGone.to_string(), "the loop is gone: its Runtime was dropped");
    let token = drops.token();
    let remote = handle.spawn(async move { drop(token) });
    assert_eq!(drops.get(), 2, "both were dropped here");
    remote.cancel();
    assert!(remote.is_finished());
    let error = remote.join().unwrap_err();
    assert!(error.is_cancelled() && error.task().is_none());
    assert_eq!(error.to_string(), "the loop was gone before the task was made");
}

#[test]
fn what_one_thread_sends_is_done_in_that_order() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let noted = order.clone();
        while_running(&runtime, move |handle| {
            for number in 0..1000 {
                let noted = noted.clone();
                if number % 3 == 0 {
                    handle.spawn(async move { noted.lock().unwrap().push(number) }).detach();
                } else {
                    handle.call_soon_threadsafe(move || noted.lock().unwrap().push(number)).unwrap();
                }
            }
            handle.spawn(async {}).join().unwrap();
        });
        assert_eq!(*order.lock().unwrap(), (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn a_callback_from_afar_that_panics_is_logged_with_its_place() {
    keep_log();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let line = line!() + 1;
    handle.call_soon_threadsafe(|| panic!("far callback")).unwrap();
    runtime.turn_now();
    runtime.turn_now();
    let lines = logged();
    assert!(lines[0].contains(&format!("{}:{line}:", file!())), "{lines:?}");
    assert!(lines[0].ends_with("panicked: far callback"), "{lines:?}");
    assert_whole(&runtime);
}

#[test]
fn a_hundred_thousand_wakes_from_two_threads_lose_none() {
    let wakes = support::number_from_env("GREENROOM_STEPS", 100_000) as usize;
    within_patience(move || {
        let runtime = Runtime::new().unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let (wakers, taken) = mpsc::channel::<std::task::Waker>();
        let count = sent.clone();
        let abroad = thread::spawn(move || {
            let waker = taken.recv().unwrap();
            let wake = || {
                for _ in 0..wakes / 2 {
                    count.fetch_add(1, Ordering::Relaxed);
                    waker.wake_by_ref();
                }
            };
            thread::scope(|scope| {
                scope.spawn(wake);
                scope.spawn(wake);
            });
        });
        let mut polls = 0;
        runtime.block_on(poll_fn(|context| {
            if polls == 0 {
                wakers.send(context.waker().clone()).unwrap();
            }
            polls += 1;
            // The last wake must lead to a poll that sees the last count.
            if sent.load(Ordering::Relaxed) == wakes / 2 * 2 { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert!(polls <= wakes + 1);
        abroad.join().unwrap();
    });
}

#[test]
fn the_current_handle_is_that_of_the_loop_inside_of_which_we_are() {
    let (one, two) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let handle = one.enter(|| two.enter(Handle::current)).unwrap();
    drop(two);
    assert!(handle.is_closed());
    assert!(!one.enter(Handle::current).unwrap().is_closed());
}
