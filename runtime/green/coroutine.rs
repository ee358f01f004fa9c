//! A function that can stop in the middle and go on later, because it has a stack of its own.
//!
//! ```text
//!   Fresh ── (1) resume ──► Begun ── (4) the body is over, (6) left for ever ──► Done
//!     │                     │   ▲                                                 ▲
//!     │         (2) suspend ▼   │ (1) resume, (3) unwind                          │
//!     │                     └───┘                                                 │
//!     └───────────────── (5) dropped before it began ─────────────────────────────┘
//! ```
//!
//! What both sides use, the [`Coroutine`], is where its owner has it, and stays there (it is pinned): a stack that
//! waits is not touched, and that saves a visit to memory that is in no cache. At the top of the stack stands the
//! body, until it begins, and below it come the frames.
//!
//! A coroutine that is dropped while it is suspended is unwound (3): its next word from us makes `suspend` panic
//! with [`Cancellation`], without the panic hook, so every destructor on the stack runs, once. A body that catches
//! that goes on, and is unwound again where it would next suspend; after [`MOST_UNWINDS`] times it is left as it
//! is (6): its stack stays, for ever, which is safe, as nothing on it was freed.
//!
//! A stack may wait inside of `LocalKey::with`, with a thread-local value borrowed. std counts on the thread not to
//! end meanwhile; but a coroutine that stands in a thread-local itself (in a `Runtime`, say) is dropped at that end,
//! perhaps after the value. So from then on (see [`End`]) a stack that waits is neither resumed nor unwound.
//!
//! This file knows nothing of tasks, wakers and the loop.
//!
//! Read next: `visit.rs`.

use std::any::Any;
use std::cell::Cell;
use std::marker::{PhantomData, PhantomPinned};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::ptr::NonNull;

use super::checkers::Fiber;
use super::stack_pool::PooledStack;
use super::switch;

/// What a body left behind: its value, or what it panicked with.
pub(super) type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// How often a body may catch its own unwinding before we let it be.
const MOST_UNWINDS: u32 = 100;

/// How much of a stack must be left for its frames when the body itself has its place.
const LEAST_FRAME_BYTES: usize = 4 * 1024;

/// Stacks begin at this many different places of their first page: at one and the same place all would compete
/// for the same few lines of the processor's caches, and a thousand green threads take turns half as fast.
const COLOURS: usize = 16;

/// How far apart these places are.
const COLOUR_BYTES: usize = 64;

/// How far apart stacks are at least, so that neighbours begin at different places.
const COLOUR_STRIDE: usize = 4096;

/// 2⁶⁴ over the golden ratio: the highest bits of its multiples are spread evenly, however far apart these are. (The
/// remainder of an address would be the same for all stacks of 60 KiB, or on pages of 64 KiB.)
const COLOUR_SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

thread_local! {
    /// Made when the first coroutine of a thread begins. A thread drops its values in the reverse order of their
    /// making, so this one goes before whatever has held a coroutine by then.
    static END: End = const { End };
}

/// Has a destructor, so that std tells whether it was dropped: the thread is ending.
struct End;

impl Drop for End {
    fn drop(&mut self) {}
}

/// Whether this thread is ending, so that the other values of it may be gone.
#[inline]
fn thread_ends() -> bool {
    END.try_with(|_| ()).is_err()
}

/// Where a coroutine is in its life.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// The body has not begun.
    Fresh,
    /// The body runs, or waits to be resumed.
    Begun,
    /// The body is over, or nobody will resume it any more.
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
    /// How often it was told to end; `None` as long as it may go on.
    unwinds: Cell<Option<u32>>,
    /// The body, at the top of the stack, until it begins: an `F`.
    body: NonNull<()>,
    /// Drops a body that never began.
    drop_body: unsafe fn(NonNull<()>),
    /// What a memory checker knows of both sides.
    fiber: Fiber,
}

/// A body with its stack.
#[repr(C)]
pub(super) struct Coroutine<T> {
    /// First, so that a pointer to it is one to the coroutine.
    control: Control,
    /// What the body left, until somebody takes it.
    outcome: Cell<Option<Outcome<T>>>,
    /// Whether it began when its thread was ending already, and so has borrowed nothing that went before.
    began_at_end: Cell<bool>,
    /// Where it all is; `None` once it was left for ever.
    stack: Cell<Option<PooledStack>>,
    /// The stack's lowest address.
    stack_low: NonNull<u8>,
    /// How many bytes it has.
    stack_bytes: usize,
    /// What is on the stack may be anything, so it never leaves its thread; and the stack knows where this is.
    stays: PhantomData<(*mut T, PhantomPinned)>,
}

