//! The counts of handles and wakers: a home that has nothing else to wait for sleeps while there
//! is one, and learns when the last has gone.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::thread;

use super::check::{Calm, DEADLOCK, fails, holds};
use super::home::{ModelHome, never};
use crate::executor::remote::Handle;
use crate::fault::Fault;
use crate::task::header::{Mail, TaskRef};

const PREEMPTIONS: usize = 3;

/// Two threads have a handle; one posts with it before it goes. The home sleeps until it knows
/// that it is stalled, in the order of questions of `executor/stall.rs`.
fn last_handle_goes() {
    let home = ModelHome::new();
    let done = StdArc::new(AtomicUsize::new(0));
    let handle = Calm::new(Handle::new(home.here.home.clone()));
    let other = Calm::new((*handle).clone());
    let (address, count) = (home.home(), done.clone());
    thread::spawn(move || {
        let work = Mail::Run(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        assert!(address.post(work).is_none(), "the home is there");
        drop(handle.release());
        drop(address.release());
    });
    thread::spawn(move || drop(other.release()));
    home.turn_until(|| is_stalled(&home));
    assert_eq!(done.load(Ordering::Relaxed), 1, "called stalled while there was something to do");
}

/// Two threads have a waker of the task that the home has left, and drop it unused.
fn last_waker_goes() {
    let home = ModelHome::new();
    let task = home.spawn(never());
    for waker in [home.waker(&task), home.waker(&task)] {
        thread::spawn(move || drop(waker.release()));
    }
    home.turn_until(|| is_stalled(&home));
}

/// As `LocalLoop::nothing_can_happen`, as far as other threads have a part in it.
fn is_stalled(home: &ModelHome) -> bool {
    let here = &home.here;
    if here.home.handles.load(Ordering::Acquire) > 0 {
        return false;
    }
    let has_waker = |task: &TaskRef| task.refs() > 1 + u32::from(task.state().has_handle());
    if here.tasks.borrow().iter().any(|(_, task)| has_waker(task)) {
        return false;
    }
    here.home.inbox.is_empty()
}

#[test]
fn the_home_learns_that_the_last_handle_has_gone() {
    holds(PREEMPTIONS, last_handle_goes);
}

#[test]
fn a_handle_that_goes_without_a_word_is_noticed() {
    fails(Fault::LeaveWithoutWord, DEADLOCK, PREEMPTIONS, last_handle_goes);
}

#[test]
fn the_home_learns_that_the_last_waker_has_gone() {
    holds(PREEMPTIONS, last_waker_goes);
}

#[test]
fn a_waker_that_goes_without_a_word_is_noticed() {
    fails(Fault::LeaveWithoutWord, DEADLOCK, PREEMPTIONS, last_waker_goes);
}
