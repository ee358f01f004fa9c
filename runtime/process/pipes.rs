//! The standard streams of a child, as pipes of ours.
//!
//! Our ends are made non-blocking. That is nobody else's business: the two ends of a pipe are two open files
//! (pipe(7)), and the child's stays as it is.
//!
//! Read next: `child.rs`.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use crate::io::Nonblocking;

/// How many bytes one read asks for.
const READ_BYTES: usize = 32 * 1024;

/// What a child prints, to be read. To lead it into another child instead, make a [`std::io::pipe`] and give each of
/// them an end.
pub type ChildStdout = Nonblocking<PipeReader>;

/// What a child complains about, to be read.
pub type ChildStderr = Nonblocking<PipeReader>;

/// A child's standard input, to be written to. Closing or dropping it is the end of the child's input.
#[derive(Debug)]
pub struct ChildStdin {
    /// Our end; `None` once it was closed.
    pipe: Option<Nonblocking<PipeWriter>>,
}

/// Our end of a child's standard input.
pub(super) fn writer(end: impl Into<OwnedFd>) -> io::Result<ChildStdin> {
    let pipe = Nonblocking::new(PipeWriter::from(end.into()))?;
    Ok(ChildStdin { pipe: Some(pipe) })
}

/// Our end of a child's standard output or standard error.
pub(super) fn reader(end: impl Into<OwnedFd>) -> io::Result<Nonblocking<PipeReader>> {
    Nonblocking::new(PipeReader::from(end.into()))
}

impl AsyncWrite for ChildStdin {
    /// Writes some bytes; `BrokenPipe` says that the child does not read any more, or this was closed.
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &self.pipe {
            Some(pipe) => pipe.poll_write_with(context, |mut pipe| pipe.write(bytes)),
            None => Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
        }
    }

    /// There is nothing to flush: what was written is in the pipe.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the pipe.
    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe = None;
        Poll::Ready(Ok(()))
    }
}

/// A pipe and what came out of it so far.
pub(super) struct Collecting {
    /// The pipe; `None` at its end, or if there is none.
    pub(super) pipe: Option<Nonblocking<PipeReader>>,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
}

impl Collecting {
    /// Reads until the end.
    pub(super) fn poll_all(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(pipe) = &mut self.pipe {
            let old = self.bytes.len();
            self.bytes.resize(old + READ_BYTES, 0);
            let polled = Pin::new(pipe).poll_read(context, &mut self.bytes[old..]);
            self.bytes.truncate(match &polled {
                Poll::Ready(Ok(count)) => old + count,
                _ => old,
            });
            if ready!(polled)? == 0 {
                self.pipe = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}
