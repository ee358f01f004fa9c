//! How a model is run: every execution must hold, or, with a fault on, one must fail as foretold.
//!
//! Each test prints how many executions there were; `--nocapture` shows it.

#![expect(clippy::print_stdout, reason = "tests print for whoever asks with --nocapture")]

use std::any::Any;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Instant;

use crate::fault::{self, Fault};

/// What loom says when threads wait that nobody will wake.
pub(super) const DEADLOCK: &str = "deadlock";
/// What loom says when plain memory is used by two threads in no order.
pub(super) const RACE: &str = "Causality violation";
/// What loom says when an `Arc` is never dropped.
pub(super) const LEAK: &str = "Arc leaked";

/// `model` holds in every execution with at most `preemptions` forced switches.
pub(super) fn holds(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let start = Instant::now();
    let runs = Arc::new(AtomicUsize::new(0));
    explore(preemptions, &runs, model);
    let runs = runs.load(Ordering::Relaxed);
    let test = std::thread::current();
    let name = test.name().unwrap_or_default();
    println!("{name}: {runs} executions, {} ms", start.elapsed().as_millis());
    assert!(runs > 1, "nothing to explore: the threads of this model do not meet");
}

/// With `fault` on, some execution of `model` fails, and what it says contains `message`.
pub(super) fn fails(
    fault: Fault,
    message: &str,
    preemptions: usize,
    model: impl Fn() + Send + Sync + 'static,
) {
    let runs = Arc::new(AtomicUsize::new(0));
    let outcome = fault::with(fault, || {
        quietly(|| catch_unwind(AssertUnwindSafe(|| explore(preemptions, &runs, model))))
    });
    let payload = outcome.expect_err("the model does not notice the fault");
    let said = text(&*payload);
    assert!(said.contains(message), "{fault:?} was noticed, but by: {said}");
    println!("{fault:?}: noticed in execution {}", runs.load(Ordering::Relaxed));
}

/// Plays all executions, counting them.
fn explore(preemptions: usize, runs: &Arc<AtomicUsize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    let runs = runs.clone();
    builder.check(move || {
        runs.fetch_add(1, Ordering::Relaxed);
        model();
    });
}

/// A panic's text.
fn text(payload: &(dyn Any + Send)) -> String {
    crate::task::waker::panic_message(payload).to_owned()
}

thread_local! {
    /// Whether panics of this thread are expected.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Keeps expected panics out of the output; printing them would also need more stack than the
/// threads of a model have.
fn quietly<R>(f: impl FnOnce() -> R) -> R {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let result = f();
    QUIET.set(false);
    result
}

/// Something of loom's on the stack of a model. When the model fails it is leaked: its destructor
/// would go on with an execution that is over, and panic during a panic.
pub(super) struct Calm<T>(Option<T>);

impl<T> Calm<T> {
    /// Keeps `value` until the end, if it is a good one.
    pub(super) fn new(value: T) -> Calm<T> {
        Calm(Some(value))
    }

    /// The value, to be used up.
    pub(super) fn release(mut self) -> T {
        self.0.take().expect("a calm value is taken once")
    }
}

impl<T> Deref for Calm<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("a calm value is there until it is taken")
    }
}

impl<T> DerefMut for Calm<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("a calm value is there until it is taken")
    }
}

impl<T> Drop for Calm<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget(self.0.take());
        }
    }
}

/// Plain memory that loom watches, shared by the threads of a model without any order of its own
/// (an `Rc` does: loom's threads take turns on one).
#[derive(Clone)]
pub(super) struct Watched(Rc<loom::cell::UnsafeCell<u32>>);

impl Watched {
    /// A zero.
    pub(super) fn new() -> Watched {
        Watched(Rc::new(loom::cell::UnsafeCell::new(0)))
    }

    /// Writes; another thread's use that is not ordered before or after fails the model.
    pub(super) fn set(&self, value: u32) {
        // SAFETY: loom's threads take turns on one thread, and loom panics if this is a race.
        self.0.with_mut(|place| unsafe { *place = value });
    }

    /// Reads; another thread's write that is not ordered before or after fails the model.
    pub(super) fn get(&self) -> u32 {
        // SAFETY: as above.
        self.0.with(|place| unsafe { *place })
    }
}
