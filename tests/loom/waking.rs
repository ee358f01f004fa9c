//! Wakers abroad against the task at home: while it is polled, when it is over, when its loop is.

use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use loom::sync::atomic::AtomicU32;
use loom::thread;

use super::check::{Calm, DEADLOCK, LEAK, RACE, Watched, fails, holds};
use super::home::{ModelHome, never};
use crate::fault::Fault;

/// Is done when it has seen two numbers. It reads them relaxed: only the wake makes them visible.
struct Gather([StdArc<AtomicU32>; 2]);

impl Future for Gather {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let arrived = self.0.iter().all(|number| number.load(Ordering::Relaxed) > 0);
        if arrived { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Two threads write a number each and wake. Their wakes may merge into one letter; the poll that
/// follows must see both numbers, or nobody will ever wake it again.
fn two_wakes_against_polls() {
    let home = ModelHome::new();
    let numbers = [0, 1].map(|_| StdArc::new(AtomicU32::new(0)));
    let task = home.spawn(Gather(numbers.clone()));
    for number in numbers {
        let waker = home.waker(&task);
        thread::spawn(move || {
            number.store(1, Ordering::Relaxed);
            waker.release().wake();
        });
    }
    home.block_on(task).expect("the task ends by itself");
    home.assert_one_ring_per_sleep();
}

/// Reads plain memory in its second poll: the first comes with being spawned, the second can
/// only come from the wake.
struct ReadWhenWoken {
    /// Whether the first poll was.
    polled: bool,
    /// What the waking thread wrote.
    place: Watched,
}

impl Future for ReadWhenWoken {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        if std::mem::replace(&mut self.polled, true) { Poll::Ready(self.place.get()) } else { Poll::Pending }
    }
}

/// One thread writes plain memory, wakes, and wakes again; the task reads it.
fn plain_memory_through_a_wake() {
    let home = ModelHome::new();
    let place = Watched::new();
    let task = home.spawn(ReadWhenWoken { polled: false, place: place.clone() });
    let waker = home.waker(&task);
    thread::spawn(move || {
        place.set(7);
        waker.wake_by_ref();
        waker.release().wake();
    });
    assert_eq!(home.block_on(task).expect("the task ends by itself"), 7);
}

/// Counts its polls, is done in the second, and writes plain memory when it is dropped.
struct Ending {
    /// How often it was polled.
    polls: StdArc<AtomicUsize>,
    /// Written by the destructor.
    gone: Watched,
}

impl Future for Ending {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.polls.fetch_add(1, Ordering::Relaxed) == 0 { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let before = self.gone.get();
        self.gone.set(before + 1);
    }
}

/// Two threads wake a task that needs one wake; the other wake meets it while it ends, or after.
fn wakes_against_completion() {
    let home = ModelHome::new();
    let (polls, gone) = (StdArc::new(AtomicUsize::new(0)), Watched::new());
    let task = home.spawn(Ending { polls: polls.clone(), gone: gone.clone() });
    let (first, second) = (home.waker(&task), home.waker(&task));
    thread::spawn(move || {
        first.wake_by_ref();
        drop(Calm::new(first.clone()));
        drop(first.release());
    });
    thread::spawn(move || second.release().wake());
    home.block_on(task).expect("the task ends by itself");
    // One more look at the mail: a late wake finds a task that is over.
    home.take_in_mail();
    home.run();
    assert_eq!(polls.load(Ordering::Relaxed), 2, "a task was polled after its end");
    assert_eq!(gone.get(), 1, "a future is dropped once");
    drop(home);
}

/// Another thread asks whether the task is finished, and then relies on its future being gone.
fn finished_means_gone() {
    let home = ModelHome::new();
    let (polls, gone) = (StdArc::new(AtomicUsize::new(1)), Watched::new());
    let task = home.spawn(Ending { polls, gone: gone.clone() });
    let watcher = thread::spawn(move || {
        if task.is_finished() {
            assert_eq!(gone.get(), 1);
        }
        drop(task.release());
    });
    home.run();
    watcher.join().expect("the watcher does not panic");
    home.take_in_mail();
}

/// Wakers are used, cloned and dropped while the loop ends and when it is gone.
fn wakes_when_the_loop_is_gone() {
    let home = ModelHome::new();
    let task = home.spawn(never());
    home.run();
    let (first, second) = (home.waker(&task), home.waker(&task));
    thread::spawn(move || {
        let copy = Calm::new(first.clone());
        first.release().wake();
        copy.release().wake();
    });
    thread::spawn(move || {
        second.wake_by_ref();
        drop(second.release());
    });
    drop(task.release());
    drop(home);
}

#[test]
fn the_poll_sees_what_was_written_before_each_wake() {
    holds(3, two_wakes_against_polls);
}

#[test]
fn a_merged_wake_that_releases_nothing_is_noticed() {
    fails(Fault::WakeWithoutRelease, DEADLOCK, 2, two_wakes_against_polls);
}

#[test]
fn a_mark_cleared_without_acquire_is_noticed() {
    fails(Fault::UnmarkWithoutAcquire, DEADLOCK, 2, two_wakes_against_polls);
}

#[test]
fn a_wake_carries_plain_memory() {
    holds(3, plain_memory_through_a_wake);
}

#[test]
fn a_wake_that_nobody_hears_is_noticed() {
    fails(Fault::PostWithoutNotify, DEADLOCK, 3, plain_memory_through_a_wake);
}

#[test]
fn a_wake_may_come_when_the_task_is_over() {
    holds(3, wakes_against_completion);
}

#[test]
fn a_late_wake_left_in_a_closed_box_is_noticed() {
    fails(Fault::PostToClosedBox, LEAK, 3, wakes_against_completion);
}

#[test]
fn a_finished_task_has_no_future() {
    holds(3, finished_means_gone);
}

#[test]
fn a_task_called_finished_too_quietly_is_noticed() {
    fails(Fault::FinishWithoutRelease, RACE, 3, finished_means_gone);
}

#[test]
fn a_waker_may_outlive_the_loop() {
    holds(3, wakes_when_the_loop_is_gone);
}

#[test]
fn a_wake_left_in_a_closed_box_is_noticed() {
    fails(Fault::PostToClosedBox, LEAK, 2, wakes_when_the_loop_is_gone);
}
