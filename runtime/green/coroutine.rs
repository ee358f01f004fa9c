//! A function that can stop in the middle and go on later, because it has a stack of its own.
//!
//! ```text
//!           ┌────────── (1) resume ──────────┐
//!   Fresh ──┘   ┌────── (2) suspend ───────┐ │
//!     │         ▼                          │ ▼
//!     │     Suspended ───── (1) resume ─► Running ── (4) the body is over ──► Done
//!     │         └───────── (3) unwind ─────► │
//!     └── (5) dropped before it began
//! ```
//!
//! What both sides use stands at the top of the stack, and below it the frames:
//!
//! ```text
//!   high ─► ┌ Top ───────────────────────────────────┐
//!           │ control: the link, stage, unwind       │
//!           │ outcome: what the body gave            │
//!           │ body: until it begins                  │
//!           ├ start, enter, the body's frames … ─────┤
//! ```
//!
//! A coroutine that is dropped while it is suspended is unwound (3): its next word from us makes `suspend` panic
//! with [`Cancellation`], without the panic hook, so every destructor on the stack runs, once. A body that catches
//! that goes on, and is unwound again where it next suspends; after [`MOST_UNWINDS`] times it is left as it is:
//! its stack stays, for ever, which is safe, as nothing on it was freed.
//!
//! This file knows nothing of tasks, wakers and the loop.
//!
//! Read next: `visit.rs`.

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

use super::checkers::Fiber;
use super::stack_pool::PooledStack;
use super::switch;

/// What a body left behind: its value, or what it panicked with.
pub(super) type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// How often a body may catch its own unwinding before we let it be.
const MOST_UNWINDS: usize = 100;

/// How much of a stack must be left for its frames when the body itself has its place.
const LEAST_FRAME_BYTES: usize = 4 * 1024;

/// Where a coroutine is in its life.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// The body has not begun.
    Fresh,
    /// The body runs.
    Running,
    /// The body waits to be resumed.
    Suspended,
    /// The body is over.
    Done,
}

/// What the side on the stack is unwound with when its green thread is cancelled.
///
/// A [`catch_unwind`] in a green thread that catches this shall pass it on ([`resume_unwind`]), or at least not
/// count it as a failure: nothing went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub struct Cancellation;

/// What the switch works on; drawn in `switch_x86_64.rs`.
#[repr(C)]
struct Link {
    /// The stack pointer of the side that does not run.
    other: Cell<*mut usize>,
    /// The function to begin with.
    enter: unsafe extern "C" fn(NonNull<Control>) -> !,
}

/// The part of a coroutine that does not depend on its types.
#[repr(C)]
pub(super) struct Control {
    /// First, so that a pointer to it is one to the control.
    link: Link,
    /// Where it is in its life.
    stage: Cell<Stage>,
    /// Whether it is to unwind.
    unwind: Cell<bool>,
    /// What a memory checker knows of both sides.
    fiber: Fiber,
}

/// What does not depend on the type of the body.
#[repr(C)]
struct Meeting<T> {
    /// See there.
    control: Control,
    /// What the body left, until somebody takes it.
    outcome: Cell<Option<Outcome<T>>>,
}

/// What stands at the top of the stack.
#[repr(C, align(16))]
struct Top<T, F> {
    /// See there.
    meeting: Meeting<T>,
    /// The body, until it begins.
    body: Cell<Option<F>>,
}

/// A body with its stack.
pub(super) struct Coroutine<T> {
    /// At the top of the stack.
    meeting: NonNull<Meeting<T>>,
    /// Drops a body that never began.
    drop_body: unsafe fn(NonNull<Meeting<T>>),
    /// Where it all is; `None` once it was left for ever.
    stack: Option<PooledStack>,
    /// What is on the stack may be anything, so it never leaves its thread.
    stays: PhantomData<*mut T>,
}

/// A body that does not fit its stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooBig {
    /// How many bytes it and its value take.
    pub(super) bytes: usize,
}

impl<T> Coroutine<T> {
    /// A coroutine that has not begun.
    ///
    /// # Errors
    /// If the stack has no room for the body; then it was dropped.
    pub(super) fn new<F: FnOnce() -> T>(stack: PooledStack, body: F) -> Result<Coroutine<T>, TooBig> {
        let bytes = size_of::<Top<T, F>>();
        if bytes + LEAST_FRAME_BYTES > stack.bytes() || align_of::<Top<T, F>>() > 4096 {
            return Err(TooBig { bytes });
        }
        let high = stack.high().as_ptr().addr();
        let place = (high - bytes) & !(align_of::<Top<T, F>>() - 1);
        // SAFETY: the place is within the stack, as was just seen.
        let top = unsafe { stack.high().sub(high - place) }.cast::<Top<T, F>>();
        // SAFETY: as above; the place is aligned, below it there is room, and nobody else has this stack.
        let other = unsafe { switch::prepare(top.as_ptr().cast()) };
        let link = Link { other: Cell::new(other), enter: enter::<T, F> };
        let fiber = Fiber::new(stack.low(), stack.bytes());
        let control = Control { link, stage: Cell::new(Stage::Fresh), unwind: Cell::new(false), fiber };
        let meeting = Meeting { control, outcome: Cell::new(None) };
        // SAFETY: as above.
        unsafe { top.write(Top { meeting, body: Cell::new(Some(body)) }) };
        let meeting = top.cast();
        Ok(Coroutine { meeting, drop_body: drop_body::<T, F>, stack: Some(stack), stays: PhantomData })
    }

