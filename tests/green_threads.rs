//! Green threads as their users see them: waiting at any depth, joining, names, reasons, order, fairness.
//!
//! Cancelling, panics, locals, and what they do together with tasks have files of their own
//! (`tests/green_*.rs`). Run one with `cargo test --test green_threads name`.

#[path = "support/core/mod.rs"]
mod support;

#[path = "support/green/order.rs"]
mod order;

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use greenroom::sync::Mutex;
use greenroom::{
    BlockOnError, JoinHandle, Runtime, TaskInfo, WaitReason, channel, current_task, green, now, spawn_named,
    tasks, yield_now,
};
use support::{Tally, panic_of, virtual_runtime, within_patience};

const SECOND: Duration = Duration::from_secs(1);

/// Sleeps a second on the way down, and another on the way up.
fn nap_at(depth: u32) -> u32 {
    green::sleep(SECOND);
    let below = if depth == 0 { 0 } else { nap_at(depth - 1) };
    green::sleep(SECOND);
    below + 1
}

#[test]
fn they_wait_at_any_depth_of_calls() {
    let runtime = virtual_runtime();
    let start = runtime.enter(now);
    let threads: Vec<_> =
        (0..50).map(|depth| runtime.enter(|| green::spawn(move || nap_at(depth)))).collect();
    for (depth, thread) in threads.into_iter().enumerate() {
        assert_eq!(runtime.block_on(thread).unwrap(), depth as u32 + 1);
        assert_eq!(runtime.enter(now) - start, 2 * (depth as u32 + 1) * SECOND);
    }
}

#[test]
fn they_join_and_values_come_in_the_order_of_the_handles() {
    let runtime = virtual_runtime();
    let thread = runtime.enter(|| {
        green::spawn(|| {
            let after = |seconds: u32| {
                green::spawn(move || {
                    green::sleep(seconds * SECOND);
                    assert!(seconds != 2, "two");
                    Box::new(seconds)
                })
            };
            let one = green::join(after(1)).unwrap();
            let all = green::join_all([after(3), after(1), after(2)]);
            (one, all.into_iter().map(|value| value.map_err(|error| error.to_string())).collect::<Vec<_>>())
        })
    });
    let (one, all) = runtime.block_on(thread).unwrap();
    assert_eq!((*one, all.len()), (1, 3));
    assert_eq!((&all[0], &all[1]), (&Ok(Box::new(3)), &Ok(Box::new(1))));
    assert!(all[2].as_ref().unwrap_err().ends_with("panicked: two"));
    assert_eq!(runtime.enter(|| tasks().len()), 0);
}

#[test]
fn they_have_names_places_and_ids_like_tasks() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let line = line!() + 1;
        let named = green::spawn_named("the one", current_task);
        assert_eq!(named.name(), Some("the one"));
        assert_eq!((named.location().file(), named.location().line()), (file!(), line));
        let id = named.id();
        assert_eq!(named.await.unwrap(), Some(id));
        let line = line!() + 1;
        let built = green::Builder::new().name(String::from("built")).spawn(current_task).unwrap();
        assert_eq!((built.name(), built.location().line()), (Some("built"), line));
        assert_eq!(green::spawn(|| ()).name(), None);
        // A future goes by the name of its host.
        let host = spawn_named("host", green::future(|| (current_task(), tasks()[1].name.clone())));
        let id = host.id();
        assert_eq!(host.await.unwrap(), (Some(id), Some(String::from("host"))));
    });
    let text = panic_of(|| green::spawn(|| ()));
    assert!(text.contains("green::spawn"), "{text}");
}

/// What is said of the task with this name.
fn info(name: &str) -> TaskInfo {
    tasks().into_iter().find(|task| task.name.as_deref() == Some(name)).expect("it is there")
}

#[test]
fn the_task_list_says_what_they_wait_for() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let mutex = Rc::new(Mutex::new(()).named("ledger"));
        let (held, wanted) = (mutex.clone(), mutex);
        let holder = green::spawn_named("holder", move || {
            let _guard = green::wait(held.lock());
            green::sleep(5 * SECOND);
        });
        let id = holder.id();
        green::spawn_named("waiter", move || drop(green::wait(wanted.lock()))).detach();
        green::spawn_named("joiner", move || green::join(holder).unwrap()).detach();
        green::spawn_named("polite", || {
            loop {
                green::yield_now();
            }
        })
        .detach();
        green::spawn_named("dark", || green::wait(pending::<()>())).detach();
        yield_now().await;
        assert_eq!(info("holder").reason, WaitReason::Sleep { until: 5 * SECOND });
        assert_eq!(info("holder").holds[0].name.as_deref(), Some("ledger"));
        assert!(matches!(info("waiter").reason, WaitReason::Mutex(_)));
        assert_eq!(info("waiter").held_by, [id]);
        assert_eq!(info("joiner").reason, WaitReason::Join(id));
        assert_eq!(info("polite").reason, WaitReason::Turn);
        assert_eq!(info("dark").reason, WaitReason::Unknown);
    });
}