/// A body that does not fit its stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooBig {
    /// How many bytes it takes.
    pub(super) bytes: usize,
}

impl<T> Coroutine<T> {
    /// A coroutine that has not begun.
    ///
    /// # Errors
    /// If the stack has no room for the body; then it was dropped.
    pub(super) fn new<F: FnOnce() -> T>(stack: PooledStack, body: F) -> Result<Coroutine<T>, TooBig> {
        let (stack_low, stack_bytes) = (stack.low(), stack.bytes());
        let align = align_of::<F>().max(16);
        let bytes = size_of::<F>().next_multiple_of(align);
        let high = stack.high().as_ptr().addr();
        // Twice: when it begins it is moved to the frame that runs it. What fits one stack fits all of its size.
        let least =
            bytes.saturating_mul(2).saturating_add(align + COLOURS * COLOUR_BYTES + LEAST_FRAME_BYTES);
        if least > stack_bytes {
            return Err(TooBig { bytes });
        }
        let offset = high - ((high - colour(high) - bytes) & !(align - 1));
        // SAFETY: the place is within the stack, as was just seen, aligned, with room below it, and nobody else has
        // this stack.
        let (place, other) = unsafe {
            let place = stack.high().sub(offset);
            place.cast().write(body);
            (place, switch::prepare(place.as_ptr().cast()))
        };
        let control = Control {
            link: Link { other: Cell::new(other), enter: enter::<T, F> },
            stage: Cell::new(Stage::Fresh),
            unwinds: Cell::new(None),
            body: place.cast(),
            drop_body: drop_body::<F>,
            fiber: Fiber::new(stack_low, stack_bytes),
        };
        let (outcome, began_at_end, stack) = (Cell::new(None), Cell::new(false), Cell::new(Some(stack)));
        Ok(Coroutine { control, outcome, began_at_end, stack, stack_low, stack_bytes, stays: PhantomData })
    }

    /// For the side on the stack.
    pub(super) fn control(&self) -> NonNull<Control> {
        NonNull::from(self).cast()
    }

    /// The lowest address of the stack, and how many bytes it has.
    pub(super) fn stack_bounds(&self) -> (NonNull<u8>, usize) {
        (self.stack_low, self.stack_bytes)
    }

    /// Whether the body has begun, and is not over.
    pub(super) fn has_begun(&self) -> bool {
        self.control.stage.get() == Stage::Begun
    }

    /// # Panics
    /// If it cannot be resumed: it is over already, or its thread has ended around it.
    #[inline]
    pub(super) fn assert_can_go_on(&self) {
        assert!(self.control.stage.get() != Stage::Done, "a green thread was polled after its end");
        assert!(
            !self.is_stranded(),
            "a green thread that waits cannot go on when its thread ends: what it has borrowed of the thread's own \
             values may be gone"
        );
    }

    /// Whether its thread has ended around it: what the stack has borrowed may be gone.
    #[inline]
    fn is_stranded(&self) -> bool {
        self.has_begun() && thread_ends() && !self.began_at_end.get()
    }

    /// (1) Lets the body run until it suspends, or is over: then gives what it left.
    ///
    /// # Panics
    /// If it is over already.
    #[inline]
    pub(super) fn resume(self: Pin<&Self>) -> Option<Outcome<T>> {
        let control = &self.control;
        assert!(control.stage.get() != Stage::Done, "a stack that is done was resumed");
        if control.stage.get() == Stage::Fresh {
            self.began_at_end.set(thread_ends());
        }
        let departure = control.fiber.host_leaves();
        // SAFETY: the stack is there and waits, or has not begun; the coroutine stays where it is. The pointer is
        // one to all of it, for the other side.
        unsafe { switch::resume(self.control().as_ptr().cast()) };
        control.fiber.host_is_back(departure);
        if control.stage.get() == Stage::Done { self.outcome.take() } else { None }
    }

    /// (3), (5) Ends it wherever it is. Gives what the body left, if it ran and was not over before.
    pub(super) fn end(self: Pin<&Self>) -> Option<Outcome<T>> {
        match self.control.stage.get() {
            Stage::Done => None,
            Stage::Fresh => {
                self.control.stage.set(Stage::Done);
                // SAFETY: the function belongs to the type of this body, which never began.
                unsafe { (self.control.drop_body)(self.control.body) };
                None
            }
            Stage::Begun => self.unwind(),
        }
    }

