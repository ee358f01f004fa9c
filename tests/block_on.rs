//! `block_on`, `run`, `turn`: running the loop from outside, and refusing to run it twice.
//!
//! When the loop may and may not call itself stalled is in `support/core/stalls.rs`.
//! Run one with `cargo test --test block_on name`.

#[path = "support/core/mod.rs"]
mod support;

#[path = "support/core/no_loop.rs"]
mod no_loop;
#[path = "support/core/stalls.rs"]
mod stalls;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use greenroom::{BlockOnError, Runtime, call_later, call_soon, sleep, spawn, stop, tasks, yield_now};
use support::{Tally, assert_whole, keep_log, logged, numbers, on_drop, panic_of, virtual_runtime};

#[test]
fn a_future_may_borrow_and_need_not_be_send() {
    let runtime = Runtime::new().unwrap();
    let mut list = vec![Rc::new(1)];
    let first: &Rc<i32> = runtime.block_on(async {
        let more = spawn(async { Rc::new(2) });
        list.push(more.await.unwrap());
        yield_now().await;
        &list[1]
    });
    assert_eq!(**first, 2);
    assert_eq!(list.len(), 2);
}

#[test]
fn other_tasks_go_on_in_the_next_block_on() {
    let runtime = virtual_runtime();
    let mut started = None;
    runtime.block_on(async {
        started = Some(spawn(async {
            sleep(Duration::from_secs(1)).await;
            "done"
        }));
    });
    let task = started.unwrap();
    assert!(!task.is_finished());
    assert_eq!(runtime.block_on(task).unwrap(), "done");
}

#[test]
fn main_is_a_task_with_that_name_and_leaves_with_block_on() {
    let runtime = Runtime::new().unwrap();
    let names = |list: Vec<greenroom::TaskInfo>| -> Vec<String> {
        list.into_iter().filter_map(|info| info.name).collect()
    };
    assert_eq!(runtime.block_on(async { names(tasks()) }), ["main"]);
    assert_eq!(names(runtime.tasks()), [""; 0]);
}

#[test]
fn a_panic_goes_through_with_its_payload_and_drops_the_future_first() {
    keep_log();
    let runtime = Runtime::new().unwrap();
    let (drops, place) = (Tally::new(), RefCell::new(None::<Waker>));
    let payload = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let _token = drops.token();
            poll_fn(|context| {
                *place.borrow_mut() = Some(context.waker().clone());
                Poll::Ready(())
            })
            .await;
            panic_any(41_u8);
        })
    }));
    assert_eq!(payload.unwrap_err().downcast_ref(), Some(&41_u8));
    assert_eq!(drops.get(), 1);
    assert_eq!(logged(), [""; 0], "the caller has seen it");
    // The frame of main is gone; its waker is not.
    let waker = place.take().unwrap();
    waker.wake_by_ref();
    runtime.enter(|| waker.wake_by_ref());
    runtime.turn_now();
    assert_whole(&runtime);
    std::thread::spawn(move || waker.wake()).join().unwrap();
    assert_whole(&runtime);
}

#[test]
fn a_waker_that_outlives_main_is_harmless() {
    let runtime = Runtime::new().unwrap();
    let place = RefCell::new(None::<Waker>);
    let buffer = runtime.block_on(poll_fn(|context| {
        *place.borrow_mut() = Some(context.waker().clone());
        Poll::Ready([7; 100])
    }));
    assert_eq!(buffer, [7; 100]);
    for _ in 0..3 {
        let waker = place.borrow().as_ref().unwrap().clone();
        std::thread::spawn(move || waker.wake()).join().unwrap();
        runtime.turn_now();
        runtime.enter(|| place.borrow().as_ref().unwrap().wake_by_ref());
        assert_eq!(runtime.block_on(async { 1 }), 1);
    }
    drop(runtime);
    place.take().unwrap().wake();
}

#[test]
fn mains_destructors_are_inside_of_the_loop() {
    let runtime = Runtime::new().unwrap();
    let ran = Rc::new(Cell::new(false));
    let is_run = ran.clone();
    runtime.block_on(async move {
        let _late = on_drop(move || drop(spawn(async move { is_run.set(true) })));
        yield_now().await;
    });
    runtime.turn_now();
    assert!(ran.get());
    let text = panic_of(|| {
        runtime.block_on(async {
            let _bomb = support::Bomb("main's end");
        })
    });
    assert_eq!(text, "main's end");
    assert_whole(&runtime);
}

/// The two lines of a refusal.
#[track_caller]
fn lines(error: BlockOnError) -> (u32, u32) {
    match error {
        BlockOnError::Nested { outer, inner } => {
            assert!(outer.file().ends_with("tests/block_on.rs") && inner.file() == outer.file());
            (outer.line(), inner.line())
        }
        other => panic!("not nested: {other}"),
    }
}

