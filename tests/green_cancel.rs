//! Green threads that are cancelled: at every wait, in every manner, by everybody; what is dropped, how often,
//! in which order.
//!
//! Bodies that catch it are in `support/green/catching.rs`. Run one with `cargo test --test green_cancel name`.

#[path = "support/waiting/cancel.rs"]
mod cancel;
#[path = "support/core/mod.rs"]
mod support;

#[path = "support/green/catching.rs"]
mod catching;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use cancel::cancel_everywhere;
use greenroom::sync::{Event, Mutex, Queue, Semaphore};
use greenroom::{Runtime, WaitReason, green, sleep, spawn, spawn_named, timeout, yield_now};
use support::{Tally, Token, on_drop, virtual_runtime, within_patience};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// How deep the calls go, and how many ways to wait there are.
const DEPTH: usize = 7;

/// Who came and went: a depth when it is entered, its negative when it is left.
type Path = Rc<RefCell<Vec<isize>>>;

/// What many want.
struct Things {
    mutex: Mutex<u32>,
    semaphore: Semaphore,
    queue: Queue<u32>,
    event: Event,
}

/// Waits at every depth on the way down, and again on the way up.
fn dig(depth: usize, path: &Path, things: &Rc<Things>) {
    let number = depth as isize;
    path.borrow_mut().push(number);
    let _floor = on_drop(|| path.borrow_mut().push(-number));
    match depth {
        1 => green::yield_now(),
        2 => green::wait(things.event.wait()),
        3 => *green::wait(things.mutex.lock()) += 1,
        4 => drop(green::wait(things.semaphore.acquire_many(2))),
        5 => assert_eq!(green::wait(things.queue.get()), Ok(7)),
        6 => green::join(spawn(sleep(MS))).unwrap(),
        _ => assert!(green::wait(timeout(MS, std::future::pending::<()>())).is_err()),
    }
    if depth < DEPTH {
        dig(depth + 1, path, things);
    }
    let _guard = green::wait(things.mutex.lock());
    green::sleep(MS);
}

/// Each who came has gone, the last one first.
fn assert_well_left(path: &Path) {
    let mut inside = Vec::new();
    for &step in path.borrow().iter() {
        if step > 0 {
            inside.push(step);
        } else {
            assert_eq!(inside.pop(), Some(-step), "{path:?}");
        }
    }
    assert!(inside.is_empty(), "{path:?}");
}

/// A scene for one who digs, with others who want the same things.
fn site() -> Rc<Things> {
    let things = Rc::new(Things {
        mutex: Mutex::new(0),
        semaphore: Semaphore::new(3),
        queue: Queue::unbounded(),
        event: Event::new(),
    });
    let shared = things.clone();
    let others = move || {
        let guard = green::wait(shared.mutex.lock());
        let permit = green::wait(shared.semaphore.acquire_many(2));
        green::sleep(MS);
        shared.event.set();
        green::sleep(MS);
        drop(guard);
        green::sleep(MS);
        drop(permit);
        green::sleep(MS);
        shared.queue.try_put(7).unwrap();
    };
    green::spawn(others).detach();
    things
}

#[track_caller]
fn assert_all_let_go(things: &Things) {
    assert!(things.mutex.try_lock().is_some() && things.mutex.statistics().waiting.is_empty());
    assert!(things.semaphore.free() == 3 && things.semaphore.statistics().waiting.is_empty());
    assert!(things.event.statistics().waiting.is_empty());
}

#[test]
fn a_stack_is_unwound_once_and_in_reverse_from_every_wait() {
    let cut = cancel_everywhere(|fuse| async move {
        let (path, things) = (Path::default(), site());
        let (steps, shared) = (path.clone(), things.clone());
        let done = fuse.burn(green::future(move || dig(1, &steps, &shared))).await;
        assert_well_left(&path);
        assert!(done.is_none() || path.borrow().len() == 2 * DEPTH);
        sleep(SECOND).await;
        assert_all_let_go(&things);
    });
    assert!(cut >= 21 * 2 * 14, "it waits at fourteen places: {cut}");
}

