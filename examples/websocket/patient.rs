//! A connection that does not wait for ever: its reads fail when the other end has taken too long, and when the
//! server shall end. Whoever reads it, by way of `StdIo`, need know nothing of that.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::io::{AsyncRead, AsyncWrite};
use greenroom::net::{Drain, TcpStream};
use greenroom::{Sleep, sleep};

/// A connection with limits to its patience.
pub struct Patient {
    /// The connection.
    stream: TcpStream,
    /// Tells that the server shall end; `None` once that was told.
    drain: Option<Drain>,
    /// When the other end has taken too long.
    limit: Sleep,
}

impl Patient {
    /// A connection on which something must have been said within this time.
    pub fn new(stream: TcpStream, drain: Drain, within: Duration) -> Patient {
        Patient { stream, drain: Some(drain), limit: sleep(within) }
    }

    /// The connection.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Waits so long from now on, all in all: also for somebody who sends a byte now and then.
    pub fn be_patient(&mut self, within: Duration) {
        self.limit.reset(within);
    }

    /// The same at the end of a conversation, which that of the server does not interrupt any more.
    pub fn be_patient_to_the_end(&mut self, within: Duration) {
        self.drain = None;
        self.be_patient(within);
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Patient { stream, drain, limit } = &mut *self;
        if drain.as_mut().is_some_and(|drain| drain.poll_order(context).is_ready()) {
            // Once: whoever is told that may have something to read before the end.
            *drain = None;
            return Poll::Ready(Err(io::Error::new(
                ErrorKind::ConnectionAborted,
                "the server is going away",
            )));
        }
        if let Poll::Ready(result) = Pin::new(stream).poll_read(context, buffer) {
            return Poll::Ready(result);
        }
        ready!(Pin::new(limit).poll(context));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "nothing was said for too long")))
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}
