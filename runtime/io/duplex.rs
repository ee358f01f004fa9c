//! Two ends of a connection in memory, for tests: no socket, no system call, and time may be virtual.
//!
//! ```text
//!   Duplex (side 0)                     Duplex (side 1)
//!     write ──► pipes[0] ▒▒▒▒ capacity ──► read
//!     read  ◄── pipes[1] ▒▒▒▒ capacity ◄── write
//! ```
//!
//! Both ends belong to one thread and keep the names of the tasks that wait, so a loop in which all wait for such
//! pipes is known to be stalled.
//!
//! Invariants: a pipe holds at most `capacity` bytes, and no memory while it is empty. No borrow is held while a
//! waker runs.
//!
//! Read next: `hostile.rs`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use crate::future::give_way;
use crate::id::WaitReason;
use crate::task::here;
use crate::waiters::{Place, WaitList};

/// Two connected streams: what is written to one is read from the other. In each direction at most `capacity`
/// bytes are under way (at least one); a writer waits for room.
///
/// Closing an end closes its writing direction, and the other end reads what is left and then the end; the closed
/// one may go on reading. Dropping an end closes it, and breaks the pipe for the other one's writes.
pub fn duplex(capacity: usize) -> (Duplex, Duplex) {
    let capacity = capacity.max(1);
    let pipes = Rc::new([Pipe::new(capacity), Pipe::new(capacity)]);
    let end = |side, pipes| Duplex { pipes, side, reading: Place::default(), writing: Place::default() };
    (end(0, pipes.clone()), end(1, pipes))
}

/// One end of a connection in memory, made by [`duplex`].
#[derive(Debug)]
pub struct Duplex {
    /// The two directions, shared with the other end.
    pipes: Rc<[Pipe; 2]>,
    /// Which of the two this end writes to.
    side: usize,
    /// Where this end waits for bytes.
    reading: Place,
    /// Where it waits for room.
    writing: Place,
}

/// One direction.
#[derive(Debug)]
struct Pipe {
    /// The bytes under way.
    bytes: RefCell<VecDeque<u8>>,
    /// How many there may be.
    capacity: usize,
    /// Whether nothing more will be written.
    at_end: Cell<bool>,
    /// Whether nobody will read any more.
    broken: Cell<bool>,
    /// Who waits for bytes.
    reader: WaitList,
    /// Who waits for room.
    writer: WaitList,
}

impl Pipe {
    /// An empty one.
    fn new(capacity: usize) -> Pipe {
        Pipe {
            bytes: RefCell::default(),
            capacity,
            at_end: Cell::new(false),
            broken: Cell::new(false),
            reader: WaitList::new(),
            writer: WaitList::new(),
        }
    }

    /// Takes bytes out, as many as there are and fit; 0 if there are none.
    fn take(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.borrow_mut();
        let count = bytes.read(buffer)?;
        if bytes.is_empty() {
            *bytes = VecDeque::new();
        }
        Ok(count)
    }

    /// Puts bytes in, as many as fit; 0 if none does.
    fn put(&self, bytes: &[u8]) -> usize {
        let mut under_way = self.bytes.borrow_mut();
        let count = bytes.len().min(self.capacity - under_way.len());
        under_way.extend(&bytes[..count]);
        count
    }

    /// Nothing more will be written.
    fn end(&self) {
        self.at_end.set(true);
        self.reader.grant_all(());
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if !here::spend_share() {
            give_way(context);
            return Poll::Pending;
        }
        let Duplex { pipes, side, reading, .. } = &mut *self;
        let incoming = &pipes[1 - *side];
        loop {
            let count = incoming.take(buffer)?;
            if count > 0 {
                incoming.writer.grant_all(());
            }
            if count > 0 || buffer.is_empty() || incoming.at_end.get() {
                return Poll::Ready(Ok(count));
            }
            // Word of bytes that a poll has taken since is no news: then the loop looks again.
            ready!(incoming.reader.poll_grant(reading, context, WaitReason::Pipe, ()));
        }
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !here::spend_share() {
            give_way(context);
            return Poll::Pending;
        }
        let Duplex { pipes, side, writing, .. } = &mut *self;
        let outgoing = &pipes[*side];
        loop {
            if outgoing.at_end.get() || outgoing.broken.get() {
                let why = if outgoing.broken.get() { "the other end is gone" } else { "this end is closed" };
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, why)));
            }
            let count = outgoing.put(bytes);
            if count > 0 {
                outgoing.reader.grant_all(());
            }
            if count > 0 || bytes.is_empty() {
                return Poll::Ready(Ok(count));
            }
            ready!(outgoing.writer.poll_grant(writing, context, WaitReason::Pipe, ()));
        }
    }

    /// There is nothing to flush: what was written can be read.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the writing direction.
    fn poll_close(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipes[self.side].end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        let (incoming, outgoing) = (&self.pipes[1 - self.side], &self.pipes[self.side]);
        // What was granted is news only, nothing to hand on.
        let _ = incoming.reader.leave(&mut self.reading);
        let _ = outgoing.writer.leave(&mut self.writing);
        outgoing.end();
        incoming.broken.set(true);
        drop(incoming.bytes.take());
        incoming.writer.grant_all(());
    }
}
