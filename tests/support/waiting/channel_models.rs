//! What passes values on, under thousands of schedules: queues, and the local channels.

use std::cell::RefCell;
use std::rc::Rc;

use greenroom::spawn;
use greenroom::sync::{AnyQueue, Fifo, Least, Lifo, Missed, Store, broadcast, oneshot, watch};

use super::explore::{crowd, explore};

/// Whether nobody waits for what is there, when all promises are kept.
fn nobody_waits_in_vain<S: Store>(queue: &AnyQueue<S>) -> bool {
    let statistics = queue.statistics();
    (queue.is_empty() || statistics.getters.is_empty()) && (queue.is_full() || statistics.putters.is_empty())
}

/// Items go through a queue: each once, whoever loses patience; never more at a time than there is
/// room for.
fn queue_scene<S: Store<Item = (usize, usize)> + 'static>(test: &str, is_fifo: bool) {
    const EACH: usize = 6;
    explore(test, |chance| async move {
        let queue: Rc<AnyQueue<S>> = Rc::new(AnyQueue::bounded(1 + chance.below(3)));
        let got: Rc<RefCell<Vec<(usize, usize)>>> = Rc::default();
        let consume = |_| {
            let (chance, queue, got) = (chance.clone(), queue.clone(), got.clone());
            spawn(async move {
                loop {
                    chance.dawdle().await;
                    match chance.try_patience(queue.get()).await {
                        None => {
                            assert!(!chance.has_rested().await || nobody_waits_in_vain(&queue));
                            continue;
                        }
                        Some(Err(_)) => return,
                        Some(Ok(item)) => got.borrow_mut().push(item),
                    }
                    chance.dawdle().await;
                    queue.task_done().unwrap();
                }
            })
        };
        let consumers: Vec<_> = (0..3).map(consume).collect();
        crowd(2, |producer| {
            let (chance, queue) = (chance.clone(), queue.clone());
            async move {
                for number in 0..EACH {
                    chance.dawdle().await;
                    while !matches!(chance.try_patience(queue.put((producer, number))).await, Some(Ok(()))) {
                        assert!(!chance.has_rested().await || nobody_waits_in_vain(&queue));
                    }
                }
            }
        })
        .await;
        queue.join().await;
        assert_eq!(got.borrow().len(), 2 * EACH, "not all were done");
        queue.shutdown(false);
        for consumer in consumers {
            consumer.await.unwrap();
        }
        let mut got = got.take();
        if is_fifo {
            for producer in 0..2 {
                let order = got.iter().filter(|item| item.0 == producer).map(|item| item.1);
                assert!(order.is_sorted(), "{got:?}");
            }
        }
        got.sort();
        assert!(got.into_iter().eq((0..2).flat_map(|producer| (0..EACH).map(move |n| (producer, n)))));
    });
}

#[test]
fn a_queue_gives_each_item_once_in_order() {
    queue_scene::<Fifo<_>>("sync_models a_queue", true);
}

#[test]
fn a_lifo_queue_gives_each_item_once() {
    queue_scene::<Lifo<_>>("sync_models a_lifo", false);
}

#[test]
fn a_priority_queue_gives_each_item_once() {
    queue_scene::<Least<_>>("sync_models a_priority", false);
}

#[test]
fn a_oneshot_gives_its_value_or_says_that_none_comes() {
    explore("sync_models a_oneshot", |chance| async move {
        let (sender, mut receiver) = oneshot();
        let luck = chance.clone();
        let sending = spawn(async move {
            luck.dawdle().await;
            if luck.one_in(3) { None } else { sender.send(7).ok() }
        });
        let received = loop {
            if let Some(received) = chance.try_patience(&mut receiver).await {
                break received;
            }
        };
        assert_eq!(received.is_ok(), sending.await.unwrap().is_some());
    });
}

#[test]
fn a_watch_never_hides_the_last_value() {
    explore("sync_models a_watch", |chance| async move {
        let (sender, receiver) = watch(0);
        let luck = chance.clone();
        let sending = spawn(async move {
            for value in 1..=6 {
                luck.dawdle().await;
                sender.send(value);
            }
        });
        crowd(3, |_| {
            let (chance, mut receiver) = (chance.clone(), receiver.clone());
            async move {
                let mut last = 0;
                loop {
                    match chance.try_patience(receiver.changed()).await {
                        None => {}
                        Some(Ok(value)) => assert!(std::mem::replace(&mut last, *value) < *value),
                        Some(Err(_)) => break,
                    }
                    chance.dawdle().await;
                }
                assert_eq!(last, 6);
            }
        })
        .await;
        sending.await.unwrap();
    });
}

#[test]
fn a_broadcast_gives_every_value_or_tells_how_many_were_missed() {
    explore("sync_models a_broadcast", |chance| async move {
        let (sender, first) = broadcast(2);
        let mut receivers = vec![first];
        receivers.extend([sender.subscribe(), sender.subscribe()]);
        let luck = chance.clone();
        let sending = spawn(async move {
            for value in 0..8 {
                luck.dawdle().await;
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        let receivers: Vec<_> = receivers
            .into_iter()
            .map(|mut receiver| {
                let chance = chance.clone();
                spawn(async move {
                    let mut next = 0;
                    loop {
                        chance.dawdle().await;
                        match chance.try_patience(receiver.receive()).await {
                            None => {}
                            Some(Ok(value)) => assert_eq!(std::mem::replace(&mut next, value + 1), value),
                            Some(Err(Missed::Lagged(missed))) => next += missed,
                            Some(Err(Missed::Closed)) => break,
                        }
                    }
                    assert_eq!(next, 8);
                })
            })
            .collect();
        for receiver in receivers {
            receiver.await.unwrap();
        }
        sending.await.unwrap();
    });
}
