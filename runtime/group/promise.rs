//! A value that one side owes the other: of a child to whoever waits for it.
//!
//! Read next: `scope.rs`.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::bell::Bell;
use crate::id::WaitReason;
use crate::waiters::Place;

/// What both sides see.
struct Word<T> {
    /// The value, from when it was given until it is taken.
    value: Cell<Option<T>>,
    /// Whether there is nothing to wait for any more.
    is_settled: Cell<bool>,
    /// Rings when it is settled.
    settled: Bell,
}

/// The side that owes the value. Dropped without, it says that there will be none.
pub(crate) struct Promise<T>(Rc<Word<T>>);

/// The side that waits: a future of the value, or of `None` if there will be none.
pub(crate) struct Promised<T> {
    /// What both sides see.
    word: Rc<Word<T>>,
    /// Where it waits.
    place: Place,
}

/// A promise, and what waits for it.
pub(crate) fn promise<T>() -> (Promise<T>, Promised<T>) {
    let word = Rc::new(Word { value: Cell::new(None), is_settled: Cell::new(false), settled: Bell::new() });
    (Promise(word.clone()), Promised { word, place: Place::default() })
}

impl<T> Promise<T> {
    /// Gives the value. If nobody waits any more, it is dropped here.
    pub(crate) fn keep(self, value: T) {
        self.0.value.set(Some(value));
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.0.is_settled.set(true);
        self.0.settled.ring();
    }
}

impl<T> Promised<T> {
    /// Whether there is nothing to wait for.
    pub(crate) fn is_settled(&self) -> bool {
        self.word.is_settled.get()
    }
}

impl<T> Future for Promised<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let Promised { word, place } = &mut *self;
        let settled = word.settled.poll_until(place, context, WaitReason::Group, || word.is_settled.get());
        settled.map(|()| word.value.take())
    }
}

impl<T> Drop for Promised<T> {
    fn drop(&mut self) {
        self.word.settled.leave(&mut self.place);
    }
}
