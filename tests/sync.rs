//! The primitives of `sync`, one by one: what each call does, in which order tasks come through,
//! and what a report says of who waits and who holds.
//!
//! What holds under every schedule is in `sync_models`, what a cancelled waiter leaves in
//! `sync_cancel`. Everything here is on the virtual clock.

#[path = "support/waiting/channels.rs"]
mod channels;
#[path = "support/waiting/queues.rs"]
mod queues;
#[path = "support/waiting/reports.rs"]
mod reports;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use greenroom::sync::{
    Barrier, BoundedSemaphore, BrokenBarrier, Condition, Event, Mutex, OverReleased, RLock, RwLock, Semaphore,
};
use greenroom::{Runtime, current_task, sleep, spawn, timeout, yield_now};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
#[derive(Clone, Default)]
struct Diary(Rc<RefCell<Vec<String>>>);

impl Diary {
    fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    fn read(&self) -> String {
        self.0.take().join(" ")
    }
}

/// Runs a scene on the virtual clock.
fn play<F: Future<Output = ()>>(scene: F) {
    Runtime::builder().virtual_clock(true).build().unwrap().block_on(scene);
}

#[test]
fn an_event_stays_set_until_it_is_cleared() {
    play(async {
        let event = Rc::new(Event::new());
        let diary = Diary::default();
        for name in ["a", "b", "c"] {
            let (event, diary) = (event.clone(), diary.clone());
            spawn(async move {
                event.wait().await;
                diary.note(name);
            })
            .detach();
        }
        yield_now().await;
        assert_eq!(event.statistics().waiting.len(), 3);
        event.set();
        event.clear();
        yield_now().await;
        assert_eq!(diary.read(), "a b c", "cleared at once, and seen all the same");
        assert!(timeout(SECOND, event.wait()).await.is_err());
        event.set();
        event.wait().await;
        event.wait().await;
        assert!(event.is_set() && event.statistics().is_set);
    });
}

#[test]
fn a_mutex_goes_from_hand_to_hand() {
    play(async {
        let mutex = Rc::new(Mutex::new(String::new()));
        let guard = mutex.lock().await;
        assert!(mutex.try_lock().is_none() && mutex.is_locked());
        let task = |name| {
            let mutex = mutex.clone();
            spawn(async move {
                let mut text = mutex.lock().await;
                text.push_str(name);
                yield_now().await;
                text.push_str(name);
            })
        };
        let tasks = [task("a"), task("b"), task("c")];
        yield_now().await;
        let statistics = mutex.statistics();
        assert_eq!(statistics.holder, current_task());
        assert_eq!(statistics.waiting, tasks.each_ref().map(|task| task.id()));
        drop(guard);
        assert!(mutex.try_lock().is_none(), "it is on its way to the first in line");
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*mutex.try_lock().unwrap(), "aabbcc");
        assert_eq!(Rc::try_unwrap(mutex).unwrap().into_inner(), "aabbcc");
    });
}

#[test]
fn a_mutex_outlives_a_panic_and_a_forgotten_guard_is_a_stall() {
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    let mutex = Rc::new(Mutex::new(0));
    let held = mutex.clone();
    let panicking = runtime.spawn(async move {
        let mut guard = held.lock().await;
        *guard = 1;
        panic!("with the guard in hand");
    });
    runtime.block_on(panicking).unwrap_err();
    assert_eq!(*mutex.try_lock().expect("let go by the unwinding"), 1);
    std::mem::forget(mutex.try_lock());
    let error = runtime.try_block_on(async { *mutex.lock().await }).unwrap_err().to_string();
    assert!(error.contains("mutex ") && !error.contains("held by"), "taken outside of any task: {error}");
}

#[test]
fn an_uncontended_lock_gives_way_now_and_then() {
    play(async {
        let mutex = Mutex::new(());
        let diary = Diary::default();
        let other = diary.clone();
        spawn(async move { other.note("other") }).detach();
        for round in 0..300 {
            drop(mutex.lock().await);
            if round == 299 {
                diary.note("last");
            }
        }
        assert_eq!(diary.read(), "other last", "a loop that never waits lets others run");
    });
}

#[test]
fn what_is_polled_after_something_that_is_always_ready_comes_to_its_turn() {
    play(async {
        let (mutex, event) = (Mutex::new(()), Event::new());
        event.set();
        let is_over = std::cell::Cell::new(false);
        let busy = async {
            while !is_over.get() {
                drop(mutex.lock().await);
            }
        };
        let other = async {
            event.wait().await;
            is_over.set(true);
        };
        futures::join!(busy, other);
    });
}