#[test]
fn a_spawned_one_is_unwound_in_whichever_turn_it_is_cancelled() {
    let mut depths = Vec::new();
    for turns in 0.. {
        let runtime = virtual_runtime();
        let (path, things) = (Path::default(), runtime.enter(site));
        let (steps, shared) = (path.clone(), things.clone());
        let mut digger = runtime.enter(|| green::spawn(move || dig(1, &steps, &shared)));
        for _ in 0..turns {
            runtime.turn();
        }
        let is_done = digger.is_finished();
        runtime.enter(|| {
            digger.cancel();
        });
        runtime.block_on(async {
            assert_eq!(digger.cancel().await.is_some(), is_done);
            sleep(SECOND).await;
        });
        assert_well_left(&path);
        assert_all_let_go(&things);
        depths.push(path.borrow().iter().copied().max().unwrap_or(0));
        if is_done {
            break;
        }
    }
    assert_eq!(depths[0], 0, "the body never began");
    depths.dedup();
    assert!(depths.is_sorted() && depths.len() > DEPTH / 2, "{depths:?}");
}

#[test]
fn a_body_that_never_began_is_dropped_without_a_stack() {
    let runtime = virtual_runtime();
    let (drops, began) = (Tally::new(), Rc::new(Cell::new(false)));
    let body = || {
        let (token, began) = (drops.token(), began.clone());
        let where_am_i = on_drop(move || {
            assert_eq!(green::stack_bytes(), None);
            assert_eq!(green::try_wait(yield_now()), Err(green::CannotWait::NoGreenThread));
            drop(token);
        });
        move || {
            began.set(true);
            drop(where_am_i);
        }
    };
    drop(green::future(body()));
    assert_eq!(drops.get(), 1);
    runtime.block_on(async {
        let mut thread = green::spawn(body());
        assert_eq!(thread.cancel().await, None);
        assert_eq!(drops.get(), 2);
        let mut asked = green::spawn(body());
        asked.cancel();
        assert!(asked.await.unwrap_err().is_cancelled());
    });
    runtime.enter(|| green::spawn(body()).detach());
    drop(runtime);
    assert_eq!((drops.get(), began.get()), (4, false));
}

#[test]
fn one_that_was_woken_and_is_cancelled_before_its_turn_does_not_go_on() {
    let runtime = virtual_runtime();
    let (went_on, drops) = (Rc::new(Cell::new(false)), Tally::new());
    runtime.block_on(async {
        for cancel_first in [false, true] {
            let event = Rc::new(Event::new());
            let (awaited, went_on, token) = (event.clone(), went_on.clone(), drops.token());
            let mut thread = green::spawn(move || {
                let _token = token;
                green::wait(awaited.wait());
                went_on.set(true);
            });
            yield_now().await;
            if cancel_first {
                thread.cancel();
                event.set();
            } else {
                event.set();
                thread.cancel();
            }
            assert!(thread.await.unwrap_err().is_cancelled());
        }
    });
    assert_eq!((went_on.get(), drops.get()), (false, 2));
}

#[test]
fn threads_and_tasks_cancel_each_other_and_themselves() {
    let runtime = virtual_runtime();
    let drops = Tally::new();
    let task = |token: Token| async move {
        let _token = token;
        sleep(SECOND).await;
    };
    let body = |token: Token| {
        move || {
            let _token = token;
            green::sleep(SECOND);
        }
    };
    let (first, second, third) = (drops.token(), drops.token(), drops.token());
    runtime.block_on(async {
        let mut victim = spawn(task(first));
        let cancels = green::spawn(move || {
            green::yield_now();
            green::wait(victim.cancel())
        });
        assert_eq!(cancels.await.unwrap(), None);
        let mut victim = green::spawn(body(second));
        let cancels = green::spawn(move || {
            green::yield_now();
            green::wait(victim.cancel())
        });
        assert_eq!(cancels.await.unwrap(), None);

        let shelf: Rc<RefCell<Option<greenroom::JoinHandle<()>>>> = Rc::default();
        let own = shelf.clone();
        let suicidal = green::spawn(move || {
            let _token = third;
            own.borrow_mut().as_mut().unwrap().cancel();
            green::yield_now();
            unreachable!("it is unwound with the end of that poll");
        });
        shelf.replace(Some(suicidal));
        yield_now().await;
        let suicidal = shelf.take().unwrap();
        assert!(suicidal.is_finished() && suicidal.await.unwrap_err().is_cancelled());
    });
    assert_eq!(drops.get(), 3);
}

