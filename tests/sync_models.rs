//! The primitives of `sync` under thousands of schedules: what each promises is checked at every
//! step, with waiters that lose patience at any point.
//!
//! A wake or a grant that is lost shows as a stall. Every failure prints its seed:
//! `GREENROOM_SEED=17 cargo test --test sync_models name` plays that one alone.

#[path = "support/waiting/cancel.rs"]
mod cancel;
#[path = "support/waiting/channel_models.rs"]
mod channel_models;
#[path = "support/waiting/explore.rs"]
mod explore;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use explore::{Queuers, crowd, explore};
use greenroom::spawn;
use greenroom::sync::{Barrier, Condition, Event, Mutex, RLock, RwLock, Semaphore};

#[test]
fn a_mutex_is_for_one_at_a_time_in_the_order_of_asking() {
    explore("sync_models a_mutex", |chance| async move {
        let mutex = Rc::new(Mutex::new(0));
        let (line, taken) = (Queuers::default(), Rc::new(Cell::new(0)));
        crowd(4, |_| {
            let (chance, mutex, line, taken) = (chance.clone(), mutex.clone(), line.clone(), taken.clone());
            async move {
                for _ in 0..4 {
                    chance.dawdle().await;
                    let queuer = line.join(1);
                    let Some(mut guard) = chance.try_patience(mutex.lock()).await else { continue };
                    queuer.served(&mutex.statistics().waiting);
                    let before = *guard;
                    chance.dawdle().await;
                    assert_eq!(*guard, before, "somebody else was in");
                    *guard += 1;
                    taken.set(taken.get() + 1);
                }
            }
        })
        .await;
        assert_eq!(*mutex.try_lock().expect("all have let go"), taken.get());
        assert!(mutex.statistics().waiting.is_empty());
    });
}

#[test]
fn a_semaphore_keeps_count_and_serves_in_order() {
    explore("sync_models a_semaphore", |chance| async move {
        let semaphore = Rc::new(Semaphore::new(3));
        let (line, out) = (Queuers::default(), Rc::new(Cell::new(0)));
        crowd(5, |_| {
            let (chance, semaphore, line, out) =
                (chance.clone(), semaphore.clone(), line.clone(), out.clone());
            async move {
                for _ in 0..4 {
                    chance.dawdle().await;
                    let statistics = semaphore.statistics();
                    let first_wish = line.first_wish(&statistics.waiting);
                    assert!(first_wish.is_none_or(|wish| wish > statistics.free), "it could be served");
                    let wanted = 1 + chance.below(3);
                    let queuer = line.join(wanted);
                    let acquired = chance.try_patience(semaphore.acquire_owned(wanted)).await;
                    let Some(permit) = acquired else { continue };
                    queuer.served(&semaphore.statistics().waiting);
                    out.set(out.get() + wanted);
                    assert!(out.get() + semaphore.free() <= 3, "more permits than there are");
                    chance.dawdle().await;
                    out.set(out.get() - wanted);
                    drop(permit);
                }
            }
        })
        .await;
        let statistics = semaphore.statistics();
        assert_eq!((statistics.free, statistics.waiting.len(), statistics.holders.len()), (3, 0, 0));
    });
}

#[test]
fn an_rlock_is_for_one_task_at_a_time_as_often_as_it_likes() {
    explore("sync_models an_rlock", |chance| async move {
        let lock = Rc::new(RLock::new());
        let (line, owner) = (Queuers::default(), Rc::new(Cell::new(None)));
        crowd(4, |number| {
            let (chance, lock, line, owner) = (chance.clone(), lock.clone(), line.clone(), owner.clone());
            async move {
                for _ in 0..3 {
                    chance.dawdle().await;
                    let queuer = line.join(1);
                    let Some(_outer) = chance.try_patience(lock.lock()).await else { continue };
                    queuer.served(&lock.statistics().waiting);
                    assert_eq!(owner.replace(Some(number)), None, "somebody else was in");
                    chance.dawdle().await;
                    let depth = lock.depth();
                    let _again = lock.lock().await;
                    assert_eq!((lock.depth(), owner.get()), (depth + 1, Some(number)));
                    chance.dawdle().await;
                    assert_eq!(owner.take(), Some(number));
                }
            }
        })
        .await;
        assert_eq!(lock.depth(), 0);
    });
}

