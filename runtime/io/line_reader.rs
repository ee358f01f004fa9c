//! Lines from any stream of bytes, with the rules of [`LineSplitter`].
//!
//! Read next: `stream_reader.rs`.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_io::AsyncRead;

use super::line_splitter::{LineSplitter, LineTooLong};
use crate::future::give_way;
use crate::task::here;

/// How many bytes one read asks for.
const READ_BYTES: usize = 8 * 1024;

/// What a [`LineReader`] does about a line above the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooLong {
    /// Reports the error, skips the rest of the line, and goes on with the next.
    Error,
    /// Reports the error and is at its end: every later call gives `None`.
    #[default]
    Close,
}

/// Reads lines, without their ends; also a [`Stream`] of them.
#[derive(Debug)]
pub struct LineReader<R> {
    /// Where the bytes come from.
    reader: R,
    /// Finds the lines, and keeps the one that is under way.
    splitter: LineSplitter,
    /// What was read at once; it exists only while there is something in it.
    buffer: Vec<u8>,
    /// How much of the buffer was taken already.
    taken: usize,
    /// What to do about long lines.
    too_long: TooLong,
    /// Whether nothing more will come.
    at_end: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads lines of at most `max_line_bytes` bytes (without the end) from `reader`.
    pub fn new(reader: R, max_line_bytes: usize) -> LineReader<R> {
        LineReader {
            reader,
            splitter: LineSplitter::new(max_line_bytes),
            buffer: Vec::new(),
            taken: 0,
            too_long: TooLong::default(),
            at_end: false,
        }
    }

    /// Chooses what to do about a line above the limit.
    pub fn too_long(mut self, too_long: TooLong) -> LineReader<R> {
        self.too_long = too_long;
        self
    }

    /// The next line; `None` at the end. An unfinished last line counts if it has a byte.
    ///
    /// # Errors
    /// What the reader reports, or a [`LineTooLong`] inside of an [`io::Error`] of kind `InvalidData`.
    ///
    /// # Cancel safety
    /// What was read of a line is kept for the next call.
    pub async fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        poll_fn(|context| self.poll_line(context)).await
    }

    /// The poll behind [`next_line`](LineReader::next_line).
    ///
    /// # Errors
    /// As [`next_line`](LineReader::next_line).
    pub fn poll_line(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        loop {
            // Thousands of short lines may lie in one buffer, and a reader may be always ready.
            if !here::spend_share() {
                give_way(context);
                return Poll::Pending;
            }
            if let Some(line) = self.line_from_buffer().transpose() {
                return Poll::Ready(line.map(Some));
            }
            if self.at_end {
                return Poll::Ready(Ok(self.splitter.finish()));
            }
            // All of it was taken, or there would have been a line.
            self.taken = 0;
            self.buffer.resize(READ_BYTES, 0);
            let polled = Pin::new(&mut self.reader).poll_read(context, &mut self.buffer);
            self.buffer.truncate(match &polled {
                Poll::Ready(Ok(count)) => *count,
                _ => 0,
            });
            if polled.is_pending() {
                // A reader that waits, perhaps for hours, holds no buffer.
                self.buffer = Vec::new();
            }
            self.at_end = ready!(polled)? == 0;
        }
    }

    /// The next line that ends in the buffer.
    fn line_from_buffer(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut rest = &self.buffer[self.taken..];
        let found = self.splitter.next_line(&mut rest);
        self.taken = self.buffer.len() - rest.len();
        match found {
            Ok(line) => Ok(line.map(|line| line.into_owned())),
            Err(error) => {
                if self.too_long == TooLong::Close {
                    self.close();
                }
                Err(too_long_error(error))
            }
        }
    }

    /// Nothing more will come.
    fn close(&mut self) {
        self.at_end = true;
        self.buffer = Vec::new();
        self.taken = 0;
        self.splitter.discard_partial();
    }

    /// How many lines there were so far.
    pub fn lines(&self) -> u64 {
        self.splitter.lines()
    }

    /// How many bytes they and their ends had, with what was read of the next one.
    pub fn bytes(&self) -> u64 {
        self.splitter.bytes()
    }

    /// The reader. Reading from it past this `LineReader` loses nothing but confuses the lines.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }
}

impl<R: AsyncRead + Unpin> Stream for LineReader<R> {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_line(context).map(Result::transpose)
    }
}

/// A line above the limit as an I/O error.
fn too_long_error(error: LineTooLong) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
