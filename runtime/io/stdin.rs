//! Standard input that can be waited for, and not waited for any more: [`stdin`].
//!
//! Facts, then what they force on us:
//! * O_NONBLOCK belongs to the open file, which on a terminal is shared with the shell, with our own
//!   standard output, and with whatever else runs there: set, it would make *their* reads and writes fail
//!   (fcntl(2), "File status flags"). So it is left alone, and poll(2) is asked right before each read.
//! * A thread that blocks in read(2) cannot be called back, and a process would have to wait for it or kill
//!   it. So there is no such thread: a wait is an entry in the reactor, and dropping it is all it takes.
//! * Regular files and `/dev/null` cannot be waited for (`EPERM` from epoll_ctl(2)): they are always ready,
//!   and are read at once. A disk may take its milliseconds for that.
//! * A program in the background that reads from its terminal is stopped, the loop and all, until it is
//!   brought to the foreground (`SIGTTIN`, see "Job control" in credentials(7) and signal(7)); with that
//!   signal ignored, the read fails with `EIO`. Waiting alone does neither.
//!
//! Limit: between the question and the read another process, or another thread, may take the bytes away;
//! then the read blocks until more come. Nothing but a second reader of the same terminal or pipe does that.
//!
//! Standard output has no such wrapper. Printing blocks the loop for as long as nobody reads the other end of
//! a full pipe, or a terminal is held with Ctrl-S: what must never wait is printed by a thread of its own.
//!
//! Read next: `line_splitter.rs`.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::AsyncRead;

use super::nonblocking::Nonblocking;
use super::readable_now::is_readable_within;
use super::registration::Wait;
use crate::future::give_way;
use crate::id::WaitReason;
use crate::reactor::Direction;
use crate::task::here;

/// Standard input as a stream: a terminal, a pipe, a socket, a file. For lines, put it into a
/// [`LineReader`](super::LineReader).
///
/// Nothing is buffered here, so dropping one loses no byte, and there may be several: each byte goes to one of
/// them. [`std::io::stdin`] has a buffer of its own; what is in there does not come out here.
#[derive(Debug)]
pub struct Stdin {
    /// A duplicate of descriptor 0, so that closing it, or registering it twice, harms nobody.
    input: Input,
}

/// The two kinds of files.
#[derive(Debug)]
enum Input {
    /// One that epoll knows how to wait for. It is *not* non-blocking: `poll_read` asks first.
    Waits(Nonblocking<File>),
    /// One that never makes anyone wait.
    AlwaysReady(File),
}

/// Standard input, for the loop of this thread.
///
/// # Errors
/// If there is no loop on this thread, no descriptor is left, or standard input is closed (`EBADF`). One that was
/// closed when the program began is not: the standard library has put `/dev/null` in its place.
pub fn stdin() -> io::Result<Stdin> {
    let duplicate = || {
        let duplicated = io::stdin().as_fd().try_clone_to_owned();
        duplicated
            .map(File::from)
            .map_err(|error| io::Error::new(error.kind(), format!("standard input cannot be used: {error}")))
    };
    let input = match Nonblocking::of_nonblocking(duplicate()?) {
        Ok(input) => Input::Waits(input),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Input::AlwaysReady(duplicate()?),
        Err(error) => return Err(error),
    };
    Ok(Stdin { input })
}

impl Stdin {
    /// Reads what is there, up to the buffer's length; 0 at the end. On a terminal the end is Ctrl-D, and
    /// after it there may be more.
    ///
    /// # Errors
    /// What read(2) reports: `EISDIR` for a directory, `EIO` for a terminal that is gone; or outside of
    /// the loop that it belongs to.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.input {
            Input::Waits(input) => {
                let mut wait = input.registration().wait(Direction::Read).because(WaitReason::Read(0));
                poll_fn(|context| poll_read(input, &mut wait, context, buffer)).await
            }
            Input::AlwaysReady(file) => poll_fn(|context| poll_file(file, context, buffer)).await,
        }
    }
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &self.input {
            Input::Waits(input) => {
                let wait = input.registration().wait_unowned(Direction::Read);
                poll_read(input, &mut wait.because(WaitReason::Read(0)), context, buffer)
            }
            Input::AlwaysReady(file) => poll_file(file, context, buffer),
        }
    }
}

/// Reads from a file that may have nothing yet.
fn poll_read(
    input: &Nonblocking<File>,
    wait: &mut Wait<'_>,
    context: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    wait.poll_call(context, || match is_readable_within(input.get_ref(), Duration::ZERO)? {
        true => input.get_ref().read(buffer),
        false => Err(ErrorKind::WouldBlock.into()),
    })
}

/// Reads from a file that is always ready; its reader gives way all the same.
fn poll_file(mut file: &File, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    if !here::spend_share() {
        give_way(context);
        return Poll::Pending;
    }
    Poll::Ready(file.read(buffer))
}
