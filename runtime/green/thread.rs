//! A green thread: a future whose state is a stack.
//!
//! To poll it is to go to its stack; it is pending when that is left in the middle. As a task it has all that
//! tasks have: a name, a handle, reasons to wait, a share, a place in the run queue.
//!
//! Read next: `spawn.rs`.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::coroutine::{Cancellation, Coroutine, Outcome};
use super::overflow;
use super::stack_pool::PooledStack;
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
#[must_use = "futures do nothing unless awaited"]
pub struct GreenThread<T> {
    /// The body and its stack. Before `locals`, which what is on the stack may use while it is unwound.
    coroutine: Coroutine<T>,
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
                "what a green thread captures and returns takes {} bytes, too many for its stack of {stack_bytes}: \
                 box it, or give it a larger one (`green::Builder::stack_bytes`)",
                too_big.bytes
            );
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        Ok(GreenThread { coroutine, locals: RefCell::new(Vec::new()) })
    }
}

impl<T> GreenThread<T> {
    /// Lets `resume` go to the stack.
    fn visit(
        &mut self,
        context: Option<&mut Context<'_>>,
        resume: impl FnOnce(&mut Coroutine<T>) -> Option<Outcome<T>>,
    ) -> Option<Outcome<T>> {
        let visit =
            Visit::new(self.coroutine.control(), context, self.coroutine.stack_bounds(), &self.locals);
        visit.during(|| resume(&mut self.coroutine))
    }
}

impl<T> Future for GreenThread<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match self.visit(Some(context), Coroutine::resume) {
            None => Poll::Pending,
            Some(Ok(value)) => Poll::Ready(value),
            // On through the host, to become what it makes of panics: a task its join error.
            Some(Err(payload)) => resume_unwind(payload),
        }
    }
}

// Nothing on the stack can be seen through it, and it stays where it is.
impl<T> Unpin for GreenThread<T> {}

impl<T> Drop for GreenThread<T> {
    fn drop(&mut self) {
        if self.coroutine.is_fresh() {
            // Without a visit: its stack is not used.
            return;
        }
        match self.visit(None, Coroutine::end) {
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
