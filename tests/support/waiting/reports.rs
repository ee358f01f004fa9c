//! What the report of a stalled loop says of primitives: who holds, who waits, by name.

use std::rc::Rc;

use greenroom::sync::{
    Barrier, Condition, Event, Mutex, Queue, RLock, RwLock, Semaphore, broadcast, oneshot, watch,
};
use greenroom::{BlockOnError, Runtime, Stalled, TaskInfo, WaitReason, spawn_named, yield_now};

/// The report of a scene that gets stalled.
#[track_caller]
fn report_of<F: Future<Output = ()>>(scene: F) -> Stalled {
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    match runtime.try_block_on(scene) {
        Err(BlockOnError::Stalled(report)) => report,
        other => panic!("not stalled: {other:?}"),
    }
}

/// The task of this name in a report.
#[track_caller]
fn task<'a>(report: &'a Stalled, name: &str) -> &'a TaskInfo {
    let found = report.tasks.iter().find(|task| task.name.as_deref() == Some(name));
    found.unwrap_or_else(|| panic!("no {name:?} in {report}"))
}

#[test]
fn two_tasks_that_wait_for_each_other_are_told_apart() {
    let report = report_of(async {
        let locks = ["left", "right"].map(|name| Rc::new(Mutex::new(()).named(name)));
        let tasks = [("one", 0, 1), ("two", 1, 0)].map(|(name, first, second)| {
            let (first, second) = (locks[first].clone(), locks[second].clone());
            spawn_named(name, async move {
                let _first = first.lock().await;
                yield_now().await;
                let _second = second.lock().await;
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
    });
    let (one, two) = (task(&report, "one"), task(&report, "two"));
    assert_eq!((&one.held_by, &two.held_by), (&vec![two.id], &vec![one.id]));
    let held = |task: &TaskInfo| task.holds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (left, right) = (held(one), held(two));
    assert!(left.starts_with("mutex ") && left.ends_with(" \"left\""), "{left}");
    assert!(right.ends_with(" \"right\""), "{right}");
    let words = format!("{right}, held by {}; holds {left}", two.id);
    assert!(report.to_string().contains(&words), "{report}\nshould say: {words}");
}

#[test]
fn a_task_that_waits_for_its_own_mutex_is_told_so() {
    let report = report_of(async {
        let mutex = Mutex::new(());
        let _guard = mutex.lock().await;
        let _never = mutex.lock().await;
    });
    let main = task(&report, "main");
    assert_eq!(main.held_by, [main.id]);
    assert!(report.to_string().contains(", which it holds itself"), "{report}");
}

#[test]
fn two_futures_of_one_task_may_share_a_mutex() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mutex = Mutex::new(0);
        let add = async || {
            let mut guard = mutex.lock().await;
            yield_now().await;
            *guard += 1;
        };
        futures::future::join(add(), add()).await;
        assert_eq!(*mutex.try_lock().unwrap(), 2);
    });
}

#[test]
fn all_holders_are_named() {
    let report = report_of(async {
        let (semaphore, lock) = (Rc::new(Semaphore::new(2)), Rc::new(RwLock::new(())));
        for name in ["first", "second"] {
            let (semaphore, lock) = (semaphore.clone(), lock.clone());
            spawn_named(name, async move {
                let (_permit, _read) = (semaphore.acquire().await, lock.read().await);
                std::future::pending::<()>().await;
            })
            .detach();
        }
        yield_now().await;
        let wanted = lock.clone();
        spawn_named("writer", async move { drop(wanted.write().await) }).detach();
        drop(semaphore.acquire().await);
    });
    let holders = [task(&report, "first").id, task(&report, "second").id];
    assert_eq!(task(&report, "main").held_by, holders);
    assert_eq!(task(&report, "writer").held_by, holders);
    assert_eq!(task(&report, "first").holds.len(), 2);
    let words = format!("held by {} and {}", holders[0], holders[1]);
    assert!(report.to_string().contains(&words), "{report}");
}

#[test]
fn every_wait_has_its_reason() {
    let (event, semaphore, condition) = (Event::new(), Semaphore::new(0), Condition::new());
    let (mutex, rlock, rwlock) = (Mutex::new(()), RLock::new(), RwLock::new(()));
    let (barrier, queue, full) = (Barrier::new(2), Queue::<u8>::unbounded(), Queue::bounded(1));
    full.try_put(1).unwrap();
    let (_sender, one) = oneshot::<u8>();
    let (_watched, mut latest) = watch(0);
    let (_all, mut every) = broadcast::<u8>(1);
    let held = (rlock.try_lock(), rwlock.try_write());
    let reason = |report: Stalled| report.tasks[0].reason;
    macro_rules! waits {
        ($future:expr, $pattern:pat) => {
            let reason = reason(report_of(async {
                let _ = $future.await;
            }));
            assert!(matches!(reason, $pattern), "{reason}");
        };
    }
    waits!(event.wait(), WaitReason::Event(_));
    waits!(semaphore.acquire(), WaitReason::Semaphore(_));
    waits!(rlock.lock(), WaitReason::RLock(_));
    waits!(rwlock.read(), WaitReason::RwLockRead(_));
    waits!(rwlock.write(), WaitReason::RwLockWrite(_));
    waits!(condition.wait(mutex.try_lock().unwrap()), WaitReason::Condition(_));
    waits!(barrier.wait(), WaitReason::Barrier(_));
    waits!(queue.get(), WaitReason::QueueGet(_));
    waits!(full.put(2), WaitReason::QueuePut(_));
    waits!(full.join(), WaitReason::QueueJoin(_));
    waits!(one, WaitReason::Oneshot(_));
    waits!(latest.changed(), WaitReason::Watch(_));
    waits!(every.receive(), WaitReason::Broadcast(_));
    drop(held);
}
