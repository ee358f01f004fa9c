//! Every primitive of `sync`, cancelled at every place where its futures can be: what was on its way
//! to the one who left must reach the next, and nobody may wait for what is there.
//!
//! In each scene a *victim* is cut off (see `support/waiting/cancel.rs`), while others, who want
//! the same, must come to their end. A scene that cannot end is reported as a stall.

#[path = "support/waiting/cancel.rs"]
mod cancel;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use cancel::cancel_everywhere;
use greenroom::sync::{
    AnyQueue, Barrier, Condition, Event, Fifo, Least, Lifo, Mutex, RLock, RwLock, Semaphore, Store,
    broadcast, oneshot, watch,
};
use greenroom::{sleep, spawn, yield_now};

/// Lets everyone do what can be done now.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[test]
fn a_mutex_goes_on_to_the_next() {
    let cut = cancel_everywhere(|fuse| async move {
        let mutex = Rc::new(Mutex::new(0));
        let guard = mutex.lock().await;
        let contender = || {
            let (mutex, fuse) = (mutex.clone(), fuse.clone());
            async move {
                let lock = async {
                    let mut guard = mutex.lock().await;
                    yield_now().await;
                    *guard += 1;
                };
                fuse.burn(lock).await
            }
        };
        let victim = spawn(contender());
        settle().await;
        let next = mutex.clone();
        let other = spawn(async move { *next.lock().await += 10 });
        settle().await;
        drop(guard);
        let (was_let_in, _) = (victim.await.unwrap(), other.await.unwrap());
        assert_eq!(*mutex.try_lock().expect("free"), 10 + usize::from(was_let_in.is_some()));
        assert!(mutex.statistics().waiting.is_empty());
    });
    assert!(cut > 80, "{cut}");
}

#[test]
fn an_rlock_goes_on_to_the_next() {
    cancel_everywhere(|fuse| async move {
        let lock = Rc::new(RLock::new());
        let guards = (lock.lock().await, lock.lock().await);
        let held = lock.clone();
        let victim = spawn(async move {
            fuse.burn(async {
                let _outer = held.lock().await;
                yield_now().await;
                let _inner = held.lock().await;
            })
            .await
        });
        settle().await;
        let next = lock.clone();
        let other = spawn(async move {
            let _guard = next.lock().await;
            assert_eq!(next.depth(), 1);
        });
        settle().await;
        drop(guards);
        victim.await.unwrap();
        other.await.unwrap();
        assert_eq!(lock.depth(), 0);
    });
}

#[test]
fn permits_go_on_to_the_next_and_a_big_wish_that_leaves_lets_small_ones_pass() {
    cancel_everywhere(|fuse| async move {
        let semaphore = Rc::new(Semaphore::new(3));
        let (held, rest) = (semaphore.acquire_owned(1).await, semaphore.acquire_owned(1).await);
        let (greedy, is_gone) = (semaphore.clone(), Rc::new(Cell::new(false)));
        let gone = is_gone.clone();
        let victim = spawn(async move { gone.set(fuse.burn(greedy.acquire_owned(2)).await.is_none()) });
        let modest = semaphore.clone();
        let other = spawn(async move { drop(modest.acquire().await) });
        settle().await;
        if is_gone.get() {
            // One permit is free, and nobody stands before the modest one.
            other.await.unwrap();
            drop((held, rest));
        } else {
            drop((held, rest));
            other.await.unwrap();
        }
        victim.await.unwrap();
        assert_eq!(semaphore.free(), 3);
    });
}

#[test]
fn a_writer_that_leaves_lets_the_readers_behind_it_in() {
    cancel_everywhere(|fuse| async move {
        let lock = Rc::new(RwLock::new(()));
        let reading = lock.read().await;
        let (wanted, is_gone) = (lock.clone(), Rc::new(Cell::new(false)));
        let gone = is_gone.clone();
        let victim = spawn(async move {
            if fuse.burn(wanted.write()).await.is_none() {
                gone.set(true);
            }
        });
        let next = lock.clone();
        let other = spawn(async move { drop(next.read().await) });
        settle().await;
        settle().await;
        if is_gone.get() {
            other.await.unwrap();
            drop(reading);
        } else {
            drop(reading);
            other.await.unwrap();
        }
        victim.await.unwrap();
        drop(lock.try_write().expect("free"));
    });
}

