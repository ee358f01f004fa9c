//! The end of a loop: asking, grace, forced drop, and whatever destructors do meanwhile.
//!
//! Run one with `cargo test --test shutdown name`.

#[path = "support/core/mod.rs"]
mod support;

#[path = "support/core/last_words.rs"]
mod last_words;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use greenroom::io::Nonblocking;
use greenroom::{
    JoinHandle, LoopGone, Runtime, WaitReason, call_later, call_periodic, call_soon, now, sleep, spawn,
    spawn_named, yield_now,
};
use support::{
    Tally, assert_whole, keep_log, logged, on_drop, open_descriptors, tcp_pair, virtual_runtime,
    within_patience,
};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
type Diary = Rc<RefCell<Vec<&'static str>>>;

/// A task that waits until it is dropped, then notes `dropped` and spawns a cleanup of `work`.
fn cleans_up(diary: &Diary, work: Duration) {
    let diary = diary.clone();
    let at_drop = on_drop(move || {
        diary.borrow_mut().push("dropped");
        let late = diary.clone();
        let cleanup = async move {
            let _gone = on_drop(|| late.borrow_mut().push("cleanup gone"));
            late.borrow_mut().push("cleanup starts");
            sleep(work).await;
            late.borrow_mut().push("cleanup done");
        };
        spawn_named("cleanup", cleanup).detach();
    });
    let waits = async move {
        let _at_drop = at_drop;
        pending::<()>().await
    };
    spawn(waits).detach();
}

#[test]
fn tasks_are_asked_and_what_their_destructors_spawn_has_its_grace() {
    let runtime = virtual_runtime();
    let diary = Diary::default();
    runtime.enter(|| cleans_up(&diary, SECOND));
    runtime.turn_now();
    let report = runtime.shutdown(5 * SECOND);
    assert_eq!(diary.take(), ["dropped", "cleanup starts", "cleanup done", "cleanup gone"]);
    assert_eq!((report.cancelled, report.not_stopped.len()), (1, 0));
    assert_eq!(report.to_string(), "1 tasks cancelled");
}

#[test]
fn who_does_not_stop_in_time_is_dropped_and_reported() {
    let runtime = virtual_runtime();
    let diary = Diary::default();
    runtime.enter(|| cleans_up(&diary, 10 * SECOND));
    runtime.turn_now();
    let report = runtime.shutdown(5 * SECOND);
    assert_eq!(diary.take(), ["dropped", "cleanup starts", "cleanup gone"]);
    assert_eq!(report.cancelled, 1);
    let [late] = &report.not_stopped[..] else { panic!("{report}") };
    assert_eq!(late.name.as_deref(), Some("cleanup"));
    assert_eq!(late.reason, WaitReason::Sleep { until: 10 * SECOND });
    assert_eq!(late.waited, 5 * SECOND);
    assert!(
        report.to_string().starts_with("1 tasks cancelled, 1 did not stop in time:\n  task "),
        "{report}"
    );
    assert!(report.to_string().contains("\"cleanup\""), "{report}");
}

#[test]
fn a_drop_without_grace_logs_who_did_not_stop() {
    keep_log();
    let diary = Diary::default();
    let runtime = virtual_runtime();
    runtime.enter(|| cleans_up(&diary, SECOND));
    drop(runtime);
    let lines = logged();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("WARN: a runtime was dropped: 1 tasks cancelled, 1 did not stop"),
        "{lines:?}"
    );
    let idle = virtual_runtime();
    idle.spawn(pending::<()>()).detach();
    drop(idle);
    assert_eq!(logged(), [""; 0]);
}

#[test]
fn the_grace_is_over_as_soon_as_nobody_is_left() {
    let runtime = virtual_runtime();
    let end = Rc::new(Cell::new(None));
    let at_end = end.clone();
    let start = runtime.enter(now);
    runtime.enter(|| {
        // A callback is no task: nobody waits for it, and its closure is dropped at the very end.
        let closure_end = on_drop(move || at_end.set(Some(now())));
        call_later(1000 * SECOND, move || drop(closure_end));
    });
    let diary = Diary::default();
    runtime.enter(|| cleans_up(&diary, 3 * SECOND));
    runtime.shutdown(100 * SECOND);
    assert_eq!(end.get().unwrap() - start, 3 * SECOND);
}

#[test]
fn every_way_to_wait_is_dropped_once() {
    let runtime = virtual_runtime();
    let drops = Tally::new();
    let (near, far) = tcp_pair();
    let guard = |future: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        let token = drops.token();
        async move {
            let _token = token;
            future.await
        }
    };
    let stuck = runtime.spawn(guard(Box::pin(pending())));
    let waits: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> =
        vec![Box::pin(runtime.enter(|| sleep(SECOND))), Box::pin(runtime.enter(|| sleep(Duration::MAX)))];
    for future in waits {
        runtime.spawn(guard(future)).detach();
    }
    let near = runtime.enter(|| greenroom::net::TcpStream::from_std(near).unwrap());
    runtime.spawn(guard(Box::pin(async move { drop(near.read(&mut [0]).await) }))).detach();
    runtime.spawn(guard(Box::pin(async move { stuck.await.unwrap() }))).detach();
    runtime.turn_now();
    let queued = runtime.spawn(guard(Box::pin(async {})));
    let report = runtime.shutdown(Duration::ZERO);
    assert_eq!((report.cancelled, report.not_stopped.len()), (6, 0));
    assert_eq!(drops.get(), 6);
    assert!(queued.is_finished());
    let end = std::io::Read::read(&mut &far, &mut [0]).unwrap();
    assert_eq!(end, 0, "the socket is closed");
}

