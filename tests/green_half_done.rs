//! What a green thread must not leave half done when it leaves its stack, or is left itself: calls of the runtime that
//! run its code, its own memory, values of the thread it runs on.
//!
//! Run one with `cargo test --test green_half_done name`.

#[path = "support/io/child.rs"]
mod child;
#[path = "support/core/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::future::pending;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use child::in_child;
use green::CannotWait;
use greenroom::sync::PriorityQueue;
use greenroom::{Event, Handle, JoinHandle, Observer, Runtime, green, join_all, yield_now};
use support::{Tally, assert_whole, keep_log, logged, on_drop, panic_of, virtual_runtime};

const SECOND: Duration = Duration::from_secs(1);
const REFUSED: Result<(), CannotWait> = Err(CannotWait::InsideRuntime);

/// Polls a future once, as a task.
fn poll_once<T>(runtime: &Runtime, mut future: Pin<&mut green::GreenThread<T>>) -> bool {
    runtime.block_on(async { futures::poll!(future.as_mut()).is_ready() })
}

#[test]
fn nobody_stands_inside_of_enter_and_leaves_the_thread_in_a_loop_that_does_not_run() {
    let runtime = Rc::new(virtual_runtime());
    let (inside, elsewhere) = (runtime.clone(), virtual_runtime());
    let mut thread = Box::pin(green::future(move || {
        inside.enter(|| {
            assert_eq!(green::try_wait(yield_now()), REFUSED);
            // Once more inside, in an order of its own.
            assert_eq!(elsewhere.enter(|| inside.enter(|| green::try_wait(yield_now()))), REFUSED);
            // One that was entered before its poll is its host's.
            let outcome = green::future(green::yield_now);
            futures::executor::block_on(outcome);
        });
        green::wait(pending::<()>());
    }));
    assert!(!poll_once(&runtime, thread.as_mut()));
    drop(thread);
    assert!(Handle::current().is_err());
    assert_whole(&runtime);
}

#[test]
fn a_set_that_is_polled_by_hand_is_polled_to_the_end() {
    let runtime = virtual_runtime();
    let answers = runtime.block_on(green::future(|| {
        let mut set = join_all((0..2).map(async |_| green::try_wait(yield_now())));
        let polled = Pin::new(&mut set).poll(&mut Context::from_waker(Waker::noop()));
        green::sleep(SECOND);
        polled
    }));
    assert_eq!(answers, Poll::Ready(vec![REFUSED; 2]));
}

/// An item whose comparison would wait.
#[derive(Debug, PartialEq, Eq)]
struct Patient(u32);