#[test]
fn a_loop_inside_of_a_loop_is_refused_and_both_places_are_named() {
    let (runtime, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let polls = Tally::new();
    let start = line!() + 1;
    runtime.block_on(async {
        let line = line!();
        assert_eq!(lines(runtime.try_block_on(async { polls.add() }).unwrap_err()), (start, line + 1));
        assert_eq!(lines(second.try_block_on(async { polls.add() }).unwrap_err()), (start, line + 2));
        assert_eq!(lines(runtime.run().unwrap_err()), (start, line + 3));
        assert_eq!(lines(second.run().unwrap_err()), (start, line + 4));
        let entered = second.enter(|| second.try_block_on(async { polls.add() }));
        assert_eq!(lines(entered.unwrap_err()), (start, line + 5), "also behind an `enter`");
        let file = file!();
        let (outer, line) = (format!("{file}:{start}:"), line!());
        let refused: [(&str, String); 4] = [
            ("block_on", panic_of(|| runtime.block_on(async { polls.add() }))),
            ("another's", panic_of(|| second.block_on(async { polls.add() }))),
            ("turn", panic_of(|| runtime.turn())),
            ("turn_now", panic_of(|| second.turn_now())),
        ];
        for (index, (what, text)) in refused.iter().enumerate() {
            let inner = format!("{file}:{}:", line + 2 + index as u32);
            assert!(text.contains(&outer) && text.contains(&inner), "{what}: {text}");
        }
    });
    assert_eq!(polls.get(), 0);
    assert_whole(&runtime);
    assert_whole(&second);
}

#[test]
fn callbacks_and_destructors_cannot_run_the_loop_either() {
    let runtime = Rc::new(virtual_runtime());
    let inner = runtime.clone();
    let refused = Rc::new(Cell::new(0));
    let (soon, late) = (refused.clone(), refused.clone());
    let (first, second) = (inner.clone(), inner);
    runtime.enter(|| {
        call_soon(move || {
            assert!(first.try_block_on(async {}).is_err());
            soon.set(soon.get() + 1);
        });
        let drops = on_drop(move || {
            assert!(second.try_block_on(async {}).is_err());
            late.set(late.get() + 1);
        });
        spawn(async move { drop(drops) }).detach();
    });
    runtime.run().unwrap();
    assert_eq!(refused.get(), 2);
}

#[test]
fn run_ends_when_nothing_is_left_or_when_told() {
    let runtime = virtual_runtime();
    let beats = Rc::new(Cell::new(0));
    let count = beats.clone();
    runtime.enter(|| {
        call_soon(|| ());
        call_later(Duration::from_secs(9), move || count.set(1));
    });
    runtime.run().unwrap();
    assert_eq!(beats.get(), 1, "nothing is left, and nothing was left out");
    let count = beats.clone();
    runtime.enter(|| {
        let period = Duration::from_secs(1);
        greenroom::call_periodic(period, period, move || {
            count.set(count.get() + 1);
            if count.get() == 5 {
                stop();
            }
        })
    });
    runtime.run().unwrap();
    assert_eq!(beats.get(), 5);
    let forever = runtime.spawn(pending::<()>());
    runtime.enter(|| call_later(Duration::from_millis(1500), stop));
    runtime.run().unwrap();
    assert_eq!(beats.get(), 6, "the beat goes on in the next run");
    drop(forever);
}

#[test]
fn run_says_which_tasks_it_leaves_waiting() {
    let runtime = Runtime::new().unwrap();
    let _waits = runtime.enter(|| greenroom::spawn_named("waits", pending::<()>()));
    let BlockOnError::Stalled(stalled) = runtime.run().unwrap_err() else {
        panic!("a task waits for ever");
    };
    assert_eq!(stalled.tasks[0].name.as_deref(), Some("waits"));
    assert!(stalled.to_string().contains("\"waits\""));
}

#[test]
fn turns_say_exactly_what_they_did() {
    let runtime = virtual_runtime();
    assert_eq!(numbers(runtime.turn_now()), (0, 0, 0, 0, true));
    let nap = runtime.spawn(async {
        sleep(Duration::from_secs(5)).await;
        yield_now().await;
    });
    runtime.enter(|| call_soon(|| ()));
    assert_eq!(numbers(runtime.turn_now()), (2, 0, 0, 0, false));
    assert_eq!(numbers(runtime.turn_now()), (0, 0, 0, 0, false), "time stands still");
    assert_eq!(numbers(runtime.turn()), (0, 0, 0, 0, false), "time jumps in step 3");
    assert_eq!(numbers(runtime.turn()), (0, 1, 0, 0, false));
    assert_eq!(numbers(runtime.turn()), (1, 0, 0, 0, false), "it yields");
    assert_eq!(numbers(runtime.turn()), (1, 0, 0, 0, true));
    assert!(nap.is_finished());
    drop(nap);
    let handle = runtime.handle();
    handle.call_soon_threadsafe(|| ()).unwrap();
    assert_eq!(numbers(runtime.turn_now()), (0, 0, 0, 2, false));
    assert_eq!(numbers(runtime.turn_now()), (1, 0, 0, 0, false), "a handle exists");
    drop(handle);
    assert_eq!(numbers(runtime.turn_now()), (0, 0, 0, 1, true));
}

#[test]
fn a_turn_reports_sockets_that_became_ready() {
    let runtime = Runtime::new().unwrap();
    let (near, far) = support::tcp_pair();
    let reads = runtime.spawn(async move {
        let near = greenroom::net::TcpStream::from_std(near).unwrap();
        near.read(&mut [0; 8]).await.unwrap()
    });
    // Step 3 of the first turn already reports that the new socket is ready to write.
    assert_eq!(numbers(runtime.turn_now()), (1, 0, 1, 0, false));
    std::io::Write::write_all(&mut &far, b"four").unwrap();
    assert_eq!(numbers(runtime.turn()), (0, 0, 1, 0, false));
    assert_eq!(runtime.turn_now().ran, 1);
    assert_eq!(runtime.block_on(reads).unwrap(), 4);
}

#[test]
fn a_busy_loop_looks_at_the_world_once_in_64_polls() {
    let runtime = virtual_runtime();
    let fired = Rc::new(Cell::new(false));
    let is_fired = fired.clone();
    let polls = runtime.block_on(async move {
        call_later(Duration::ZERO, move || is_fired.set(true));
        let mut polls = 1;
        while !fired.get() {
            yield_now().await;
            polls += 1;
        }
        polls
    });
    assert_eq!(polls, 65, "the timer was due all the time");
}
