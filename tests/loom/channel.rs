//! The channel: no message and no wake is lost, room goes on, and the end is heard by everyone.

use std::ops::DerefMut;
use std::pin::Pin;
use std::task::{Context, Waker};

use loom::thread::{self, JoinHandle};

use super::check::{Calm, DEADLOCK, fails, holds};
use super::home::ModelHome;
use crate::channel::{self, Receiver, SendError, Sender};
use crate::fault::Fault;

/// A new channel.
fn channel(capacity: usize) -> (Calm<Sender<u32>>, Calm<Receiver<u32>>) {
    let (sender, receiver) = channel::bounded(capacity);
    (Calm::new(sender), Calm::new(receiver))
}

/// One sender more.
fn another(sender: &Sender<u32>) -> Calm<Sender<u32>> {
    Calm::new(sender.clone())
}

/// Blocks the thread until the future is done.
fn wait<F: Future + Unpin>(future: F) -> F::Output {
    let mut future = Calm::new(future);
    let value = channel::wait_for(future.deref_mut(), None).expect("there is no deadline");
    drop(future.release());
    value
}

/// Polls once, and drops the future; whether it was done.
fn try_once<F: Future + Unpin>(future: F) -> bool {
    let mut future = Calm::new(future);
    let polled = Pin::new(future.deref_mut()).poll(&mut Context::from_waker(Waker::noop()));
    drop(future.release());
    polled.is_ready()
}

/// A thread that sends this, waiting for room; what it gives is what came back.
fn sending(sender: Calm<Sender<u32>>, messages: &'static [u32]) -> JoinHandle<Vec<u32>> {
    thread::spawn(move || {
        let mut came_back = Vec::new();
        for &message in messages {
            if let Err(SendError(message)) = wait(sender.send(message)) {
                came_back.push(message);
            }
        }
        drop(sender.release());
        came_back
    })
}

/// Everything that is received until there is no sender left.
fn receive_all(receiver: &mut Receiver<u32>) -> Vec<u32> {
    std::iter::from_fn(|| wait(receiver.recv())).collect()
}

/// One sender, which is faster than the receiver at times, and leaves at the end.
fn messages_of_one_sender() {
    let (sender, mut receiver) = channel(1);
    let thread = sending(sender, &[1, 2]);
    assert_eq!(receive_all(&mut receiver), [1, 2]);
    assert_eq!(thread.join().expect("nobody panics"), []);
    drop(receiver.release());
}

/// Two senders in line for one place.
fn messages_of_two_senders() {
    let (sender, mut receiver) = channel(1);
    let other = another(&sender);
    let threads = [sending(sender, &[1]), sending(other, &[2])];
    let mut received = receive_all(&mut receiver);
    received.sort_unstable();
    assert_eq!(received, [1, 2]);
    for thread in threads {
        assert_eq!(thread.join().expect("nobody panics"), []);
    }
    drop(receiver.release());
}

/// A task of a loop receives; the sender is elsewhere, and not the last one.
fn messages_to_a_task() {
    let (sender, mut receiver) = channel(1);
    let last = another(&sender);
    let thread = sending(sender, &[1]);
    let home = ModelHome::new();
    let task = home.spawn(async move {
        let first = receiver.recv().await;
        drop(last.release());
        let end = receiver.recv().await;
        drop(receiver.release());
        (first, end)
    });
    assert_eq!(home.block_on(task).expect("the task ends by itself"), (Some(1), None));
    assert_eq!(thread.join().expect("nobody panics"), []);
}

/// The only sender leaves without a word, while the receiver begins to wait.
fn last_sender_leaves() {
    let (sender, mut receiver) = channel(1);
    let thread = thread::spawn(move || drop(sender.release()));
    assert_eq!(wait(receiver.recv()), None);
    thread.join().expect("nobody panics");
    drop(receiver.release());
}

