//! Where there is no waiting: each refusal with its words, and that the next wait works.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{BufWriter, Write};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use green::CannotWait;
use greenroom::{call_soon, green, sleep, yield_now};

use super::support::{on_drop, panic_of, virtual_runtime};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn there_is_no_waiting_where_there_is_no_green_thread() {
    let refused = || {
        assert_eq!(green::try_wait(sleep(SECOND)), Err(CannotWait::NoGreenThread));
        assert_eq!((green::stack_bytes(), green::stack_high_water()), (None, None));
        assert_eq!(panic_of(green::yield_now), CannotWait::NoGreenThread.to_string());
    };
    let text =
        "this is not a green thread: wait inside of `green::spawn(|| …)`, or `.await` the future in a task";
    assert_eq!(panic_of(|| green::wait(yield_now())), text);
    let runtime = virtual_runtime();
    runtime.enter(refused);
    let called = Rc::new(Cell::new(false));
    let is_called = called.clone();
    runtime.block_on(async move {
        refused();
        call_soon(move || {
            refused();
            is_called.set(true);
        });
        yield_now().await;
        // Between the polls of one that waits this is still a task.
        let thread = green::spawn(|| green::sleep(SECOND));
        yield_now().await;
        refused();
        thread.await.unwrap();
    });
    assert!(called.get());
    assert!(std::io::Error::from(CannotWait::NoGreenThread).to_string().contains("not a green thread"));
}

#[test]
fn there_is_no_waiting_inside_a_polled_future_nor_inside_a_call_of_the_runtime() {
    let runtime = virtual_runtime();
    let other = virtual_runtime();
    runtime.block_on(green::future(move || {
        let refused = async { green::try_wait(yield_now()) };
        assert_eq!(green::wait(refused), Err(CannotWait::InsideFuture));
        let text = panic_of(|| green::wait(async { green::sleep(SECOND) }));
        assert_eq!(text, "a green thread cannot wait inside of a future that it polls: use `.await` there");
        green::yield_now();
        assert_eq!(other.enter(|| green::try_wait(yield_now())), Err(CannotWait::InsideRuntime));
        let text = panic_of(|| other.enter(green::yield_now));
        assert_eq!(
            text,
            "a green thread cannot wait inside of `Runtime::enter`, an observer, a set of futures that is polled \
             by hand or the `Ord` of a queue's item: leave that first"
        );
        green::sleep(SECOND);
        // A thread of its own may wait wherever it is polled.
        assert_eq!(
            green::wait(green::future(|| {
                green::sleep(SECOND);
                5
            })),
            5
        );
    }));
}

/// What `try_wait` said.
type Answers = Rc<RefCell<Vec<Result<(), CannotWait>>>>;

/// Notes what `try_wait` says in a destructor.
fn asks(answers: &Answers) -> impl Drop + use<> {
    let answers = answers.clone();
    on_drop(move || {
        let answer = green::try_wait(yield_now());
        answers.borrow_mut().push(answer);
    })
}

#[test]
fn there_is_no_waiting_while_unwinding_and_there_is_afterwards() {
    let runtime = virtual_runtime();
    let answers = Answers::default();
    let by_panic = answers.clone();
    runtime.block_on(green::future(move || {
        drop(asks(&by_panic));
        let text = panic_of(|| {
            let _asks = asks(&by_panic);
            panic!("up")
        });
        assert_eq!(text, "up");
        green::sleep(SECOND);
        let text = panic_of(|| {
            let _waits = on_drop(|| {
                let refused = panic_of(green::yield_now);
                assert_eq!(refused, CannotWait::Unwinding.to_string());
            });
            panic!("again")
        });
        assert_eq!(text, "again");
        drop(asks(&by_panic));
    }));
    let by_cancel = answers.clone();
    let mut parked = Box::pin(green::future(move || {
        let _asks = asks(&by_cancel);
        green::sleep(SECOND);
    }));
    runtime.block_on(async { assert!(futures::poll!(&mut parked).is_pending()) });
    drop(parked);
    let refused = Err(CannotWait::Unwinding);
    assert_eq!(answers.take(), [Ok(()), refused, Ok(()), refused]);
    assert_eq!(
        CannotWait::Unwinding.to_string(),
        "this green thread is unwinding, by a panic or because it was cancelled, and cannot wait: let the \
         destructor spawn a task for what is left to do"
    );
}

#[test]
fn destructors_may_ask_while_a_panic_elsewhere_cancels_them() {
    let answers = Answers::default();
    let (nested, at_end) = (answers.clone(), answers.clone());
    let runtime = virtual_runtime();
    // A thread that is unwound by a panic, and drops another one.
    runtime.block_on(green::future(move || {
        panic_of(|| {
            let mut inner = Box::pin(green::future(move || {
                let _asks = asks(&nested);
                // Flushes what it has when it is dropped.
                let (near, _far) = greenroom::io::duplex(8);
                let mut writer = BufWriter::new(green::StdIo::new(near));
                writer.write_all(b"never sent").unwrap();
                green::sleep(SECOND);
            }));
            green::wait(poll_fn(|context| {
                assert!(inner.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            }));
            panic!("with another one inside")
        });
        green::sleep(SECOND);
    }));
    // A loop that ends by a panic.
    let text = panic_of(AssertUnwindSafe(move || {
        let body = move || {
            let _asks = asks(&at_end);
            green::sleep(SECOND);
        };
        runtime.enter(|| green::spawn(body).detach());
        runtime.turn_now();
        let _runtime = runtime;
        panic!("with a runtime")
    }));
    assert_eq!(text, "with a runtime");
    assert_eq!(answers.take(), [Err(CannotWait::Unwinding); 2]);
    assert!(!std::thread::panicking());
}

#[test]
fn threads_wait_in_a_loop_that_a_destructor_runs_while_unwinding() {
    let text = panic_of(|| {
        let _late = on_drop(|| {
            let runtime = virtual_runtime();
            let thread = runtime.enter(|| {
                green::spawn(|| {
                    green::sleep(SECOND);
                    7
                })
            });
            assert_eq!(runtime.block_on(thread).unwrap(), 7);
        });
        panic!("outside")
    });
    assert_eq!(text, "outside");
}