#[test]
fn a_runtime_may_end_inside_of_another() {
    let outer = virtual_runtime();
    let (drops, spawned) = (Tally::new(), Tally::new());
    let make = || {
        let inner = virtual_runtime();
        let (token, counted) = (drops.token(), spawned.clone());
        inner.enter(|| {
            let at_drop = on_drop(move || {
                drop(token);
                spawn(async move { counted.add() }).detach();
            });
            call_later(SECOND, move || drop(at_drop));
        });
        inner
    };
    let first = make();
    outer.enter(|| drop(first));
    let second = make();
    outer.block_on(async {
        let task = spawn(async move { drop(second) });
        task.await.unwrap();
        // Whatever the inner one did, this is still the outer loop.
        sleep(SECOND).await;
        assert_eq!(greenroom::tasks().len(), 1);
    });
    assert_eq!((drops.get(), spawned.get()), (2, 0), "too late to run anything");
    assert_whole(&outer);
}

#[test]
fn a_handle_that_outlives_the_loop_still_has_its_output() {
    let runtime = Runtime::new().unwrap();
    let (done, waits) = (runtime.spawn(async { 5 }), runtime.spawn(pending::<()>()));
    runtime.turn_now();
    drop(runtime);
    assert!(done.is_finished() && waits.is_finished());
    assert_eq!(futures::executor::block_on(done).unwrap(), 5);
    assert!(futures::executor::block_on(waits).unwrap_err().is_cancelled());
}

#[test]
fn callbacks_are_dropped_and_never_run() {
    let runtime = virtual_runtime();
    let (runs, drops) = (Tally::new(), Tally::new());
    let (near, _far) = tcp_pair();
    runtime.enter(|| {
        let closure = || {
            let (runs, token) = (runs.clone(), drops.token());
            move || {
                let _keep = &token;
                runs.add();
            }
        };
        call_later(SECOND, closure());
        call_periodic(SECOND, SECOND, closure());
        greenroom::add_reader(&near, closure()).unwrap();
    });
    runtime.shutdown(Duration::ZERO);
    assert_eq!((runs.get(), drops.get()), (0, 3));
}

#[test]
fn unread_letters_are_dropped_and_their_senders_hear() {
    let runtime = virtual_runtime();
    let handle = runtime.handle();
    let (runs, drops) = (Tally::new(), Tally::new());
    let (run, token) = (runs.clone(), drops.token());
    let remote = handle.spawn(async move {
        let _token = token;
        run.add();
    });
    let (asked, started) = (handle.spawn(pending::<()>()), handle.spawn(async { 1 }));
    asked.cancel();
    let waits = runtime.spawn(pending::<()>());
    drop(waits);
    drop(runtime);
    assert!(handle.is_closed());
    assert_eq!((runs.get(), drops.get()), (0, 1));
    for remote in [remote, asked] {
        assert!(remote.is_finished());
        let error = remote.join().unwrap_err();
        assert!(error.is_cancelled(), "{error}");
    }
    assert!(started.join().unwrap_err().is_cancelled());
}

#[test]
fn a_thread_that_joins_a_remote_task_hears_of_the_loops_end() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        let (sender, started) = mpsc::channel();
        let joins = std::thread::spawn(move || {
            let remote = handle.spawn(async move {
                sender.send(()).unwrap();
                pending::<()>().await
            });
            remote.join().unwrap_err().to_string()
        });
        while started.try_recv().is_err() {
            runtime.turn_now();
        }
        drop(runtime);
        assert!(joins.join().unwrap().ends_with(" was cancelled"));
    });
}

#[test]
fn letters_that_come_while_the_loop_ends_are_run_or_dropped() {
    within_patience(|| {
        for round in 0..20 {
            let runtime = Runtime::new().unwrap();
            let handle = runtime.handle();
            let (sent, dropped) = (Tally::new(), Tally::new());
            let (count, drops) = (sent.clone(), dropped.clone());
            let posts = std::thread::spawn(move || {
                loop {
                    let token = drops.token();
                    count.add();
                    if handle.call_soon_threadsafe(move || drop(token)) == Err(LoopGone) {
                        break;
                    }
                }
            });
            for _ in 0..round % 2 {
                runtime.turn_now();
            }
            drop(runtime);
            posts.join().unwrap();
            assert_eq!(sent.get(), dropped.get());
        }
    });
}

#[test]
fn a_thousand_runtimes_leave_no_descriptor_open() {
    let rounds = support::number_from_env("GREENROOM_STEPS", 1_000);
    let before = open_descriptors();
    for _ in 0..rounds {
        let runtime = virtual_runtime();
        // Not TCP: thousands of closed connections would keep the ports of this machine for a minute.
        let (near, far) = UnixStream::pair().unwrap();
        let handle = runtime.handle();
        runtime.enter(|| {
            let near = Nonblocking::new(near).unwrap();
            spawn(async move { drop(near.readable().await) }).detach();
            greenroom::add_reader(&far, || ()).unwrap();
            call_soon(move || drop(far));
        });
        runtime.block_on(async {
            let waits: JoinHandle<()> = spawn(pending());
            sleep(SECOND).await;
            yield_now().await;
            drop(waits);
        });
        drop((runtime, handle));
    }
    // Other tests of this file run at the same time and have some descriptors of their own.
    let after = open_descriptors();
    assert!(after < before + 100, "{before} descriptors before, {after} after {rounds} runtimes");
}
