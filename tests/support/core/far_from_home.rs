//! Our types on a thread that is not their home: dropping and cancelling are letters, everything
//! else is an error that says so.

use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use greenroom::net::{TcpListener, TcpStream};
use greenroom::{
    CallHandle, Interval, Runtime, Sleep, call_later, call_periodic, current_task, interval, sleep, spawn,
};

use super::support::{Tally, assert_whole, open_descriptors, panic_of, tcp_pair, virtual_runtime};

const SECOND: Duration = Duration::from_secs(1);

/// Runs `f` on another thread, to its end.
fn abroad<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join()).unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// Polls once.
fn poll<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_join_handle_far_from_home() {
    let runtime = Runtime::new().unwrap();
    let (done, drops) = (Tally::new(), Tally::new());
    let make = || {
        let (done, token) = (done.clone(), drops.token());
        runtime.spawn(async move {
            done.add();
            token
        })
    };
    let mut polled = make();
    let text = abroad(|| {
        assert!(!polled.is_finished());
        assert!(polled.location().file().ends_with("far_from_home.rs"));
        panic_of(|| poll(&mut polled))
    });
    let id = polled.id();
    let expected =
        format!("the handle of {id} was polled outside of the task's loop; spawn through `Handle`");
    assert!(text.starts_with(&expected), "{text}");
    runtime.turn_now();
    assert!(abroad(|| polled.is_finished()));
    assert!(panic_of(|| abroad(|| poll(&mut polled).is_ready())).contains(&expected), "finished or not");
    abroad(move || drop(polled));
    assert_eq!(drops.get(), 0, "its output is dropped at home");
    runtime.turn_now();
    assert_eq!((done.get(), drops.get()), (1, 1));

    let early = make();
    abroad(move || drop(early));
    runtime.turn_now();
    assert_eq!((done.get(), drops.get()), (2, 2), "detached, it ran");

    let token = drops.token();
    let mut cancelled = runtime.spawn(async move {
        let _token = token;
        pending::<()>().await
    });
    runtime.turn_now();
    let mut cancelled = abroad(move || {
        cancelled.cancel();
        cancelled
    });
    assert_eq!(drops.get(), 2, "asked by letter");
    runtime.turn_now();
    runtime.turn_now();
    assert_eq!(drops.get(), 3);
    assert_eq!(runtime.block_on(cancelled.cancel()), None);
    assert_whole(&runtime);
}

#[test]
fn a_join_handle_abroad_after_the_loop_is_gone() {
    let runtime = Runtime::new().unwrap();
    let drops = Tally::new();
    let make = || {
        let token = drops.token();
        runtime.spawn(async move { token })
    };
    let (taken, dropped, mut asked, unread) = (make(), make(), make(), make());
    runtime.turn_now();
    abroad(move || drop(unread));
    drop(runtime);
    assert_eq!(drops.get(), 1, "the letter was read at the end");
    abroad(move || drop(futures::executor::block_on(taken).unwrap()));
    abroad(move || drop(dropped));
    assert_eq!(drops.get(), 3);
    assert!(futures::executor::block_on(asked.cancel()).is_some());
    assert_eq!(drops.get(), 4);
}

#[test]
fn a_handle_outside_of_its_own_loop_is_far_from_home_too() {
    let (one, two) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let mut handle = one.spawn(async { 1 });
    let expected = "was polled outside of the task's loop";
    assert!(panic_of(|| futures::executor::block_on(&mut handle)).contains(expected));
    assert!(panic_of(|| two.block_on(&mut handle)).contains(expected));
    assert_eq!(one.block_on(handle).unwrap(), 1);
}

#[test]
fn a_sleep_and_an_interval_far_from_home() {
    let runtime = virtual_runtime();
    let (mut nap, mut beat): (Sleep, Interval) = runtime.enter(|| (sleep(SECOND), interval(SECOND)));
    runtime.enter(|| {
        assert!(poll(&mut nap).is_pending());
        assert!(beat.poll_tick(&mut Context::from_waker(Waker::noop())).is_ready());
        assert!(beat.poll_tick(&mut Context::from_waker(Waker::noop())).is_pending());
    });
    let (mut nap, beat) = abroad(move || {
        let expected = "a Sleep was used outside of the loop that it was made in";
        assert_eq!(panic_of(|| poll(&mut nap)), expected);
        assert_eq!(panic_of(|| nap.reset(SECOND)), expected);
        assert_eq!(panic_of(|| poll(Box::pin(beat.tick()))), expected);
        (nap, beat)
    });
    assert!(runtime.enter(|| poll(&mut nap)).is_pending(), "it is as it was");
    assert!(!runtime.turn_now().stalled, "two timers are set");
    abroad(move || drop((nap, beat)));
    let turn = runtime.turn_now();
    assert_eq!((turn.messages, turn.stalled), (2, true), "both timers are gone");
    let unused = runtime.enter(|| sleep(SECOND));
    abroad(move || drop(unused));
    assert_eq!(runtime.turn_now().messages, 0, "it never had a timer");
}

