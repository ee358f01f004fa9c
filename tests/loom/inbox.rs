//! The inbox and the notifier: no letter is lost, no sleep is for ever, no ring is wasted.

use std::cell::Cell;
use std::collections::VecDeque;

use loom::thread;

use super::check::{Calm, DEADLOCK, fails, holds};
use super::home::ModelHome;
use crate::atomic::Arc;
use crate::fault::Fault;
use crate::inbox::{Inbox, Posted};
use crate::task::header::Mail;

const PREEMPTIONS: usize = 3;

/// Threads post letters, each as many as it says, while the home sleeps and takes.
fn letters_to_a_home(from_each: &[usize]) {
    let home = ModelHome::new();
    for letters in from_each.iter().copied() {
        let address = home.home();
        thread::spawn(move || {
            for _ in 0..letters {
                assert!(address.post(Mail::Run(Box::new(|| ()))).is_none(), "the home is there");
            }
        });
    }
    let mut received = 0;
    while received < from_each.iter().sum() {
        home.sleep();
        received += home.take_in_mail();
    }
    home.assert_one_ring_per_sleep();
}

/// One thread numbers its letters; the home has slept before, and is awake.
fn letters_of_one_sender() {
    let inbox = Calm::new(Arc::new(Inbox::new()));
    assert!(inbox.park(), "there is no mail yet");
    inbox.unpark();
    let address = Calm::new((*inbox).clone());
    let sender = thread::spawn(move || {
        for number in 0..3 {
            // Nobody may be asked to wake a home that is awake.
            assert!(matches!(address.post(number), Posted::Delivered));
        }
    });
    let (next, mut taken) = (Cell::new(0), VecDeque::new());
    let read = |taken: &mut VecDeque<u32>| {
        inbox.take(taken);
        for number in taken.drain(..) {
            assert_eq!(number, next.replace(number + 1), "out of order");
        }
    };
    read(&mut taken);
    read(&mut taken);
    sender.join().expect("the sender does not panic");
    read(&mut taken);
    assert_eq!(next.get(), 3, "a letter was lost");
}

/// One thread posts while the home closes the box.
fn letters_to_a_closing_home() {
    let inbox = Calm::new(Arc::new(Inbox::new()));
    let address = Calm::new((*inbox).clone());
    let sender = thread::spawn(move || {
        let mut refused = 0;
        for letter in 0..2 {
            match address.post(letter) {
                Posted::Closed(back) => {
                    assert_eq!(back, letter);
                    assert!(address.is_closed());
                    refused += 1;
                }
                Posted::Delivered => assert_eq!(refused, 0, "a closed box opened again"),
                Posted::WakeHome => unreachable!("the home does not sleep"),
            }
        }
        refused
    });
    let read = inbox.close().len();
    let refused: usize = sender.join().expect("the sender does not panic");
    assert_eq!(read + refused, 2, "a letter was neither read nor given back");
}

#[test]
fn no_letter_is_lost_and_the_home_is_woken_once() {
    holds(PREEMPTIONS, || letters_to_a_home(&[1, 2]));
}

#[test]
fn no_letter_is_lost_among_three_senders() {
    holds(2, || letters_to_a_home(&[1, 1, 1]));
}

#[test]
fn a_sender_that_does_not_notify_is_noticed() {
    fails(Fault::PostWithoutNotify, DEADLOCK, PREEMPTIONS, || letters_to_a_home(&[1, 2]));
}

#[test]
fn a_home_that_does_not_look_before_it_sleeps_is_noticed() {
    fails(Fault::ParkWithoutLooking, DEADLOCK, PREEMPTIONS, || letters_to_a_home(&[1, 2]));
}

#[test]
fn senders_that_all_notify_are_noticed() {
    fails(Fault::NotifyEveryPost, "the bell rang", PREEMPTIONS, || letters_to_a_home(&[1, 2]));
}

#[test]
fn letters_of_one_sender_come_in_order_and_wake_nobody_who_is_awake() {
    holds(PREEMPTIONS, letters_of_one_sender);
}

#[test]
fn a_closing_box_reads_or_returns_each_letter() {
    holds(PREEMPTIONS, letters_to_a_closing_home);
}

#[test]
fn a_letter_left_in_a_closed_box_is_noticed() {
    fails(Fault::PostToClosedBox, "neither read nor given back", PREEMPTIONS, letters_to_a_closing_home);
}
