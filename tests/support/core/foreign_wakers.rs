//! Wakers of other executors in our waiting places: a panic in their wake or their drop is
//! logged or goes to whoever caused it, and the loop goes on.

use std::future::{pending, poll_fn};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use greenroom::io::Nonblocking;
use greenroom::{JoinHandle, Runtime, Sleep, sleep, yield_now};

use super::support::{
    Bomb, Tally, assert_whole, counting_waker, keep_log, logged, panic_of, virtual_runtime, waker, waker_with,
};

/// A waker that panics when it is used.
fn panicking_waker() -> Waker {
    waker(|| panic!("wake"))
}

/// A waker that panics when its last clone is dropped.
fn bomb_waker() -> Waker {
    waker_with(|| (), Bomb("waker's drop"))
}

/// Polls once with a waker that is handed over: the runtime holds the last clone then.
fn poll_with(future: Pin<&mut impl Future>, waker: Waker) {
    let pending = future.poll(&mut Context::from_waker(&waker)).is_pending();
    assert!(pending);
}

/// One poll for reading: unlike a future, it stays in its place until the socket is ready.
fn read_poll(socket: &Nonblocking<UnixStream>) -> impl Future<Output = std::io::Result<usize>> + Unpin {
    poll_fn(move |context| socket.poll_read_with(context, |mut near| near.read(&mut [0])))
}

/// Every kind of waiting place, filled with wakers.
struct Places {
    join: JoinHandle<()>,
    nap: Sleep,
    socket: Nonblocking<UnixStream>,
    far: UnixStream,
}

/// Leaves `make`'s wakers in all places.
fn fill(make: fn() -> Waker) -> Places {
    let join = greenroom::spawn(async {
        yield_now().await;
        yield_now().await;
    });
    let (near, far) = UnixStream::pair().unwrap();
    let mut places =
        Places { join, nap: sleep(Duration::from_secs(1)), socket: Nonblocking::new(near).unwrap(), far };
    poll_with(Pin::new(&mut places.join), make());
    poll_with(Pin::new(&mut places.nap), make());
    poll_with(Pin::new(&mut read_poll(&places.socket)), make());
    places
}

#[test]
fn wakers_of_others_are_used() {
    let runtime = virtual_runtime();
    let wakes = Tally::new();
    let mut places = runtime.enter(|| fill(|| Waker::noop().clone()));
    let foreign = counting_waker(&wakes);
    runtime.enter(|| {
        poll_with(Pin::new(&mut places.join), foreign.clone());
        poll_with(Pin::new(&mut places.nap), foreign.clone());
        poll_with(Pin::new(&mut read_poll(&places.socket)), foreign.clone());
    });
    std::io::Write::write_all(&mut places.far, b"x").unwrap();
    runtime.block_on(async { sleep(Duration::from_secs(2)).await });
    assert_eq!(wakes.get(), 3);
    runtime.enter(|| drop(places));
}

#[test]
fn a_waker_that_panics_is_logged_and_the_loop_goes_on() {
    keep_log();
    let runtime = virtual_runtime();
    let mut places = runtime.enter(|| fill(panicking_waker));
    std::io::Write::write_all(&mut places.far, b"x").unwrap();
    runtime.block_on(async { sleep(Duration::from_secs(2)).await });
    assert_eq!(logged(), ["ERROR: a waker panicked: wake"; 3]);
    assert!(places.join.is_finished());
    assert_whole(&runtime);
    runtime.enter(|| drop(places));
}

#[test]
fn a_waker_whose_drop_panics_after_its_wake_is_logged() {
    keep_log();
    let runtime = virtual_runtime();
    let mut places = runtime.enter(|| fill(bomb_waker));
    std::io::Write::write_all(&mut places.far, b"x").unwrap();
    runtime.block_on(async { sleep(Duration::from_secs(2)).await });
    assert_eq!(logged(), ["ERROR: a waker panicked: waker's drop"; 3]);
    assert_whole(&runtime);
    runtime.enter(|| drop(places));
}

#[test]
fn a_waker_whose_drop_panics_when_it_is_replaced_tells_who_polls() {
    let runtime = virtual_runtime();
    let mut places = runtime.enter(|| fill(bomb_waker));
    let noop = || Waker::noop().clone();
    runtime.enter(|| {
        assert_eq!(panic_of(|| poll_with(Pin::new(&mut places.join), noop())), "waker's drop");
        assert_eq!(panic_of(|| poll_with(Pin::new(&mut places.nap), noop())), "waker's drop");
        // The socket's waker is woken with the end of the socket, by the loop.
        drop(places);
    });
    assert_whole(&runtime);
}

#[test]
fn a_waker_whose_drop_panics_when_the_place_is_dropped_inside_tells_who_drops() {
    keep_log();
    let runtime = virtual_runtime();
    let Places { join, nap, socket, far: _far } = runtime.enter(|| fill(bomb_waker));
    runtime.enter(|| {
        assert_eq!(panic_of(|| drop(nap)), "waker's drop");
        assert_eq!(panic_of(|| drop(join)), "waker's drop");
        assert_eq!(logged(), [""; 0]);
        // Who waits for a socket is woken when it is dropped: a wake, and its panics, are the loop's.
        drop(socket);
    });
    assert_eq!(logged(), ["ERROR: a waker panicked: waker's drop"]);
    assert_whole(&runtime);
}

#[test]
fn a_waker_whose_drop_panics_when_the_place_is_dropped_outside_is_logged() {
    keep_log();
    let runtime = virtual_runtime();
    let waits = runtime.spawn(pending::<()>());
    let Places { join, nap, socket, far: _far } = runtime.enter(|| fill(bomb_waker));
    // Far from the loop each drop is a letter, and nobody but the loop is there to catch.
    drop((join, nap, socket));
    let turns: Vec<usize> = (0..4).map(|_| runtime.turn_now().messages).collect();
    assert_eq!(turns.iter().sum::<usize>(), 3);
    assert_eq!(logged().iter().filter(|line| line.ends_with("panicked: waker's drop")).count(), 3);
    assert_whole(&runtime);
    drop(waits);
}

#[test]
fn a_loop_ends_whole_with_such_wakers_in_every_place() {
    keep_log();
    let runtime = Runtime::new().unwrap();
    let places = runtime.enter(|| fill(bomb_waker));
    // Nobody will come to wake or drop these before the loop ends.
    let report = runtime.shutdown(Duration::ZERO);
    assert_eq!(report.not_stopped, []);
    drop(places);
    assert!(!logged().is_empty());
}
