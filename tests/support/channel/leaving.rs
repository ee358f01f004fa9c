//! Those who leave halfway: at whatever await a future is dropped, no message, no room and no wake is lost.

use std::pin::Pin;
use std::task::{Context, Poll};

use greenroom::channel::{self, Receiver, Sending};
use greenroom::{Order, Rng, Runtime, spawn, yield_now};

use super::cancel::{Cut, Fuse, cancel_everywhere};
use super::support::{Tally, counting_waker, virtual_runtime, waker_with, within_patience};
use super::{full, poll_once};

/// A send that has a place in line, and how often it was woken.
fn in_line(sender: &channel::Sender<u32>, message: u32) -> (Sending<'_, u32>, Tally) {
    let (mut sending, wakes) = (sender.send(message), Tally::new());
    let waker = counting_waker(&wakes);
    assert!(Pin::new(&mut sending).poll(&mut Context::from_waker(&waker)).is_pending());
    (sending, wakes)
}

#[test]
fn a_sender_that_leaves_hands_its_room_on() {
    let (sender, mut receiver) = full();
    let (first, first_woken) = in_line(&sender, 1);
    let (second, second_woken) = in_line(&sender, 2);
    let (mut third, third_woken) = in_line(&sender, 3);
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!((first_woken.get(), second_woken.get(), third_woken.get()), (1, 0, 0));
    drop(second); // out of the middle of the line: nobody else notices
    assert_eq!((first_woken.get(), third_woken.get()), (1, 0));
    drop(first); // with room that it has not used
    assert_eq!(third_woken.get(), 1);
    assert!(sender.try_send(9).is_err(), "the room is promised");
    assert_eq!(poll_once(&mut third), Poll::Ready(Ok(())));
    assert_eq!(receiver.try_recv(), Ok(3));
    sender.try_send(9).unwrap();
}

