//! `green::Local`: a value for each green thread, made when it is first asked for, dropped after the end.
//!
//! Run one with `cargo test --test green_locals name`.

#[path = "support/core/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use greenroom::{green, sleep, spawn, yield_now};
use support::{panic_of, virtual_runtime};

const SECOND: Duration = Duration::from_secs(1);

/// A number of its own.
static NUMBER: green::Local<Cell<u32>> = green::Local::new(|| Cell::new(0));

thread_local! {
    /// What the makers and destructors below did on this thread.
    static DIARY: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

fn note(text: &'static str) {
    DIARY.with_borrow_mut(|diary| diary.push(text));
}

/// Notes its drop.
struct Noted(&'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        note(self.0);
        // By now there is no green thread any more.
        assert!(NUMBER.try_with(|_| ()).is_none());
    }
}

static FIRST: green::Local<Noted> = green::Local::new(|| {
    note("makes first");
    Noted("first")
});

static SECOND_ONE: green::Local<Noted> = green::Local::new(|| {
    note("makes second");
    Noted("second")
});

#[test]
fn each_thread_has_its_own_and_keeps_it_while_it_waits() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let threads: Vec<_> = (1..=10)
            .map(|number| {
                green::spawn(move || {
                    for _ in 0..number {
                        green::sleep(SECOND);
                        NUMBER.with(|own| own.set(own.get() + 1));
                    }
                    NUMBER.with(Cell::get)
                })
            })
            .collect();
        for (thread, number) in threads.into_iter().zip(1..) {
            assert_eq!(thread.await.unwrap(), number);
        }
    });
}

#[test]
fn it_is_made_once_and_dropped_after_the_end_in_the_order_of_making() {
    let runtime = virtual_runtime();
    let body = || {
        let _end = support::on_drop(|| {
            SECOND_ONE.with(|_| ());
            note("end");
        });
        SECOND_ONE.with(|_| ());
        green::yield_now();
        for _ in 0..2 {
            FIRST.with(|_| SECOND_ONE.with(|_| ()));
        }
        green::sleep(SECOND);
    };
    let expected = ["makes second", "makes first", "end", "second", "first"];
    runtime.block_on(green::future(body));
    assert_eq!(DIARY.take(), expected);
    runtime.block_on(async {
        let mut cancelled = green::spawn(body);
        yield_now().await;
        yield_now().await;
        cancelled.cancel().await;
    });
    assert_eq!(DIARY.take(), expected, "it is there while the stack is unwound");
    runtime.block_on(async {
        let panics = green::spawn(|| {
            FIRST.with(|_| ());
            panic!("boo")
        });
        assert!(panics.await.is_err());
    });
    assert_eq!(DIARY.take(), ["makes first", "first"]);
}

#[test]
fn who_asks_for_it_while_it_is_being_made_makes_the_one_that_stays() {
    static DEPTH: green::Local<Cell<u32>> = green::Local::new(|| Cell::new(0));
    static LOCAL: green::Local<u32> = green::Local::new(|| {
        let depth = DEPTH.with(|depth| depth.replace(depth.get() + 1));
        if depth < 3 {
            assert_eq!(LOCAL.with(|value| *value), 3);
        }
        depth
    });
    let runtime = virtual_runtime();
    assert_eq!(runtime.block_on(green::future(|| (LOCAL.with(|v| *v), LOCAL.with(|v| *v)))), (3, 3));
}

#[test]
fn one_may_wait_with_it_in_hand_and_while_it_is_made() {
    static SLOW: green::Local<Cell<u32>> = green::Local::new(|| {
        green::sleep(SECOND);
        Cell::new(1)
    });
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let threads: Vec<_> = (0..5)
            .map(|number| {
                green::spawn(move || {
                    SLOW.with(|value| {
                        green::sleep(number * SECOND);
                        value.set(value.get() + number);
                        NUMBER.with(|own| own.set(number));
                        green::yield_now();
                    });
                    (SLOW.with(Cell::get), NUMBER.with(Cell::get))
                })
            })
            .collect();
        for (thread, number) in threads.into_iter().zip(0..) {
            assert_eq!(thread.await.unwrap(), (1 + number, number));
        }
    });
}

#[test]
fn there_is_none_outside_of_green_threads() {
    let none = || {
        assert_eq!(NUMBER.try_with(Cell::get), None);
        let text = panic_of(|| NUMBER.with(Cell::get));
        assert_eq!(text, "this is not a green thread, so it has no local of one; use `try_with` to ask");
    };
    none();
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let waits = green::spawn(|| {
            NUMBER.with(|own| own.set(1));
            green::sleep(SECOND);
        });
        yield_now().await;
        none();
        waits.await.unwrap();
    });
}

#[test]
fn a_future_that_is_awaited_in_a_thread_has_its_own_and_plain_futures_have_the_threads() {
    let runtime = virtual_runtime();
    runtime.block_on(green::future(|| {
        NUMBER.with(|own| own.set(1));
        let inner = green::future(|| {
            assert_eq!(NUMBER.with(Cell::get), 0);
            NUMBER.with(|own| own.set(2));
            green::sleep(SECOND);
            NUMBER.with(Cell::get)
        });
        let plain = async {
            sleep(SECOND).await;
            NUMBER.with(Cell::get)
        };
        assert_eq!(green::wait(greenroom::join(inner, plain)), (2, 1));
        let task = spawn(async { NUMBER.try_with(Cell::get) });
        assert_eq!(green::join(task).unwrap(), None);
        assert_eq!(NUMBER.with(Cell::get), 1);
    }));
}

#[test]
fn a_thread_that_is_polled_by_hand_finds_its_values() {
    let runtime = virtual_runtime();
    let mut thread = Box::pin(green::future(|| {
        for number in 1..=4 {
            NUMBER.with(|own| own.set(own.get() + number));
            green::yield_now();
        }
        NUMBER.with(Cell::get)
    }));
    runtime.block_on(async {
        for _ in 0..4 {
            assert!(futures::poll!(&mut thread).is_pending());
        }
        assert_eq!(thread.await, 10);
    });
}

#[test]
fn a_value_whose_destructor_panics_is_the_threads_error() {
    struct Unlucky;
    impl Drop for Unlucky {
        fn drop(&mut self) {
            panic!("at the very end");
        }
    }
    static UNLUCKY: green::Local<Unlucky> = green::Local::new(|| Unlucky);
    let runtime = virtual_runtime();
    let error = runtime.block_on(async {
        green::spawn(|| {
            UNLUCKY.with(|_| ());
            FIRST.with(|_| ());
        })
        .await
        .unwrap_err()
    });
    assert!(error.to_string().ends_with("panicked: at the very end"), "{error}");
    assert_eq!(DIARY.take(), ["makes first", "first"], "the others are dropped all the same");
}