    /// What stands at the top of the stack.
    fn meeting(&self) -> &Meeting<T> {
        // SAFETY: written in `new`, and there as long as the stack is.
        unsafe { self.meeting.as_ref() }
    }

    /// For the side on the stack.
    pub(super) fn control(&self) -> NonNull<Control> {
        self.meeting.cast()
    }

    /// The lowest address of the stack, and how many bytes it has.
    pub(super) fn stack_bounds(&self) -> (NonNull<u8>, usize) {
        self.stack.as_ref().map_or((NonNull::dangling(), 0), |stack| (stack.low(), stack.bytes()))
    }

    /// Whether the body has not begun.
    pub(super) fn is_fresh(&self) -> bool {
        self.meeting().control.stage.get() == Stage::Fresh
    }

    /// (1) Lets the body run until it suspends, or is over: then gives what it left.
    ///
    /// # Panics
    /// If it is over already.
    pub(super) fn resume(&mut self) -> Option<Outcome<T>> {
        let control = &self.meeting().control;
        assert!(
            matches!(control.stage.get(), Stage::Fresh | Stage::Suspended),
            "a green thread was polled after its end, or from within itself"
        );
        control.stage.set(Stage::Running);
        let departure = control.fiber.host_leaves();
        // SAFETY: the stack is there and waits, or has not begun.
        unsafe { switch::resume(self.meeting.as_ptr().cast()) };
        self.meeting().control.fiber.host_is_back(departure);
        match self.meeting().control.stage.get() {
            Stage::Done => self.meeting().outcome.take(),
            _ => None,
        }
    }

    /// (3), (5) Ends it wherever it is. Gives what the body left, if it ran and was not over before.
    pub(super) fn end(&mut self) -> Option<Outcome<T>> {
        match self.meeting().control.stage.get() {
            Stage::Done | Stage::Running => None,
            Stage::Fresh => {
                self.meeting().control.stage.set(Stage::Done);
                // SAFETY: it belongs to the type of this body, which never began.
                unsafe { (self.drop_body)(self.meeting) };
                None
            }
            Stage::Suspended => self.unwind(),
        }
    }

    /// (3) Unwinds the stack.
    fn unwind(&mut self) -> Option<Outcome<T>> {
        self.meeting().control.unwind.set(true);
        for _ in 0..MOST_UNWINDS {
            let outcome = self.resume();
            if outcome.is_some() {
                return outcome;
            }
        }
        log::error!(
            "a green thread that was cancelled catches its unwinding and waits again, {MOST_UNWINDS} times \
             over: its stack is leaked; let `green::Cancellation` pass"
        );
        std::mem::forget(self.stack.take());
        None
    }
}

impl<T> Drop for Coroutine<T> {
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// Drops a body that never began.
///
/// # Safety
/// `meeting` starts a `Top<T, F>`.
unsafe fn drop_body<T, F>(meeting: NonNull<Meeting<T>>) {
    // SAFETY: the caller's promise.
    drop(unsafe { meeting.cast::<Top<T, F>>().as_ref() }.body.take());
}

/// The first Rust function on a stack: runs the body and leaves for ever. No panic passes it.
///
/// # Safety
/// `control` starts a `Top<T, F>`, and this is its stack.
unsafe extern "C" fn enter<T, F: FnOnce() -> T>(control: NonNull<Control>) -> ! {
    // SAFETY: the caller's promise.
    let top = unsafe { control.cast::<Top<T, F>>().as_ref() };
    let control = &top.meeting.control;
    control.fiber.arrives_first();
    let body = top.body.take().expect("a body begins once");
    let outcome = catch_unwind(AssertUnwindSafe(body));
    top.meeting.outcome.set(Some(outcome));
    control.stage.set(Stage::Done); // (4)
    control.fiber.leaves_for_ever();
    // SAFETY: this stack was entered with this link, and nobody resumes one that is done.
    unsafe { switch::suspend(top as *const Top<T, F> as *mut usize) };
    std::process::abort()
}

impl Control {
    /// (2) Suspends the body that calls this; returns when it is resumed, or panics with [`Cancellation`].
    ///
    /// # Safety
    /// The caller runs on the stack of `control`.
    #[inline]
    pub(super) unsafe fn suspend(control: NonNull<Control>) {
        // SAFETY: the control is there as long as its stack is.
        let this = unsafe { control.as_ref() };
        this.stage.set(Stage::Suspended);
        let departure = this.fiber.leaves();
        // SAFETY: the caller's promise.
        unsafe { switch::suspend(control.as_ptr().cast()) };
        this.fiber.is_back(departure);
        this.check();
    }

    /// Panics with [`Cancellation`] if the coroutine is to end.
    pub(super) fn check(&self) {
        if self.unwind.get() {
            resume_unwind(Box::new(Cancellation));
        }
    }
}