/// The channel is full; one sender waits for room, another for the end.
fn closed_while_others_wait() {
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).expect("there is room");
    let thread = sending(another(&sender), &[1]);
    let watcher = thread::spawn(move || {
        wait(sender.closed());
        drop(sender.release());
    });
    receiver.close();
    watcher.join().expect("nobody panics");
    assert_eq!(thread.join().expect("nobody panics"), [1]);
    assert_eq!(receive_all(&mut receiver), [0]);
    drop(receiver.release());
}

/// The receiver closes while somebody sends.
fn closed_while_one_sends() {
    let (sender, mut receiver) = channel(2);
    let thread = sending(sender, &[1, 2]);
    receiver.close();
    let mut messages = receive_all(&mut receiver);
    messages.extend(thread.join().expect("nobody panics"));
    messages.sort_unstable();
    assert_eq!(messages, [1, 2], "a message was neither received nor given back");
    drop(receiver.release());
}

/// The channel is full; one sender stands in line and leaves it, perhaps when it was granted room;
/// another waits behind it.
fn one_leaves_the_line() {
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).expect("there is room");
    let patient = sending(another(&sender), &[2]);
    let fickle = thread::spawn(move || {
        let sent = try_once(sender.send(1));
        drop(sender.release());
        sent
    });
    let mut received = receive_all(&mut receiver);
    let sent = fickle.join().expect("nobody panics");
    assert_eq!(patient.join().expect("nobody panics"), []);
    received.sort_unstable();
    assert_eq!(received, if sent { vec![0, 1, 2] } else { vec![0, 2] });
    drop(receiver.release());
}

#[test]
fn every_message_of_one_sender_arrives_in_order() {
    holds(3, messages_of_one_sender);
}

#[test]
fn a_message_that_does_not_wake_the_receiver_is_noticed() {
    fails(Fault::SendWithoutWake, DEADLOCK, 3, messages_of_one_sender);
}

#[test]
fn a_receiver_that_does_not_look_before_it_waits_is_noticed() {
    fails(Fault::WaitWithoutLooking, DEADLOCK, 3, messages_of_one_sender);
}

#[test]
fn a_thread_that_does_not_look_before_it_sleeps_is_noticed() {
    fails(Fault::SleepWithoutLooking, DEADLOCK, 3, messages_of_one_sender);
}

#[test]
fn every_message_of_two_senders_arrives() {
    holds(2, messages_of_two_senders);
}

#[test]
fn a_task_receives_and_hears_the_end() {
    holds(3, messages_to_a_task);
}

#[test]
fn a_message_that_does_not_wake_the_task_is_noticed() {
    fails(Fault::SendWithoutWake, DEADLOCK, 3, messages_to_a_task);
}

#[test]
fn the_end_of_the_last_sender_is_heard() {
    holds(3, last_sender_leaves);
}

#[test]
fn a_last_sender_that_leaves_in_silence_is_noticed() {
    fails(Fault::LastSenderSilent, DEADLOCK, 3, last_sender_leaves);
}

#[test]
fn closing_is_heard_by_everyone() {
    holds(2, closed_while_others_wait);
}

#[test]
fn closing_that_only_the_first_hears_is_noticed() {
    fails(Fault::CloseForTheFirst, DEADLOCK, 2, closed_while_others_wait);
}

#[test]
fn a_closed_channel_gives_or_returns_each_message() {
    holds(3, closed_while_one_sends);
}

#[test]
fn a_message_left_in_a_closed_channel_is_noticed() {
    fails(Fault::SendToClosed, "neither received nor given back", 3, closed_while_one_sends);
}

#[test]
fn room_granted_to_one_who_leaves_goes_to_the_next() {
    holds(2, one_leaves_the_line);
}

#[test]
fn granted_room_that_is_kept_is_noticed() {
    fails(Fault::KeepGrantedRoom, DEADLOCK, 2, one_leaves_the_line);
}