#[test]
fn a_read_write_lock_has_readers_or_one_writer_in_the_order_of_asking() {
    const READ: usize = 0;
    const WRITE: usize = 1;
    explore("sync_models a_read_write_lock", |chance| async move {
        let lock = Rc::new(RwLock::new(0));
        let (line, inside) = (Queuers::default(), Rc::new(Cell::new((0, 0))));
        crowd(5, |_| {
            let (chance, lock, line, inside) = (chance.clone(), lock.clone(), line.clone(), inside.clone());
            async move {
                for _ in 0..4 {
                    chance.dawdle().await;
                    let statistics = lock.statistics();
                    let is_in_the_way = match line.first_wish(&statistics.waiting) {
                        Some(WRITE) => statistics.has_writer || statistics.readers > 0,
                        Some(_) => statistics.has_writer,
                        None => true,
                    };
                    assert!(is_in_the_way, "the first in line could be in: {statistics:?}");
                    if chance.one_in(3) {
                        let queuer = line.join(WRITE);
                        let Some(mut guard) = chance.try_patience(lock.write()).await else { continue };
                        queuer.served(&lock.statistics().waiting);
                        assert_eq!(inside.replace((0, 1)), (0, 0));
                        chance.dawdle().await;
                        *guard += 1;
                        assert_eq!(inside.replace((0, 0)), (0, 1));
                    } else {
                        let queuer = line.join(READ);
                        let Some(guard) = chance.try_patience(lock.read()).await else { continue };
                        queuer.served(&lock.statistics().waiting);
                        let (seen, (readers, writers)) = (*guard, inside.get());
                        inside.set((readers + 1, writers));
                        chance.dawdle().await;
                        assert_eq!((seen, inside.get().1), (*guard, 0), "a writer was in");
                        inside.set((inside.get().0 - 1, 0));
                    }
                }
            }
        })
        .await;
        drop(lock.try_write().expect("all have let go"));
        assert!(lock.statistics().waiting.is_empty());
    });
}

#[test]
fn an_event_lets_everyone_go_who_waits() {
    explore("sync_models an_event", |chance| async move {
        let event = Rc::new(Event::new());
        let rounds = Rc::new(Cell::new(0));
        let (setter, set, luck) = (event.clone(), rounds.clone(), chance.clone());
        let setting = spawn(async move {
            for _ in 0..6 {
                luck.dawdle().await;
                set.set(set.get() + 1);
                setter.set();
                if luck.one_in(2) {
                    setter.clear();
                }
            }
            setter.set();
        });
        crowd(4, |_| {
            let (chance, event, rounds) = (chance.clone(), event.clone(), rounds.clone());
            async move {
                for _ in 0..3 {
                    chance.dawdle().await;
                    let (was_set, before) = (event.is_set(), rounds.get());
                    if chance.try_patience(event.wait()).await.is_some() {
                        assert!(was_set || event.is_set() || rounds.get() > before, "let go without cause");
                    }
                }
            }
        })
        .await;
        setting.await.unwrap();
        assert!(event.statistics().waiting.is_empty());
    });
}

