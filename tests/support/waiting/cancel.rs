//! Cancelling a future at every place where it can be cancelled.
//!
//! [`cancel_everywhere`] plays a scene again and again on the virtual clock: first with one future of
//! it left alone, to count how often that comes back pending; then it drops the future after its
//! first such poll, after its second, and so on, and lets the rest of the scene run to its end. The
//! scene itself checks what must hold then; one that never ends is found as a stall.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use greenroom::{Builder, Order};

/// When a future is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// Never: it runs to its end.
    Never,
    /// In the next turn after so many pending polls, whatever happens until then.
    Soon(usize),
    /// Where it would be polled next after so many pending polls: what it waited for has come, it
    /// was woken, and does not get to know why.
    WhenWoken(usize),
}

/// Cuts futures off, and counts their polls.
#[derive(Clone)]
pub struct Fuse {
    /// When.
    cut: Cut,
    /// How many pending polls there were.
    pending: Rc<Cell<usize>>,
}

impl Fuse {
    pub fn new(cut: Cut) -> Fuse {
        Fuse { cut, pending: Rc::default() }
    }

    /// Runs `future` to its end, or drops it where the fuse says; then the result is `None`.
    pub fn burn<F: Future>(&self, future: F) -> Burning<F> {
        Burning { future: Some(Box::pin(future)), fuse: self.clone() }
    }
}

/// The future of [`Fuse::burn`].
pub struct Burning<F> {
    future: Option<Pin<Box<F>>>,
    fuse: Fuse,
}

impl<F: Future> Future for Burning<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let (cut, pending) = (self.fuse.cut, self.fuse.pending.get());
        if cut == Cut::Soon(pending) || cut == Cut::WhenWoken(pending) {
            self.future = None;
            return Poll::Ready(None);
        }
        let polled = self.future.as_mut().expect("polled after its end").as_mut().poll(context);
        if polled.is_ready() {
            self.future = None;
            return polled.map(Some);
        }
        self.fuse.pending.set(pending + 1);
        if cut == Cut::Soon(pending + 1) {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Plays `scene` once undisturbed, then, for each pending poll of the future that it gives to the
/// fuse, with that future dropped after it, in both manners; all this in several orders of the run
/// queue. Says how often the future was dropped.
pub fn cancel_everywhere<S: Future<Output = ()>>(scene: impl Fn(Fuse) -> S) -> usize {
    let mut dropped = 0;
    for order in (0..20).map(Order::Shuffled).chain([Order::Fifo]) {
        let play = |cut| {
            let fuse = Fuse::new(cut);
            let runtime = Builder::new().virtual_clock(true).order(order).build().unwrap();
            if let Err(stalled) = runtime.try_block_on(scene(fuse.clone())) {
                panic!("{cut:?}, {order:?}: {stalled}");
            }
            fuse.pending.get()
        };
        for limit in 1..=play(Cut::Never) {
            play(Cut::Soon(limit));
            play(Cut::WhenWoken(limit));
            dropped += 2;
        }
    }
    dropped
}
