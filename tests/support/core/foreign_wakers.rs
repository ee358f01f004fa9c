//! Wakers of other executors in our waiting places: a panic in their wake or their drop is
//! logged or goes to whoever caused it, and the loop goes on.

use std::future::pending;
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

/// Polls once with a waker that is handed over.
fn poll_with(future: Pin<&mut impl Future>, waker: Waker) {
    // Leaked into the waiting place: the last clone must be the one that the runtime holds.
    let pending = future.poll(&mut Context::from_waker(&waker)).is_pending();
    assert!(pending);
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
    poll_with(Box::pin(places.socket.read_with(|mut near| near.read(&mut [0]))).as_mut(), make());
    places
}

#[test]
fn wakers_of_others_are_used() {
    let runtime = virtual_runtime();
    let wakes = Tally::new();
    let mut places = runtime.enter(|| fill(Waker::noop_clone));
    let foreign = counting_waker(&wakes);
    runtime.enter(|| {
        poll_with(Pin::new(&mut places.join), foreign.clone());
        poll_with(Pin::new(&mut places.nap), foreign.clone());
        let read = places.socket.read_with(|mut near| near.read(&mut [0]));
        poll_with(Box::pin(read).as_mut(), foreign.clone());
    });
    std::io::Write::write_all(&mut places.far, b"x").unwrap();
    runtime.block_on(async { sleep(Duration::from_secs(2)).await });
    assert_eq!(wakes.get(), 3);
    runtime.enter(|| drop(places));
}

/// A waker that does nothing, as an owned value.
trait NoopClone {
    fn noop_clone() -> Waker;
}

impl NoopClone for Waker {
    fn noop_clone() -> Waker {
        Waker::noop().clone()
    }
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
        // Dropped with the socket: the other waiting places hold harmless wakers by now.
        assert_eq!(panic_of(|| drop(places)), "waker's drop");
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
        assert_eq!(panic_of(|| drop(socket)), "waker's drop");
    });
    // A handle's waker may be dropped later by the loop, so it is always the loop that takes care.
    runtime.enter(|| drop(join));
    assert!(logged()[0].ends_with("panicked: waker's drop"));
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
