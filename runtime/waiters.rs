//! Who waits for one thing, in the order in which they came: the core of every primitive in
//! `sync/`, and of a server's crowd.
//!
//! ```text
//!   first ──► A ──► B ──► C ◄── last         in line
//!
//!   G    granted: woken, and owner of what it waited for, but not polled since; out of the line
//! ```
//!
//! Whoever has something to give grants it to the first in line; from then on it is that
//! waiter's. If the waiter is dropped before it was polled again, [`WaitList::leave`] gives the
//! grant back, and the primitive hands it on. So no grant is lost, and none is stolen by a late
//! comer. Joining, leaving and granting cost the same however many wait.
//!
//! Invariant: the list is not borrowed while a waker is used or dropped, nor while a user's value
//! is: a waker of somebody else's may come back at once.
//!
//! Read next: `sync/event.rs`.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use crate::executor::local_loop::current;
use crate::future::give_way;
use crate::id::{TaskId, WaitReason};
use crate::table::{Key, Table};
use crate::task::header::LocalWaker;
use crate::task::here::{self, Here};

/// One who waits.
#[derive(Debug)]
struct Waiter<W, G> {
    /// Whom to wake; taken when it is granted.
    waker: Option<LocalWaker>,
    /// The loop in which alone the waker's task name means something.
    here: Weak<Here>,
    /// What it wants, in the primitive's terms.
    wants: W,
    /// What it was given; then it is in line no more.
    granted: Option<G>,
    /// Who came before it.
    before: Option<Key>,
    /// Who came after it.
    after: Option<Key>,
}

/// The line.
#[derive(Debug)]
struct Line<W, G> {
    /// All waiters, in line and granted.
    waiters: Table<Waiter<W, G>>,
    /// Who is served next.
    first: Option<Key>,
    /// Who came last.
    last: Option<Key>,
    /// How many are in line.
    len: usize,
}

/// Who waits; each wants a `W` and is granted a `G`.
#[derive(Debug)]
pub(crate) struct WaitList<W = (), G = ()> {
    /// The line.
    line: RefCell<Line<W, G>>,
}

/// A waiting future's place in a list; empty while it does not wait.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Its key, while it waits.
    key: Option<Key>,
    /// Whether it gave way for want of a share, and goes on without one: what is polled before it may be always
    /// ready, and would leave it none, poll after poll.
    gave_way: bool,
}

impl<W, G> Line<W, G> {
    /// Takes a waiter out of the line; it stays in the table.
    fn unlink(&mut self, key: Key) {
        let Some(waiter) = self.waiters.get_mut(key) else { return };
        let (before, after) = (waiter.before.take(), waiter.after.take());
        match before.and_then(|key| self.waiters.get_mut(key)) {
            Some(before) => before.after = after,
            None => self.first = after,
        }
        match after.and_then(|key| self.waiters.get_mut(key)) {
            Some(after) => after.before = before,
            None => self.last = before,
        }
        self.len -= 1;
    }

    /// Puts a new waiter at the end of the line.
    fn join(&mut self, waker: LocalWaker, here: Weak<Here>, wants: W) -> Key {
        let before = self.last;
        let waiter = Waiter { waker: Some(waker), here, wants, granted: None, before, after: None };
        let key = self.waiters.insert(waiter);
        match before.and_then(|key| self.waiters.get_mut(key)) {
            Some(before) => before.after = Some(key),
            None => self.first = Some(key),
        }
        self.last = Some(key);
        self.len += 1;
        key
    }
}

impl<W, G> WaitList<W, G> {
    /// Nobody waits.
    pub(crate) const fn new() -> WaitList<W, G> {
        WaitList { line: RefCell::new(Line { waiters: Table::new(), first: None, last: None, len: 0 }) }
    }

    /// How many are in line.
    pub(crate) fn len(&self) -> usize {
        self.line.borrow().len
    }

    /// The tasks in line, first come first.
    pub(crate) fn tasks(&self) -> Vec<TaskId> {
        let line = self.line.borrow();
        let mut tasks = Vec::new();
        let mut next = line.first;
        while let Some(waiter) = next.and_then(|key| line.waiters.get(key)) {
            tasks.extend(waiter.waker.as_ref().and_then(LocalWaker::task));
            next = waiter.after;
        }
        tasks
    }

