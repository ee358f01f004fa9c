//! A list of those who wait for one thing, each in a place of its own: joining, leaving and being
//! woken cost the same however many wait.
//!
//! Read next: `io/registration.rs`.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::task::Context;

use crate::executor::local_loop::current;
use crate::id::WaitReason;
use crate::table::{Key, Table};
use crate::task::header::LocalWaker;
use crate::task::here::{self, Here};

/// Who waits.
#[derive(Debug)]
pub(crate) struct WaitList {
    /// The waiters by their places, each with its loop, in which alone its task's name means something.
    places: RefCell<Table<(LocalWaker, Weak<Here>)>>,
}

/// One waiter's place in a list; empty while it does not wait.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place(Option<Key>);

impl WaitList {
    /// Nobody waits.
    pub(crate) fn new() -> WaitList {
        WaitList { places: RefCell::new(Table::new()) }
    }

    /// Takes, or keeps, a place; the running task says why it waits.
    pub(crate) fn wait(&self, place: &mut Place, context: &Context<'_>, reason: WaitReason) {
        let here = current().map_or(Weak::new(), |current| Rc::downgrade(&current.here));
        let waker = (LocalWaker::of(context), here);
        let mut places = self.places.borrow_mut();
        let old = match place.0.and_then(|key| places.get_mut(key)) {
            Some(kept) => Some(std::mem::replace(kept, waker)),
            None => {
                place.0 = Some(places.insert(waker));
                None
            }
        };
        drop(places);
        drop(old);
        here::waits_for(reason);
    }

    /// Gives a place up.
    pub(crate) fn leave(&self, place: &mut Place) {
        let left = place.0.take().and_then(|key| self.places.borrow_mut().remove(key));
        drop(left);
    }

    /// Wakes everyone, in the order of their places; all places are empty then.
    pub(crate) fn wake_all(&self) {
        let keys = self.places.borrow().keys();
        for key in keys {
            // Taken out one by one: a place must not be valid in a second life of the table.
            let waiting = self.places.borrow_mut().remove(key);
            if let Some((waker, here)) = waiting {
                waker.wake_in(here.upgrade().as_deref());
            }
        }
    }
}