#[test]
fn an_rlock_counts_and_belongs_to_the_task() {
    play(async {
        let lock = Rc::new(RLock::new().named("the lock"));
        let outer = lock.lock().await;
        let inner = lock.try_lock().expect("ours already");
        assert_eq!(lock.depth(), 2);
        let other = lock.clone();
        let waiting = spawn(async move {
            assert!(other.try_lock().is_none(), "another task's");
            let _guard = other.lock().await;
            other.depth()
        });
        yield_now().await;
        drop(outer);
        yield_now().await;
        assert!(!waiting.is_finished(), "one hold is left");
        assert_eq!(lock.statistics().holder, current_task());
        drop(inner);
        assert!(lock.try_lock().is_none(), "promised to the one who waits");
        assert_eq!(waiting.await.unwrap(), 1);
        assert_eq!((lock.depth(), lock.statistics().is_locked), (0, false));
    });
}

#[test]
fn a_read_write_lock_serves_readers_together_and_writers_alone() {
    play(async {
        let lock = Rc::new(RwLock::new(0));
        let diary = Diary::default();
        let reading = lock.read().await;
        assert!(lock.try_read().is_some() && lock.try_write().is_none());
        for (name, writes) in [("w1", true), ("r1", false), ("r2", false), ("w2", true)] {
            let (lock, diary) = (lock.clone(), diary.clone());
            spawn(async move {
                if writes {
                    *lock.write().await += 1;
                } else {
                    let _guard = lock.read().await;
                    yield_now().await;
                    diary.note(format!("with {}", lock.statistics().readers));
                }
                diary.note(name);
            })
            .detach();
        }
        yield_now().await;
        assert!(lock.try_read().is_none(), "a writer waits: a late reader does not pass it by");
        assert_eq!(lock.statistics().waiting.len(), 4);
        drop(reading);
        sleep(SECOND).await;
        assert_eq!(diary.read(), "w1 with 2 r1 with 1 r2 w2");
        assert_eq!(*lock.try_read().unwrap(), 2);
    });
}

#[test]
fn a_semaphore_serves_in_order_also_big_requests() {
    play(async {
        let semaphore = Rc::new(Semaphore::new(2).named("permits"));
        let diary = Diary::default();
        let first = semaphore.try_acquire().unwrap();
        for (name, wanted) in [("big", 2), ("small", 1)] {
            let (semaphore, diary) = (semaphore.clone(), diary.clone());
            spawn(async move {
                let _permits = semaphore.acquire_many(wanted).await;
                diary.note(name);
            })
            .detach();
        }
        yield_now().await;
        assert!(semaphore.try_acquire().is_none(), "one is free, but the big one waits for it");
        assert_eq!(semaphore.statistics().holders, Vec::from_iter(current_task()));
        drop(first);
        sleep(SECOND).await;
        assert_eq!((diary.read().as_str(), semaphore.free()), ("big small", 2));
        semaphore.try_acquire_many(2).unwrap().forget();
        assert_eq!((semaphore.free(), semaphore.statistics().holders.len()), (0, 0));
        semaphore.release(3);
        assert_eq!(semaphore.free(), 3, "anybody may add permits");
    });
}

#[test]
fn an_owned_permit_goes_along_into_a_task() {
    play(async {
        let semaphore = Rc::new(Semaphore::new(1));
        let permit = semaphore.acquire_owned(1).await;
        let task = spawn(async move {
            sleep(SECOND).await;
            drop(permit);
        });
        semaphore.acquire().await.forget();
        assert!(task.is_finished());
    });
}

#[test]
fn a_bounded_semaphore_is_not_released_more_often_than_acquired() {
    play(async {
        let semaphore = BoundedSemaphore::new(2);
        assert_eq!(semaphore.release(), Err(OverReleased { bound: 2 }));
        let permit = semaphore.acquire().await;
        assert_eq!(semaphore.release(), Err(OverReleased { bound: 2 }), "the permit comes back by itself");
        drop(permit);
        semaphore.acquire().await.forget();
        assert_eq!(semaphore.statistics().free, 1);
        semaphore.release().unwrap();
        assert!(semaphore.release().is_err());
        assert_eq!(semaphore.statistics().free, 2);
    });
}