#[test]
fn a_notification_goes_on_to_the_next_also_from_one_who_waits_for_the_mutex_again() {
    let cut = cancel_everywhere(|fuse| async move {
        let (mutex, condition) = (Rc::new(Mutex::new(())), Rc::new(Condition::new()));
        let (lock, bell) = (mutex.clone(), condition.clone());
        let victim = spawn(async move {
            let wait = async { drop(bell.wait(lock.lock().await).await) };
            fuse.burn(wait).await.is_some()
        });
        settle().await;
        let (lock, bell) = (mutex.clone(), condition.clone());
        let other = spawn(async move { drop(bell.wait(lock.lock().await).await) });
        settle().await;
        let held = mutex.lock().await;
        condition.notify(1);
        settle().await;
        drop(held);
        if victim.await.unwrap() {
            condition.notify(1);
        }
        other.await.unwrap();
        drop(mutex.try_lock().expect("free"));
    });
    assert!(cut >= 80, "it waits at two places: {cut}");
}

#[test]
fn a_condition_with_a_predicate_misses_nothing() {
    cancel_everywhere(|fuse| async move {
        let (mutex, condition) = (Rc::new(Mutex::new(0)), Rc::new(Condition::new()));
        let taker = || {
            let (lock, bell) = (mutex.clone(), condition.clone());
            async move { *bell.wait_for(lock.lock().await, |items| *items > 0).await -= 1 }
        };
        let (first, second) = (taker(), taker());
        let victim = spawn(async move { fuse.burn(first).await.is_some() });
        settle().await;
        let other = spawn(second);
        settle().await;
        *mutex.lock().await += 1;
        condition.notify(1);
        if victim.await.unwrap() {
            *mutex.lock().await += 1;
            condition.notify(1);
        }
        other.await.unwrap();
        assert_eq!(*mutex.lock().await, 0);
    });
}

#[test]
fn a_barrier_waits_for_somebody_else_instead() {
    cancel_everywhere(|fuse| async move {
        let barrier = Rc::new(Barrier::new(2));
        let party = barrier.clone();
        let victim = spawn(async move { fuse.burn(party.wait()).await.is_some() });
        settle().await;
        let is_gone = victim.is_finished();
        let party = barrier.clone();
        let other = spawn(async move { party.wait().await });
        settle().await;
        assert_eq!(other.is_finished(), !is_gone, "two have come, or one");
        if is_gone {
            assert!(!victim.await.unwrap(), "nobody has come who lets the victim through");
            assert_eq!(barrier.wait().await, Ok(1));
        }
        other.await.unwrap().expect("nothing has broken it");
        assert!(!barrier.is_broken() && barrier.statistics().waiting.is_empty());
    });
}

#[test]
fn an_event_is_there_for_the_others() {
    cancel_everywhere(|fuse| async move {
        let event = Rc::new(Event::new());
        let waiter = || {
            let event = event.clone();
            async move { event.wait().await }
        };
        let (first, second) = (waiter(), waiter());
        let victim = spawn(async move { fuse.burn(first).await });
        let other = spawn(second);
        settle().await;
        event.set();
        event.clear();
        victim.await.unwrap();
        other.await.unwrap();
        assert!(event.statistics().waiting.is_empty());
    });
}

/// Two want an item, one of them is cut off; there is one item, and then one for the other.
fn items_go_on_to_the_next<S: Store<Item = u8> + 'static>() {
    cancel_everywhere(|fuse| async move {
        let queue: Rc<AnyQueue<S>> = Rc::new(AnyQueue::unbounded());
        let wanted = queue.clone();
        let victim = spawn(async move { fuse.burn(wanted.get()).await });
        settle().await;
        let wanted = queue.clone();
        let other = spawn(async move { wanted.get().await });
        settle().await;
        queue.try_put(1).unwrap();
        if let Some(got) = victim.await.unwrap() {
            assert_eq!(got, Ok(1));
            queue.try_put(1).unwrap();
        }
        assert_eq!(other.await.unwrap(), Ok(1));
        assert!(queue.is_empty());
    });
}

