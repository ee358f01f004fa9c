//! The channel: order, room, the end, and every mix of loops, executors and plain threads.
//!
//! In `support/channel/`: those who leave halfway (`leaving.rs`), values and wakers that misbehave
//! (`hostile.rs`), what the loop thinks of it (`stalls.rs`). Every interleaving of the small cases is played by `tests/loom/channel.rs`. Run one with
//! `cargo test --test channel name`. Threads are put into order by the channels themselves.

#[path = "support/core/mod.rs"]
mod support;

#[path = "support/waiting/cancel.rs"]
mod cancel;
#[path = "support/channel/hostile.rs"]
mod hostile;
#[path = "support/channel/leaving.rs"]
mod leaving;
#[path = "support/channel/stalls.rs"]
mod stalls;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::StreamExt;
use greenroom::channel::{self, Receiver, SendError, Sender, TryRecvError, TrySendError};
use greenroom::{Elapsed, Runtime, spawn, yield_now};
use support::{panic_of, virtual_runtime, within_patience};

/// A time that no test waits for to the end.
const LONG: Duration = Duration::from_secs(100);

/// Polls once, with a waker that does nothing.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A channel that is full.
fn full() -> (Sender<u32>, Receiver<u32>) {
    let (sender, receiver) = channel::bounded(1);
    sender.try_send(0).unwrap();
    (sender, receiver)
}

#[test]
fn senders_wait_for_room_and_are_served_in_order() {
    let seen = virtual_runtime().block_on(async {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (sender, mut receiver) = channel::bounded(2);
        for name in ["a", "b", "c"] {
            let (sender, seen) = (sender.clone(), seen.clone());
            spawn(async move {
                for number in 1..=2 {
                    sender.send(format!("{name}{number}")).await.unwrap();
                    seen.borrow_mut().push(format!("{name}{number} sent"));
                }
            })
            .detach();
        }
        drop(sender);
        yield_now().await;
        assert_eq!(*seen.borrow(), ["a1 sent", "a2 sent"], "no more than two have room");
        while let Some(message) = receiver.recv().await {
            seen.borrow_mut().push(message);
            assert!(receiver.len() <= 2);
            // The one who has got room uses it.
            yield_now().await;
        }
        seen.take()
    });
    let expected = "a1 sent, a2 sent, a1, b1 sent, a2, c1 sent, b1, b2 sent, c1, c2 sent, b2, c2";
    assert_eq!(seen.join(", "), expected);
}

/// Sends `count` numbers under a name.
async fn send_numbers(sender: Sender<(usize, usize)>, name: usize, count: usize) {
    for number in 0..count {
        sender.send((name, number)).await.unwrap();
    }
}

/// Checks that each name's numbers come in order, and all of them.
struct InOrder {
    next: Vec<usize>,
}

impl InOrder {
    fn new(names: usize) -> InOrder {
        InOrder { next: vec![0; names] }
    }

    fn see(&mut self, (name, number): (usize, usize)) {
        assert_eq!(number, self.next[name], "out of order");
        self.next[name] += 1;
    }

    fn end(self, count: usize) {
        assert!(self.next.iter().all(|&next| next == count), "{:?}", self.next);
    }
}

/// How many messages each sender sends in the tests with threads.
const MANY: usize = 1000;

/// Four senders, each of a kind of its own: two plain threads, another loop, another executor.
fn start_senders(sender: &Sender<(usize, usize)>) {
    for name in 0..4 {
        let sender = sender.clone();
        thread::spawn(move || match name {
            0 => (0..MANY).for_each(|number| sender.send_blocking((name, number)).unwrap()),
            1 => (0..MANY).for_each(|number| sender.send_timeout((name, number), LONG).unwrap()),
            2 => Runtime::new().unwrap().block_on(send_numbers(sender, name, MANY)),
            _ => futures::executor::block_on(send_numbers(sender, name, MANY)),
        });
    }
}

#[test]
fn a_loop_receives_from_everywhere() {
    within_patience(|| {
        let (sender, mut receiver) = channel::bounded(3);
        start_senders(&sender);
        Runtime::new().unwrap().block_on(async {
            // One more sender in the loop itself, and one end of all is heard.
            spawn(send_numbers(sender, 4, MANY)).detach();
            let mut order = InOrder::new(5);
            while let Some(message) = receiver.recv().await {
                order.see(message);
            }
            order.end(MANY);
        });
    });
}

#[test]
fn a_plain_thread_receives_from_everywhere() {
    within_patience(|| {
        let (sender, mut receiver) = channel::bounded(3);
        start_senders(&sender);
        drop(sender);
        let mut order = InOrder::new(4);
        while let Some(message) = receiver.recv_blocking() {
            order.see(message);
        }
        order.end(MANY);
        assert_eq!(receiver.recv_timeout(LONG), Ok(None));
    });
}