#[test]
fn a_condition_loses_no_notification() {
    const EACH: usize = 3;
    explore("sync_models a_condition", |chance| async move {
        let (items, changed) = (Rc::new(Mutex::new(0)), Rc::new(Condition::new()));
        let share = || (chance.clone(), items.clone(), changed.clone());
        let (luck, shelf, bell) = share();
        let producing = spawn(async move {
            for _ in 0..3 * EACH {
                luck.dawdle().await;
                let mut shelf = shelf.lock().await;
                *shelf += 1;
                // One item, one notification. Whoever it is for waits for the mutex now.
                bell.notify(1);
                luck.dawdle().await;
            }
        });
        let looking = [(); 2].map(|()| {
            let (chance, items, changed) = share();
            spawn(async move {
                for _ in 0..4 {
                    chance.dawdle().await;
                    let mut looks = 0;
                    let wait = async {
                        let is_there = |left: &mut usize| (*left > 0, looks += 1).0;
                        drop(changed.wait_for(items.lock().await, is_there).await);
                    };
                    // Who only looks hands on what was meant for one who takes.
                    if chance.try_patience(wait).await.is_some() && looks > 1 {
                        changed.notify(1);
                    }
                }
            })
        });
        crowd(3, |_| {
            let (chance, items, changed) = share();
            async move {
                for _ in 0..EACH {
                    chance.dawdle().await;
                    *changed.wait_for(items.lock().await, |left| *left > 0).await -= 1;
                }
            }
        })
        .await;
        producing.await.unwrap();
        assert_eq!(std::mem::replace(&mut *items.lock().await, 1), 0, "each takes what one made");
        changed.notify_all();
        for task in looking {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_barrier_lets_nobody_through_before_all_have_come() {
    const ROUNDS: usize = 4;
    explore("sync_models a_barrier", |chance| async move {
        let barrier = Rc::new(Barrier::new(3));
        let arrived: Rc<RefCell<Vec<usize>>> = Rc::new(RefCell::new(vec![0; ROUNDS]));
        let numbers: Rc<RefCell<Vec<Vec<usize>>>> = Rc::new(RefCell::new(vec![Vec::new(); ROUNDS]));
        let completed = Rc::new(Cell::new(0));
        crowd(3, |_| {
            let (chance, barrier, completed) = (chance.clone(), barrier.clone(), completed.clone());
            let (arrived, numbers) = (arrived.clone(), numbers.clone());
            async move {
                for round in 0..ROUNDS {
                    chance.dawdle().await;
                    // Those who lose patience come back, and the others wait for them.
                    arrived.borrow_mut()[round] += 1;
                    let number = loop {
                        let before = completed.get();
                        match chance.try_patience(barrier.wait()).await {
                            Some(number) => break Some(number.expect("nobody breaks it")),
                            // The group was complete, and the news is thrown away.
                            None if completed.get() > before => break None,
                            None => {}
                        }
                    };
                    // The last one to come is not kept waiting.
                    completed.set(completed.get() + usize::from(number == Some(2)));
                    assert_eq!(arrived.borrow()[round], 3, "let through too early");
                    numbers.borrow_mut()[round].extend(number);
                }
            }
        })
        .await;
        assert_eq!(completed.get(), ROUNDS);
        for mut round in numbers.take() {
            let count = round.len();
            round.sort();
            round.dedup();
            assert!(round.len() == count && round.last() == Some(&2), "each number once: {round:?}");
        }
    });
}

#[test]
fn a_wait_with_a_time_limit_breaks_the_barrier_for_all_or_for_nobody() {
    explore("sync_models a_wait_with", |chance| async move {
        let barrier = Rc::new(Barrier::new(3));
        let outcomes: Rc<RefCell<Vec<bool>>> = Rc::default();
        crowd(3, |_| {
            let (chance, barrier, outcomes) = (chance.clone(), barrier.clone(), outcomes.clone());
            async move {
                chance.dawdle().await;
                let limit = Duration::from_millis(chance.below(3) as u64);
                let passed = barrier.wait_timeout(limit).await.is_ok();
                outcomes.borrow_mut().push(passed);
            }
        })
        .await;
        let passed = outcomes.borrow().iter().filter(|passed| **passed).count();
        assert_eq!((passed == 0, barrier.is_broken()), (passed != 3, passed == 0), "{passed} passed");
    });
}
