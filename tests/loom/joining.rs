//! A `JoinHandle` abroad: dropped while the task ends at home, and used when the loop is gone.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::check::{Calm, DEADLOCK, LEAK, Watched, fails, holds};
use super::home::{ModelHome, never};
use crate::fault::Fault;

/// An output that counts its ends and reads its memory as it goes.
struct Output {
    /// How many of it were dropped.
    drops: StdArc<AtomicUsize>,
    /// Written by the task.
    place: Watched,
}

impl Drop for Output {
    fn drop(&mut self) {
        assert_eq!(self.place.get(), 7, "an output was dropped unseen");
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// A task that gives an [`Output`], and the count of its ends.
fn giver() -> (impl Future<Output = Output>, StdArc<AtomicUsize>) {
    let drops = StdArc::new(AtomicUsize::new(0));
    let (place, count) = (Watched::new(), drops.clone());
    let future = async move {
        place.set(7);
        ready(()).await;
        Output { drops: count, place }
    };
    (future, drops)
}

/// The handle is dropped abroad while the task runs, ends, and its loop with it.
fn handle_dropped_abroad() {
    let home = ModelHome::new();
    let (future, drops) = giver();
    let task = home.spawn(future);
    // It keeps the cell: the output must not wait for the end of that.
    let waker = home.waker(&task);
    let elsewhere = thread::spawn(move || drop(task.release()));
    home.run();
    home.take_in_mail();
    drop(home);
    elsewhere.join().expect("nobody panics");
    assert_eq!(drops.load(Ordering::Relaxed), 1, "an output has one end");
    drop(waker.release());
}

/// The handle asks the task to stop from abroad, and is dropped.
fn cancelled_abroad() {
    let home = ModelHome::new();
    let mut task = home.spawn(never());
    let elsewhere = thread::spawn(move || {
        // The request counts; nobody waits for the answer.
        task.cancel();
        drop(task.release());
    });
    home.turn_until(|| home.here.tasks.borrow().len() == 0);
    elsewhere.join().expect("nobody panics");
    drop(home);
}

/// Once the loop is gone, the output is the handle's, wherever that went.
fn output_taken_when_the_loop_is_gone() {
    let home = ModelHome::new();
    let (future, drops) = giver();
    let mut task = home.spawn(future);
    let address = home.home();
    let elsewhere = thread::spawn(move || {
        if address.inbox.is_closed() {
            let mut context = Context::from_waker(Waker::noop());
            match Pin::new(&mut *task).poll(&mut context) {
                Poll::Ready(Ok(output)) => drop(Calm::new(output)),
                _ => panic!("the task returned before its loop ended"),
            }
        }
        drop(task.release());
        drop(address.release());
    });
    home.run();
    drop(home);
    elsewhere.join().expect("nobody panics");
    assert_eq!(drops.load(Ordering::Relaxed), 1, "an output has one end");
}

#[test]
fn a_handle_may_be_dropped_abroad_at_any_time() {
    holds(3, handle_dropped_abroad);
}

#[test]
fn a_handle_left_in_a_closed_box_is_noticed() {
    fails(Fault::PostToClosedBox, "an output has one end", 3, handle_dropped_abroad);
}

#[test]
fn a_task_may_be_cancelled_from_abroad() {
    holds(3, cancelled_abroad);
}

#[test]
fn a_request_to_stop_that_wakes_nobody_is_noticed() {
    fails(Fault::PostWithoutNotify, DEADLOCK, 3, cancelled_abroad);
}

#[test]
fn the_output_may_be_taken_abroad_when_the_loop_is_gone() {
    holds(3, output_taken_when_the_loop_is_gone);
}

#[test]
fn a_spent_handle_left_in_a_closed_box_is_noticed() {
    fails(Fault::PostToClosedBox, LEAK, 3, output_taken_when_the_loop_is_gone);
}
