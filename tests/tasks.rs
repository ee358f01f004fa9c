//! The life of a task: spawn, poll, await, cancel, detach, and what is dropped when.
//!
//! Panics, the order of turns and forgotten handles have files of their own beside `support/core/`.
//! Run one with `cargo test --test tasks name`; tests that leak on purpose are in `forgotten`.

#[path = "support/core/mod.rs"]
mod support;

#[path = "support/core/forgotten.rs"]
mod forgotten;
#[path = "support/core/task_list.rs"]
mod list;
#[path = "support/core/task_order.rs"]
mod order;
#[path = "support/core/task_panics.rs"]
mod panics;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use greenroom::{JoinHandle, Runtime, current_task, spawn, spawn_named, yield_now};
use support::{Tally, panic_of, virtual_runtime};

/// A place for a handle that its own task can reach.
type Shelf<T> = Rc<RefCell<Option<JoinHandle<T>>>>;

#[test]
fn a_handle_gives_the_tasks_value() {
    let runtime = Runtime::new().unwrap();
    let text = runtime.block_on(async {
        let inner = spawn(async { String::from("value") });
        inner.await.unwrap()
    });
    assert_eq!(text, "value");
}

#[test]
fn a_task_knows_its_name_its_place_and_its_id() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let line = line!() + 1;
        let named = spawn_named("the one", async { current_task() });
        assert_eq!(named.name(), Some("the one"));
        assert_eq!((named.location().file(), named.location().line()), (file!(), line));
        let id = named.id();
        assert_eq!(format!("{named:?}"), format!("JoinHandle({id} \"the one\")"));
        assert_eq!(named.await.unwrap(), Some(id));
        let nameless = spawn(async {});
        assert_eq!(nameless.name(), None);
        assert_ne!(nameless.id(), id, "an id is never given twice");
        nameless.await.unwrap();
    });
    assert_eq!(current_task(), None);
    assert_eq!(runtime.enter(current_task), None);
}

#[test]
fn a_task_is_polled_first_in_the_next_turn_and_only_when_woken() {
    let runtime = Runtime::new().unwrap();
    let polls = Rc::new(Cell::new(0));
    let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
    let (counted, kept) = (polls.clone(), waker.clone());
    let handle = runtime.spawn(poll_fn(move |context| {
        counted.set(counted.get() + 1);
        *kept.borrow_mut() = Some(context.waker().clone());
        if counted.get() == 4 { Poll::Ready(()) } else { Poll::Pending }
    }));
    assert_eq!(polls.get(), 0);
    for _ in 0..3 {
        runtime.turn_now();
        assert_eq!(polls.get(), 1, "nobody woke it");
    }
    let wake = || runtime.enter(|| waker.borrow().as_ref().unwrap().wake_by_ref());
    wake();
    wake();
    runtime.turn_now();
    runtime.turn_now();
    assert_eq!(polls.get(), 2, "two wakes before its turn are one turn");
    wake();
    runtime.turn_now();
    wake();
    runtime.turn_now();
    assert_eq!(polls.get(), 4);
    assert!(handle.is_finished());
    wake();
    assert_eq!(runtime.turn_now().ran, 0, "a wake after the end does nothing");
}

#[test]
fn a_wake_while_running_gives_one_more_turn() {
    let runtime = Runtime::new().unwrap();
    let polls = Rc::new(Cell::new(0));
    let counted = polls.clone();
    let handle = runtime.spawn(poll_fn(move |context| {
        counted.set(counted.get() + 1);
        if counted.get() == 3 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        context.waker().wake_by_ref();
        Poll::Pending
    }));
    for expected in [1, 2, 3, 3] {
        runtime.turn_now();
        assert_eq!(polls.get(), expected);
    }
    assert!(handle.is_finished());
}