#[test]
fn sockets_far_from_home() {
    let runtime = Runtime::new().unwrap();
    let (near, far) = tcp_pair();
    let stream = runtime.enter(|| TcpStream::from_std(near).unwrap());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (stream, listener) = abroad(move || {
        let errors = [
            futures::executor::block_on(stream.read(&mut [0])).unwrap_err(),
            futures::executor::block_on(stream.write(b"x")).unwrap_err(),
            futures::executor::block_on(stream.readable()).unwrap_err(),
            stream.try_read(&mut [0]).unwrap_err(),
            stream.try_write(b"x").unwrap_err(),
            futures::executor::block_on(listener.accept()).unwrap_err(),
        ];
        for error in errors {
            let text = error.to_string();
            assert!(
                text.ends_with("belongs to the loop of another thread; use it inside of its own loop"),
                "{text}"
            );
        }
        assert_eq!(stream.local_addr().unwrap().ip(), address.ip(), "what needs no loop works");
        (stream, listener)
    });
    runtime.block_on(async {
        stream.write_all(b"home").await.unwrap();
    });
    abroad(move || drop((stream, listener)));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut &far, &mut text).unwrap();
    assert_eq!(text, "home", "closed where it was dropped");
    assert_eq!(runtime.turn_now().messages, 2);
    assert!(runtime.turn_now().stalled);
    assert_whole(&runtime);
}

#[test]
fn a_descriptor_number_used_again_before_the_letter_is_read() {
    let runtime = Runtime::new().unwrap();
    for _ in 0..20 {
        let (near, far) = tcp_pair();
        let old = runtime.enter(|| TcpStream::from_std(near).unwrap());
        abroad(move || drop(old));
        // Most likely with the number that has just become free; the letter is still unread.
        let (next, other) = tcp_pair();
        let next = runtime.enter(|| TcpStream::from_std(next).unwrap());
        runtime.turn_now();
        std::io::Write::write_all(&mut &other, b"hello").unwrap();
        let count = runtime.block_on(async { next.read(&mut [0; 9]).await.unwrap() });
        assert_eq!(count, 5);
        runtime.enter(|| drop(next));
        drop(far);
    }
    assert!(open_descriptors() < 500);
}

#[test]
fn a_call_handle_far_from_home() {
    let runtime = virtual_runtime();
    let (calls, drops) = (Tally::new(), Tally::new());
    let (later, beats, token) = (calls.clone(), calls.clone(), drops.token());
    let handles: [CallHandle; 2] = runtime.enter(|| {
        let once = call_later(SECOND, move || {
            drop(token);
            later.add();
        });
        [once, call_periodic(SECOND, SECOND, move || beats.add())]
    });
    let clones = handles.clone();
    abroad(move || {
        for handle in clones {
            let expected = "a CallHandle can be asked only inside of the loop";
            assert!(panic_of(|| handle.when()).starts_with(expected));
            assert!(panic_of(|| handle.missed()).starts_with(expected));
            assert!(panic_of(|| handle.is_pending()).starts_with(expected));
            handle.cancel();
        }
    });
    assert_eq!(drops.get(), 0, "a letter");
    assert!(runtime.enter(|| handles.iter().all(CallHandle::is_pending)));
    assert_eq!(runtime.turn_now().messages, 2);
    assert_eq!((calls.get(), drops.get()), (0, 1));
    assert!(runtime.enter(|| !handles.iter().any(CallHandle::is_pending)));
    drop(runtime);
    abroad(move || handles[0].cancel());
}

#[test]
fn another_thread_is_inside_of_no_loop_although_this_one_is() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        assert!(current_task().is_some());
        assert_eq!(abroad(current_task), None);
        assert!(
            panic_of(|| abroad(|| spawn(async {}).detach())).starts_with("spawn: no loop on this thread")
        );
    });
}
