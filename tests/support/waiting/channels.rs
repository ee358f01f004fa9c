//! The local channels: one value, the latest value, every value.

use std::cell::Cell;
use std::rc::Rc;

use greenroom::sync::{Missed, SenderGone, broadcast, oneshot, watch};
use greenroom::{spawn, timeout, yield_now};

use super::{SECOND, play};

#[test]
fn a_oneshot_sends_one_value() {
    play(async {
        let (sender, mut receiver) = oneshot();
        assert_eq!(receiver.try_receive(), Ok(None));
        sender.send(1).unwrap();
        assert_eq!(receiver.await, Ok(1));
        let (sender, receiver) = oneshot::<u8>();
        drop(sender);
        assert_eq!(receiver.await, Err(SenderGone));
        let (sender, receiver) = oneshot();
        drop(receiver);
        assert!(sender.is_closed());
        assert_eq!(sender.send(2), Err(2), "the value comes back");
        let (sender, mut receiver) = oneshot();
        assert!(timeout(SECOND, &mut receiver).await.is_err());
        sender.send(3).unwrap();
        receiver.close();
        assert_eq!(receiver.try_receive(), Ok(Some(3)), "sent before it was closed");
    });
}

#[test]
fn a_oneshot_sender_can_wait_until_nobody_wants_the_value() {
    play(async {
        let (mut sender, receiver) = oneshot::<u8>();
        assert!(sender.statistics().waiting.is_empty() && !sender.statistics().is_closed);
        let waiting = spawn(async move { sender.closed().await });
        yield_now().await;
        assert!(!waiting.is_finished());
        drop(receiver);
        waiting.await.unwrap();
    });
}

#[test]
fn a_watch_shows_the_latest_value() {
    play(async {
        let (sender, mut receiver) = watch(0);
        let mut other = receiver.clone();
        assert!(!receiver.has_changed() && *receiver.get() == 0);
        sender.send(1);
        sender.send(2);
        assert!(receiver.has_changed() && *receiver.peek() == 2);
        assert_eq!(receiver.changed().await.as_deref(), Ok(&2), "1 was never seen");
        assert!(timeout(SECOND, receiver.changed()).await.is_err());
        let waiting = spawn(async move { other.wait_for(|value| *value >= 4).await });
        for _ in 0..2 {
            sender.send_with(|value| value + 1);
            yield_now().await;
        }
        assert_eq!(waiting.await.unwrap().as_deref(), Ok(&4));
        let mut late = sender.subscribe();
        assert!(!late.has_changed(), "the present value is no news for a new receiver");
        drop(sender);
        assert_eq!(late.changed().await, Err(SenderGone));
        assert_eq!(receiver.changed().await.as_deref(), Ok(&4), "the last value is not lost");
        assert_eq!(receiver.changed().await, Err(SenderGone));
    });
}

#[test]
fn a_watch_sender_knows_its_receivers() {
    play(async {
        let (sender, receiver) = watch(());
        let (second, late) = (receiver.clone(), sender.clone());
        assert_eq!(sender.receivers(), 2);
        let waiting = spawn(async move {
            sender.closed().await;
            sender
        });
        drop(receiver);
        yield_now().await;
        let statistics = late.statistics();
        assert_eq!((statistics.senders, statistics.receivers), (2, 1));
        assert_eq!((statistics.waiting.len(), statistics.waiting_senders), (0, vec![waiting.id()]));
        drop(second);
        let sender = waiting.await.unwrap();
        sender.send(());
        assert_eq!(sender.receivers(), 0);
    });
}

#[test]
fn looking_at_a_watched_value_keeps_nobody_from_changing_it() {
    play(async {
        let (sender, mut receiver) = watch(String::from("old"));
        let old = receiver.get();
        sender.send(String::from("new"));
        assert_eq!((old.as_str(), receiver.get().as_str()), ("old", "new"));
    });
}

/// A value that counts how often it was cloned.
struct Cloned(Rc<Cell<usize>>);

impl Clone for Cloned {
    fn clone(&self) -> Cloned {
        self.0.set(self.0.get() + 1);
        Cloned(self.0.clone())
    }
}

#[test]
fn a_broadcast_reaches_everyone_who_is_there() {
    play(async {
        let (sender, mut first) = broadcast(4);
        sender.send(1).unwrap();
        let mut second = sender.subscribe();
        assert_eq!(sender.send(2), Ok(2));
        assert_eq!((first.receive().await, first.receive().await), (Ok(1), Ok(2)));
        assert_eq!((second.receive().await, second.try_receive()), (Ok(2), Ok(None)));
        assert!(sender.is_empty(), "all have seen all");
        let waiting = spawn(async move { (second.receive().await, second.receive().await) });
        yield_now().await;
        let statistics = sender.statistics();
        assert_eq!((statistics.receivers, statistics.waiting), (2, vec![waiting.id()]));
        sender.send(3).unwrap();
        drop(sender);
        assert_eq!(waiting.await.unwrap(), (Ok(3), Err(Missed::Closed)));
        assert_eq!((first.receive().await, first.receive().await), (Ok(3), Err(Missed::Closed)));
    });
}

#[test]
fn a_slow_reader_is_told_how_much_it_lost() {
    play(async {
        let (sender, mut slow) = broadcast(2);
        let mut fast = sender.subscribe();
        for value in 0..5 {
            sender.send(value).unwrap();
            assert_eq!(fast.receive().await, Ok(value));
        }
        assert_eq!((slow.len(), sender.len()), (5, 2));
        assert_eq!(slow.receive().await, Err(Missed::Lagged(3)));
        assert_eq!((slow.receive().await, slow.receive().await), (Ok(3), Ok(4)));
        assert!(slow.is_empty());
    });
}

#[test]
fn a_broadcast_value_goes_with_the_last_who_could_see_it() {
    play(async {
        let clones = Rc::new(Cell::new(0));
        let (sender, mut first) = broadcast(8);
        let second = sender.subscribe();
        sender.send(Cloned(clones.clone())).ok().unwrap();
        sender.send(Cloned(clones.clone())).ok().unwrap();
        drop(first.receive().await);
        assert_eq!((clones.get(), sender.len()), (1, 2), "somebody else may want it");
        drop(second);
        assert_eq!(sender.len(), 1);
        drop(first.receive().await);
        assert_eq!((clones.get(), sender.len()), (1, 0), "the last one gets the value itself");
        drop(first);
        assert!(sender.send(Cloned(clones.clone())).is_err(), "nobody is there");
    });
}
