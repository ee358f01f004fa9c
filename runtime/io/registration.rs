//! A descriptor's place in the reactor: what every awaited call goes through.
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
//! through costs the task a unit of its share; a task whose descriptor is always ready gives
//! way when the share is used up. A future that is dropped while it waits leaves nothing behind.
//!
//! Read next: `nonblocking.rs`.

use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::atomic::Arc;
use crate::executor::local_loop::{LocalLoop, Target, current_if, expect_current, try_current};
use crate::future::give_way;
use crate::id::WaitReason;
use crate::reactor::{Direction, Reactor, Ticket};
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
        current.forget_watch(fd);
        Ok(Registration { home: current.home().clone(), key, fd })
    }

    /// The loop.
    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// The loop, if this thread is inside of it.
    ///
    /// # Errors
    /// If it is not: whose the descriptor is.
    pub(crate) fn current(&self) -> io::Result<Rc<LocalLoop>> {
        current_if(&self.home).ok_or_else(|| {
            let whose = match self.home.thread == std::thread::current().id() {
                true => "a loop of this thread that is not entered, or is gone",
                false => "the loop of another thread",
            };
            io::Error::other(format!("fd {} belongs to {whose}; use it inside of its own loop", self.fd))
        })
    }

    /// Waiting in one direction, for a future of its own: dropped, it leaves nothing behind.
    pub(crate) fn wait(&self, direction: Direction) -> Wait<'_> {
        Wait { registration: self, direction, reason: self.reason(direction), is_owned: true, ticket: None }
    }

    /// Its place in the loop's reactor.
    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// Waiting in one direction, for a single poll: whoever waits stays, until the next edge.
    pub(crate) fn wait_unowned(&self, direction: Direction) -> Wait<'_> {
        Wait { is_owned: false, ..self.wait(direction) }
    }

    /// Makes one call now; remembers if it would have blocked.
    pub(crate) fn try_call<R>(
        &self,
        direction: Direction,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
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
        self.note_transfer(direction, count, len)?;
        Ok(count)
    }

    /// Remembers what a transfer of `count` out of `len` bytes says about the next one.
    fn note_transfer(&self, direction: Direction, count: usize, len: usize) -> io::Result<()> {
        if 0 < count && count < len {
            self.current()?.reactor.borrow_mut().set_short(self.key, direction);
        }
        Ok(())
    }

    /// What a task says that waits for this descriptor.
    fn reason(&self, direction: Direction) -> WaitReason {
        match direction {
            Direction::Read => WaitReason::Read(self.fd),
            Direction::Write => WaitReason::Write(self.fd),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let key = self.key;
        let Some(current) = current_if(&self.home) else {
            // The descriptor is still open, but will not be when the letter is read.
            (self.home.unregister)(self.fd);
            let forget =
                move || wake_all(&expect_current("a descriptor's end"), |reactor| reactor.forget(key));
            drop(self.home.post(Mail::Run(Box::new(forget))));
            return;
        };
        wake_all(&current, |reactor| reactor.deregister(key));
    }
}

/// Wakes those whom the reactor gives back: what they wait for is gone, and they may say so.
fn wake_all(current: &LocalLoop, remove: impl FnOnce(&mut Reactor<Target>) -> Vec<Target>) {
    let waiters = remove(&mut current.reactor.borrow_mut());
    for waiter in waiters {
        current.trigger(waiter);
    }
}

/// One future, or one poll, waiting for a descriptor.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    /// The descriptor's place.
    registration: &'a Registration,
    /// In which direction.
    direction: Direction,
    /// What the task says that it waits for.
    reason: WaitReason,
    /// Whether the wait ends when this is dropped.
    is_owned: bool,
    /// The name of the wait in the reactor, if it is owned and has begun.
    ticket: Option<Ticket>,
}

impl Wait<'_> {
    /// Gives the task another reason to name.
    pub(crate) fn because(mut self, reason: WaitReason) -> Self {
        self.reason = reason;
        self
    }

    /// Makes `call` when it may succeed, and waits when it would block.
    pub(crate) fn poll_call<R>(
        &mut self,
        context: &mut Context<'_>,
        mut call: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let current = self.registration.current()?;
        loop {
            ready!(self.poll_ready_in(&current, context));
            match call() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    current.reactor.borrow_mut().set_blocked(self.registration.key, self.direction);
                }
                result => return Poll::Ready(result),
            }
        }
    }

    /// [`poll_call`](Wait::poll_call) for a transfer of up to `len` bytes on a stream socket, where less than
    /// `len` means that the next one would block.
    pub(crate) fn poll_transfer(
        &mut self,
        context: &mut Context<'_>,
        len: usize,
        call: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.poll_call(context, call))?;
        self.registration.note_transfer(self.direction, count, len)?;
        Poll::Ready(Ok(count))
    }

    /// Waits until a call may succeed.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let current = self.registration.current()?;
        self.poll_ready_in(&current, context).map(Ok)
    }

    /// The same, with the loop in hand. Being ready costs a unit of the task's share.
    fn poll_ready_in(&mut self, current: &LocalLoop, context: &mut Context<'_>) -> Poll<()> {
        let key = self.registration.key;
        if current.reactor.borrow().is_ready(key, self.direction) {
            if here::spend_share() {
                return Poll::Ready(());
            }
            give_way(context);
            return Poll::Pending;
        }
        let target = Target::Waker(LocalWaker::of(context));
        let ticket = self.is_owned.then_some(&mut self.ticket);
        let not_needed = current.reactor.borrow_mut().wait_for(key, self.direction, target, ticket);
        drop(not_needed);
        here::waits_for(self.reason);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        // Far from home the waker that stays behind wakes for nothing, once.
        if let Some(current) = current_if(&self.registration.home) {
            let waiter =
                current.reactor.borrow_mut().stop_waiting(self.registration.key, self.direction, ticket);
            drop(waiter);
        }
    }
}
