//! Queues: the three orders, bounds, the account of what is done, and the end.

use std::cell::Cell;
use std::cmp::Reverse;
use std::rc::Rc;

use greenroom::sync::{LifoQueue, NotPut, PriorityQueue, Queue, QueueError};
use greenroom::{spawn, timeout, yield_now};

use super::{SECOND, play};

#[test]
fn the_three_orders() {
    play(async {
        let (fifo, lifo, least) = (Queue::unbounded(), LifoQueue::unbounded(), PriorityQueue::unbounded());
        for item in [2, 3, 1] {
            fifo.try_put(item).unwrap();
            lifo.try_put(item).unwrap();
            least.try_put(item).unwrap();
        }
        let drain = |get: &dyn Fn() -> Result<i32, QueueError>| [(); 3].map(|()| get().unwrap());
        assert_eq!(drain(&|| fifo.try_get()), [2, 3, 1]);
        assert_eq!(drain(&|| lifo.try_get()), [1, 3, 2]);
        assert_eq!(drain(&|| least.try_get()), [1, 2, 3]);
        assert_eq!(fifo.try_get(), Err(QueueError::WouldWait));
    });
}

/// An item that is ordered by its priority alone.
#[derive(Debug, PartialEq, Eq)]
struct Job(u8, &'static str);

impl Ord for Job {
    fn cmp(&self, other: &Job) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Job) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[test]
fn equal_priorities_come_in_the_order_of_putting() {
    let queue = PriorityQueue::unbounded();
    for job in [Job(1, "a"), Job(0, "b"), Job(1, "c"), Job(0, "d"), Job(1, "e")] {
        queue.try_put(job).unwrap();
    }
    let order: Vec<_> = (0..5).map(|_| queue.try_get().unwrap().1).collect();
    assert_eq!(order, ["b", "d", "a", "c", "e"]);
    let greatest = PriorityQueue::unbounded();
    greatest.try_put(Reverse(1)).unwrap();
    greatest.try_put(Reverse(2)).unwrap();
    assert_eq!(greatest.try_get(), Ok(Reverse(2)));
}

#[test]
fn a_full_queue_makes_putters_wait_in_order() {
    play(async {
        let queue = Rc::new(Queue::bounded(2));
        queue.put(0).await.unwrap();
        queue.put(1).await.unwrap();
        assert!(queue.is_full());
        assert_eq!(queue.try_put(9), Err(NotPut { item: 9, error: QueueError::WouldWait }));
        for item in 2..5 {
            let queue = queue.clone();
            spawn(async move { queue.put(item).await.unwrap() }).detach();
        }
        yield_now().await;
        assert_eq!(queue.statistics().putters.len(), 3);
        assert_eq!(queue.get().await, Ok(0));
        assert_eq!(queue.try_put(9).unwrap_err().error, QueueError::WouldWait, "the place is promised");
        for item in 1..5 {
            assert_eq!(queue.get().await, Ok(item));
        }
        assert!(queue.is_empty());
    });
}

#[test]
fn an_item_that_is_promised_is_nobody_elses() {
    play(async {
        let queue = Rc::new(Queue::unbounded());
        let getter = queue.clone();
        let waiting = spawn(async move { getter.get().await });
        yield_now().await;
        queue.try_put(1).unwrap();
        assert_eq!((queue.len(), queue.try_get()), (1, Err(QueueError::WouldWait)));
        queue.try_put(2).unwrap();
        assert_eq!((queue.try_get(), waiting.await.unwrap()), (Ok(1), Ok(2)), "one is free again");
    });
}

#[test]
fn join_waits_until_all_is_done_not_until_the_queue_is_empty() {
    play(async {
        let queue = Rc::new(Queue::unbounded());
        queue.join().await;
        queue.put("a").await.unwrap();
        queue.put("b").await.unwrap();
        let (joined, is_done) = (queue.clone(), Rc::new(Cell::new(false)));
        let done = is_done.clone();
        let joining = spawn(async move {
            joined.join().await;
            assert!(done.get());
        });
        queue.get().await.unwrap();
        queue.get().await.unwrap();
        assert!(queue.is_empty());
        queue.task_done().unwrap();
        yield_now().await;
        let statistics = queue.statistics();
        assert_eq!((statistics.unfinished, statistics.joiners), (1, vec![joining.id()]));
        is_done.set(true);
        queue.task_done().unwrap();
        joining.await.unwrap();
        assert!(queue.task_done().is_err(), "once too often");
    });
}

#[test]
fn a_shut_down_queue_gives_out_what_it_has() {
    play(async {
        let queue = Rc::new(Queue::bounded(1));
        queue.put(1).await.unwrap();
        let full = queue.clone();
        let putting = spawn(async move { full.put(2).await });
        yield_now().await;
        queue.shutdown(false);
        assert_eq!(putting.await.unwrap(), Err(NotPut { item: 2, error: QueueError::ShutDown }));
        assert_eq!(queue.try_put(3).unwrap_err().error, QueueError::ShutDown);
        assert_eq!((queue.get().await, queue.get().await), (Ok(1), Err(QueueError::ShutDown)));
        assert_eq!(queue.try_get(), Err(QueueError::ShutDown));
        assert!(timeout(SECOND, queue.join()).await.is_err(), "one is not done");
        queue.task_done().unwrap();
        queue.join().await;
    });
}

#[test]
fn a_queue_that_is_shut_down_at_once_drops_what_it_has() {
    play(async {
        let queue = Rc::new(Queue::unbounded());
        let token = Rc::new(());
        queue.put(token.clone()).await.unwrap();
        queue.put(token.clone()).await.unwrap();
        let getter = queue.clone();
        queue.get().await.unwrap();
        queue.shutdown(true);
        assert_eq!(Rc::strong_count(&token), 1);
        assert_eq!((getter.get().await, queue.statistics().unfinished), (Err(QueueError::ShutDown), 1));
        queue.task_done().unwrap();
        queue.join().await;
    });
}

#[test]
fn those_who_wait_at_an_empty_queue_are_told_of_its_end() {
    play(async {
        let queue: Rc<Queue<u8>> = Rc::default();
        let getters: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                spawn(async move { queue.get().await })
            })
            .collect();
        yield_now().await;
        // One of them is promised an item; the others learn that none will come.
        queue.try_put(7).unwrap();
        queue.shutdown(false);
        let mut got = Vec::new();
        for getter in getters {
            got.push(getter.await.unwrap());
        }
        assert_eq!(got, [Ok(7), Err(QueueError::ShutDown), Err(QueueError::ShutDown)]);
    });
}

/// A number that cannot be compared any more once the flag is set.
struct Fragile(u32, Rc<Cell<bool>>);

impl Ord for Fragile {
    fn cmp(&self, other: &Fragile) -> std::cmp::Ordering {
        assert!(!self.1.get(), "no order");
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Fragile {
    fn partial_cmp(&self, other: &Fragile) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Fragile {
    fn eq(&self, other: &Fragile) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Fragile {}

#[test]
fn an_order_that_panics_leaves_nobody_waiting_for_room_that_is_there() {
    play(async {
        let is_broken = Rc::new(Cell::new(false));
        let item = |number| Fragile(number, is_broken.clone());
        let queue = Rc::new(PriorityQueue::bounded(3));
        for number in [1, 2, 3] {
            assert!(queue.try_put(item(number)).is_ok());
        }
        let (puts, last) = (queue.clone(), item(4));
        let putter = spawn(async move { puts.put(last).await.is_ok() });
        yield_now().await;
        is_broken.set(true);
        let get = std::panic::AssertUnwindSafe(|| queue.try_get().is_ok());
        assert!(std::panic::catch_unwind(get).is_err());
        is_broken.set(false);
        assert_eq!(putter.await.ok(), Some(true), "the item is gone with the panic, and its place is free");
    });
}
