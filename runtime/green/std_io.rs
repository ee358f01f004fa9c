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
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use greenroom::green::{self, StdIo};
///
/// let (near, far) = greenroom::io::duplex(64);
/// let runtime = greenroom::Runtime::new()?;
/// runtime.block_on(green::future(|| {
///     let talker = green::spawn(|| write!(StdIo::new(near), "one\ntwo"));
///     let lines = BufReader::new(StdIo::new(far)).lines().collect::<Result<Vec<_>, _>>()?;
///     assert_eq!(lines, ["one", "two"]);
///     green::join(talker).expect("it does not panic")
/// }))?;
/// # std::io::Result::Ok(())
/// ```
///
/// Buffering is std's: [`BufReader`](io::BufReader), [`BufWriter`](io::BufWriter); or that of a stream which is
/// [`AsyncBufRead`], as [`StreamReader`](crate::io::StreamReader) is, and holds no buffer while it waits.
///
/// What std has `try_clone` for, one green thread that reads and another one that writes: each wraps a
/// [half](crate::net::OwnedReadHalf) of the connection, or a reference (`StdIo::new(&*shared)`, where `shared` is an
/// `Rc<TcpStream>`). Half of a socket is closed by `get_ref().shutdown(…)`, and half of any stream by waiting for
/// its `poll_close`.
///
/// # Errors
/// Each call gives what the stream does, `TimedOut` if a time limit was set and has passed, and outside of a green
/// thread, or while one unwinds, a [`CannotWait`](super::CannotWait). `WouldBlock` and `Interrupted` are not among
/// them.
///
/// # Cancel safety
/// A single read or write that is cancelled, or out of time, has transferred nothing, and the stream goes on as
/// it was. What is made of several of them (`read_exact`, `read_line`, `write_all`) loses what it had read, and does
/// not tell what it had written; and so does a `BufReader` or `BufWriter` that is dropped, since while a green
/// thread unwinds nothing can be flushed.
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

    /// How long each read may take, on the loop's clock, before it fails with
    /// [`TimedOut`](io::ErrorKind::TimedOut); `None` is for ever. After zero a read takes what is there already,
    /// where std refuses zero.
    ///
    /// (std's own sockets fail with `WouldBlock` on Linux, see socket(7); but to a library that is the word for "this
    /// stream is non-blocking".)
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    /// The same for each write and flush.
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
        // The limit begins when it is first polled: where nobody can wait there may be no clock either.
        Some(limit) => try_wait(async { timeout(limit, future).await })??,
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
        let fill = poll_fn(|context| Pin::new(&mut *stream).poll_fill_buf(context).map_ok(<[u8]>::is_empty));
        if wait_within(self.read_timeout, fill)? {
            // At its end a stream would read once more, which may be pending.
            return Ok(&[]);
        }
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