#[test]
fn another_executor_receives_from_everywhere_as_from_a_stream() {
    within_patience(|| {
        let (sender, receiver) = channel::unbounded();
        start_senders(&sender);
        drop(sender);
        let messages: Vec<_> = futures::executor::block_on(receiver.collect());
        let mut order = InOrder::new(4);
        messages.into_iter().for_each(|message| order.see(message));
        order.end(MANY);
    });
}

#[test]
fn two_loops_play_ping_pong() {
    within_patience(|| {
        let (to_wall, mut at_wall) = channel::bounded::<usize>(1);
        let (from_wall, mut back) = channel::bounded(1);
        let wall = thread::spawn(move || {
            Runtime::new().unwrap().block_on(async {
                while let Some(ball) = at_wall.recv().await {
                    from_wall.send(ball + 1).await.unwrap();
                }
            });
        });
        Runtime::new().unwrap().block_on(async {
            for ball in 0..MANY {
                to_wall.send(ball).await.unwrap();
                assert_eq!(back.recv().await, Some(ball + 1));
            }
            drop(to_wall);
            assert_eq!(back.recv().await, None);
        });
        wall.join().unwrap();
    });
}

#[test]
fn what_was_sent_is_received_though_all_senders_are_gone() {
    let (sender, mut receiver) = channel::bounded(3);
    let other = sender.clone();
    sender.try_send(1).unwrap();
    drop(sender);
    other.try_send(2).unwrap();
    assert!(!other.is_closed());
    drop(other);
    assert_eq!((receiver.len(), receiver.is_empty()), (2, false));
    assert_eq!((receiver.try_recv(), receiver.recv_blocking()), (Ok(1), Some(2)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(receiver.recv_blocking(), None);
    assert_eq!(receiver.recv_timeout(LONG), Ok(None));
    assert_eq!(poll_once(&mut receiver.recv()), Poll::Ready(None));
    assert!(receiver.is_empty());
}

/// Everything that sends, into a channel that takes nothing any more.
fn assert_nothing_is_sent(sender: &Sender<u32>) {
    assert!(sender.is_closed());
    assert_eq!(sender.try_send(1), Err(TrySendError::Closed(1)));
    assert_eq!(sender.send_blocking(2), Err(SendError(2)));
    assert_eq!(sender.send_timeout(3, LONG), Err(TrySendError::Closed(3)));
    assert_eq!(poll_once(&mut sender.send(4)), Poll::Ready(Err(SendError(4))));
    assert_eq!(poll_once(&mut sender.closed()), Poll::Ready(()));
}

#[test]
fn a_closed_channel_gives_out_what_is_in_it_and_takes_no_more() {
    let (sender, mut receiver) = channel::bounded(9);
    for number in [7, 8] {
        sender.try_send(number).unwrap();
    }
    receiver.close();
    assert_nothing_is_sent(&sender);
    assert_eq!((receiver.try_recv(), receiver.recv_blocking()), (Ok(7), Some(8)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed), "though there is a sender");
    assert_eq!(receiver.recv_blocking(), None);
    receiver.close();
}

#[test]
fn nobody_sends_to_a_receiver_that_is_gone() {
    let (sender, receiver) = full();
    drop(receiver);
    assert_nothing_is_sent(&sender);
    assert_nothing_is_sent(&sender.clone());
}

#[test]
fn the_end_is_heard_by_all_who_wait_for_room_or_for_it() {
    for by_close in [true, false] {
        within_patience(move || {
            let (sender, mut receiver) = full();
            let (blocked, watching) = (sender.clone(), sender.clone());
            let thread = thread::spawn(move || blocked.send_blocking(1));
            Runtime::new().unwrap().block_on(async move {
                let task = spawn(async move { sender.send(2).await });
                let watcher = spawn(async move { watching.closed().await });
                yield_now().await;
                assert!(!task.is_finished() && !watcher.is_finished());
                if by_close {
                    receiver.close();
                } else {
                    drop(receiver);
                }
                assert_eq!(task.await.unwrap(), Err(SendError(2)));
                watcher.await.unwrap();
            });
            assert_eq!(thread.join().unwrap(), Err(SendError(1)));
        });
    }
}

#[test]
fn time_limits_for_plain_threads() {
    let (sender, mut receiver) = full();
    let limit = Duration::from_millis(20);
    for limit in [Duration::ZERO, limit] {
        assert_eq!(sender.send_timeout(1, limit), Err(TrySendError::Full(1)));
    }
    assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(Some(0)));
    for limit in [Duration::ZERO, limit] {
        assert_eq!(receiver.recv_timeout(limit), Err(Elapsed { limit }));
    }
    // The sender that gave up has left the line, and left nothing behind.
    assert_eq!(sender.send_timeout(2, Duration::MAX), Ok(()));
    assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(Some(2)));
}

