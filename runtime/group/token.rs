//! Cancellation that is asked for: a flag that can be awaited, handed to whoever shall heed it.
//!
//! ```text
//!   parent ◄── child ◄── grandchild      each keeps its parent alive, and is known to it by a key
//! ```
//!
//! Cancelling goes down, never up. A token is of one thread: to ask from another, let a task of the
//! loop do it (`Handle::call_soon_threadsafe` reaches it through a channel or a thread-local).
//!
//! Read next: `gather.rs`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use super::bell::Bell;
use crate::id::WaitReason;
use crate::table::{Key, Table};
use crate::waiters::Place;

/// Asks work to stop: clones are the same token, and whoever holds one may cancel, look, or wait.
///
/// What is asked to stop stops by itself, at a place of its choice. To stop a task from outside, see
/// [`JoinHandle::cancel`](crate::JoinHandle::cancel). Not `Send`: it is of one thread.
#[derive(Clone)]
pub struct CancellationToken {
    /// What the clones share.
    node: Rc<Node>,
}

/// A token in the tree of tokens.
struct Node {
    /// Whether it was cancelled.
    is_cancelled: Cell<bool>,
    /// Rings when it is.
    cancelled: Bell,
    /// Those that are cancelled with it.
    children: RefCell<Table<Weak<Node>>>,
    /// The token that it is cancelled with, and its key there.
    parent: RefCell<Option<(Rc<Node>, Key)>>,
}

impl CancellationToken {
    /// A token that is not cancelled.
    pub fn new() -> CancellationToken {
        CancellationToken { node: Node::new(false) }
    }

    /// A token that is cancelled with this one, or by itself; that does not cancel this one.
    pub fn child(&self) -> CancellationToken {
        let node = Node::new(self.is_cancelled());
        if !self.is_cancelled() {
            let key = self.node.children.borrow_mut().insert(Rc::downgrade(&node));
            node.parent.replace(Some((self.node.clone(), key)));
        }
        CancellationToken { node }
    }

    /// Cancels this token and its children, and theirs. Whoever waits for them is woken. Once
    /// cancelled, a token stays so.
    pub fn cancel(&self) {
        // A list instead of recursion: a family may have more generations than a stack has room for.
        let mut family = VecDeque::from([self.node.clone()]);
        while let Some(node) = family.pop_front() {
            if !node.is_cancelled.replace(true) {
                node.cancelled.ring();
                let children = node.children.borrow();
                family.extend(children.iter().filter_map(|(_, child)| child.upgrade()));
            }
        }
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled.get()
    }

    /// Waits until it is cancelled.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { node: self.node.clone(), place: Place::default() }
    }

    /// Awaits `future` until the token is cancelled; then drops it. `None` if it was cancelled first; if
    /// that was so already, the future is not even begun. If both are ready at once the value counts.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        if self.is_cancelled() {
            return None;
        }
        let (mut future, mut cancelled) = (pin!(future), self.cancelled());
        poll_fn(|context| {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                return Poll::Ready(Some(value));
            }
            Pin::new(&mut cancelled).poll(context).map(|()| None)
        })
        .await
    }
}

impl Default for CancellationToken {
    fn default() -> CancellationToken {
        CancellationToken::new()
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken").field("is_cancelled", &self.is_cancelled()).finish()
    }
}

impl Node {
    /// A node without family.
    fn new(is_cancelled: bool) -> Rc<Node> {
        Rc::new(Node {
            is_cancelled: Cell::new(is_cancelled),
            cancelled: Bell::new(),
            children: RefCell::new(Table::new()),
            parent: RefCell::new(None),
        })
    }
}

impl Drop for Node {
    /// Leaves the parent, and, if this was all that kept it, has that leave its own, and so on: not by
    /// recursion, as in `cancel`.
    fn drop(&mut self) {
        let mut link = self.parent.take();
        while let Some((parent, key)) = link {
            let gone = parent.children.borrow_mut().remove(key);
            drop(gone);
            link = Rc::into_inner(parent).and_then(|last| last.parent.take());
        }
    }
}

/// The future of [`CancellationToken::cancelled`].
#[must_use = "futures do nothing unless awaited"]
pub struct Cancelled {
    /// The token.
    node: Rc<Node>,
    /// Where it waits.
    place: Place,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Cancelled { node, place } = &mut *self;
        node.cancelled.poll_until(place, context, WaitReason::Cancellation, || node.is_cancelled.get())
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.node.cancelled.leave(&mut self.place);
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").field("is_cancelled", &self.node.is_cancelled.get()).finish()
    }
}
