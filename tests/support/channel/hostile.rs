//! Values and wakers that come back into the channel, or panic, when they are dropped or used.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use greenroom::channel::{self, Sender, TrySendError};

use super::support::{
    Bomb, Tally, counting_waker, keep_log, logged, on_drop, panic_of, waker, waker_with, within_patience,
};
use super::{full, poll_once};

/// Polls once with a waker that is handed over.
fn poll_with<F: Future + Unpin>(future: &mut F, waker: Waker) {
    assert!(Pin::new(future).poll(&mut Context::from_waker(&waker)).is_pending());
}

/// Uses the channel in every way that does not wait.
fn use_channel<T>(sender: &Sender<T>) {
    drop((sender.clone(), sender.downgrade().upgrade(), sender.is_closed(), format!("{sender:?}")));
}

#[test]
fn messages_may_use_the_channel_when_they_are_dropped() {
    within_patience(messages_that_use_the_channel);
}

fn messages_that_use_the_channel() {
    let drops = Tally::new();
    let message = |sender: &Sender<Box<dyn Send>>| -> Box<dyn Send> {
        let (sender, token) = (sender.clone(), drops.token());
        Box::new(on_drop(move || {
            let _token = token;
            use_channel(&sender);
            let refused = sender.try_send(Box::new(()));
            assert!(matches!(refused, Err(TrySendError::Closed(_))));
        }))
    };
    let (sender, mut receiver) = channel::bounded(2);
    for _ in 0..2 {
        sender.try_send(message(&sender)).ok().unwrap();
    }
    let mut waiting = sender.send(message(&sender));
    assert!(poll_once(&mut waiting).is_pending());
    receiver.close();
    drop(receiver);
    assert_eq!(drops.get(), 2);
    drop(waiting);
    assert_eq!(drops.get(), 3);
}

#[test]
fn a_message_that_panics_when_dropped_keeps_nobody_from_hearing_the_end() {
    let (sender, receiver) = channel::bounded(2);
    let drops = Tally::new();
    let second = drops.token();
    sender.try_send((Some(Bomb("message")), None)).ok().unwrap();
    sender.try_send((None, Some(second))).ok().unwrap();
    let woken = Tally::new();
    let mut closed = sender.closed();
    poll_with(&mut closed, counting_waker(&woken));
    assert_eq!(panic_of(|| drop(receiver)), "message");
    assert_eq!((woken.get(), drops.get()), (1, 1));
    assert!(sender.is_closed());
}

#[test]
fn wakers_may_use_the_channel_when_they_are_woken_or_dropped() {
    within_patience(wakers_that_use_the_channel);
}

fn wakers_that_use_the_channel() {
    let (sender, mut receiver) = full();
    let uses = Arc::new(AtomicUsize::new(0));
    let waker_that_uses = || {
        let (sender, uses) = (sender.clone(), uses.clone());
        let (again, count) = (sender.clone(), uses.clone());
        let on_drop = on_drop(move || {
            use_channel(&again);
            count.fetch_add(1, Ordering::SeqCst);
        });
        // A closure that is `Sync` cannot own one that is called once; the mutex makes it so.
        let cargo = std::sync::Mutex::new(on_drop);
        waker_with(
            move || {
                use_channel(&sender);
                uses.fetch_add(10, Ordering::SeqCst);
            },
            cargo,
        )
    };
    let mut sending = sender.send(1);
    poll_with(&mut sending, waker_that_uses());
    poll_with(&mut sending, waker_that_uses()); // takes the place of the other, which is dropped
    assert_eq!(uses.swap(0, Ordering::SeqCst), 1);
    assert_eq!(receiver.try_recv(), Ok(0)); // wakes
    assert_eq!(uses.swap(0, Ordering::SeqCst), 11);
    drop(sending);
    let mut recv = receiver.recv();
    poll_with(&mut recv, waker_that_uses());
    sender.try_send(2).unwrap(); // wakes
    assert_eq!(uses.swap(0, Ordering::SeqCst), 11);
    assert_eq!(poll_once(&mut recv), Poll::Ready(Some(2)));
    poll_with(&mut recv, waker_that_uses());
    poll_with(&mut recv, waker_that_uses());
    drop(recv);
    assert_eq!(uses.swap(0, Ordering::SeqCst), 2);
    let mut closed = sender.closed();
    poll_with(&mut closed, waker_that_uses());
    poll_with(&mut closed, waker_that_uses());
    drop(closed);
    assert_eq!(uses.swap(0, Ordering::SeqCst), 2);
    sender.try_send(3).unwrap();
    let mut sending = sender.send(4);
    poll_with(&mut sending, waker_that_uses());
    drop(sending);
    assert_eq!(uses.load(Ordering::SeqCst), 1);
}

#[test]
fn a_waker_that_panics_keeps_nobody_else_asleep() {
    keep_log();
    let (sender, mut receiver) = full();
    let woken = Tally::new();
    let (mut first, mut second, mut watcher) = (sender.send(1), sender.send(2), sender.closed());
    poll_with(&mut first, waker(|| panic!("a bad waker")));
    poll_with(&mut second, counting_waker(&woken));
    poll_with(&mut watcher, counting_waker(&woken));
    receiver.close();
    assert_eq!(woken.get(), 2);
    assert_eq!(logged(), ["ERROR: a waker panicked: a bad waker"]);
    assert!(poll_once(&mut first).is_ready());
    let (sender, mut receiver) = channel::bounded(1);
    let mut recv = receiver.recv();
    poll_with(&mut recv, waker(|| panic!("another")));
    sender.try_send(1).unwrap();
    assert_eq!(logged(), ["ERROR: a waker panicked: another"]);
    assert_eq!(poll_once(&mut recv), Poll::Ready(Some(1)));
}

#[test]
fn a_future_that_is_done_must_not_be_polled_again() {
    let (sender, _receiver) = channel::bounded(2);
    let mut sending = sender.send(1);
    assert!(poll_once(&mut sending).is_ready());
    assert_eq!(panic_of(|| poll_once(&mut sending)), "a future of `send` was polled after it was done");
    assert!(sender.try_send(2).is_ok(), "the channel is whole");
}
