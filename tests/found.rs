//! Bugs that were found by reading and by attack, each as the test that would have found it.

#[path = "support/core/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::IoSlice;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::AsyncWriteExt;
use greenroom::io::{LineReader, Nonblocking};
use greenroom::net::{Server, TcpListener, TcpStream};
use greenroom::{CallHandle, Event, Observer, Runtime, call_later, call_periodic, sleep, spawn, timeout};
use support::{virtual_runtime, within_patience};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_line_reader_goes_on_after_it_has_waited() {
    let runtime = virtual_runtime();
    let (near, far) = UnixStream::pair().unwrap();
    runtime.block_on(async {
        let mut lines = LineReader::new(Nonblocking::new(near).unwrap(), 100);
        for word in ["first", "second"] {
            let far = far.try_clone().unwrap();
            call_later(MS, move || {
                std::io::Write::write_all(&mut &far, format!("{word}\n").as_bytes()).unwrap();
            });
            assert_eq!(lines.next_line().await.unwrap().unwrap(), word.as_bytes());
        }
    });
}

#[test]
fn a_sleep_that_somebody_else_resets_still_wakes_who_waits_for_it() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let start = greenroom::now();
        let shared = Rc::new(RefCell::new(sleep(10 * MS)));
        let reset = shared.clone();
        call_later(5 * MS, move || reset.borrow_mut().reset(20 * MS));
        poll_fn(|context| Pin::new(&mut *shared.borrow_mut()).poll(context)).await;
        assert_eq!(greenroom::now() - start, 25 * MS);
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a destructor");
    }
}

#[test]
fn a_closure_whose_destructor_panics_takes_nobody_of_its_turn_with_it() {
    let runtime = virtual_runtime();
    let ran = Rc::new(Cell::new(false));
    let other = ran.clone();
    runtime.block_on(async {
        let handle: Rc<RefCell<Option<CallHandle>>> = Rc::default();
        let (own, bomb) = (handle.clone(), Bomb);
        let cancels_itself = move || {
            let _ = &bomb;
            own.borrow().as_ref().unwrap().cancel();
        };
        handle.replace(Some(call_periodic(MS, MS, cancels_itself)));
        call_later(MS, move || other.set(true));
        sleep(2 * MS).await;
    });
    assert!(ran.get());
}

/// Makes something ready when the loop is about to wait for ever.
struct LastMinute(Cell<bool>);

impl Observer for LastMinute {
    fn observe(&self, _at: Duration, event: &Event<'_>) {
        if matches!(event, Event::WaitStarted { timeout: None }) && !self.0.replace(true) {
            greenroom::call_soon(greenroom::stop);
        }
    }
}

#[test]
fn what_an_observer_makes_ready_before_the_wait_is_not_slept_over() {
    within_patience(|| {
        let runtime = Runtime::builder().observer(LastMinute(Cell::new(false))).build().unwrap();
        let _keeps_it_waiting = runtime.handle();
        runtime.run().unwrap();
    });
}

#[test]
fn a_descriptor_taken_out_while_the_loop_is_not_entered_can_be_put_in_again() {
    let runtime = Runtime::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stream = runtime.block_on(TcpStream::connect(address)).unwrap();
    let stream = stream.into_std();
    runtime.enter(|| TcpStream::from_std(stream)).unwrap();
}

#[test]
fn sleeps_of_no_length_and_descriptors_that_are_always_ready_give_way() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let others = Rc::new(Cell::new(0));
            let count = || {
                let others = others.clone();
                spawn(async move { others.set(others.get() + 1) }).detach();
            };
            count();
            while others.get() < 1 {
                sleep(Duration::ZERO).await;
            }
            count();
            let (near, _far) = UnixStream::pair().unwrap();
            let near = Nonblocking::new(near).unwrap();
            while others.get() < 2 {
                near.writable().await.unwrap();
            }
        });
    });
}

#[test]
fn a_vectored_write_of_more_slices_than_a_call_takes_is_not_short() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        runtime.block_on(async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // The edge of the connect is taken in, so nothing but the flag says that it is writable.
            greenroom::yield_now().await;
            sleep(MS).await;
            let slices = vec![IoSlice::new(b"x"); 2000];
            assert_eq!(stream.write_vectored(&slices).await.unwrap(), 1024);
            AsyncWriteExt::write_all(&mut stream, b"more").await.unwrap();
        });
    });
}