/// Two who each want what the other has; the report about it without the places.
fn deadlock(take_both: impl Fn(&str, Rc<Mutex<()>>, Rc<Mutex<()>>) -> JoinHandle<()>) -> String {
    let runtime = virtual_runtime();
    let stalled = runtime.try_block_on(async {
        let (left, right) = (Rc::new(Mutex::new(()).named("left")), Rc::new(Mutex::new(()).named("right")));
        let first = take_both("first", left.clone(), right.clone());
        let second = take_both("second", right, left);
        first.await.unwrap();
        second.await.unwrap();
    });
    let Err(BlockOnError::Stalled(stalled)) = stalled else { panic!("{stalled:?}") };
    let mut text = stalled.to_string();
    for task in &stalled.tasks {
        text = text.replace(&task.location.to_string(), "here");
    }
    text
}

#[test]
fn a_deadlock_is_reported_in_the_words_for_tasks() {
    let of_threads = deadlock(|name, mine, theirs| {
        green::spawn_named(name, move || {
            let _mine = green::wait(mine.lock());
            green::sleep(SECOND);
            let _theirs = green::wait(theirs.lock());
        })
    });
    let of_tasks = deadlock(|name, mine, theirs| {
        spawn_named(name, async move {
            let _mine = mine.lock().await;
            greenroom::sleep(SECOND).await;
            let _theirs = theirs.lock().await;
        })
    });
    // The locks' numbers differ, as the first two were dropped.
    let words = |text: &str| {
        text.split(' ').filter(|word| word.parse::<f64>().is_err()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(words(&of_threads), words(&of_tasks));
    assert!(of_threads.contains("\"second\", spawned at here, waits for 0ns: mutex"), "{of_threads}");
    assert!(of_threads.contains("\"left\", held by task 1; holds mutex"), "{of_threads}");
}

#[test]
fn other_threads_wake_them() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        let (sender, mut receiver) = channel::bounded(1);
        let abroad = std::thread::spawn(move || {
            for number in 0..1000 {
                sender.send_blocking(number).unwrap();
            }
        });
        let sum: u32 = runtime
            .block_on(green::future(move || std::iter::from_fn(|| green::wait(receiver.recv())).sum()));
        assert_eq!(sum, 499_500);
        abroad.join().unwrap();
        let (sender, receiver) = futures::channel::oneshot::channel();
        let thread = runtime.enter(|| green::spawn(|| green::wait(receiver).unwrap()));
        runtime.turn_now();
        let abroad = std::thread::spawn(move || sender.send(5).unwrap());
        assert_eq!(runtime.block_on(thread).unwrap(), 5);
        abroad.join().unwrap();
    });
}

#[test]
fn they_run_only_when_woken_and_not_after_their_end() {
    let runtime = Runtime::new().unwrap();
    let (polls, waker) = (Tally::new(), Rc::new(RefCell::new(None::<Waker>)));
    let (counted, kept) = (polls.clone(), waker.clone());
    let thread = runtime.enter(|| {
        green::spawn(move || {
            let mut left = 3;
            green::wait(poll_fn(|context| {
                counted.add();
                *kept.borrow_mut() = Some(context.waker().clone());
                left -= 1;
                if left == 0 { Poll::Ready(()) } else { Poll::Pending }
            }));
        })
    });
    let wake = || runtime.enter(|| waker.borrow().as_ref().unwrap().wake_by_ref());
    for expected in 1..=3 {
        runtime.turn_now();
        assert_eq!((polls.get(), runtime.turn_now().ran), (expected, 0), "nobody woke it");
        wake();
        wake();
    }
    assert!(thread.is_finished());
    let taken = waker.take().unwrap();
    std::thread::spawn(move || taken.wake()).join().unwrap();
    assert_eq!((runtime.turn_now().ran, polls.get()), (0, 3), "a wake after the end does nothing");
}

#[test]
fn a_detached_one_runs_on_and_its_value_is_dropped_once() {
    let runtime = virtual_runtime();
    let drops = Tally::new();
    let (first, second) = (drops.token(), drops.token());
    runtime.block_on(async {
        drop(green::spawn(move || {
            green::sleep(SECOND);
            first
        }));
        let kept = green::spawn(move || second);
        greenroom::sleep(2 * SECOND).await;
        assert_eq!(drops.get(), 1);
        drop(kept);
    });
    assert_eq!(drops.get(), 2);
}

#[test]
fn yields_without_end_take_no_more_stack_and_threads_without_end_no_more_stacks() {
    let rounds = support::number_from_env("GREENROOM_STEPS", 20_000);
    let runtime = Runtime::new().unwrap();
    let thread = runtime.enter(|| {
        green::spawn(move || {
            green::yield_now();
            let before = green::stack_high_water();
            for _ in 0..rounds {
                green::yield_now();
            }
            assert_eq!(green::stack_high_water(), before);
        })
    });
    runtime.block_on(thread).unwrap();
    let place = || {
        green::yield_now();
        std::ptr::from_ref(&std::hint::black_box(0)).addr()
    };
    let first = runtime.block_on(async { green::spawn(place).await.unwrap() });
    for _ in 0..rounds / 20 {
        assert_eq!(runtime.block_on(async { green::spawn(place).await.unwrap() }), first);
    }
}
