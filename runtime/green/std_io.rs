//! For libraries that know only the traits of `std::io`: our streams as theirs, and a listener as an iterator.
//!
//! Read next: `runtime.rs`.

use std::future::poll_fn;
use std::io::{self, BufRead, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use super::wait::try_wait;
use crate::net::Listener;
use crate::time::timeout;

/// Any of our streams, or any other that implements the futures-io traits, as one of `std::io`: a call that would
/// block waits as green threads do. So a library that was written for blocking streams runs unchanged, for
/// thousands of clients on one thread.
///
/// Buffering is std's: [`BufReader`](io::BufReader), [`BufWriter`](io::BufWriter).
///
/// # Errors
/// Each call gives what the stream does; and outside of a green thread, or while one unwinds, a
/// [`CannotWait`](super::CannotWait). So the flush that the drop of a `BufWriter` makes is lost if its green thread
/// panics or is cancelled, as with every future that is dropped.
#[derive(Debug)]
pub struct StdIo<S> {
    /// The stream.
    stream: S,
    /// How long a read may take.
    read_timeout: Option<Duration>,
    /// How long a write may take.
    write_timeout: Option<Duration>,
}

impl<S> StdIo<S> {
    /// `stream`, which may be a reference to one, as one of std.
    pub fn new(stream: S) -> StdIo<S> {
        StdIo { stream, read_timeout: None, write_timeout: None }
    }

    /// How long a read may take before it fails with [`TimedOut`](io::ErrorKind::TimedOut); `None` is for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    /// How long a write or flush may take before it fails with [`TimedOut`](io::ErrorKind::TimedOut); `None` is for
    /// ever.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream, which has all that was not read.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

/// Waits for `future`, but not longer than that.
fn wait_within<T>(limit: Option<Duration>, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match limit {
        None => try_wait(future)?,
        Some(limit) => try_wait(timeout(limit, future))??,
    }
}

impl<S: AsyncRead + Unpin> Read for StdIo<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stream = &mut self.stream;
        wait_within(self.read_timeout, poll_fn(|context| Pin::new(&mut *stream).poll_read(context, buffer)))
    }

    fn read_vectored(&mut self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        let stream = &mut self.stream;
        wait_within(
            self.read_timeout,
            poll_fn(|context| Pin::new(&mut *stream).poll_read_vectored(context, buffers)),
        )
    }
}

impl<S: AsyncBufRead + Unpin> BufRead for StdIo<S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let stream = &mut self.stream;
        let filled = poll_fn(|context| Pin::new(&mut *stream).poll_fill_buf(context).map_ok(|_| ()));
        wait_within(self.read_timeout, filled)?;
        // What that future saw cannot leave it, but is still there.
        match Pin::new(&mut self.stream).poll_fill_buf(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(buffer) => buffer,
            Poll::Pending => Err(io::Error::other("the stream has lost what it had in its buffer")),
        }
    }

    fn consume(&mut self, count: usize) {
        Pin::new(&mut self.stream).consume(count);
    }
}

impl<S: AsyncWrite + Unpin> Write for StdIo<S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let stream = &mut self.stream;
        wait_within(self.write_timeout, poll_fn(|context| Pin::new(&mut *stream).poll_write(context, buffer)))
    }

    fn write_vectored(&mut self, buffers: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let stream = &mut self.stream;
        wait_within(
            self.write_timeout,
            poll_fn(|context| Pin::new(&mut *stream).poll_write_vectored(context, buffers)),
        )
    }

    fn flush(&mut self) -> io::Result<()> {
        let stream = &mut self.stream;
        wait_within(self.write_timeout, poll_fn(|context| Pin::new(&mut *stream).poll_flush(context)))
    }
}

/// The connections of a listener, one after the other. See [`incoming`].
#[derive(Debug)]
#[must_use = "iterators do nothing unless asked"]
pub struct Incoming<'a, L> {
    /// Where they come in.
    listener: &'a L,
}

/// The connections of `listener` with the addresses of their other ends, for a `for` in a green thread. It never
/// ends by itself.
///
/// # Errors
/// Each item may be what accept(2) reports; see [`AcceptError`](crate::net::AcceptError). A server that shall stop
/// accepting when descriptors run out, limit its connections and end in good order is
/// [`Server`](crate::net::Server), whose handler may return a [`green::future`](super::future()).
pub fn incoming<L: Listener>(listener: &L) -> Incoming<'_, L> {
    Incoming { listener }
}

impl<L: Listener> Iterator for Incoming<'_, L> {
    type Item = io::Result<(L::Stream, L::Peer)>;

    fn next(&mut self) -> Option<Self::Item> {
        let accepted = try_wait(poll_fn(|context| self.listener.poll_accept(context)));
        Some(accepted.unwrap_or_else(|cannot_wait| Err(cannot_wait.into())))
    }
}
