//! Panics everywhere: in polls, destructors, outputs, payloads, callbacks. Each stays where it
//! happened, is told to whoever awaits, and is logged if nobody does.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::panic_any;
use std::rc::Rc;
use std::time::Duration;

use greenroom::{CallHandle, Runtime, call_later, call_periodic, call_soon, spawn, spawn_named, yield_now};

use super::support::{
    Bomb, Tally, assert_whole, keep_log, logged, on_drop, panic_of, panic_text, virtual_runtime,
};

#[test]
fn a_panic_becomes_the_tasks_error_with_its_payload() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let error = spawn(async { panic!("boo") }).await.unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.to_string(), format!("{} panicked: boo", error.task().unwrap()));
        assert_eq!(error.try_into_panic().unwrap().downcast_ref(), Some(&"boo"));

        let number = 5;
        let error = spawn(async move { panic!("number {number}") }).await.unwrap_err();
        assert!(error.to_string().ends_with(" panicked: number 5"));
        assert_eq!(panic_text(error.try_into_panic().unwrap()), "number 5");

        let error = spawn(async { panic_any(17_u64) }).await.unwrap_err();
        assert!(error.to_string().ends_with(" panicked: a value that is not text"));
        assert_eq!(error.try_into_panic().unwrap().downcast_ref(), Some(&17_u64));
    });
}

#[test]
fn an_unobserved_panic_is_logged_with_the_tasks_name_and_an_observed_one_is_not() {
    keep_log();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        spawn_named("seen", async { panic!("one") }).await.unwrap_err();
        let line = line!() + 1;
        let lost = spawn_named("lost", async { panic!("two") });
        let id = lost.id();
        lost.detach();
        yield_now().await;
        let file = file!();
        let lines = logged();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let (start, place) = (format!("ERROR: {id} panicked: two"), format!("{file}:{line}:"));
        assert!(lines[0].starts_with(&start) && lines[0].contains(&place), "{lines:?}");
        assert!(lines[0].contains("\"lost\""), "{lines:?}");
        let late = spawn_named("late", async { panic!("three") });
        yield_now().await;
        assert_eq!(logged(), [""; 0], "the handle may still ask");
        drop(late);
        assert!(logged()[0].contains("three"));
    });
}

#[test]
fn a_panic_while_the_future_is_dropped_becomes_the_tasks_error() {
    let runtime = Runtime::new().unwrap();
    let drops = Tally::new();
    let token = drops.token();
    runtime.block_on(async move {
        let returns = spawn(ReadyWith(Some(token), Bomb("in the fields")));
        let error = returns.await.map(|_| ()).unwrap_err();
        assert!(error.to_string().ends_with("panicked: in the fields"));

        let mut cancelled = spawn(async {
            let _bomb = Bomb("while cancelled");
            pending::<()>().await
        });
        yield_now().await;
        cancelled.cancel();
        let error = cancelled.await.unwrap_err();
        assert!(error.to_string().ends_with("panicked: while cancelled"));
    });
    assert_eq!(drops.get(), 1, "the value of a task that ended in a panic is dropped");
    assert_whole(&runtime);
}

/// Ready at once with its first field; its second is dropped with the future.
struct ReadyWith<T: Unpin>(Option<T>, #[allow(unused)] Bomb);

impl<T: Unpin> Future for ReadyWith<T> {
    type Output = T;

    fn poll(mut self: std::pin::Pin<&mut Self>, _context: &mut std::task::Context<'_>) -> std::task::Poll<T> {
        std::task::Poll::Ready(self.0.take().unwrap())
    }
}

#[test]
fn awaiting_a_cancel_gives_none_for_a_panic_and_logs_it() {
    keep_log();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut task = spawn(async {
            let _bomb = Bomb("no way");
            pending::<()>().await
        });
        yield_now().await;
        assert_eq!(task.cancel().await, None);
    });
    assert!(logged()[0].ends_with("panicked: no way while it was being cancelled"));
}

