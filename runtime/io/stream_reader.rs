//! Reading so many bytes, up to a delimiter, or up to the end, from any stream: asyncio's `StreamReader`.
//!
//! ```text
//!   reader ──► buffer: ░░░░ taken ░░░░│▒▒▒▒ held ▒▒▒▒│     a call that is complete takes from the front;
//!                                                          one that is dropped has taken nothing
//! ```
//!
//! Invariant: bytes leave the buffer only with a result, whether that is `Ok` or an [`IncompleteRead`]. That alone
//! makes every call safe to cancel.
//!
//! Read next: `copy.rs`.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead};

use crate::future::give_way;
use crate::task::here;

/// How many bytes one read asks for.
const READ_BYTES: usize = 16 * 1024;

/// Reads messages from any stream of bytes. What was read ahead of them is kept for later calls; while it waits
/// with nothing in hand, it holds no buffer.
///
/// It is an [`AsyncRead`] and [`AsyncBufRead`] itself. For text in lines there is [`LineReader`](crate::io::LineReader).
///
/// ```
/// use greenroom::io::{StreamReader, duplex, write_all};
///
/// greenroom::Runtime::new()?.block_on(async {
///     let (mut near, far) = duplex(64);
///     write_all(&mut near, b"5:hello").await?;
///     let mut reader = StreamReader::new(far);
///     assert_eq!(reader.read_until(b":", 20).await?, b"5:");
///     assert_eq!(reader.read_exactly(5).await?, b"hello");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct StreamReader<R> {
    /// Where the bytes come from.
    reader: R,
    /// What was read; it has no memory while nothing is in it and the reader is waited for.
    buffer: Vec<u8>,
    /// How much of the front of the buffer was given out already.
    taken: usize,
    /// Whether the reader has said that nothing more will come.
    at_end: bool,
}

/// The stream ended before the bytes that were asked for had come: what stands inside of the [`io::Error`] of kind
/// `UnexpectedEof`, from which `error.downcast::<IncompleteRead>()` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncompleteRead {
    /// What came; nothing of it is left in the reader.
    pub partial: Vec<u8>,
    /// How many bytes were asked for; `None` if a delimiter was.
    pub expected: Option<usize>,
}

impl fmt::Display for IncompleteRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let came = self.partial.len();
        match self.expected {
            Some(expected) => write!(f, "the stream ended after {came} of {expected} bytes"),
            None => write!(f, "the stream ended after {came} bytes, without the delimiter"),
        }
    }
}

impl Error for IncompleteRead {}

/// More bytes came than the limit allows: what stands inside of the [`io::Error`] of kind `InvalidData`. They are
/// still in the reader, so they can be read in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOverrun {
    /// The most bytes that were allowed.
    pub limit: usize,
}

impl fmt::Display for LimitOverrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} bytes came, and still no end", self.limit)
    }
}

impl Error for LimitOverrun {}

impl LimitOverrun {
    /// As an I/O error.
    fn at(limit: usize) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, LimitOverrun { limit })
    }
}

impl<R: AsyncRead + Unpin> StreamReader<R> {
    /// Reads from `reader`.
    pub fn new(reader: R) -> StreamReader<R> {
        StreamReader { reader, buffer: Vec::new(), taken: 0, at_end: false }
    }

