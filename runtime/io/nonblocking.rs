//! Any descriptor as something to await: [`Nonblocking<T>`].
//!
//! ```text
//!   poll ──► ready flag set? ──no──► leave a waker, wait for the edge
//!              │ yes      ▲
//!              ▼          │ WouldBlock: clear the flag
//!            the call ────┘
//!              │ done (a short transfer of a stream socket clears the flag as well)
//! ```
//!
//! So a call is tried first, and epoll is asked only when it would block. Each call that goes
//! through costs the task one unit of its share; a task whose descriptor is always ready gives
//! way when the share is used up.
//!
//! Read next: `line_splitter.rs`.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

use crate::atomic::Arc;
use crate::executor::local_loop::{LocalLoop, Target, current_if, expect_current, try_current};
use crate::future::give_way;
use crate::id::WaitReason;
use crate::reactor::Direction;
use crate::table::Key;
use crate::task::header::{Home, LocalWaker, Mail};
use crate::task::here;

/// A descriptor's place in the reactor of one loop. Must be dropped before the descriptor closes.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The loop.
    home: Arc<Home>,
    /// The place.
    key: Key,
    /// The descriptor, for reports.
    fd: RawFd,
}

impl Registration {
    /// Registers a descriptor, which must be non-blocking, with this thread's loop.
    pub(crate) fn new(fd: RawFd) -> io::Result<Registration> {
        let current = try_current("Nonblocking::new")?;
        let registered = current.reactor.borrow_mut().register(fd);
        let key = registered
            .map_err(|error| io::Error::new(error.kind(), format!("cannot wait for fd {fd}: {error}")))?;
        Ok(Registration { home: current.home().clone(), key, fd })
    }

    /// The loop, if this thread is inside of it.
    fn current(&self) -> io::Result<Rc<LocalLoop>> {
        current_if(&self.home).ok_or_else(|| {
            io::Error::other(format!(
                "fd {} belongs to the loop of another thread, or to one that is gone: read and \
                 write it inside of its own loop",
                self.fd
            ))
        })
    }

    /// Makes `call` when it may succeed, and waits when it would block.
    pub(crate) fn poll_call<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        reason: WaitReason,
        mut call: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let current = self.current()?;
        ready!(self.poll_ready_in(&current, context, direction, reason));
        loop {
            if !here::spend_io() {
                give_way(context);
                return Poll::Pending;
            }
            match call() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    current.reactor.borrow_mut().set_blocked(self.key, direction);
                    ready!(self.poll_ready_in(&current, context, direction, reason));
                }
                result => return Poll::Ready(result),
            }
        }
    }

    /// [`poll_call`](Registration::poll_call) for a transfer of up to `len` bytes on a stream
    /// socket, where less than `len` means that the next one would block.
    pub(crate) fn poll_transfer(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        len: usize,
        call: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let reason = self.reason(direction);
        let count = ready!(self.poll_call(context, direction, reason, call))?;
        if 0 < count && count < len {
            self.current()?.reactor.borrow_mut().set_short(self.key, direction);
        }
        Poll::Ready(Ok(count))
    }

    /// Waits until a call in `direction` may succeed.
    pub(crate) fn poll_ready(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        reason: WaitReason,
    ) -> Poll<io::Result<()>> {
        let current = self.current()?;
        self.poll_ready_in(&current, context, direction, reason).map(Ok)
    }

    /// The same, with the loop in hand.
    fn poll_ready_in(
        &self,
        current: &LocalLoop,
        context: &mut Context<'_>,
        direction: Direction,
        reason: WaitReason,
    ) -> Poll<()> {
        if current.reactor.borrow().is_ready(self.key, direction) {
            return Poll::Ready(());
        }
        let waker = Target::Waker(LocalWaker::of(context));
        let not_needed = current.reactor.borrow_mut().wait_for(self.key, direction, waker);
        drop(not_needed);
        here::waits_for(reason);
        Poll::Pending
    }

    /// Makes one call now; remembers if it would have blocked.
    fn try_call<R>(&self, direction: Direction, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let current = self.current()?;
        let result = call();
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            current.reactor.borrow_mut().set_blocked(self.key, direction);
        }
        result
    }

    /// [`try_call`](Registration::try_call) for a transfer of up to `len` bytes on a stream socket.
    pub(crate) fn try_transfer(
        &self,
        direction: Direction,
        len: usize,
        call: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let count = self.try_call(direction, call)?;
        if 0 < count && count < len {
            self.current()?.reactor.borrow_mut().set_short(self.key, direction);
        }
        Ok(count)
    }

    /// What a task says that waits for this descriptor.
    pub(crate) fn reason(&self, direction: Direction) -> WaitReason {
        match direction {
            Direction::Read => WaitReason::Read(self.fd),
            Direction::Write => WaitReason::Write(self.fd),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let key = self.key;
        match current_if(&self.home) {
            Some(current) => {
                let waiters = current.reactor.borrow_mut().deregister(key);
                drop(waiters);
            }
            None => {
                let forget = move || {
                    let current = expect_current("a descriptor's end");
                    let waiters = current.reactor.borrow_mut().forget(key);
                    drop(waiters);
                };
                drop(self.home.post(Mail::Run(Box::new(forget))));
            }
        }
    }
}

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
    /// Makes the descriptor non-blocking and registers it with this thread's loop.
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

    /// Waits until a read may succeed; [`try_read_with`](Nonblocking::try_read_with) tells.
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
        let reason = self.registration.reason(direction);
        poll_fn(|context| self.registration.poll_ready(context, direction, reason)).await
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
        poll_fn(|context| self.poll_read_with(context, &mut call)).await
    }

    /// Makes a writing call, waiting as often as it would block.
    ///
    /// # Errors
    /// Those of the call, or outside of the loop that it belongs to.
    ///
    /// # Cancel safety
    /// The call was made completely or not at all.
    pub async fn write_with<R>(&self, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        poll_fn(|context| self.poll_write_with(context, &mut call)).await
    }

    /// The poll behind [`read_with`](Nonblocking::read_with).
    pub fn poll_read_with<R>(
        &self,
        context: &mut Context<'_>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let reason = self.registration.reason(Direction::Read);
        self.registration.poll_call(context, Direction::Read, reason, || call(&self.io))
    }

    /// The poll behind [`write_with`](Nonblocking::write_with).
    pub fn poll_write_with<R>(
        &self,
        context: &mut Context<'_>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let reason = self.registration.reason(Direction::Write);
        self.registration.poll_call(context, Direction::Write, reason, || call(&self.io))
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
