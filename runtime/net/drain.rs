//! A server's connections as a crowd: how many there are, and the order to finish.
//!
//! Read next: `accept.rs`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::executor::local_loop::expect_current;
use crate::id::WaitReason;
use crate::table::{Key, Table};
use crate::task::join::JoinHandle;
use crate::waiters::{Place, WaitList};

/// The order to finish that a server gives its connections.
#[derive(Debug)]
pub struct Drain {
    /// The server's connections.
    crowd: Rc<Crowd>,
    /// Where this one waits for the order.
    place: Place,
}

impl Drain {
    /// The order that the crowd will get.
    pub(crate) fn of(crowd: &Rc<Crowd>) -> Drain {
        Drain { crowd: crowd.clone(), place: Place::default() }
    }

    /// Whether the order was given.
    pub fn is_ordered(&self) -> bool {
        self.crowd.draining.get()
    }

    /// Waits for the order.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn wait_for_order(&mut self) {
        poll_fn(|context| self.poll_order(context)).await;
    }

    /// The poll behind [`wait_for_order`](Drain::wait_for_order).
    pub fn poll_order(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_ordered() {
            return Poll::Ready(());
        }
        self.crowd.awaiting_order.poll_grant(&mut self.place, context, WaitReason::Drain, ())
    }
}

impl Clone for Drain {
    fn clone(&self) -> Drain {
        Drain::of(&self.crowd)
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        // The order is for all: there is nobody to hand it on to.
        let _ = self.crowd.awaiting_order.leave(&mut self.place);
    }
}

/// The connections of one server.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// Their tasks.
    members: RefCell<Table<JoinHandle<()>>>,
    /// Whether the order to finish was given.
    draining: Cell<bool>,
    /// Who waits for the order.
    awaiting_order: WaitList,
    /// Who waits for somebody to leave.
    awaiting_room: WaitList,
}

impl Crowd {
    /// Nobody.
    pub(crate) fn new() -> Rc<Crowd> {
        Rc::new(Crowd {
            members: RefCell::new(Table::new()),
            draining: Cell::new(false),
            awaiting_order: WaitList::new(),
            awaiting_room: WaitList::new(),
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.members.borrow().len()
    }

    /// Runs a task for one more; `location` is where the server was started.
    pub(crate) fn admit(
        self: &Rc<Self>,
        serve: impl Future<Output = ()> + 'static,
        location: &'static Location<'static>,
    ) {
        let key = Rc::new(Cell::new(None));
        let member = Member { crowd: self.clone(), key: key.clone() };
        let connection = attended(member, serve);
        let handle = expect_current("Server::run").spawn(connection, None, location);
        key.set(Some(self.members.borrow_mut().insert(handle)));
    }

    /// Ready when at most `limit` are left.
    pub(crate) fn poll_at_most(&self, limit: usize, place: &mut Place, context: &Context<'_>) -> Poll<()> {
        while self.len() > limit {
            // Whoever leaves tells everyone; whether that was enough is for each to see.
            ready!(self.awaiting_room.poll_grant(place, context, WaitReason::Connections, ()));
        }
        self.stop_waiting(place);
        Poll::Ready(())
    }

    /// Gives a place up that was taken by [`poll_at_most`](Crowd::poll_at_most).
    pub(crate) fn stop_waiting(&self, place: &mut Place) {
        let _ = self.awaiting_room.leave(place);
    }

    /// Waits until all have left.
    pub(crate) async fn wait_for_nobody(&self) {
        while self.len() > 0 {
            self.awaiting_room.wait_until(WaitReason::Connections, || self.len() == 0).await;
        }
    }

    /// Orders everyone to finish.
    pub(crate) fn order_to_finish(&self) {
        self.draining.set(true);
        self.awaiting_order.grant_all(());
    }

    /// Cancels everyone; says how many these are.
    pub(crate) fn cancel_all(&self) -> usize {
        let keys = self.members.borrow().keys();
        for &key in &keys {
            if let Some(handle) = self.members.borrow_mut().get_mut(key) {
                handle.cancel();
            }
        }
        keys.len()
    }
}

/// `serve`, as a member.
///
/// An async block has room for what it captures, and once more for what it awaits. In a box that is a pointer, and
/// not all that a connection has to remember.
fn attended(member: Member, serve: impl Future<Output = ()>) -> impl Future<Output = ()> {
    let serve = Box::pin(serve);
    async move {
        let _member = member;
        serve.await;
    }
}

/// Being one of the crowd, until dropped with one's task, in whatever manner that ends.
struct Member {
    /// The crowd.
    crowd: Rc<Crowd>,
    /// The key there; it is known once the task exists.
    key: Rc<Cell<Option<Key>>>,
}

impl Drop for Member {
    fn drop(&mut self) {
        let handle = self.key.get().and_then(|key| self.crowd.members.borrow_mut().remove(key));
        drop(handle);
        self.crowd.awaiting_room.grant_all(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_remembers_takes_its_memory_once() {
        let serve = async {
            let buffer = [0_u8; 4096];
            std::future::ready(()).await;
            assert_eq!(buffer, [0; 4096]);
        };
        assert!(size_of_val(&serve) > 4096);
        let member = Member { crowd: Crowd::new(), key: Rc::default() };
        assert!(size_of_val(&attended(member, serve)) < 100);
    }
}