#[test]
fn blocking_inside_of_a_loop_is_a_panic_that_says_what_to_do() {
    let (sender, receiver) = full();
    let receiver = RefCell::new(receiver);
    let calls: [(&str, &dyn Fn()); 4] = [
        ("Sender::send_blocking would stop the loop of this thread; there, use `send(", &|| {
            let _ = sender.send_blocking(1);
        }),
        ("Sender::send_timeout would stop the loop of this thread; there, use `timeout(", &|| {
            let _ = sender.send_timeout(1, LONG);
        }),
        ("Receiver::recv_blocking would stop the loop of this thread; there, use `recv(", &|| {
            receiver.borrow_mut().recv_blocking();
        }),
        ("Receiver::recv_timeout would stop the loop of this thread; there, use `timeout(", &|| {
            let _ = receiver.borrow_mut().recv_timeout(LONG);
        }),
    ];
    let runtime = Runtime::new().unwrap();
    for (words, call) in calls {
        for text in [panic_of(|| runtime.block_on(async { call() })), panic_of(|| runtime.enter(call))] {
            assert!(text.starts_with(words), "{text}");
        }
    }
    assert_eq!(receiver.borrow_mut().recv_blocking(), Some(0), "nothing was sent or taken");
}

#[test]
fn who_is_always_ready_gives_way_to_others() {
    let runtime = virtual_runtime();
    let (sender, mut receiver) = channel::unbounded();
    let (sent, received) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (count, total) = (sent.clone(), 1000);
    let producer = runtime.spawn(async move {
        for number in 0..total {
            sender.send(number).await.unwrap();
            count.set(number + 1);
        }
    });
    runtime.turn_now();
    assert_eq!(sent.get(), 128, "the share of one poll");
    runtime.block_on(producer).unwrap();
    let count = received.clone();
    let consumer = runtime.spawn(async move {
        while receiver.recv().await.is_some() {
            count.set(count.get() + 1);
        }
    });
    runtime.turn_now();
    assert_eq!(received.get(), 128, "the share of one poll");
    runtime.block_on(consumer).unwrap();
    assert_eq!(received.get(), total);
    let (sender, receiver) = channel::bounded::<u32>(1);
    drop(receiver);
    let told = Rc::new(Cell::new(0));
    let count = told.clone();
    let watcher = runtime.spawn(async move {
        while count.get() < total {
            sender.closed().await;
            count.set(count.get() + 1);
        }
    });
    runtime.turn_now();
    assert_eq!(told.get(), 128, "the share of one poll");
    runtime.block_on(watcher).unwrap();
}

#[test]
fn a_weak_sender_sends_only_as_long_as_there_is_another() {
    let (sender, mut receiver) = channel::bounded(1);
    let weak = sender.downgrade().clone();
    weak.upgrade().unwrap().try_send(1).unwrap();
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    let upgraded = weak.upgrade().unwrap();
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "one is left");
    drop(upgraded);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert!(weak.upgrade().is_none());
}

#[test]
fn capacities_are_at_least_one_and_may_be_any_number() {
    let (sender, receiver) = channel::bounded(0);
    assert_eq!(receiver.capacity(), Some(1));
    sender.try_send(1).unwrap();
    assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    assert_eq!(TrySendError::Full(2).into_message(), 2);
    let (sender, mut receiver) = channel::unbounded();
    assert_eq!(receiver.capacity(), None);
    (0..10_000).for_each(|number| sender.try_send(number).unwrap());
    assert_eq!(receiver.len(), 10_000);
    assert!((0..10_000).all(|number| receiver.try_recv() == Ok(number)));
}

#[test]
fn ends_and_errors_can_be_shown_whatever_the_message_is() {
    struct Silent;
    let (sender, mut receiver) = channel::bounded(2);
    sender.try_send(Silent).unwrap();
    assert_eq!(format!("{sender:?}, {receiver:?}"), "Sender(Channel(1 of 2)), Receiver(Channel(1 of 2))");
    assert_eq!(format!("{:?}", channel::unbounded::<Silent>().1), "Receiver(Channel(0))");
    sender.try_send(Silent).unwrap();
    let full = sender.try_send(Silent).unwrap_err();
    receiver.close();
    let closed = sender.send_blocking(Silent).unwrap_err();
    assert_eq!(format!("{full:?}: {full}"), "Full(..): the channel has no room");
    let words = "the channel is closed: its receiver is gone, or takes no more";
    assert_eq!(format!("{closed:?}: {closed}"), format!("SendError(..): {words}"));
}
