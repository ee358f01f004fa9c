//! Bytes from one stream to another: all of a slice, all of a stream, two streams both ways.
//!
//! Invariant of a copy: what it has in hand was read and is not yet written; the reader is asked only when that is
//! nothing. So a slow writer holds the reader up, and memory is one buffer, or none while the reader is waited for.
//!
//! Read next: `stream_writer.rs`.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use crate::future::give_way;
use crate::task::here;

/// How many bytes a copy has in hand at most.
const COPY_BYTES: usize = 32 * 1024;

/// Writes all of `bytes`; what the writer buffers is not flushed.
///
/// # Errors
/// What the writer reports; `WriteZero` if it takes nothing more.
///
/// # Cancel safety
/// None: if it is dropped, nobody knows how much was written. A
/// [`StreamWriter`](crate::io::StreamWriter) is safe.
pub async fn write_all<W>(writer: &mut W, mut bytes: &[u8]) -> io::Result<()>
where
    W: AsyncWrite + Unpin + ?Sized,
{
    while !bytes.is_empty() {
        let count = poll_fn(|context| poll_write_some(writer, context, bytes)).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Writes at least one byte. A writer that is always ready must give way now and then.
pub(crate) fn poll_write_some<W>(
    writer: &mut W,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>>
where
    W: AsyncWrite + Unpin + ?Sized,
{
    if !here::spend_share() {
        give_way(context);
        return Poll::Pending;
    }
    match ready!(Pin::new(writer).poll_write(context, bytes))? {
        0 => Poll::Ready(Err(io::Error::new(io::ErrorKind::WriteZero, "the stream takes no more bytes"))),
        count => Poll::Ready(Ok(count)),
    }
}

/// Copies all that comes, to the end; says how many bytes that were. The writer is flushed whenever the reader
/// has nothing at the moment, and at the end; it is not closed.
///
/// # Errors
/// What either of the two reports.
///
/// # Cancel safety
/// None: if it is dropped, up to 32 KiB that were read may not have been written.
pub async fn copy<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut one_way = OneWay::default();
    poll_fn(|context| one_way.poll_copy(context, reader, writer)).await?;
    Ok(one_way.written)
}

/// Copies both ways until both have ended; says how many bytes went from `one` to `other`, and back. When one
/// direction ends, its writer is closed, so that the peer reads the end too, and the other direction goes on: a
/// half-closed connection stays half-closed on the other side. The behaviour is that of tokio's function.
///
/// # Errors
/// The first error of either direction ends both at once, also if the other still had something in hand. It is an
/// [`io::Error`] of the same kind with a [`BrokenCopy`] in it, which has the counts.
///
/// # Cancel safety
/// None: if it is dropped, up to 32 KiB in each direction that were read may not have been written.
pub async fn copy_bidirectional<A, B>(one: &mut A, other: &mut B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let (mut there, mut back) = (OneWay::default(), OneWay::default());
    let mut back_first = true;
    let copied: io::Result<()> = poll_fn(|context| {
        // By turns: one that is always ready leaves nothing of the poll's share to whoever comes second.
        back_first = !back_first;
        let early = if back_first { Some(back.poll_copy_and_close(context, other, one)?) } else { None };
        let there = there.poll_copy_and_close(context, one, other)?;
        let back = match early {
            Some(back) => back,
            None => back.poll_copy_and_close(context, other, one)?,
        };
        if there.is_ready() && back.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await;
    let counts = (there.written, back.written);
    match copied {
        Ok(()) => Ok(counts),
        Err(error) => Err(io::Error::new(error.kind(), BrokenCopy { counts, error })),
    }
}

/// Why [`copy_bidirectional`] ended early: what stands inside of its [`io::Error`].
#[derive(Debug)]
pub struct BrokenCopy {
    /// How many bytes were written before, there and back.
    pub counts: (u64, u64),
    /// The error of one of the streams.
    pub error: io::Error,
}

impl fmt::Display for BrokenCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (there, back) = self.counts;
        write!(f, "{} (after {there} bytes there and {back} back)", self.error)
    }
}

impl Error for BrokenCopy {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// One direction of a copy.
#[derive(Default)]
struct OneWay {
    /// What was read; it has no memory while nothing is in hand and the reader is waited for.
    buffer: Vec<u8>,
    /// How much of the buffer was written.
    sent: usize,
    /// How many bytes were written in all.
    written: u64,
    /// Whether something was written since the last flush.
    unflushed: bool,
    /// Whether the reader is at its end.
    at_end: bool,
    /// Whether the writer was closed.
    closed: bool,
}

impl OneWay {
    /// Copies to the end, and flushes.
    fn poll_copy<R, W>(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        loop {
            while self.sent < self.buffer.len() {
                self.unflushed = true;
                let count = ready!(poll_write_some(writer, context, &self.buffer[self.sent..]))?;
                self.sent += count;
                self.written += count as u64;
            }
            let polled = if self.at_end { Poll::Ready(Ok(())) } else { self.poll_refill(context, reader) };
            if self.unflushed && (self.at_end || polled.is_pending()) {
                // Whoever waits for these bytes may be the one whom the reader waits for.
                ready!(Pin::new(&mut *writer).poll_flush(context))?;
                self.unflushed = false;
            }
            ready!(polled)?;
            if self.at_end {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reads once, with nothing in hand.
    fn poll_refill<R>(&mut self, context: &mut Context<'_>, reader: &mut R) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin + ?Sized,
    {
        // What comes is written next, which spends a unit of the poll's share.
        self.sent = 0;
        self.buffer.resize(COPY_BYTES, 0);
        let polled = Pin::new(reader).poll_read(context, &mut self.buffer);
        match &polled {
            Poll::Ready(Ok(count)) => self.buffer.truncate(*count),
            // A reader that waits, perhaps for hours, holds no buffer.
            _ => self.buffer = Vec::new(),
        }
        self.at_end = ready!(polled)? == 0;
        Poll::Ready(Ok(()))
    }

    /// Copies to the end, and closes the writer.
    fn poll_copy_and_close<R, W>(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        if !self.closed {
            ready!(self.poll_copy(context, reader, writer))?;
            ready!(Pin::new(writer).poll_close(context))?;
            self.closed = true;
        }
        Poll::Ready(Ok(()))
    }
}
