//! New green threads.
//!
//! Read next: `std_io.rs`.

use std::io;
use std::panic::Location;

use super::thread::GreenThread;
use crate::executor::local_loop::{GREEN_STACK_BYTES, current, expect_current};
use crate::task::join::JoinHandle;

/// Runs `body` as a green thread of this thread's loop; nothing in it need be `Send`. It begins in the loop's
/// next turn. The stack has as many bytes as
/// [`Builder::green_stack_bytes`](crate::Builder::green_stack_bytes) says.
///
/// # Panics
/// If there is no loop on this thread, or no memory for a stack; [`Builder::spawn`] has that as an error.
///
/// # Cancel safety
/// Cancelling the handle unwinds the stack where it waits; see [`GreenThread`].
#[track_caller]
pub fn spawn<T: 'static>(body: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    started(Builder::new().spawn(body))
}

/// Like [`spawn`], with a name that reports, traces, panics and overflows use.
///
/// # Panics
/// As [`spawn`].
#[track_caller]
pub fn spawn_named<T: 'static>(name: &str, body: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    started(Builder::new().name(name).spawn(body))
}

/// `body` as a future whose state is a stack, which is the awaiter's to poll: no task of its own.
///
/// # Panics
/// If there is no memory for a stack; [`Builder::future`] has that as an error.
#[track_caller]
pub fn future<T: 'static>(body: impl FnOnce() -> T + 'static) -> GreenThread<T> {
    started(Builder::new().future(body))
}

/// What was made, or a panic that says why not.
#[track_caller]
fn started<T>(result: io::Result<T>) -> T {
    match result {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    }
}

/// How a green thread shall be.
#[derive(Clone, Debug, Default)]
#[must_use = "it makes nothing before `spawn` or `future`"]
pub struct Builder {
    /// Its name for people.
    name: Option<String>,
    /// How large its stack is; `None` as the loop has it.
    stack_bytes: Option<usize>,
}

impl Builder {
    /// No name, and a stack as the loop's green threads have it.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// A name that reports, traces, panics and overflows use. Only for [`spawn`](Builder::spawn): a future goes by
    /// the name of the task that awaits it.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// A stack of at least so many bytes: whole pages, and 8 KiB at least. Only the pages that it uses cost memory;
    /// [`stack_high_water`](super::stack_high_water) tells how many these are.
    pub fn stack_bytes(mut self, stack_bytes: usize) -> Builder {
        self.stack_bytes = Some(stack_bytes);
        self
    }

    /// Runs `body` as a green thread of this thread's loop. See [`spawn`].
    ///
    /// # Errors
    /// If there is no memory for a stack, or what `body` captures does not fit it.
    ///
    /// # Panics
    /// If there is no loop on this thread.
    #[track_caller]
    pub fn spawn<T: 'static>(self, body: impl FnOnce() -> T + 'static) -> io::Result<JoinHandle<T>> {
        let local_loop = expect_current("green::spawn");
        let stack_bytes = self.stack_bytes.unwrap_or(local_loop.green_stack_bytes);
        let thread = GreenThread::new(body, stack_bytes)?;
        Ok(local_loop.spawn(thread, self.name.as_deref(), Location::caller()))
    }

    /// `body` as a future. See [`future`].
    ///
    /// # Errors
    /// As [`spawn`](Builder::spawn).
    pub fn future<T: 'static>(self, body: impl FnOnce() -> T + 'static) -> io::Result<GreenThread<T>> {
        let default = || current().map_or(GREEN_STACK_BYTES, |current| current.green_stack_bytes);
        GreenThread::new(body, self.stack_bytes.unwrap_or_else(default))
    }
}