#[test]
fn other_threads_cancel() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        let drops = Tally::new();
        let token = drops.token();
        let mut thread = runtime.enter(|| {
            green::spawn(move || {
                let _token = token;
                green::wait(std::future::pending::<()>());
            })
        });
        runtime.turn_now();
        let abroad = thread::spawn(move || {
            thread.cancel();
            thread
        });
        while drops.get() == 0 {
            runtime.turn_now();
        }
        let thread = abroad.join().unwrap();
        assert!(runtime.block_on(thread).unwrap_err().is_cancelled());
    });
}

#[test]
fn the_end_of_the_loop_unwinds_all_and_gives_their_cleanups_grace() {
    let runtime = virtual_runtime();
    let diary: Rc<RefCell<Vec<&str>>> = Rc::default();
    let (at_drop, late) = (diary.clone(), diary.clone());
    runtime.enter(|| {
        let body = move || {
            let _guard = on_drop(|| {
                at_drop.borrow_mut().push("unwound");
                let cleanup = move || {
                    let _gone = on_drop(|| late.borrow_mut().push("cleanup gone"));
                    green::sleep(SECOND);
                    late.borrow_mut().push("cleanup done");
                    green::sleep(100 * SECOND);
                };
                green::spawn_named("cleanup", cleanup).detach();
            });
            green::sleep(Duration::MAX);
        };
        green::spawn(body).detach();
        green::spawn(|| green::sleep(SECOND)).detach();
    });
    runtime.turn_now();
    let report = runtime.shutdown(5 * SECOND);
    assert_eq!(diary.take(), ["unwound", "cleanup done", "cleanup gone"]);
    let [left] = &report.not_stopped[..] else { panic!("{report}") };
    assert_eq!((report.cancelled, left.name.as_deref()), (2, Some("cleanup")));
    assert_eq!(left.reason, WaitReason::Sleep { until: 101 * SECOND });
}

#[test]
fn a_runtime_that_ends_with_its_thread_drops_the_threads_that_have_not_begun() {
    thread_local! {
        static LOOP: Runtime = Runtime::new().unwrap();
    }
    let drops = Tally::new();
    let (token, late) = (drops.token(), drops.token());
    thread::spawn(move || {
        LOOP.with(|runtime| {
            runtime.block_on(async { green::spawn(|| ()).await.unwrap() });
            let task = async move {
                // By now the thread's store of stacks is gone.
                let _guard = on_drop(|| green::spawn(move || drop(late)).detach());
                std::future::pending::<()>().await;
            };
            runtime.spawn(task).detach();
            runtime.turn_now();
            runtime.enter(|| green::spawn(move || drop(token)).detach());
        });
    })
    .join()
    .unwrap();
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_timeout_a_race_and_a_dropped_future_unwind() {
    let runtime = virtual_runtime();
    let drops = Tally::new();
    let lasts = |seconds: u32| {
        let token = drops.token();
        green::future(move || {
            let _token = token;
            green::sleep(seconds * SECOND);
            seconds
        })
    };
    runtime.block_on(async {
        assert!(timeout(SECOND, lasts(2)).await.is_err());
        assert_eq!(drops.get(), 1);
        assert_eq!(greenroom::race([lasts(3), lasts(1), lasts(2)]).await, 1);
        assert_eq!(drops.get(), 4);
        let mut parked = Box::pin(lasts(9));
        assert!(futures::poll!(&mut parked).is_pending());
        drop(parked);
        assert_eq!(drops.get(), 5);
        let lasts_longer = lasts(9);
        let mut task = spawn_named("host", lasts_longer);
        yield_now().await;
        assert_eq!(task.cancel().await, None);
    });
    assert_eq!(drops.get(), 6);
}