#[test]
fn a_parked_and_a_queued_task_are_dropped_unpolled_when_cancelled() {
    let runtime = Runtime::new().unwrap();
    let (polls, drops) = (Tally::new(), Tally::new());
    let make = || {
        let (polls, token) = (polls.clone(), drops.token());
        runtime.spawn(async move {
            let _token = token;
            polls.add();
            pending::<()>().await
        })
    };
    let mut parked = make();
    runtime.turn_now();
    let mut queued = make();
    runtime.enter(|| {
        parked.cancel();
        queued.cancel();
        queued.cancel();
    });
    assert_eq!(drops.get(), 0, "the future is dropped when its turn comes, not before");
    runtime.turn_now();
    assert_eq!((polls.get(), drops.get()), (1, 2));
    assert!(parked.is_finished() && queued.is_finished());
    runtime.block_on(async {
        assert_eq!(parked.cancel().await, None);
        let error = queued.await.unwrap_err();
        assert!(error.is_cancelled() && !error.is_panic());
        assert_eq!(error.to_string(), format!("{} was cancelled", error.task().unwrap()));
        assert_eq!(format!("{error:?}"), format!("JoinError({error})"));
        assert!(error.try_into_panic().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_running_task_that_cancels_itself_ends_with_that_poll() {
    let runtime = Runtime::new().unwrap();
    let after = Rc::new(Cell::new(false));
    let shelf: Shelf<i32> = Rc::default();
    let (own, went_on) = (shelf.clone(), after.clone());
    *shelf.borrow_mut() = Some(runtime.spawn(async move {
        own.borrow_mut().as_mut().unwrap().cancel();
        yield_now().await;
        went_on.set(true);
        1
    }));
    runtime.turn_now();
    let mut handle = shelf.take().unwrap();
    assert!(handle.is_finished(), "dropped right after the poll, although it had woken itself");
    assert_eq!(runtime.block_on(handle.cancel()), None);
    assert!(!after.get());
}

#[test]
fn a_task_that_finishes_in_spite_of_the_request_has_a_value() {
    let runtime = Runtime::new().unwrap();
    let shelf: Shelf<i32> = Rc::default();
    let own = shelf.clone();
    *shelf.borrow_mut() = Some(runtime.spawn(async move {
        own.borrow_mut().as_mut().unwrap().cancel();
        7
    }));
    runtime.turn_now();
    let mut handle = shelf.take().unwrap();
    assert_eq!(runtime.block_on(handle.cancel()), Some(7));
    let mut finished = runtime.spawn(async { 8 });
    runtime.turn_now();
    assert_eq!(runtime.block_on(async { finished.cancel().await }), Some(8));
}

#[test]
fn a_request_to_stop_needs_no_await() {
    let runtime = Runtime::new().unwrap();
    let drops = Tally::new();
    let token = drops.token();
    runtime.block_on(async {
        let mut task = spawn(async move {
            let _token = token;
            pending::<()>().await
        });
        yield_now().await;
        task.cancel();
        task.detach();
        yield_now().await;
    });
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_detached_task_runs_on() {
    let runtime = virtual_runtime();
    let done = Rc::new(Cell::new(0));
    runtime.block_on(async {
        for way in 0..2 {
            let done = done.clone();
            let task = spawn(async move {
                yield_now().await;
                done.set(done.get() + 1);
            });
            if way == 0 { drop(task) } else { task.detach() }
        }
        greenroom::sleep(std::time::Duration::from_secs(1)).await;
    });
    assert_eq!(done.get(), 2);
}

#[test]
fn an_output_is_dropped_once_whenever_the_handle_goes() {
    let runtime = Runtime::new().unwrap();
    let drops = Tally::new();
    let make = || {
        let token = drops.token();
        runtime.spawn(async move { token })
    };
    let before_start = make();
    runtime.enter(|| drop(before_start));
    runtime.turn_now();
    assert_eq!(drops.get(), 1, "nobody wants it: dropped with the task's end");

    let after_end = make();
    runtime.turn_now();
    assert_eq!(drops.get(), 1, "the handle may still ask for it");
    runtime.enter(|| drop(after_end));
    assert_eq!(drops.get(), 2);

    let from_outside = make();
    runtime.turn_now();
    drop(from_outside);
    assert_eq!(drops.get(), 2, "outside of the loop a drop is a letter");
    assert_eq!(runtime.turn_now().messages, 1);
    assert_eq!(drops.get(), 3);

    let taken = make();
    let value = runtime.block_on(taken).unwrap();
    assert_eq!(drops.get(), 3, "it is the awaiter's now");
    drop(value);
    assert_eq!(drops.get(), 4);

    let outlives = make();
    runtime.turn_now();
    drop(runtime);
    assert_eq!(drops.get(), 4);
    drop(outlives);
    assert_eq!(drops.get(), 5, "the loop is gone, its output is the handle's");
}

#[test]
fn a_task_may_drop_and_await_its_own_handle() {
    let runtime = Runtime::new().unwrap();
    let drops = Tally::new();
    let shelf: Shelf<support::Token> = Rc::default();
    let (own, token) = (shelf.clone(), drops.token());
    *shelf.borrow_mut() = Some(runtime.spawn(async move {
        let handle = own.borrow_mut().take();
        drop(handle);
        token
    }));
    runtime.turn_now();
    assert_eq!(drops.get(), 1);

    let shelf: Shelf<()> = Rc::default();
    let own = shelf.clone();
    *shelf.borrow_mut() = Some(runtime.spawn(async move {
        let handle = own.borrow_mut().take();
        handle.unwrap().await.unwrap();
    }));
    let turn = runtime.turn_now();
    assert!(turn.stalled, "it waits for itself: {turn:?}");
}

#[test]
fn a_handle_polled_after_it_gave_its_value_says_so() {
    let runtime = Runtime::new().unwrap();
    let mut handle = runtime.spawn(async { 1 });
    assert_eq!(runtime.block_on(&mut handle).unwrap(), 1);
    let id = handle.id();
    let text = panic_of(|| runtime.block_on(&mut handle));
    assert_eq!(text, format!("the handle of {id} was polled after it gave its value"));
    support::assert_whole(&runtime);
}

#[test]
fn the_newest_awaiter_of_a_handle_is_woken() {
    let runtime = Runtime::new().unwrap();
    let shelf: Rc<RefCell<JoinHandle<i32>>> = Rc::new(RefCell::new(runtime.spawn(async {
        yield_now().await;
        yield_now().await;
        6
    })));
    let awaiter = |shelf: Rc<RefCell<JoinHandle<i32>>>| {
        poll_fn(move |context| std::pin::Pin::new(&mut *shelf.borrow_mut()).poll(context))
    };
    let first = runtime.spawn(awaiter(shelf.clone()));
    let second = runtime.spawn(awaiter(shelf.clone()));
    assert_eq!(runtime.block_on(second).unwrap().unwrap(), 6);
    assert!(!first.is_finished(), "the place for the awaiter is the second one's");
}