    /// (3) Unwinds the stack.
    fn unwind(self: Pin<&Self>) -> Option<Outcome<T>> {
        self.control.unwinds.set(Some(0));
        let can_unwind = cfg!(panic = "unwind") && !self.is_stranded();
        let outcome = if can_unwind { self.resume() } else { None };
        if outcome.is_some() {
            return outcome;
        }
        self.control.stage.set(Stage::Done);
        // First: should the logger panic, nobody shall have this stack again all the same.
        std::mem::forget(self.stack.take());
        log::error!(
            "the stack of a cancelled green thread is leaked: it cannot be unwound, because it catches \
             `green::Cancellation` and waits again ({MOST_UNWINDS} times now), because its thread ends and with it \
             what it may have borrowed, or because of `panic = \"abort\"`"
        );
        None
    }
}

impl<T> Drop for Coroutine<T> {
    fn drop(&mut self) {
        // SAFETY: it was pinned, if it ever ran, and what is being dropped stays where it is.
        drop(unsafe { Pin::new_unchecked(&*self) }.end());
    }
}

/// How far below its end, at `high`, a stack begins.
fn colour(high: usize) -> usize {
    let spread = ((high / COLOUR_STRIDE) as u64).wrapping_mul(COLOUR_SPREAD);
    (spread >> (u64::BITS - COLOURS.ilog2())) as usize * COLOUR_BYTES
}

/// Drops a body that never began.
///
/// # Safety
/// `body` points to an `F` that is not used again.
unsafe fn drop_body<F>(body: NonNull<()>) {
    // SAFETY: the caller's promise.
    unsafe { body.cast::<F>().drop_in_place() };
}

/// The first Rust function on a stack: runs the body and leaves for ever. No panic passes it.
///
/// # Safety
/// `control` starts a `Coroutine<T>` with a body of type `F`, and this is its stack.
unsafe extern "C" fn enter<T, F: FnOnce() -> T>(control: NonNull<Control>) -> ! {
    // SAFETY: the caller's promise.
    let coroutine = unsafe { control.cast::<Coroutine<T>>().as_ref() };
    coroutine.control.fiber.arrives_first();
    coroutine.control.stage.set(Stage::Begun);
    let body = coroutine.control.body.cast::<F>();
    // SAFETY: as above; it begins once. Taken in there: each place that it is moved through costs its size.
    let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { body.read() }()));
    coroutine.outcome.set(Some(outcome));
    coroutine.control.stage.set(Stage::Done); // (4)
    coroutine.control.fiber.leaves_for_ever();
    // SAFETY: this stack was entered with this link, and nobody resumes one that is done.
    unsafe { switch::suspend(control.as_ptr().cast()) };
    std::process::abort()
}

impl Control {
    /// (2) Suspends the body that calls this; returns when it is resumed, or panics with [`Cancellation`].
    ///
    /// # Safety
    /// The caller runs on the stack of `control`.
    #[inline(always)]
    pub(super) unsafe fn suspend(control: NonNull<Control>) {
        // SAFETY: the control is there as long as its stack is.
        let this = unsafe { control.as_ref() };
        let departure = this.fiber.leaves();
        // SAFETY: the caller's promise.
        unsafe { switch::suspend(control.as_ptr().cast()) };
        this.fiber.is_back(departure);
        // SAFETY: the caller's promise.
        if unsafe { Control::is_to_end(control) } {
            Control::unwind();
        }
    }

    /// Whether the coroutine is to end.
    ///
    /// # Safety
    /// As `suspend`.
    #[inline]
    pub(super) unsafe fn is_to_end(control: NonNull<Control>) -> bool {
        // SAFETY: as in `suspend`.
        match unsafe { control.as_ref() }.unwinds.get() {
            None => false,
            Some(times) => {
                // SAFETY: the caller's promise.
                unsafe { Control::tell_to_end(control, times) };
                true
            }
        }
    }

    /// Counts that the coroutine is told to end once more. (6) If it was so too often, this does not return.
    ///
    /// # Safety
    /// As `suspend`.
    #[cold]
    unsafe fn tell_to_end(control: NonNull<Control>, times: u32) {
        // SAFETY: as in `suspend`.
        let this = unsafe { control.as_ref() };
        this.unwinds.set(Some(times + 1));
        if times == MOST_UNWINDS {
            this.stage.set(Stage::Done);
            this.fiber.leaves_for_ever();
            // SAFETY: the caller's promise; nobody resumes one that is done.
            unsafe { switch::suspend(control.as_ptr().cast()) };
            std::process::abort()
        }
    }

    /// Unwinds the stack that this runs on.
    #[cold]
    pub(super) fn unwind() -> ! {
        resume_unwind(Box::new(Cancellation))
    }
}
