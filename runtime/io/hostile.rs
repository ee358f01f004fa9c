//! A stream that does everything it may do and nobody expects: for tests of whatever reads and writes streams.
//!
//! It reads less than there is, writes less than it is given, is not ready without a reason, and resets the
//! connection in the middle of a message: by chance, and a seed decides all of it. `Interrupted` is not among
//! its tricks: the contract of `AsyncRead` and `AsyncWrite` forbids that error (docs.rs/futures-io).
//!
//! Invariants: the same seed and the same calls give the same behaviour; reading and writing draw from generators of
//! their own, so neither is changed by how the two are interleaved. After a poll that was pending without a
//! reason, the next one in that direction is honest, so everything goes on.
//!
//! Read next: `net/address.rs`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use crate::future::give_way;
use crate::rng::Rng;

/// Wraps any stream and makes it as difficult as a stream may be.
///
/// ```
/// use greenroom::io::{Hostile, StreamReader, duplex, write_all};
///
/// greenroom::Runtime::new()?.block_on(async {
///     let (mut near, far) = duplex(64);
///     write_all(&mut near, b"hello").await?;
///     let far = Hostile::new(far, 7).short_reads(1.0).pending(0.5);
///     assert_eq!(StreamReader::new(far).read_exactly(5).await?, b"hello");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Hostile<S> {
    /// The stream itself.
    stream: S,
    /// Chance in reading.
    reading: Mood,
    /// Chance in writing, flushing and closing.
    writing: Mood,
    /// Where the number of bytes before a reset comes from.
    fate: Rng,
    /// How many bytes may still pass, in both directions together, before the reset.
    bytes_left: Option<u64>,
}

/// What one direction is up to.
#[derive(Debug)]
struct Mood {
    /// Its source of chance.
    rng: Rng,
    /// How likely a transfer is cut short.
    short: f64,
    /// How likely a poll is pending without a reason.
    pending: f64,
    /// Whether the last poll was: then this one is honest.
    was_pending: bool,
}

impl Mood {
    /// One that does all of it every other time.
    fn new(seed: u64) -> Mood {
        Mood { rng: Rng::new(seed), short: 0.5, pending: 0.5, was_pending: false }
    }

    /// True with this probability.
    fn by_chance(&mut self, probability: f64) -> bool {
        // 53 random bits are a fraction of one without rounding.
        ((self.rng.next_u64() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }

    /// Not ready, without a reason, now and then.
    fn poll_ready(&mut self, context: &Context<'_>) -> Poll<()> {
        let pending = self.by_chance(self.pending);
        self.was_pending = pending && !self.was_pending;
        if self.was_pending {
            give_way(context);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// How many of `count` bytes to transfer at most: at least one, if there is one.
    fn share_of(&mut self, count: usize) -> usize {
        match self.by_chance(self.short) {
            true if count > 0 => 1 + self.rng.below(count),
            _ => count,
        }
    }
}

impl<S> Hostile<S> {
    /// Makes `stream` difficult: every other read and write is cut short, and every other poll is pending without
    /// a reason. There are no resets, unless asked for.
    pub fn new(stream: S, seed: u64) -> Hostile<S> {
        let mut fate = Rng::new(seed);
        let (reading, writing) = (Mood::new(fate.next_u64()), Mood::new(fate.next_u64()));
        Hostile { stream, reading, writing, fate, bytes_left: None }
    }

    /// How likely (0.0 to 1.0) a read gives less than fits.
    pub fn short_reads(mut self, probability: f64) -> Hostile<S> {
        self.reading.short = probability;
        self
    }

    /// How likely (0.0 to 1.0) a write takes less than it could.
    pub fn short_writes(mut self, probability: f64) -> Hostile<S> {
        self.writing.short = probability;
        self
    }

    /// How likely (0.0 to 1.0) a poll is pending without a reason; the task is woken for the next one.
    pub fn pending(mut self, probability: f64) -> Hostile<S> {
        (self.reading.pending, self.writing.pending) = (probability, probability);
        self
    }

    /// Resets the connection before `bytes` bytes have passed in both directions together; the seed says when.
    /// From then on every call fails with `ConnectionReset`. Drop it, for the other end to notice.
    pub fn reset_within(mut self, bytes: usize) -> Hostile<S> {
        self.bytes_left = Some(self.fate.below(bytes) as u64);
        self
    }

    /// The stream itself.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream back.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// How many of `count` bytes may pass; an error once the connection is reset.
    fn allowed(&self, count: usize) -> io::Result<usize> {
        match self.bytes_left {
            Some(0) => {
                Err(io::Error::new(io::ErrorKind::ConnectionReset, "a hostile stream reset the connection"))
            }
            Some(left) => Ok(usize::try_from(left).map_or(count, |left| left.min(count))),
            None => Ok(count),
        }
    }

    /// So many bytes have passed.
    fn passed(&mut self, count: usize) {
        self.bytes_left = self.bytes_left.map(|left| left.saturating_sub(count as u64));
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Hostile<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.reading.poll_ready(context));
        let share = self.reading.share_of(buffer.len());
        let share = self.allowed(share)?;
        let count = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer[..share]))?;
        self.passed(count);
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hostile<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.writing.poll_ready(context));
        let share = self.writing.share_of(bytes.len());
        let share = self.allowed(share)?;
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..share]))?;
        self.passed(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.writing.poll_ready(context));
        self.allowed(0)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.writing.poll_ready(context));
        self.allowed(0)?;
        Pin::new(&mut self.stream).poll_close(context)
    }
}
