//! A green thread: a future whose state is a stack.
//!
//! To poll it is to go to its stack; it is pending when that is left in the middle. As a task it has all that
//! tasks have: a name, a handle, reasons to wait, a share, a place in the run queue.
//!
//! Read next: `spawn.rs`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::coroutine::{Cancellation, Coroutine, Outcome};
use super::overflow;
use super::stack_pool::PooledStack;
use super::switch::FloatControl;
use super::visit::{Locals, Visit};
use crate::task::waker::drop_payload;

/// A green thread as a future, to spawn, to await, to race against others, to give to
/// [`Runtime::block_on`](crate::Runtime::block_on) or to a [`Server`](crate::net::Server). Made by
/// [`green::future`](super::future()).
///
/// # Panics
/// Awaiting it panics if its body does, and if it is polled after it has given its value.
///
/// # Cancel safety
/// If it is dropped before the body is over, the stack is unwound as by a panic, without the panic hook: what it
/// holds is dropped. A body that never began is dropped without a stack. If the body panics meanwhile, so does the
/// drop.
///
/// In a thread-local it may be dropped with its thread, after other thread-locals that the stack has borrowed
/// (`LocalKey::with`). So then a stack that waits is not unwound but leaked, with an error in the log; nor does it
/// go on if it is polled then. End what waits before its thread ends: drop the `Runtime`, or
/// [`shutdown`](crate::Runtime::shutdown).
#[must_use = "futures do nothing unless awaited"]
pub struct GreenThread<T> {
    /// The body and its stack. Before `locals`, which what is on the stack may use while it is unwound.
    coroutine: Coroutine<T>,
    /// How it rounds, and what traps.
    float_control: Cell<FloatControl>,
    /// Its own values.
    locals: Locals,
}

impl<T: 'static> GreenThread<T> {
    /// A green thread that has not begun, on a stack of at least so many bytes.
    ///
    /// # Errors
    /// If there is no memory for a stack, or the body does not fit it.
    pub(super) fn new(body: impl FnOnce() -> T + 'static, stack_bytes: usize) -> io::Result<GreenThread<T>> {
        overflow::watch_this_thread()?;
        let stack = PooledStack::of(stack_bytes)?;
        let stack_bytes = stack.bytes();
        let coroutine = Coroutine::new(stack, body).map_err(|too_big| {
            let text = format!(
                "what a green thread captures takes {} bytes, too many for its stack of {stack_bytes}: \
                 box it, or give it a larger one (`green::Builder::stack_bytes`)",
                too_big.bytes
            );
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        let float_control = Cell::new(FloatControl::read());
        Ok(GreenThread { coroutine, float_control, locals: RefCell::new(Vec::new()) })
    }
}

impl<T> GreenThread<T> {
    /// Lets `resume` go to the stack, which has its own ways to round.
    #[inline]
    fn visit(
        self: Pin<&Self>,
        context: Option<&mut Context<'_>>,
        resume: impl FnOnce(Pin<&Coroutine<T>>) -> Option<Outcome<T>>,
    ) -> Option<Outcome<T>> {
        // SAFETY: a part of what is pinned, and never moved out of it.
        let coroutine = unsafe { self.map_unchecked(|thread| &thread.coroutine) };
        let visit = Visit::new(coroutine.control(), context, coroutine.stack_bounds(), &self.locals);
        let ours = FloatControl::read();
        if self.float_control.get() != ours {
            self.float_control.get().write();
        }
        let outcome = visit.during(|| resume(coroutine));
        let theirs = FloatControl::read();
        if theirs != ours {
            ours.write();
        }
        self.float_control.set(theirs);
        outcome
    }
}

impl<T> Future for GreenThread<T> {
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Before anything is changed.
        self.coroutine.assert_can_go_on();
        match self.into_ref().visit(Some(context), Coroutine::resume) {
            None => Poll::Pending,
            Some(Ok(value)) => Poll::Ready(value),
            // On through the host, to become what it makes of panics: a task its join error.
            Some(Err(payload)) => resume_unwind(payload),
        }
    }
}

impl<T> Drop for GreenThread<T> {
    fn drop(&mut self) {
        if !self.coroutine.has_begun() {
            // Without a visit: its stack is not used.
            return;
        }
        // SAFETY: it has begun, so it was pinned, and what is being dropped stays where it is.
        let this = unsafe { Pin::new_unchecked(&*self) };
        match this.visit(None, Coroutine::end) {
            Some(Err(payload)) if payload.is::<Cancellation>() => {}
            Some(Err(payload)) if std::thread::panicking() => drop_payload(payload),
            Some(Err(payload)) => resume_unwind(payload),
            // The body has finished after all, too late for anyone to get its value.
            Some(Ok(value)) => drop(value),
            None => {}
        }
    }
}

impl<T> fmt::Debug for GreenThread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenThread")
            .field("stack_bytes", &self.coroutine.stack_bounds().1)
            .finish_non_exhaustive()
    }
}
