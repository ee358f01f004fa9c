//! Panics in green threads: caught inside, carried out, refused waits, destructors that panic at the worst time.
//!
//! What ends the process runs in a child. Run one with `cargo test --test green_panics name`.

#[path = "support/io/child.rs"]
mod child;
#[path = "support/core/dying.rs"]
mod dying;
#[path = "support/core/mod.rs"]
mod support;

#[path = "support/green/refused.rs"]
mod refused;

use std::future::pending;
use std::panic::{catch_unwind, panic_any, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use child::in_child;
use dying::death_of;
use green::CannotWait;
use greenroom::{Runtime, green, sleep, yield_now};
use support::{Bomb, Tally, assert_whole, keep_log, logged, on_drop, panic_of, panic_text, virtual_runtime};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_panic_is_the_join_error_with_its_payload() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let error = green::spawn(|| panic!("boo")).await.unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.to_string(), format!("{} panicked: boo", error.task().unwrap()));
        let thread = green::spawn(|| {
            green::sleep(SECOND);
            panic_any(17_u64)
        });
        let error = green::spawn(move || green::join(thread)).await.unwrap().unwrap_err();
        assert_eq!(error.try_into_panic().unwrap().downcast_ref(), Some(&17_u64));
    });
    assert_whole(&runtime);
}

#[test]
fn one_that_nobody_awaits_is_logged_once_with_its_name_and_place() {
    keep_log();
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let line = line!() + 1;
        green::spawn_named("lost", || panic!("gone")).detach();
        let seen = green::spawn_named("seen", || panic!("told"));
        sleep(SECOND).await;
        assert!(seen.await.unwrap_err().is_panic());
        let lines = logged();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let place = format!("{}:{line}:", file!());
        assert!(["\"lost\"", "gone", &place].iter().all(|part| lines[0].contains(part)), "{lines:?}");
    });
}

#[test]
fn a_panic_comes_out_of_block_on_and_a_task_and_a_foreign_executor() {
    let runtime = virtual_runtime();
    let body = || {
        green::yield_now();
        panic!("out")
    };
    assert_eq!(panic_of(|| runtime.block_on(green::future(body))), "out");
    let task = runtime.spawn(green::future(body));
    assert!(runtime.block_on(task).unwrap_err().to_string().ends_with(" panicked: out"));
    assert_eq!(panic_of(|| futures::executor::block_on(green::future(|| panic!("away")))), "away");
    assert_whole(&runtime);
}

#[test]
fn a_future_that_is_polled_after_its_end_says_so() {
    let runtime = virtual_runtime();
    let mut returned = Box::pin(green::future(|| 1));
    assert_eq!(runtime.block_on(&mut returned), 1);
    let text = "a green thread was polled after its end";
    assert_eq!(panic_of(|| runtime.block_on(&mut returned)), text);
    let mut panicked = Box::pin(green::future(|| panic!("first")));
    assert_eq!(panic_of(|| runtime.block_on(&mut panicked)), "first");
    assert_eq!(panic_of(|| runtime.block_on(&mut panicked)), text);
}

#[test]
fn panics_are_caught_inside_with_waits_between() {
    let runtime = virtual_runtime();
    let drops = Tally::new();
    let counted = drops.clone();
    let thread = runtime.enter(|| {
        green::spawn(move || {
            for round in 0..10 {
                let text = panic_of(|| {
                    let _token = counted.token();
                    green::sleep(SECOND);
                    panic!("round {round}")
                });
                assert_eq!(text, format!("round {round}"));
                green::yield_now();
            }
            // Out of a future that is polled; the next wait knows that this poll is over.
            let text = panic_of(|| green::wait(async { panic!("in a future") }));
            assert_eq!(text, "in a future");
            green::sleep(SECOND);
            counted.get()
        })
    });
    assert_eq!(runtime.block_on(thread).unwrap(), 10);
}

#[test]
fn other_threads_run_on_while_one_is_between_two_panics() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let threads: Vec<_> = (0..5_u64)
            .map(|number| {
                green::spawn(move || {
                    let mut texts = Vec::new();
                    for round in 0..4 {
                        green::sleep(SECOND);
                        texts.push(panic_of(|| {
                            green::yield_now();
                            panic!("{number}.{round}")
                        }));
                        assert!(!std::thread::panicking());
                    }
                    texts.join(" ")
                })
            })
            .collect();
        for (number, thread) in threads.into_iter().enumerate() {
            let expected = (0..4).map(|round| format!("{number}.{round}")).collect::<Vec<_>>().join(" ");
            assert_eq!(thread.await.unwrap(), expected);
        }
    });
}

