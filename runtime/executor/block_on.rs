//! Running the loop until one future is done, or until it is told to stop.
//!
//! The future given to `block_on` is polled as a task like any other (its name is "main"), so
//! that it is woken, traced and reported like any other. But it may borrow from its caller and
//! lives on the caller's stack, so the task holds only the way to it, which is cut before
//! `block_on` returns in whatever manner.
//!
//! Read next: `packet.rs`.

use std::cell::Cell;
use std::fmt;
use std::panic::{Location, resume_unwind};
use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::local_loop::{LocalLoop, Running};
use super::stall::Stalled;
use crate::task::join::JoinHandle;

/// Why [`Runtime::try_block_on`](crate::Runtime::try_block_on) has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockOnError {
    /// A loop runs on this thread already, further up the stack; await the future there instead.
    Nested {
        /// Where the loop that runs was started.
        outer: &'static Location<'static>,
        /// Where the second one was asked for.
        inner: &'static Location<'static>,
    },
    /// Nothing could ever have made the future progress.
    Stalled(Stalled),
}

impl fmt::Display for BlockOnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockOnError::Nested { outer, inner } => write!(
                f,
                "cannot start a loop at {inner}: this thread is inside of the one started at \
                 {outer}; await the future there, or spawn it"
            ),
            BlockOnError::Stalled(stalled) => stalled.fmt(f),
        }
    }
}

impl std::error::Error for BlockOnError {}

/// The caller's future and the place for what it gives.
struct Frame<'a, F: Future> {
    /// The future.
    future: Pin<&'a mut F>,
    /// What it gave.
    output: Option<F::Output>,
}

/// The way to a [`Frame`], which `block_on` cuts when it returns.
type Way = Rc<Cell<Option<NonNull<()>>>>;

/// The task that stands for the caller's future.
struct Main {
    /// To the frame; `None` once `block_on` has returned.
    way: Way,
    /// Polls the frame's future.
    poll: unsafe fn(NonNull<()>, &mut Context<'_>) -> Poll<()>,
}

impl Future for Main {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.way.get() {
            // SAFETY: the way is there, so `block_on` has not returned, and its frame is alive;
            // `poll` was made for the type of that frame. Tested by `tests/block_on.rs`.
            Some(frame) => unsafe { (self.poll)(frame, context) },
            None => Poll::Ready(()),
        }
    }
}

/// Polls the future of a frame.
///
/// # Safety
/// `frame` points to a live `Frame<F>` that nobody else uses now.
unsafe fn poll_frame<F: Future>(frame: NonNull<()>, context: &mut Context<'_>) -> Poll<()> {
    // SAFETY: the caller's promise.
    let frame = unsafe { frame.cast::<Frame<'_, F>>().as_mut() };
    frame.future.as_mut().poll(context).map(|output| frame.output = Some(output))
}

/// Cuts the way when dropped.
struct Cut(Way);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

impl BlockOnError {
    /// Begins to run a loop from `inner`, if none runs on this thread.
    pub(crate) fn or_run(inner: &'static Location<'static>) -> Result<Running, BlockOnError> {
        Running::start(inner).map_err(|outer| BlockOnError::Nested { outer, inner })
    }
}

impl LocalLoop {
    /// Turns until `future` is done. Its panics go on to the caller.
    pub(crate) fn block_on<F: Future>(
        self: &Rc<Self>,
        future: F,
        location: &'static Location<'static>,
    ) -> Result<F::Output, BlockOnError> {
        let _running = BlockOnError::or_run(location)?;
        let _entered = self.enter();
        let mut frame = Frame { future: pin!(future), output: None };
        let pointer = NonNull::from(&mut frame);
        let way = Rc::new(Cell::new(Some(pointer.cast())));
        let cut = Cut(way.clone());
        let main = Main { way, poll: poll_frame::<F> };
        let mut main: JoinHandle<()> = self.spawn(main, Some("main"), location);
        while !main.is_finished() {
            if self.turn(|| !main.is_finished()).stalled && !main.is_finished() {
                let stalled = Stalled { tasks: self.task_list() };
                main.cancel();
                return Err(BlockOnError::Stalled(stalled));
            }
        }
        drop(cut);
        if let Poll::Ready(Err(error)) = Pin::new(&mut main).poll(&mut Context::from_waker(Waker::noop())) {
            match error.try_into_panic() {
                Ok(payload) => resume_unwind(payload),
                // Nobody else has this task's handle.
                Err(cancelled) => unreachable!("{cancelled}"),
            }
        }
        // SAFETY: the task is finished and the way is cut: the frame is ours alone again, and it
        // is read through the pointer that was given away.
        let output = unsafe { (*pointer.as_ptr()).output.take() };
        Ok(output.expect("a main task that returned has left its output"))
    }

    /// Turns until `stop` is called, or nothing is left that could happen.
    pub(crate) fn run(self: &Rc<Self>, location: &'static Location<'static>) -> Result<(), BlockOnError> {
        let _running = BlockOnError::or_run(location)?;
        let _entered = self.enter();
        self.stopping.set(false);
        while !self.stopping.get() {
            if self.turn(|| !self.stopping.get()).stalled && !self.stopping.get() {
                let tasks = self.task_list();
                return if tasks.is_empty() { Ok(()) } else { Err(BlockOnError::Stalled(Stalled { tasks })) };
            }
        }
        Ok(())
    }
}
