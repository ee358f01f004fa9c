//! `mem::forget` of whatever the runtime gives out: memory may be lost, the loop stays whole.
//!
//! These tests leak on purpose; under valgrind they are left out with `--skip forgotten`.

use std::future::{pending, poll_fn};
use std::mem::forget;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use greenroom::{
    Runtime, call_later, call_periodic, call_soon, interval, net::TcpStream, sleep, spawn, timeout, yield_now,
};

use super::support::{Tally, assert_whole, counting_waker, tcp_pair, virtual_runtime};

/// Polls a future once, with a waker that does nothing, and forgets it.
fn poll_and_forget(future: impl Future) {
    let mut future = Box::pin(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    forget(future);
}

/// Runs `scene` inside of a loop, then shows that the loop is whole and ends in order.
fn play(scene: impl FnOnce()) {
    let runtime = virtual_runtime();
    runtime.enter(scene);
    for _ in 0..3 {
        runtime.turn_now();
    }
    assert_whole(&runtime);
    let report = runtime.shutdown(Duration::from_secs(1));
    assert_eq!(report.not_stopped, []);
}

#[test]
fn join_handles() {
    let (ended, drops) = (Tally::new(), Tally::new());
    let (done, output) = (ended.clone(), drops.token());
    play(move || {
        forget(spawn(async move {
            yield_now().await;
            done.add();
            output
        }));
        forget(spawn(pending::<()>()));
        let mut asked = spawn(pending::<()>());
        asked.cancel();
        forget(asked);
    });
    assert_eq!(ended.get(), 1);
    assert_eq!(drops.get(), 0, "the output waits for a handle that is forgotten");
}

#[test]
fn a_forgotten_handle_does_not_hide_a_stall() {
    let runtime = Runtime::new().unwrap();
    runtime.enter(|| forget(spawn(pending::<()>())));
    let error = runtime.try_block_on(pending::<()>()).unwrap_err();
    assert!(error.to_string().starts_with("the loop is stalled"), "{error}");
}

#[test]
fn sleeps_timeouts_and_intervals() {
    play(|| {
        poll_and_forget(sleep(Duration::from_secs(1)));
        poll_and_forget(timeout(Duration::from_secs(1), pending::<()>()));
        let mut beat = interval(Duration::from_secs(1));
        let _ = beat.poll_tick(&mut Context::from_waker(Waker::noop()));
        let _ = beat.poll_tick(&mut Context::from_waker(Waker::noop()));
        forget(beat);
    });
}

#[test]
fn a_sleep_that_its_finished_task_forgot_fires_into_nothing() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        spawn(async {
            let mut nap = Box::pin(sleep(Duration::from_secs(1)));
            poll_fn(|context| {
                let _ = nap.as_mut().poll(context);
                Poll::Ready(())
            })
            .await;
            forget(nap);
        })
        .await
        .unwrap();
        // The next tenant of the finished task's slot must not be woken by its timer.
        let polls = Tally::new();
        let counted = polls.clone();
        let tenant = spawn(poll_fn(move |_| {
            counted.add();
            Poll::<()>::Pending
        }));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(polls.get(), 1);
        drop(tenant);
    });
}

#[test]
fn call_handles() {
    let calls = Tally::new();
    let (soon, later, beats) = (calls.clone(), calls.clone(), calls.clone());
    let runtime = virtual_runtime();
    runtime.enter(|| {
        forget(call_soon(move || soon.add()));
        forget(call_later(Duration::from_secs(1), move || later.add()));
        forget(call_periodic(Duration::from_secs(1), Duration::from_secs(1), move || beats.add()));
    });
    runtime.block_on(async { sleep(Duration::from_millis(3500)).await });
    assert_eq!(calls.get(), 5);
    assert_whole(&runtime);
}

#[test]
fn streams_with_and_without_a_waiter() {
    let (near, far) = tcp_pair();
    let wakes = Tally::new();
    let foreign = counting_waker(&wakes);
    play(move || {
        let (near, far) = (TcpStream::from_std(near).unwrap(), TcpStream::from_std(far).unwrap());
        let mut buffer = [0; 8];
        let mut reads = Box::pin(near.read(&mut buffer));
        assert!(reads.as_mut().poll(&mut Context::from_waker(&foreign)).is_pending());
        forget(reads);
        forget(near);
        // The forgotten one becomes readable, and whoever waited hears.
        assert_eq!(far.try_write(b"hello").unwrap(), 5);
        forget(far);
    });
    assert_eq!(wakes.get(), 1);
}

#[test]
fn wakers() {
    play(|| {
        let task = spawn(poll_fn(|context| {
            forget(context.waker().clone());
            Poll::<()>::Pending
        }));
        forget(task);
    });
}

#[test]
fn a_remote_join_handle_and_a_handle() {
    let runtime = virtual_runtime();
    let handle = runtime.handle();
    forget(handle.spawn(async { 1 }));
    forget(handle);
    assert_whole(&runtime);
    let report = runtime.shutdown(Duration::ZERO);
    assert_eq!(report.not_stopped, []);
}