#[test]
fn a_panic_after_the_cancellation_is_the_join_error() {
    keep_log();
    let runtime = virtual_runtime();
    let body = || {
        let payload = catch_unwind(|| green::sleep(SECOND)).unwrap_err();
        assert!(payload.is::<green::Cancellation>());
        panic!("on second thoughts")
    };
    runtime.block_on(async {
        let mut thread = green::spawn(body);
        yield_now().await;
        thread.cancel();
        let error = thread.await.unwrap_err();
        assert!(error.is_panic() && error.to_string().ends_with("panicked: on second thoughts"), "{error}");
        let mut thread = green::spawn(body);
        yield_now().await;
        assert!(thread.cancel().await.is_none());
        let lines = logged();
        assert!(lines.len() == 1 && lines[0].contains("on second thoughts"), "{lines:?}");
        let mut future = Box::pin(green::future(body));
        assert!(futures::poll!(&mut future).is_pending());
        assert_eq!(panic_of(|| drop(future)), "on second thoughts");
    });
    assert_whole(&runtime);
}

#[test]
fn values_and_payloads_that_panic_when_dropped_harm_nobody() {
    keep_log();
    let runtime = virtual_runtime();
    runtime.block_on(async {
        green::spawn(|| panic_any(Bomb("payload"))).detach();
        green::spawn(|| Bomb("value")).detach();
        let mut late = green::spawn(|| {
            let _ = catch_unwind(|| green::sleep(SECOND));
            Bomb("too late")
        });
        yield_now().await;
        late.cancel();
        let error = late.await.map(drop).unwrap_err();
        assert!(error.to_string().ends_with("panicked: too late"), "{error}");
        let captured = Bomb("captured");
        let mut fresh = green::spawn(move || drop(captured));
        fresh.cancel();
        let error = fresh.await.unwrap_err();
        assert!(error.to_string().ends_with("panicked: captured"), "{error}");
    });
    assert_whole(&runtime);
}

#[test]
fn the_panic_hook_hears_of_panics_and_not_of_cancellation() {
    in_child("the_panic_hook_hears_of_panics_and_not_of_cancellation", || {
        static HEARD: AtomicUsize = AtomicUsize::new(0);
        std::panic::set_hook(Box::new(|info| {
            // A wait in the hook is refused like one in a destructor.
            if green::stack_bytes().is_some() {
                assert_eq!(green::try_wait(yield_now()), Err(CannotWait::Unwinding), "{info}");
            }
            HEARD.fetch_add(1, Ordering::SeqCst);
        }));
        let runtime = virtual_runtime();
        runtime.block_on(async {
            let mut cancelled = green::spawn(|| green::sleep(SECOND));
            yield_now().await;
            assert_eq!(cancelled.cancel().await, None);
            assert_eq!(HEARD.load(Ordering::SeqCst), 0);
            green::spawn(|| panic!("heard")).await.unwrap_err();
            let passed_on = green::spawn(|| resume_unwind(catch_unwind(|| panic!("once")).unwrap_err()));
            assert_eq!(panic_text(passed_on.await.unwrap_err().try_into_panic().unwrap()), "once");
        });
        assert_eq!(HEARD.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_destructor_that_panics_while_its_stack_is_cancelled_ends_the_process() {
    let name = "a_destructor_that_panics_while_its_stack_is_cancelled_ends_the_process";
    let said = death_of(name, libc::SIGABRT, || {
        let runtime = Runtime::new().unwrap();
        runtime.enter(|| {
            green::spawn(|| {
                let _fatal = on_drop(|| panic!("my last words"));
                green::wait(pending::<()>());
            })
            .detach();
        });
        runtime.turn_now();
    });
    assert!(
        said.contains("my last words") && said.contains("panic in a destructor during cleanup"),
        "{said}"
    );
}

#[test]
fn a_wait_in_a_destructor_during_a_panic_ends_the_process() {
    let name = "a_wait_in_a_destructor_during_a_panic_ends_the_process";
    let said = death_of(name, libc::SIGABRT, || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(green::future(|| {
            let _fatal = on_drop(green::yield_now);
            panic!("the first panic")
        }));
    });
    let parts =
        ["the first panic", "let the destructor spawn a task", "panic in a destructor during cleanup"];
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}
