//! The two directions of a connection as two values, borrowed or owned.
//!
//! Read next: `listener.rs`.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::stream_socket::{StreamSocket, Streams};

/// The reading half of a borrowed stream.
#[derive(Debug)]
pub struct ReadHalf<'a, S: AsFd = StdStream>(&'a StreamSocket<S>);

/// The writing half of a borrowed stream. Closing it closes the writing direction; dropping it does not.
#[derive(Debug)]
pub struct WriteHalf<'a, S: AsFd = StdStream>(&'a StreamSocket<S>);

/// The reading half of a stream.
#[derive(Debug)]
pub struct OwnedReadHalf<S: AsFd = StdStream>(Arc<StreamSocket<S>>);

/// The writing half of a stream. Closing or dropping it closes the writing direction.
#[derive(Debug)]
pub struct OwnedWriteHalf<S: AsFd = StdStream> {
    /// The stream; `None` once the half was reunited with the other.
    stream: Option<Arc<StreamSocket<S>>>,
}

/// Two halves that do not belong together; here they are back.
#[derive(Debug)]
pub struct NotOneStream<S: AsFd = StdStream>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

impl<S: AsFd> fmt::Display for NotOneStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the two halves are not of one stream")
    }
}

impl<S: AsFd + fmt::Debug> std::error::Error for NotOneStream<S> {}

impl<S: AsFd> StreamSocket<S> {
    /// The two directions, borrowed. Where `AsyncReadExt` of the futures crate is imported, `stream.split()` is
    /// that trait's, which moves the stream; then write `TcpStream::split(&mut stream)`.
    pub fn split(&mut self) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// The two directions, each to go its own way, for instance to a task of its own.
    pub fn into_split(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        let stream = Arc::new(self);
        (OwnedReadHalf(stream.clone()), OwnedWriteHalf { stream: Some(stream) })
    }
}

impl<S: AsFd> OwnedReadHalf<S> {
    /// Makes one stream of two halves again.
    ///
    /// # Errors
    /// If they are halves of different streams; they are in the error.
    pub fn reunite(self, mut write: OwnedWriteHalf<S>) -> Result<StreamSocket<S>, Box<NotOneStream<S>>> {
        match write.stream.take() {
            Some(other) if Arc::ptr_eq(&self.0, &other) => {
                drop(other);
                Ok(Arc::into_inner(self.0).expect("there are two halves of a stream, not more"))
            }
            other => {
                write.stream = other;
                Err(Box::new(NotOneStream(self, write)))
            }
        }
    }
}

impl<S: AsFd> ReadHalf<'_, S> {
    /// The stream.
    fn stream(&self) -> &StreamSocket<S> {
        self.0
    }
}

impl<S: AsFd> WriteHalf<'_, S> {
    /// The stream.
    fn stream(&self) -> &StreamSocket<S> {
        self.0
    }
}

impl<S: AsFd> OwnedReadHalf<S> {
    /// The stream.
    fn stream(&self) -> &StreamSocket<S> {
        &self.0
    }
}

impl<S: AsFd> OwnedWriteHalf<S> {
    /// The stream, which is there while the half is.
    fn stream(&self) -> &StreamSocket<S> {
        self.stream.as_deref().expect("a half that was reunited is gone")
    }
}

impl<S: AsFd> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            // A connection that the peer has reset is closed already.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

/// Passes the reading calls of a half on to its stream.
macro_rules! read_through {
    ($half:ty) => {
        impl<S: Streams> AsyncRead for $half
        where
            for<'b> &'b S: Read + Write,
        {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream()).poll_read(context, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream()).poll_read_vectored(context, buffers)
            }
        }
    };
}

/// Passes the writing calls of a half on to its stream.
macro_rules! write_through {
    ($half:ty) => {
        impl<S: Streams> AsyncWrite for $half
        where
            for<'b> &'b S: Read + Write,
        {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream()).poll_write(context, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream()).poll_write_vectored(context, slices)
            }

            fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream()).poll_flush(context)
            }

            fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream()).poll_close(context)
            }
        }
    };
}

read_through!(ReadHalf<'_, S>);
write_through!(WriteHalf<'_, S>);
read_through!(OwnedReadHalf<S>);
write_through!(OwnedWriteHalf<S>);
