//! Signals as a stream: SIGINT, SIGTERM and their like, each delivered as an ordinary event.
//!
//! Facts, then what they force on us: a signal handler may call next to nothing
//! (signal-safety(7)), so it only writes one byte into a pipe, and the loop reads the other end
//! like any connection. A byte is a signal: none is lost until tens of thousands are unread. Once
//! somebody listened for a signal, its default action (ending the process) is gone for good.
//!
//! Read next: `process/end.rs`.

use std::future::poll_fn;
use std::io::{self, PipeReader, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use signal_hook_registry::SigId;
use socket2::SockRef;

use crate::id::WaitReason;
use crate::io::nonblocking::Nonblocking;
use crate::reactor::Direction;

/// Ctrl-C on the terminal: `SIGINT`.
pub const INTERRUPT: i32 = libc::SIGINT;

/// The polite request to end: `SIGTERM`.
pub const TERMINATE: i32 = libc::SIGTERM;

/// Hears one kind of signal, sent to the whole process; also a [`Stream`] that never ends.
/// Several listeners of one signal each hear every one.
#[derive(Debug)]
pub struct Signal {
    /// The signal's number.
    number: i32,
    /// One byte comes out for each signal.
    bytes: Nonblocking<PipeReader>,
    /// Our place in the process-wide handler.
    registered: SigId,
}

impl Signal {
    /// Hears signal `number` (signal(7)) from now on.
    ///
    /// # Errors
    /// If there is no loop on this thread, no descriptor is left, or the signal cannot be caught
    /// (`SIGKILL`, `SIGSTOP`) or tells of a fault in the program itself (`SIGSEGV` and the like).
    pub fn new(number: i32) -> io::Result<Signal> {
        if signal_hook_registry::FORBIDDEN.contains(&number) {
            let message = format!("signal {number} cannot be listened for");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let (reading, writing) = std::io::pipe()?;
        SockRef::from(&writing).set_nonblocking(true)?;
        let bytes = Nonblocking::new(reading)?;
        let in_handler = move || {
            // A full pipe holds 65,536 signals that nobody has read; one more says nothing new.
            let _ = (&writing).write(&[0]);
        };
        // SAFETY: the handler makes one write(2) on a non-blocking descriptor, which
        // signal-safety(7) allows; it does not allocate, lock or panic, and the registry keeps
        // errno. Tested by `tests/signals.rs`.
        let registered = unsafe { signal_hook_registry::register(number, in_handler) }?;
        Ok(Signal { number, bytes, registered })
    }

    /// Waits for the next signal of this kind.
    ///
    /// # Errors
    /// Outside of the loop that the listener belongs to.
    ///
    /// # Cancel safety
    /// A signal that was not reported is reported by the next call.
    pub async fn recv(&mut self) -> io::Result<()> {
        let mut wait =
            self.bytes.registration().wait(Direction::Read).because(WaitReason::Signal(self.number));
        poll_fn(|context| wait.poll_call(context, || self.bytes.get_ref().read(&mut [0]))).await.map(drop)
    }

    /// The poll behind [`recv`](Signal::recv).
    ///
    /// # Errors
    /// As [`recv`](Signal::recv).
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wait = self.bytes.registration().wait_unowned(Direction::Read);
        let mut wait = wait.because(WaitReason::Signal(self.number));
        wait.poll_call(context, || self.bytes.get_ref().read(&mut [0])).map_ok(drop)
    }
}

impl Stream for Signal {
    type Item = io::Result<()>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(context).map(Some)
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        signal_hook_registry::unregister(self.registered);
    }
}

/// Waits for one Ctrl-C (`SIGINT`), counted from the first poll.
///
/// # Errors
/// As [`Signal::new`].
///
/// # Cancel safety
/// One that comes between two calls is not heard; keep a [`Signal`] to hear all.
pub async fn ctrl_c() -> io::Result<()> {
    Signal::new(INTERRUPT)?.recv().await
}
