//! Children that are let go of: at any point of waiting, on another thread, at the end of the loop. None stays as a
//! zombie, and those that shall be killed are.

use std::future::Future;
use std::pin::pin;
use std::process::Stdio;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::poll;
use greenroom::process::Command;
use greenroom::{BlockOnError, Runtime, sleep, spawn, yield_now};

use super::proc_files::{becomes_true, is_there, is_zombie};
use super::{cat, run, shell, until};

/// Polls `future` so many times, with a pause between; whether it was done by then.
async fn polled(future: impl Future, polls: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll!(&mut future).is_ready() {
            return true;
        }
        sleep(Duration::from_millis(1)).await;
    }
    false
}

#[test]
fn dropped_at_any_point_nothing_stays() {
    run(async {
        // From not at all until the whole of it fits into so many polls.
        for polls in 0.. {
            let child = cat();
            let id = child.id();
            let done = polled(child.wait_with_output(), polls).await;
            until("an abandoned child is reaped", || !is_there(id)).await;
            if done {
                break;
            }
        }
        for polls in 0..10 {
            let mut command = Command::new("sleep");
            let child = command.arg("1000").stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
            let id = child.id();
            assert!(!polled(child.wait_with_output(), polls).await);
            until("a killed child is reaped", || !is_there(id)).await;
        }
    });
}

#[test]
fn what_is_dropped_lives_on_unless_it_shall_be_killed() {
    run(async {
        let mut child = cat();
        let (id, stdin) = (child.id(), child.stdin.take());
        drop(child);
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(is_there(id) && !is_zombie(id));
        drop(stdin);
        until("the loop reaps it", || !is_there(id)).await;

        let mut child = Command::new("cat").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let (id, _stdin) = (child.id(), child.stdin.take());
        drop(child);
        until("the loop reaps it", || !is_there(id)).await;
    });
}

#[test]
fn the_end_of_the_loop_takes_those_along_that_shall_be_killed() {
    let runtime = Runtime::new().unwrap();
    let (id, stdin) = runtime.block_on(async {
        let mut child = Command::new("cat").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let (id, stdin) = (child.id(), child.stdin.take());
        drop(spawn(async move { child.wait().await }));
        yield_now().await;
        (id, stdin)
    });
    assert!(is_there(id) && !is_zombie(id));
    drop(runtime);
    assert!(!is_there(id), "killed and reaped");
    drop(stdin);
    // The same where the child outlives the loop.
    let runtime = Runtime::new().unwrap();
    let child =
        runtime.enter(|| Command::new("cat").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap());
    let id = child.id();
    drop(runtime);
    drop(child);
    assert!(!is_there(id), "killed and reaped");
}

#[test]
fn a_child_dropped_on_another_thread_is_reaped_at_home() {
    run(async {
        let mut child = cat();
        let (id, stdin) = (child.id(), child.stdin.take().unwrap());
        std::thread::spawn(move || {
            let wait = pin!(child.wait());
            let polled = wait.poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
            assert!(error.to_string().contains("belongs to the loop of another thread"), "{error}");
        })
        .join()
        .unwrap();
        drop(stdin);
        until("the loop reaps it", || !is_there(id)).await;
    });
}

#[test]
fn a_child_dropped_outside_of_the_loop_is_reaped_though_it_ends_before_the_loop_goes_on() {
    for kill_on_drop in [true, false] {
        let runtime = Runtime::new().unwrap();
        let (child, id, stdin) = runtime.enter(|| {
            let mut command = Command::new("cat");
            let mut child = command.stdin(Stdio::piped()).kill_on_drop(kill_on_drop).spawn().unwrap();
            let (id, stdin) = (child.id(), child.stdin.take());
            (child, id, stdin)
        });
        drop(child);
        // Our own end of the pipe, closed here: nothing of the loop is needed for that.
        drop(stdin);
        assert!(becomes_true(|| is_zombie(id)));
        // One turn sees the end of the process first, and then reads who left it alone.
        runtime.turn_now();
        runtime.turn_now();
        assert!(!is_there(id), "a zombie stays as long as the loop lives; killed: {kill_on_drop}");
    }
}

#[test]
fn an_abandoned_child_does_not_keep_the_loop() {
    let runtime = Runtime::new().unwrap();
    let (id, stdin) = runtime.enter(|| {
        // Should the loop wait for it, it ends all the same.
        let mut child = Command::new("timeout").args(["10", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
        (child.id(), child.stdin.take())
    });
    runtime.run().expect("nothing is left");
    let stalled = runtime.try_block_on(std::future::pending::<()>()).unwrap_err();
    assert!(matches!(stalled, BlockOnError::Stalled(_)), "{stalled}");
    assert!(is_there(id) && !is_zombie(id));
    // But somebody who waits does: its end is what can happen.
    let mut child = runtime.enter(cat);
    runtime.block_on(async { child.wait().await.unwrap() });
    drop(stdin);
    runtime.block_on(until("the loop reaps it", || !is_there(id)));
    // And with it gone, the loop knows as exactly as before whether it is stalled.
    let slow = async { shell("sleep 0.02").status().await.unwrap() };
    assert!(runtime.block_on(slow).success());
    let stalled = runtime.try_block_on(std::future::pending::<()>()).unwrap_err();
    assert!(matches!(stalled, BlockOnError::Stalled(_)), "{stalled}");
    drop(runtime);
    assert!(becomes_true(|| !is_there(id)));
}
