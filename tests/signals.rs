//! Signals as streams and futures. Each test has a signal of its own, since one that is sent reaches
//! every listener in the process. To replay one: `cargo test --test signals <name>`.

#[path = "support/io/child.rs"]
mod child;

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt, poll};
use greenroom::signal::{INTERRUPT, Signal, TERMINATE};
use greenroom::{Runtime, WaitReason, ctrl_c, now, sleep, spawn, spawn_named, tasks, timeout, yield_now};

use child::{in_child, no_child_meanwhile, open_descriptors};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test on virtual time: where nothing can happen any more, the limit comes at once.
fn run<F: Future>(test: F) -> F::Output {
    let _no_child = no_child_meanwhile();
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    runtime.block_on(async { timeout(100_000 * SECOND, test).await.expect("the test came to an end") })
}

/// Sends `number` to this thread; its handlers have run when this returns.
fn raise(number: i32) {
    // SAFETY: raise(3) takes a number; every test listens before it sends.
    assert_eq!(unsafe { libc::raise(number) }, 0);
}

/// How many signals `listener` has for us: it is asked until a (virtual) second passes.
async fn unread(listener: &mut Signal) -> usize {
    let mut count = 0;
    while let Ok(heard) = timeout(SECOND, listener.recv()).await {
        heard.unwrap();
        count += 1;
    }
    count
}

/// Lets the loop look at the world several times.
async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

#[test]
fn ctrl_c_and_terminate_end_a_wait() {
    run(async {
        let mut terminate = Signal::new(TERMINATE).unwrap();
        let interrupted = spawn(ctrl_c());
        settle().await;
        raise(INTERRUPT);
        interrupted.await.unwrap().unwrap();
        assert_eq!(unread(&mut terminate).await, 0, "that was another signal");
        raise(TERMINATE);
        terminate.recv().await.unwrap();
        // Counted from the first poll: this one asks again only after it has come.
        let later = ctrl_c();
        raise(INTERRUPT);
        let mut later = pin!(later);
        assert!(poll!(&mut later).is_pending());
        raise(INTERRUPT);
        later.await.unwrap();
    });
}

#[test]
fn each_signal_is_counted_though_nobody_reads_meanwhile() {
    run(async {
        let mut listener = Signal::new(libc::SIGUSR1).unwrap();
        for count in [1, 2, 10, 2000] {
            for _ in 0..count {
                raise(libc::SIGUSR1);
            }
            assert_eq!(unread(&mut listener).await, count);
        }
    });
}

#[test]
fn every_listener_hears_every_signal_until_it_is_dropped() {
    run(async {
        let mut first = Signal::new(libc::SIGUSR2).unwrap();
        let mut second = Signal::new(libc::SIGUSR2).unwrap();
        raise(libc::SIGUSR2);
        raise(libc::SIGUSR2);
        assert_eq!((unread(&mut first).await, unread(&mut second).await), (2, 2));
        drop(first);
        raise(libc::SIGUSR2);
        assert_eq!(unread(&mut second).await, 1);
        drop(second);
        raise(libc::SIGUSR2);
        let mut third = Signal::new(libc::SIGUSR2).unwrap();
        assert_eq!(unread(&mut third).await, 0, "what came before it listened is not its business");
    });
}

#[test]
fn two_loops_on_two_threads_both_hear() {
    // On the real clock: virtual time would not wait for the other thread.
    Runtime::new().unwrap().block_on(async {
        let mut here = Signal::new(libc::SIGHUP).unwrap();
        let (ready, is_ready) = futures::channel::oneshot::channel();
        let there = std::thread::spawn(move || {
            Runtime::new().unwrap().block_on(async {
                let mut there = Signal::new(libc::SIGHUP).unwrap();
                ready.send(()).unwrap();
                there.recv().await.unwrap();
            });
        });
        is_ready.await.unwrap();
        // SAFETY: kill(2) takes two numbers; both threads listen.
        assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGHUP) }, 0);
        here.recv().await.unwrap();
        there.join().unwrap();
    });
}

#[test]
fn a_wait_that_is_dropped_loses_no_signal_and_the_listener_is_a_stream() {
    run(async {
        let mut listener = Signal::new(libc::SIGWINCH).unwrap();
        for _ in 0..3 {
            assert!(timeout(SECOND, listener.recv()).await.is_err());
        }
        for _ in 0..3 {
            raise(libc::SIGWINCH);
        }
        assert!(timeout(SECOND, listener.recv()).await.is_ok());
        let rest: Vec<io::Result<()>> = listener.by_ref().take(2).collect().await;
        assert!(rest.iter().all(Result::is_ok));
        assert_eq!(unread(&mut listener).await, 0);
    });
}

#[test]
fn a_signal_that_has_come_is_heard_before_virtual_time_jumps() {
    run(async {
        let start = now();
        let mut listener = Signal::new(libc::SIGURG).unwrap();
        for _ in 0..100 {
            let heard = spawn(async move {
                listener.recv().await.unwrap();
                listener
            });
            settle().await;
            raise(libc::SIGURG);
            listener = timeout(SECOND, heard).await.expect("the signal was first").unwrap();
        }
        assert_eq!(now(), start);
    });
}

#[test]
fn a_listener_is_a_reason_to_wait_and_not_a_stall() {
    let number = libc::SIGCONT;
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let sender = std::thread::spawn(move || {
        is_ready.recv().unwrap();
        // SAFETY: kill(2) takes two numbers; the loop listens.
        assert_eq!(unsafe { libc::kill(libc::getpid(), number) }, 0);
    });
    let heard = runtime.try_block_on(async {
        let mut listener = Signal::new(number).unwrap();
        let listening = spawn_named("listener", async move { listener.recv().await });
        sleep(3600 * SECOND).await;
        let listener = tasks().into_iter().find(|task| task.name.as_deref() == Some("listener"));
        assert_eq!(listener.unwrap().reason, WaitReason::Signal(number));
        // No timer is left: the loop waits for the world, for real.
        ready.send(()).unwrap();
        listening.await
    });
    heard.unwrap().unwrap().unwrap();
    sender.join().unwrap();
}

#[test]
fn signals_that_cannot_be_heard_are_errors_that_say_so() {
    run(async {
        for number in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE] {
            let error = Signal::new(number).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), format!("signal {number} cannot be listened for"));
        }
        for number in [-1, 0, 9999] {
            assert_eq!(Signal::new(number).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{number}");
        }
    });
    let error = Signal::new(TERMINATE).unwrap_err();
    assert!(error.to_string().contains("no loop on this thread"), "{error}");
}

#[test]
fn a_listener_that_is_dropped_gives_its_descriptors_back() {
    in_child("a_listener_that_is_dropped_gives_its_descriptors_back", || {
        run(async {
            drop(Signal::new(TERMINATE).unwrap());
            let before = open_descriptors();
            for _ in 0..100 {
                let listener = Signal::new(TERMINATE).unwrap();
                assert!(open_descriptors() > before, "this counts descriptors");
                drop(listener);
            }
            assert!(Signal::new(9999).is_err());
            assert_eq!(open_descriptors(), before);
            raise(TERMINATE);
        });
    });
}
