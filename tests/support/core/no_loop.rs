//! Everything that needs a loop says so where there is none, by name and with the way out.

use std::future::pending;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use greenroom::io::Nonblocking;
use greenroom::net::{TcpListener, TcpStream};
use greenroom::signal::Signal;
use greenroom::{
    Handle, add_reader, add_writer, call_at, call_later, call_periodic, call_soon, current_task, interval,
    now, remove_reader, remove_writer, sleep, sleep_until, spawn, spawn_named, stop, tasks, timeout,
    yield_now,
};

use super::support::{panic_of, tcp_pair};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn functions_that_need_a_loop_panic_with_their_name() {
    let refused: [(&str, fn()); 11] = [
        ("spawn", || spawn(async {}).detach()),
        ("spawn_named", || spawn_named("x", async {}).detach()),
        ("sleep", || drop(sleep(SECOND))),
        ("sleep_until", || drop(sleep_until(Instant::now()))),
        ("interval", || drop(interval(SECOND))),
        ("call_soon", || drop(call_soon(|| ()))),
        ("call_later", || drop(call_later(SECOND, || ()))),
        ("call_at", || drop(call_at(Instant::now(), || ()))),
        ("call_periodic", || drop(call_periodic(SECOND, SECOND, || ()))),
        ("stop", stop),
        ("tasks", || drop(tasks())),
    ];
    for (name, call) in refused {
        let text = panic_of(call);
        assert!(text.starts_with(&format!("{name}: no loop on this thread; call it inside")), "{text}");
        assert!(text.contains("`Runtime::block_on`") && text.contains("`Handle`"), "{text}");
    }
    let text = panic_of(|| drop(timeout(SECOND, pending::<()>())));
    assert!(text.contains("no loop on this thread"), "{text}");
}

/// The error of a future that needs no wait to fail.
fn error_of<T>(future: impl Future<Output = std::io::Result<T>>) -> String {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(error)) => error.to_string(),
        Poll::Ready(Ok(_)) => panic!("it worked without a loop"),
        Poll::Pending => panic!("it waits without a loop"),
    }
}

#[test]
fn input_and_output_without_a_loop_is_an_error_that_says_so() {
    let (near, far) = tcp_pair();
    let (one, other) = UnixStream::pair().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let errors = [
        error_of(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))),
        error_of(TcpListener::bind("localhost:0")),
        error_of(TcpStream::connect(address)),
        error_of(TcpStream::connect("localhost:1")),
        error_of(greenroom::ctrl_c()),
        TcpStream::from_std(near).unwrap_err().to_string(),
        Nonblocking::new(one).unwrap_err().to_string(),
        TcpListener::from_std(listener).unwrap_err().to_string(),
        Signal::new(greenroom::signal::TERMINATE).unwrap_err().to_string(),
        add_reader(&far, || ()).unwrap_err().to_string(),
        add_writer(&other, || ()).unwrap_err().to_string(),
        Handle::current().unwrap_err().to_string(),
    ];
    for error in errors {
        assert!(error.contains("no loop on this thread"), "{error}");
    }
    let error = std::io::Error::from(Handle::current().unwrap_err());
    let inner = error.get_ref().unwrap().downcast_ref::<greenroom::NoLoop>().unwrap();
    assert_eq!(inner.what, "Handle::current");
}

#[test]
fn what_needs_no_loop_works_without_one() {
    assert_eq!(current_task(), None);
    assert!(now() <= Instant::now());
    let (near, _far) = tcp_pair();
    assert!(!remove_reader(&near) && !remove_writer(&near));
    futures::executor::block_on(yield_now());
}