#[test]
fn room_that_nobody_in_line_wants_is_free_again() {
    let (sender, mut receiver) = full();
    let (granted, _) = in_line(&sender, 1);
    assert_eq!(receiver.try_recv(), Ok(0));
    drop(granted);
    sender.try_send(2).unwrap();
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn leaving_a_line_that_was_closed_changes_nothing() {
    let (sender, mut receiver) = full();
    let (granted, _) = in_line(&sender, 1);
    let (waiting, woken) = in_line(&sender, 2);
    assert_eq!(receiver.try_recv(), Ok(0));
    receiver.close();
    assert_eq!(woken.get(), 1);
    drop((granted, waiting));
    assert!(sender.try_send(3).is_err_and(|error| error.into_message() == 3));
}

#[test]
fn the_place_in_line_is_kept_from_poll_to_poll_and_the_last_waker_counts() {
    let (sender, mut receiver) = full();
    let (mut first, old) = in_line(&sender, 1);
    let (_second, second_woken) = in_line(&sender, 2);
    let new = Tally::new();
    let waker = counting_waker(&new);
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!((old.get(), new.get(), second_woken.get()), (0, 1, 0));
}

#[test]
fn a_receiver_that_stops_waiting_keeps_no_waker_and_loses_no_message() {
    let (sender, mut receiver) = channel::bounded(1);
    let (wakes, drops) = (Tally::new(), Tally::new());
    let count = wakes.clone();
    let waker = waker_with(move || count.add(), drops.token());
    let mut recv = receiver.recv();
    assert!(Pin::new(&mut recv).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    sender.try_send(1).unwrap();
    assert_eq!((wakes.get(), drops.get()), (1, 1));
    drop(recv); // woken, and never polled again
    let mut again = receiver.recv();
    assert_eq!(poll_once(&mut again), Poll::Ready(Some(1)));
    drop(again);
    let waker = waker_with(|| (), drops.token());
    let mut recv = receiver.recv();
    assert!(Pin::new(&mut recv).poll(&mut Context::from_waker(&waker)).is_pending());
    drop((waker, recv));
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_receiver_that_waits_hears_that_it_was_closed() {
    // Two tasks of a loop may share a receiver in a `RefCell`: one polls it, the other closes it.
    let (sender, mut receiver) = channel::bounded::<u32>(1);
    let wakes = Tally::new();
    let waker = counting_waker(&wakes);
    assert!(receiver.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    receiver.close();
    assert_eq!(wakes.get(), 1);
    assert_eq!(receiver.poll_recv(&mut Context::from_waker(&waker)), Poll::Ready(None));
    drop(sender);
}

/// Sends all numbers, giving up and trying again at random.
async fn send_fickle(sender: channel::Sender<u32>, numbers: std::ops::Range<u32>, mut rng: Rng) {
    for number in numbers {
        loop {
            let mut sending = sender.send(number);
            let polls = 1 + rng.below(3);
            let done = poll_at_most(&mut sending, polls).await;
            drop(sending);
            match done {
                Some(result) => break result.unwrap(),
                None => yield_now().await,
            }
        }
    }
}

/// Receives everything, giving up and trying again at random.
async fn receive_fickle(receiver: &mut Receiver<u32>, mut rng: Rng) -> Vec<u32> {
    let mut received = Vec::new();
    loop {
        let polls = 1 + rng.below(3);
        match poll_at_most(&mut receiver.recv(), polls).await {
            Some(Some(number)) => received.push(number),
            Some(None) => return received,
            None => yield_now().await,
        }
    }
}

/// The future's value if it is done after so many polls.
async fn poll_at_most<F: Future + Unpin>(future: &mut F, polls: usize) -> Option<F::Output> {
    for poll in 0..polls {
        let value = std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await;
        match value {
            Poll::Ready(value) => return Some(value),
            Poll::Pending if poll + 1 < polls => yield_now().await,
            Poll::Pending => {}
        }
    }
    None
}

/// A failure names the seed; put it in the place of the range to replay it.
#[test]
fn whoever_gives_up_whenever_each_message_arrives_once_and_in_order() {
    for seed in 0..300 {
        let runtime = Runtime::builder().virtual_clock(true).order(Order::Shuffled(seed)).build().unwrap();
        let received = runtime.block_on(async {
            let (sender, mut receiver) = channel::bounded(1 + seed as usize % 3);
            for name in 0..3 {
                let rng = Rng::new(seed * 10 + u64::from(name));
                spawn(send_fickle(sender.clone(), name * 10..name * 10 + 5, rng)).detach();
            }
            drop(sender);
            receive_fickle(&mut receiver, Rng::new(seed)).await
        });
        assert_eq!(received.len(), 15, "seed {seed}: {received:?}");
        for name in 0..3 {
            let of_one = received.iter().copied().filter(|number| number / 10 == name);
            assert!(of_one.eq(name * 10..name * 10 + 5), "seed {seed}: {received:?}");
        }
    }
}

/// Two tasks send into a full channel, the first of them under the fuse; a third receives.
async fn send_and_receive(fuse: Fuse, cut_the_sender: bool) {
    let (sender, mut receiver) = full();
    let (first, second) = (sender.clone(), sender);
    let (of_sender, of_receiver) =
        if cut_the_sender { (fuse, Fuse::new(Cut::Never)) } else { (Fuse::new(Cut::Never), fuse) };
    let first = spawn(async move { of_sender.burn(first.send(1)).await });
    let second = spawn(async move { second.send(2).await });
    let mut received = Vec::new();
    if !cut_the_sender {
        // An empty channel is what there is to wait for.
        received.push(receiver.try_recv().unwrap());
    }
    received.extend(of_receiver.burn(receiver.recv()).await.flatten());
    while received.len() < 2 + usize::from(!cut_the_sender) {
        received.extend(receiver.recv().await);
    }
    let sent = first.await.unwrap();
    second.await.unwrap().unwrap();
    // The first may have been sent before it was cut off, and not received yet.
    received.extend(receiver.recv().await);
    received.sort_unstable();
    assert_eq!(received, if sent.is_some() { vec![0, 1, 2] } else { vec![0, 2] });
}

#[test]
fn cancelled_anywhere_neither_room_nor_messages_are_lost() {
    within_patience(|| {
        assert!(cancel_everywhere(|fuse| send_and_receive(fuse, true)) >= 10);
        assert!(cancel_everywhere(|fuse| send_and_receive(fuse, false)) >= 10);
    });
}

#[test]
fn each_message_is_dropped_once_however_it_ends() {
    let drops = Tally::new();
    let (sender, mut receiver) = channel::bounded(2);
    drop(sender.send(drops.token()));
    assert_eq!(drops.get(), 1, "never polled");
    sender.try_send(drops.token()).unwrap();
    sender.try_send(drops.token()).unwrap();
    drop(sender.try_send(drops.token()));
    assert_eq!(drops.get(), 2, "no room");
    let mut waiting = sender.send(drops.token());
    assert!(poll_once(&mut waiting).is_pending());
    drop(waiting);
    assert_eq!(drops.get(), 3, "in line");
    drop(receiver.try_recv());
    assert_eq!(drops.get(), 4, "received");
    let mut waiting = sender.send(drops.token());
    assert!(poll_once(&mut waiting).is_ready());
    drop(waiting);
    drop(receiver);
    assert_eq!(drops.get(), 6, "never received");
}

#[test]
fn a_loop_that_ends_takes_its_waiting_senders_out_of_the_line() {
    let (sender, mut receiver) = full();
    let drops = Tally::new();
    let runtime = virtual_runtime();
    let (other, token) = (sender.clone(), drops.token());
    runtime
        .spawn(async move {
            let _token = token;
            other.send(1).await
        })
        .detach();
    runtime.turn_now();
    drop(runtime);
    assert_eq!(drops.get(), 1);
    assert_eq!(receiver.try_recv(), Ok(0));
    sender.try_send(2).unwrap();
    drop(sender);
    assert_eq!((receiver.try_recv(), receiver.recv_blocking()), (Ok(2), None));
}