    /// What every future of a primitive does: who is new takes what is free, with `take`; who finds
    /// nothing, and who is in line already, waits to be granted.
    ///
    /// `take` must find nothing while others are in line, or it passes them by.
    pub(crate) fn poll_take(
        &self,
        place: &mut Place,
        context: &Context<'_>,
        reason: WaitReason,
        wants: W,
        take: impl FnOnce() -> Option<G>,
    ) -> Poll<G> {
        if place.key.is_none() {
            if !std::mem::take(&mut place.gave_way) && !here::spend_share() {
                place.gave_way = true;
                give_way(context);
                return Poll::Pending;
            }
            if let Some(taken) = take() {
                return Poll::Ready(taken);
            }
        }
        self.poll_grant(place, context, reason, wants)
    }

    /// Joins the line, or stays in it, until granted. Once it is ready the place is empty again.
    pub(crate) fn poll_grant(
        &self,
        place: &mut Place,
        context: &Context<'_>,
        reason: WaitReason,
        wants: W,
    ) -> Poll<G> {
        if let Some(granted) = self.take_grant(place) {
            return Poll::Ready(granted);
        }
        let waker = LocalWaker::of(context);
        let here = current().map_or(Weak::new(), |current| Rc::downgrade(&current.here));
        let mut line = self.line.borrow_mut();
        let old = match place.key.and_then(|key| line.waiters.get_mut(key)) {
            Some(waiter) => {
                waiter.here = here;
                waiter.waker.replace(waker)
            }
            None => {
                place.key = Some(line.join(waker, here, wants));
                None
            }
        };
        drop(line);
        drop(old);
        here::waits_for(reason);
        Poll::Pending
    }

    /// The grant of a waiter, which then has no place any more.
    fn take_grant(&self, place: &mut Place) -> Option<G> {
        let key = place.key?;
        let mut line = self.line.borrow_mut();
        let granted = line.waiters.get_mut(key)?.granted.take()?;
        let gone = line.waiters.remove(key);
        drop(line);
        drop(gone);
        place.key = None;
        Some(granted)
    }

    /// Gives up the place; what had been granted to it is the caller's, who must hand it on.
    #[must_use]
    pub(crate) fn leave(&self, place: &mut Place) -> Option<G> {
        if let Some(granted) = self.take_grant(place) {
            return Some(granted);
        }
        let key = place.key.take()?;
        let mut line = self.line.borrow_mut();
        line.unlink(key);
        let gone = line.waiters.remove(key);
        drop(line);
        drop(gone);
        None
    }

    /// Offers to the first in line what `offer` makes of its wants; says whether it took it.
    pub(crate) fn grant_first(&self, offer: impl FnOnce(&W) -> Option<G>) -> bool {
        let mut line = self.line.borrow_mut();
        let first = line.first;
        let Some((key, waiter)) = first.and_then(|key| Some((key, line.waiters.get_mut(key)?))) else {
            return false;
        };
        let Some(grant) = offer(&waiter.wants) else { return false };
        waiter.granted = Some(grant);
        let (waker, here) = (waiter.waker.take(), waiter.here.upgrade());
        line.unlink(key);
        drop(line);
        if let Some(waker) = waker {
            waker.wake_in(here.as_deref());
        }
        true
    }

    /// Grants to everyone who is in line now; says how many these were.
    pub(crate) fn grant_all(&self, grant: G) -> usize
    where
        G: Copy,
    {
        // Counted before: a waker of somebody else's may make others join or leave meanwhile.
        let count = self.len();
        (0..count).take_while(|_| self.grant_first(|_| Some(grant))).count()
    }
}

impl WaitList {
    /// Waits until it `is_so`, or everyone is let go: for news that are for all, so that a waiter who
    /// leaves has nothing to hand on.
    pub(crate) async fn wait_until(&self, reason: WaitReason, is_so: impl Fn() -> bool) {
        let mut waiting = Waiting { list: self, place: Place::default() };
        let take = || is_so().then_some(());
        poll_fn(|context| self.poll_take(&mut waiting.place, context, reason, (), take)).await;
    }
}

/// Being in a list, until dropped.
struct Waiting<'a> {
    /// The list.
    list: &'a WaitList,
    /// The place in it.
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let _ = self.list.leave(&mut self.place);
    }
}