/// Two want to put into a full queue, one of them is cut off; its item is then not in it.
fn room_goes_on_to_the_next<S: Store<Item = u8> + 'static>() {
    cancel_everywhere(|fuse| async move {
        let queue: Rc<AnyQueue<S>> = Rc::new(AnyQueue::bounded(1));
        queue.put(0).await.unwrap();
        let full = queue.clone();
        let victim = spawn(async move { fuse.burn(full.put(1)).await.is_some() });
        settle().await;
        let full = queue.clone();
        let other = spawn(async move { full.put(2).await });
        settle().await;
        let mut got = vec![queue.get().await.unwrap(), queue.get().await.unwrap()];
        if victim.await.unwrap() {
            got.push(queue.get().await.unwrap());
        }
        other.await.unwrap().unwrap();
        let expected: &[u8] = if got.len() == 3 { &[0, 1, 2] } else { &[0, 2] };
        assert_eq!((got.as_slice(), queue.len()), (expected, 0));
    });
}

#[test]
fn what_a_queue_has_goes_on_to_the_next() {
    items_go_on_to_the_next::<Fifo<u8>>();
    items_go_on_to_the_next::<Lifo<u8>>();
    items_go_on_to_the_next::<Least<u8>>();
    room_goes_on_to_the_next::<Fifo<u8>>();
    room_goes_on_to_the_next::<Lifo<u8>>();
    room_goes_on_to_the_next::<Least<u8>>();
}

#[test]
fn a_queue_tells_everyone_who_waits_for_the_end_of_work() {
    cancel_everywhere(|fuse| async move {
        let queue: Rc<AnyQueue<Fifo<u8>>> = Rc::default();
        queue.put(1).await.unwrap();
        let joined = queue.clone();
        let victim = spawn(async move { fuse.burn(joined.join()).await });
        let joined = queue.clone();
        let other = spawn(async move { joined.join().await });
        settle().await;
        queue.get().await.unwrap();
        assert!(!other.is_finished(), "got is not done");
        queue.task_done().unwrap();
        victim.await.unwrap();
        other.await.unwrap();
    });
}

#[test]
fn the_local_channels_lose_nothing() {
    cancel_everywhere(|fuse| async move {
        let (sender, mut receiver) = oneshot();
        let receiving = spawn(async move {
            match fuse.burn(&mut receiver).await {
                Some(received) => received,
                None => receiver.await,
            }
        });
        settle().await;
        sender.send(5).unwrap();
        assert_eq!(receiving.await.unwrap(), Ok(5));
    });
    cancel_everywhere(|fuse| async move {
        let (sender, mut receiver) = watch(0);
        let receiving = spawn(async move {
            let mut seen = fuse.burn(receiver.changed()).await.map_or(0, |changed| *changed.unwrap());
            while seen != 2 {
                seen = *receiver.changed().await.unwrap();
            }
        });
        for value in 1..=2 {
            settle().await;
            sender.send(value);
        }
        receiving.await.unwrap();
    });
    cancel_everywhere(|fuse| async move {
        let (sender, mut receiver) = broadcast(4);
        let receiving = spawn(async move {
            let mut got = Vec::from_iter(fuse.burn(receiver.receive()).await.map(Result::unwrap));
            while let Ok(value) = receiver.receive().await {
                got.push(value);
            }
            got
        });
        for value in 1..=3 {
            settle().await;
            sender.send(value).unwrap();
        }
        drop(sender);
        assert_eq!(receiving.await.unwrap(), [1, 2, 3]);
    });
    cancel_everywhere(|fuse| async move {
        let (mut sender, receiver) = oneshot::<()>();
        let closing = spawn(async move {
            fuse.burn(sender.closed()).await;
            sender.closed().await;
        });
        settle().await;
        drop(receiver);
        closing.await.unwrap();
    });
}