#[test]
fn a_future_that_is_dropped_while_it_waits_leaves_no_wait_behind() {
    let runtime = virtual_runtime();
    let error = runtime.try_block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert!(timeout(MS, listener.accept()).await.is_err());
        std::future::pending::<()>().await;
    });
    assert!(error.is_err(), "nothing waits for the listener any more, so nothing can happen");
}

#[test]
fn of_two_waits_of_one_task_for_one_descriptor_each_ends_alone() {
    let runtime = virtual_runtime();
    let (near, far) = UnixStream::pair().unwrap();
    runtime.block_on(async {
        let near = Nonblocking::new(near).unwrap();
        let byte = || near.read_with(|mut near| std::io::Read::read(&mut near, &mut [0]));
        let (mut first, mut second) = (Box::pin(byte()), Some(Box::pin(byte())));
        poll_fn(|context| {
            assert!(first.as_mut().poll(context).is_pending());
            assert!(second.as_mut().unwrap().as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        call_later(MS, move || std::io::Write::write_all(&mut &far, b"x").unwrap());
        // Only the first is polled from now on; the second goes without a poll.
        let mut polls = 0;
        let read = poll_fn(|context| {
            polls += 1;
            let polled = first.as_mut().poll(context);
            second = None;
            polled
        });
        assert_eq!(timeout(1000 * MS, read).await.unwrap().unwrap(), 1);
        assert_eq!(polls, 2);
    });
}

#[test]
fn a_handler_that_panics_before_it_gives_a_future_ends_one_connection() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Rc::new(Cell::new(0));
        let until = async {
            for answer in [0, 1] {
                let stream = TcpStream::connect(address).await.unwrap();
                assert_eq!(stream.read(&mut [0]).await.unwrap(), answer);
            }
        };
        let server = Server::new(listener).run(until, |connection| {
            calls.set(calls.get() + 1);
            assert!(calls.get() > 1, "the first handler panics");
            async move { connection.stream.write_all(b"x").await.unwrap() }
        });
        assert_eq!(server.await.unwrap().accepted, 2);
    });
}

#[test]
fn a_detached_remote_task_does_not_hide_a_stall() {
    let runtime = virtual_runtime();
    let handle = runtime.handle();
    handle.spawn(std::future::pending::<()>()).detach();
    drop(handle);
    assert!(runtime.try_block_on(std::future::pending::<()>()).is_err());
}

thread_local! {
    /// A runtime that is dropped with its thread.
    static RUNTIME: Runtime = Runtime::new().unwrap();
}

#[test]
fn a_runtime_may_be_dropped_with_its_thread() {
    let answer = std::thread::spawn(|| RUNTIME.with(|runtime| runtime.block_on(async { 42 })));
    assert_eq!(answer.join().unwrap(), 42);
}

#[test]
fn a_loop_inside_of_a_loop_is_refused_also_when_another_is_entered_between() {
    let (outer, inner) = (virtual_runtime(), virtual_runtime());
    outer.block_on(async {
        assert!(inner.enter(|| outer.try_block_on(async {})).is_err());
        assert!(outer.enter(|| inner.try_block_on(async {})).is_err());
    });
}

#[test]
fn a_sleep_counts_from_its_making_however_long_the_poll_took_before() {
    Runtime::new().unwrap().block_on(async {
        let busy = Instant::now();
        while busy.elapsed() < Duration::from_millis(30) {}
        let (made, asked) = (Instant::now(), Duration::from_millis(20));
        sleep(asked).await;
        assert!(made.elapsed() >= asked);
    });
}

#[test]
fn a_linger_of_a_part_of_a_second_is_not_none() {
    let runtime = Runtime::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = runtime.block_on(TcpStream::connect(listener.local_addr().unwrap())).unwrap();
    stream.set_linger(Some(500 * MS)).unwrap();
    assert_eq!(socket2::SockRef::from(&stream).linger().unwrap(), Some(1000 * MS));
}

#[test]
fn a_limit_of_time_holds_also_for_what_is_always_ready() {
    within_patience(|| {
        for limit in [Duration::ZERO, MS] {
            Runtime::new().unwrap().block_on(async {
                let (mut from, mut to) = (futures::io::repeat(0), futures::io::sink());
                let copying = greenroom::io::copy(&mut from, &mut to);
                assert!(timeout(limit, copying).await.is_err());
            });
        }
    });
}