    /// Exactly `count` bytes. Memory grows with what comes, not with what is asked for.
    ///
    /// # Errors
    /// What the reader reports, or an [`IncompleteRead`] with what came if the stream ends earlier.
    ///
    /// # Cancel safety
    /// What was read is kept for the next call.
    pub async fn read_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.read_to(Some(count), |held| Ok((held.len() >= count).then_some(count))).await
    }

    /// Everything up to and with `delimiter`, before which at most `max_bytes` bytes may stand.
    ///
    /// # Errors
    /// What the reader reports; an [`IncompleteRead`] with what came if the stream ends without the delimiter (with
    /// nothing in it, if the stream had ended before); a [`LimitOverrun`] if it does not come in time. An empty
    /// delimiter is `InvalidInput`.
    ///
    /// # Cancel safety
    /// What was read is kept for the next call.
    pub async fn read_until(&mut self, delimiter: &[u8], max_bytes: usize) -> io::Result<Vec<u8>> {
        if delimiter.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "read_until: the delimiter is empty"));
        }
        let len = delimiter.len();
        // Where it may begin still; what lies before was looked at.
        let mut from = 0;
        let find = move |held: &[u8]| {
            let found = held[from..].windows(len).position(|window| window == delimiter);
            let begin = found.map(|at| from + at);
            from = (held.len() + 1).saturating_sub(len).max(from);
            match begin {
                Some(begin) if begin <= max_bytes => Ok(Some(begin + len)),
                None if from <= max_bytes => Ok(None),
                _ => Err(LimitOverrun::at(max_bytes)),
            }
        };
        self.read_to(None, find).await
    }

    /// Everything to the end, which may be at most `max_bytes` bytes.
    ///
    /// # Errors
    /// What the reader reports, or a [`LimitOverrun`] if more comes.
    ///
    /// # Cancel safety
    /// What was read is kept for the next call.
    pub async fn read_to_end(&mut self, max_bytes: usize) -> io::Result<Vec<u8>> {
        loop {
            let held = self.held().len();
            if held > max_bytes {
                return Err(LimitOverrun::at(max_bytes));
            }
            if self.at_end {
                return Ok(self.take(held));
            }
            poll_fn(|context| self.poll_fill(context)).await?;
        }
    }

    /// What was read and not yet given out.
    pub fn held(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// The reader. Reading from it past this `StreamReader` gets what comes after the bytes that are
    /// [`held`](StreamReader::held).
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The reader back, and what was read ahead.
    pub fn into_parts(mut self) -> (R, Vec<u8>) {
        let held = self.take(self.held().len());
        (self.reader, held)
    }

    /// Reads until `find` says how many bytes to take.
    async fn read_to(
        &mut self,
        expected: Option<usize>,
        mut find: impl FnMut(&[u8]) -> io::Result<Option<usize>>,
    ) -> io::Result<Vec<u8>> {
        loop {
            if let Some(count) = find(self.held())? {
                return Ok(self.take(count));
            }
            if self.at_end {
                let partial = self.take(self.held().len());
                let error = IncompleteRead { partial, expected };
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
            }
            poll_fn(|context| self.poll_fill(context)).await?;
        }
    }

    /// Takes bytes off the front.
    fn take(&mut self, count: usize) -> Vec<u8> {
        let is_most = self.taken == 0 && count == self.buffer.len() && count >= self.buffer.capacity() / 2;
        if is_most {
            return std::mem::take(&mut self.buffer);
        }
        let bytes = self.held()[..count].to_vec();
        self.taken += count;
        bytes
    }

    /// Reads once, to the end of the buffer.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !here::spend_share() {
            give_way(context);
            return Poll::Pending;
        }
        // At most once after each result, so all in all no more is moved than was read.
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + READ_BYTES, 0);
        let polled = Pin::new(&mut self.reader).poll_read(context, &mut self.buffer[held..]);
        self.buffer.truncate(match &polled {
            Poll::Ready(Ok(count)) => held + count,
            _ => held,
        });
        if polled.is_pending() && held == 0 {
            // A reader that waits, perhaps for hours, holds no buffer.
            self.buffer = Vec::new();
        }
        self.at_end = ready!(polled)? == 0;
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for StreamReader<R> {
    /// Gives what is held, or else what one read brings.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if !buffer.is_empty() {
            ready!(self.as_mut().poll_fill_buf(context))?;
        }
        let count = buffer.len().min(self.held().len());
        buffer[..count].copy_from_slice(&self.held()[..count]);
        self.taken += count;
        Poll::Ready(Ok(count))
    }
}

impl<R: AsyncRead + Unpin> AsyncBufRead for StreamReader<R> {
    /// What is held, or else what one read brings; nothing at the end.
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.held().is_empty() && !this.at_end {
            ready!(this.poll_fill(context))?;
        }
        Poll::Ready(Ok(this.held()))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.taken = self.buffer.len().min(self.taken + count);
    }
}