#[test]
fn a_panic_while_an_unwanted_output_is_dropped_is_logged() {
    keep_log();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        spawn(async { Bomb("first") }).detach();
        let kept = spawn(async { Bomb("second") });
        yield_now().await;
        drop(kept);
    });
    let lines = logged();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with("panicked: first") && lines[1].ends_with("panicked: second"));
    assert_whole(&runtime);
}

/// Panics with a value that panics when dropped.
async fn throws(text: &'static str) {
    panic_any(Bomb(text))
}

#[test]
fn a_payload_that_panics_when_dropped_harms_nobody() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        spawn(throws("payload")).detach();
        yield_now().await;
        let error = spawn(throws("mine")).await.unwrap_err();
        assert_eq!(panic_of(|| drop(error)), "mine", "who holds the error drops its payload");
    });
    assert_whole(&runtime);
}

#[test]
fn a_future_whose_poll_and_drop_both_panic_ends_with_the_first() {
    let runtime = Runtime::new().unwrap();
    let error = runtime.block_on(async {
        let both = std::future::poll_fn({
            let bomb = on_drop(|| panic!("second"));
            move |_| -> std::task::Poll<()> {
                let _keep = &bomb;
                panic!("first")
            }
        });
        spawn(both).await.unwrap_err()
    });
    assert!(error.to_string().ends_with("panicked: first"), "{error}");
    assert_whole(&runtime);
}

#[test]
fn a_task_that_panics_does_not_keep_its_generation_from_running() {
    let runtime = Runtime::new().unwrap();
    let ran = Rc::new(Cell::new(0));
    for number in 0..9 {
        let ran = ran.clone();
        runtime
            .spawn(async move {
                ran.set(ran.get() + 1);
                assert!(number % 2 == 0, "odd");
            })
            .detach();
    }
    runtime.turn_now();
    assert_eq!(ran.get(), 9);
}

/// Ten tasks that must all run in the turn in which something panics beside them.
fn bystanders(runtime: &Runtime) -> Rc<Cell<usize>> {
    let ran = Rc::new(Cell::new(0));
    for _ in 0..10 {
        let ran = ran.clone();
        runtime.enter(|| spawn(async move { ran.set(ran.get() + 1) }).detach());
    }
    ran
}

#[test]
fn a_callback_that_panics_is_logged_with_its_place() {
    keep_log();
    let runtime = virtual_runtime();
    let line = line!() + 1;
    runtime.enter(|| call_soon(|| panic!("soon")));
    runtime.enter(|| call_later(Duration::from_secs(1), || panic!("later")));
    let ran = bystanders(&runtime);
    runtime.run().unwrap();
    assert_eq!(ran.get(), 10);
    let lines = logged();
    let place = format!("{}:{line}:", file!());
    assert!(lines[0].contains(&place) && lines[0].ends_with("panicked: soon"), "{lines:?}");
    assert!(lines[1].ends_with("panicked: later"), "{lines:?}");
}

#[test]
fn a_closure_whose_drop_panics_leaves_the_loop_whole() {
    for way in ["once", "cancelled by itself", "cancelled"] {
        let runtime = virtual_runtime();
        let bomb = Bomb("closure");
        let shelf: Rc<RefCell<Option<CallHandle>>> = Rc::default();
        let own = shelf.clone();
        let handle = runtime.enter(|| match way {
            "once" => call_later(Duration::from_secs(1), move || drop(bomb)),
            _ => call_periodic(Duration::from_secs(1), Duration::from_secs(1), move || {
                let _keep = &bomb;
                if let Some(handle) = own.borrow().as_ref() {
                    handle.cancel();
                }
            }),
        });
        match way {
            "cancelled by itself" => *shelf.borrow_mut() = Some(handle),
            "cancelled" => handle.cancel(),
            _ => {}
        }
        // Due together with the bomb, and after it.
        let later = Rc::new(Cell::new(false));
        let is_later = later.clone();
        runtime.enter(|| call_later(Duration::from_secs(1), move || is_later.set(true)));
        let ran = bystanders(&runtime);
        runtime.run().unwrap();
        assert_eq!((ran.get(), later.get()), (10, true), "{way}");
        assert_whole(&runtime);
    }
}