impl Ord for Patient {
    fn cmp(&self, other: &Patient) -> Ordering {
        assert_eq!(green::try_wait(yield_now()), REFUSED);
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Patient {
    fn partial_cmp(&self, other: &Patient) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[test]
fn nobody_finds_a_queue_in_the_middle_of_a_comparison() {
    let runtime = virtual_runtime();
    let queue = Rc::new(PriorityQueue::unbounded());
    let put = queue.clone();
    runtime.block_on(async {
        let thread = green::spawn(move || (1..9).rev().try_for_each(|number| put.try_put(Patient(number))));
        yield_now().await;
        assert_eq!(queue.len(), 8);
        thread.await.unwrap().unwrap();
        let get = queue.clone();
        let thread = green::spawn(move || (0..8).map(|_| get.try_get().unwrap().0).collect::<Vec<_>>());
        assert_eq!(thread.await.unwrap(), (1..9).collect::<Vec<_>>());
    });
}

/// Waits when it hears of a new task.
struct Waits(Rc<Cell<usize>>);

impl Observer for Waits {
    fn observe(&self, _at: Duration, event: &Event<'_>) {
        if matches!(event, Event::Spawned { name: Some("child"), .. }) {
            self.0.set(self.0.get() + 1);
            green::wait(pending::<()>());
        }
    }
}

#[test]
fn an_observer_does_not_hold_up_the_thread_that_it_observes() {
    keep_log();
    let heard = Rc::new(Cell::new(0));
    let runtime = Runtime::builder().observer(Waits(heard.clone())).build().unwrap();
    runtime.block_on(async {
        let thread = green::spawn(|| green::join(green::spawn_named("child", || 4)).unwrap());
        assert_eq!(thread.await.unwrap(), 4);
    });
    let lines = logged();
    assert_eq!((heard.get(), lines.len()), (1, 1), "{lines:?}");
    assert!(lines[0].contains("an observer panicked: a green thread cannot wait inside of"), "{lines:?}");
}

/// A log that has no room.
struct Full;

impl log::Log for Full {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _record: &log::Record<'_>) {
        panic!("no room in the log");
    }

    fn flush(&self) {}
}

/// Where on a stack this is.
fn place() -> usize {
    let here = 0_u8;
    (&raw const here).addr()
}

#[test]
fn a_forgotten_stack_is_nobodys_again_though_the_logger_panics() {
    in_child("a_forgotten_stack_is_nobodys_again_though_the_logger_panics", || {
        log::set_logger(&Full).unwrap();
        log::set_max_level(log::LevelFilter::Error);
        let runtime = virtual_runtime();
        let left_at = Rc::new(Cell::new(0));
        let at = left_at.clone();
        let mut stubborn = Box::pin(green::future(move || {
            at.set(place());
            loop {
                let _ = catch_unwind(green::yield_now);
            }
        }));
        assert!(!poll_once(&runtime, stubborn.as_mut()));
        assert_eq!(panic_of(|| drop(stubborn)), "no room in the log");
        let (next_at, bytes) = runtime.block_on(green::future(|| (place(), green::stack_bytes().unwrap())));
        assert!(next_at.abs_diff(left_at.get()) >= bytes / 2, "the stack has frames that may still be used");
    });
}

#[test]
fn what_is_captured_is_moved_once() {
    const BYTES: usize = 100 * 1024;
    let captured = [7_u8; BYTES];
    let body =
        move || (captured.iter().filter(|byte| **byte == 7).count(), green::stack_high_water().unwrap());
    let thread = green::Builder::new().stack_bytes(3 * BYTES).future(body).unwrap();
    let (count, used) = futures::executor::block_on(thread);
    assert_eq!(count, BYTES);
    assert!(used < 2 * BYTES + BYTES / 2, "{used}");
    // The most that is accepted has room to begin.
    let captured = [7_u8; BYTES];
    let body = move || captured.len();
    let thread = green::Builder::new().stack_bytes(2 * BYTES + 8 * 1024).future(body).unwrap();
    assert_eq!(futures::executor::block_on(thread), BYTES);
    assert!(green::Builder::new().stack_bytes(2 * BYTES).future(move || captured.len()).is_err());
}

/// A value of a thread that says when it is gone.
struct Mortal(Tally);

impl Drop for Mortal {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// A loop in a thread-local, which goes on when that is dropped.
struct LateLoop {
    /// The loop.
    runtime: Runtime,
    /// A green thread that waits since the time before.
    waits: JoinHandle<()>,
    /// Counts that the destructor came to its end.
    ended: Tally,
}

impl Drop for LateLoop {
    fn drop(&mut self) {
        let error = self.runtime.block_on(&mut self.waits).unwrap_err().to_string();
        assert!(error.contains("a green thread that waits cannot go on when its thread ends"), "{error}");
        // One that begins now has borrowed nothing that is gone.
        let text = self.runtime.block_on(green::future(|| {
            let _refused = on_drop(green::yield_now);
            green::sleep(Duration::from_millis(1));
            "late"
        }));
        assert_eq!(text, "late");
        self.ended.add();
    }
}

thread_local! {
    // In this order they are made, so in the other one they go.
    static LATE_LOOP: RefCell<Option<LateLoop>> = const { RefCell::new(None) };
    static LOOP: Runtime = virtual_runtime();
    static MORTAL: RefCell<Option<Mortal>> = const { RefCell::new(None) };
}

#[test]
fn a_stack_is_forgotten_that_has_borrowed_what_goes_with_its_thread() {
    let (died, used, ended) = (Tally::new(), Tally::new(), Tally::new());
    let (dies, uses, ends) = (died.clone(), used.clone(), ended.clone());
    std::thread::spawn(move || {
        let body = move || {
            MORTAL.with(|mortal| {
                // Unwound or gone on with, it would use what is gone.
                let _uses = on_drop(|| uses.add());
                green::yield_now();
                drop(mortal.borrow());
            });
        };
        LATE_LOOP.with(|late_loop| {
            let runtime = virtual_runtime();
            let waits = runtime.enter(|| green::spawn(body.clone()));
            late_loop.replace(Some(LateLoop { runtime, waits, ended: ends }));
        });
        LOOP.with(|runtime| runtime.enter(|| green::spawn(body).detach()));
        LATE_LOOP.with_borrow(|late_loop| late_loop.as_ref().unwrap().runtime.turn_now());
        LOOP.with(Runtime::turn_now);
        MORTAL.set(Some(Mortal(dies)));
    })
    .join()
    .unwrap();
    assert_eq!((died.get(), used.get(), ended.get()), (1, 0, 1));
}