#[test]
fn a_condition_notifies_those_who_came_first() {
    play(async {
        let (mutex, condition) = (Rc::new(Mutex::new(0)), Rc::new(Condition::new()));
        let diary = Diary::default();
        for name in ["a", "b", "c", "d"] {
            let (mutex, condition, diary) = (mutex.clone(), condition.clone(), diary.clone());
            spawn(async move {
                let _guard = condition.wait(mutex.lock().await).await;
                diary.note(name);
            })
            .detach();
        }
        yield_now().await;
        assert_eq!(condition.statistics().waiting.len(), 4);
        let guard = mutex.try_lock().expect("waiting has let it go");
        assert_eq!(condition.notify(2), 2);
        sleep(SECOND).await;
        assert_eq!(diary.read(), "", "they want the mutex back first");
        drop(guard);
        sleep(SECOND).await;
        assert_eq!(diary.read(), "a b");
        assert_eq!((condition.notify_all(), condition.notify_all()), (2, 0));
        sleep(SECOND).await;
        assert_eq!(diary.read(), "c d");
        assert!(timeout(SECOND, condition.wait(mutex.lock().await)).await.is_err());
        assert!(!mutex.is_locked());
    });
}

#[test]
fn a_barrier_can_be_used_again_and_again() {
    play(async {
        let barrier = Rc::new(Barrier::new(2));
        for _ in 0..3 {
            let party = barrier.clone();
            let other = spawn(async move { party.wait().await });
            yield_now().await;
            assert_eq!((barrier.wait().await, other.await.unwrap()), (Ok(1), Ok(0)));
        }
        assert_eq!(Barrier::new(1).wait().await, Ok(0), "alone");
    });
}

#[test]
fn a_broken_barrier_keeps_nobody_waiting_until_it_is_reset() {
    play(async {
        let barrier = Rc::new(Barrier::new(3));
        let wait = |limit: Option<Duration>| {
            let barrier = barrier.clone();
            spawn(async move {
                match limit {
                    Some(limit) => barrier.wait_timeout(limit).await,
                    None => barrier.wait().await,
                }
            })
        };
        let (patient, hasty) = (wait(None), wait(Some(SECOND)));
        assert_eq!((patient.await.unwrap(), hasty.await.unwrap()), (Err(BrokenBarrier), Err(BrokenBarrier)));
        assert!(barrier.is_broken() && barrier.statistics().is_broken);
        assert_eq!(barrier.wait().await, Err(BrokenBarrier), "late");
        barrier.reset();
        let waiting = wait(None);
        yield_now().await;
        barrier.reset();
        assert_eq!(waiting.await.unwrap(), Err(BrokenBarrier), "waited while it was reset");
        assert!(!barrier.is_broken());
        let waiting = wait(None);
        yield_now().await;
        barrier.abort();
        assert_eq!(waiting.await.unwrap(), Err(BrokenBarrier));
        assert!(barrier.is_broken());
        barrier.reset();
        let (one, two) = (wait(None), wait(Some(SECOND)));
        yield_now().await;
        assert_eq!(barrier.wait().await, Ok(2));
        assert_eq!((one.await.unwrap(), two.await.unwrap()), (Ok(0), Ok(1)));
    });
}

#[test]
fn a_barrier_that_keeps_nobody_waiting_gives_way_now_and_then() {
    play(async {
        for barrier in [Barrier::new(1), Barrier::new(2)] {
            if barrier.statistics().parties == 2 {
                barrier.abort();
            }
            let other = spawn(async {});
            let mut count = 0;
            while !other.is_finished() && count < 1000 {
                let _ = barrier.wait().await;
                count += 1;
            }
            assert!((128..130).contains(&count), "a share of turns, not {count}");
        }
    });
}

#[test]
fn an_executor_inside_of_a_task_is_not_held_up_by_the_tasks_share() {
    play(async {
        let mutex = Mutex::new(0);
        for _ in 0..1000 {
            *futures::executor::block_on(mutex.lock()) += 1;
        }
        assert_eq!(mutex.into_inner(), 1000);
    });
}

#[test]
fn a_permit_that_comes_back_to_a_semaphore_without_bound_does_not_panic() {
    let semaphore = Semaphore::new(1);
    let permit = semaphore.try_acquire().unwrap();
    semaphore.release(usize::MAX);
    drop(permit);
    assert_eq!(semaphore.free(), usize::MAX);
}
