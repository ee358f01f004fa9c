//! Any descriptor as something to await: [`Nonblocking<T>`].
//!
//! Read next: `readable_now.rs`.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

use super::registration::Registration;
use crate::reactor::Direction;

/// Any pollable descriptor, with its calls made awaitable: sockets, pipes, terminals, eventfds.
///
/// The value may move to other threads; there, reading and writing are errors. It can be shared:
/// several tasks may wait for the same descriptor, and all of them are woken to try.
#[derive(Debug)]
pub struct Nonblocking<T: AsFd> {
    /// Dropped before the descriptor closes: fields drop in the order of their declaration.
    registration: Registration,
    /// The owner of the descriptor.
    io: T,
}

impl<T: AsFd> Nonblocking<T> {
    /// Makes the descriptor non-blocking and registers it with this thread's loop. Whoever shares the open
    /// file (a terminal on standard input is shared with the shell) sees it non-blocking as well.
    ///
    /// # Errors
    /// If there is no loop on this thread, or what fcntl(2) and epoll_ctl(2) report: `EPERM` for
    /// a regular file, which is always ready and cannot be waited for.
    pub fn new(io: T) -> io::Result<Nonblocking<T>> {
        SockRef::from(&io).set_nonblocking(true)?;
        Nonblocking::of_nonblocking(io)
    }

    /// The same for a descriptor that is non-blocking already.
    pub(crate) fn of_nonblocking(io: T) -> io::Result<Nonblocking<T>> {
        let registration = Registration::new(io.as_fd().as_raw_fd())?;
        Ok(Nonblocking { registration, io })
    }

    /// The owner of the descriptor.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// The owner of the descriptor. Do not exchange the descriptor itself.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// Takes the descriptor out of the loop; it stays non-blocking.
    pub fn into_inner(self) -> T {
        let Nonblocking { registration, io } = self;
        drop(registration);
        io
    }

    /// The descriptor's place in the reactor.
    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Waits until a read may succeed; [`try_read_with`](Nonblocking::try_read_with) tells. Only that notices
    /// when nothing is left: after reading by other means this goes on being ready.
    ///
    /// # Errors
    /// Outside of the loop that it belongs to.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Direction::Read).await
    }

    /// Waits until a write may succeed; [`try_write_with`](Nonblocking::try_write_with) tells.
    ///
    /// # Errors
    /// Outside of the loop that it belongs to.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Direction::Write).await
    }

    /// Waits until a call in `direction` may succeed.
    async fn ready(&self, direction: Direction) -> io::Result<()> {
        let mut wait = self.registration.wait(direction);
        poll_fn(|context| wait.poll_ready(context)).await
    }

    /// Makes one reading call now.
    ///
    /// # Errors
    /// `WouldBlock` if it would block: await [`readable`](Nonblocking::readable) then. Else those of the call.
    pub fn try_read_with<R>(&self, call: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        self.registration.try_call(Direction::Read, || call(&self.io))
    }

    /// Makes one writing call now.
    ///
    /// # Errors
    /// `WouldBlock` if it would block: await [`writable`](Nonblocking::writable) then. Else those of the call.
    pub fn try_write_with<R>(&self, call: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        self.registration.try_call(Direction::Write, || call(&self.io))
    }

    /// Makes a reading call, waiting as often as it would block.
    ///
    /// # Errors
    /// Those of the call, or outside of the loop that it belongs to.
    ///
    /// # Cancel safety
    /// The call was made completely or not at all.
    pub async fn read_with<R>(&self, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let mut wait = self.registration.wait(Direction::Read);
        poll_fn(|context| wait.poll_call(context, || call(&self.io))).await
    }

    /// Makes a writing call, waiting as often as it would block.
    ///
    /// # Errors
    /// Those of the call, or outside of the loop that it belongs to.
    ///
    /// # Cancel safety
    /// The call was made completely or not at all.
    pub async fn write_with<R>(&self, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let mut wait = self.registration.wait(Direction::Write);
        poll_fn(|context| wait.poll_call(context, || call(&self.io))).await
    }

    /// The poll behind [`read_with`](Nonblocking::read_with).
    ///
    /// # Errors
    /// As [`read_with`](Nonblocking::read_with).
    pub fn poll_read_with<R>(
        &self,
        context: &mut Context<'_>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.wait_unowned(Direction::Read).poll_call(context, || call(&self.io))
    }

    /// The poll behind [`write_with`](Nonblocking::write_with).
    ///
    /// # Errors
    /// As [`write_with`](Nonblocking::write_with).
    pub fn poll_write_with<R>(
        &self,
        context: &mut Context<'_>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.wait_unowned(Direction::Write).poll_call(context, || call(&self.io))
    }
}

impl<T: AsFd + Unpin> AsyncRead for Nonblocking<T>
where
    for<'a> &'a T: Read,
{
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_with(context, |mut io| io.read(buffer))
    }
}

impl<T: AsFd + Unpin> AsyncWrite for Nonblocking<T>
where
    for<'a> &'a T: Write,
{
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(context, |mut io| io.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_with(context, |mut io| io.flush())
    }

    /// Flushes; what closing means beyond that, `T` alone knows.
    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
