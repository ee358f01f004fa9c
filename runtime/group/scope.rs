//! Children that borrow: futures that live inside of their parent's own future.
//!
//! ```text
//!   the parent's task
//!     └─ scope(..)          the future that owns the body and the children, and polls them
//!          ├─ body          spawns by leaving the child's future in `arrivals`
//!          ├─ child         may borrow what the parent had before the scope
//!          └─ child
//! ```
//!
//! No thread, no task and no promise to run a destructor is needed for this to be sound: a child is a
//! part of the scope's future, so nothing polls it once that future is dropped or forgotten, and what
//! it borrows is borrowed as long as that future can be polled. (A scope of *tasks* that borrow would
//! have to rely on a destructor, which `std::mem::forget` can prevent.)
//!
//! Read next: `token.rs`.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use super::branches::{Batch, Branches};
use super::promise::{Promised, promise};
use crate::executor::local_loop::current;
use crate::task::header::LocalWaker;
use crate::task::here::Here;

/// A child on its way.
type Arrival<'env> = Pin<Box<dyn Future<Output = ()> + 'env>>;

/// Runs `body`, which may spawn children that borrow what was there before the scope, and waits for all
/// of them. They run side by side with the body in the caller's task: one that computes for long delays
/// the others. For children that are tasks, see [`task_group`](crate::task_group).
///
/// ```
/// # greenroom::Runtime::new()?.block_on(async {
/// let play = String::from("a play in two acts");
/// let words = greenroom::scope(async |scope| {
///     let words = scope.spawn(async { play.split(' ').count() });
///     scope.spawn(async { println!("{play}") });
///     words.await.expect("the scope is not over")
/// })
/// .await;
/// assert_eq!((words, play.len()), (5, 18));
/// # });
/// # std::io::Result::Ok(())
/// ```
///
/// A child cannot borrow from the body, nor can anything that it borrows end before it:
///
/// ```compile_fail,E0373
/// # async fn wrong() {
/// greenroom::scope(async |scope| {
///     let local = 1;
///     scope.spawn(async { println!("{local}") });
/// })
/// .await;
/// # }
/// ```
///
/// ```compile_fail,E0597
/// # async fn wrong(scope: greenroom::group::Scope<'_>) {
/// {
///     let short = 1;
///     let short = &short;
///     scope.spawn(async move { println!("{short}") });
/// }
/// greenroom::yield_now().await;
/// # }
/// ```
///
/// # Panics
/// If the body or a child panics: then the others are dropped.
///
/// # Cancel safety
/// Dropping it drops the body and the children, at once.
pub async fn scope<'env, R>(body: impl AsyncFnOnce(Scope<'env>) -> R) -> R {
    let arrivals = Rc::new(Arrivals { new: RefCell::new(Some(Vec::new())), parent: RefCell::new(None) });
    let scope = Scope { arrivals: arrivals.clone() };
    let mut family = Family { branches: Branches::new(), arrivals, value: None };
    family.branches.push(Limb::Body(Box::pin(body(scope))));
    poll_fn(|context| family.poll(context)).await;
    family.value.take().expect("a scope is over when its body is")
}

/// Where children are left until the scope's future takes them in.
struct Arrivals<'env> {
    /// Those who came; `None` once the scope is over.
    new: RefCell<Option<Vec<Arrival<'env>>>>,
    /// The task of the scope while it waits, and its loop.
    parent: RefCell<Option<(LocalWaker, Weak<Here>)>>,
}

/// A scope, for children that borrow. Clones are the same scope.
pub struct Scope<'env> {
    /// Where children are left.
    arrivals: Rc<Arrivals<'env>>,
}

impl<'env> Scope<'env> {
    /// Runs `future` as a child of the scope. When the scope is over, it is dropped unpolled.
    pub fn spawn<F>(&self, future: F) -> Scoped<F::Output>
    where
        F: Future + 'env,
        F::Output: 'env,
    {
        let (promise, promised) = promise();
        let child = Box::pin(async move { promise.keep(future.await) });
        let refused = match &mut *self.arrivals.new.borrow_mut() {
            Some(new) => {
                new.push(child);
                None
            }
            None => Some(child),
        };
        drop(refused);
        let parent = self.arrivals.parent.take();
        if let Some((parent, here)) = parent {
            parent.wake_in(here.upgrade().as_deref());
        }
        Scoped { promised }
    }
}

impl Clone for Scope<'_> {
    fn clone(&self) -> Self {
        Scope { arrivals: self.arrivals.clone() }
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// A scoped child's handle: a future of its value, or of `None` if the scope was over first. Dropping it
/// changes nothing for the child; the value is dropped.
// Not `must_use`: that the scope waits is the common case.
pub struct Scoped<T> {
    /// The value.
    promised: Promised<T>,
}

impl<T> Future for Scoped<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.promised).poll(context)
    }
}

impl<T> fmt::Debug for Scoped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("is_finished", &self.promised.is_settled()).finish()
    }
}

/// The body or a child.
enum Limb<'env, B> {
    /// The body, which gives the scope's value.
    Body(Pin<Box<B>>),
    /// A child.
    Child(Arrival<'env>),
}

impl<B: Future> Future for Limb<'_, B> {
    type Output = Option<B::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Limb::Body(body) => body.as_mut().poll(context).map(Some),
            Limb::Child(child) => child.as_mut().poll(context).map(|()| None),
        }
    }
}

/// The scope's own state.
struct Family<'env, B: Future> {
    /// The body and the children.
    branches: Branches<Limb<'env, B>>,
    /// Where new children are found.
    arrivals: Rc<Arrivals<'env>>,
    /// The value of the body.
    value: Option<B::Output>,
}

impl<B: Future> Family<'_, B> {
    /// Ready when the body and all children have finished. A new child is polled first in the next turn,
    /// like a new task: its coming wakes the parent.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let here = current().map_or(Weak::new(), |current| Rc::downgrade(&current.here));
        let old = self.arrivals.parent.replace(Some((LocalWaker::of(context), here)));
        drop(old);
        let new = self.arrivals.new.borrow_mut().as_mut().map(std::mem::take);
        for child in new.into_iter().flatten() {
            self.branches.push(Limb::Child(child));
        }
        let mut batch = Batch::default();
        while let Some((_, value)) = ready!(self.branches.poll_next(context, &mut batch)) {
            self.value = value.or(self.value.take());
        }
        let is_over = self.arrivals.new.borrow().as_ref().is_none_or(Vec::is_empty);
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<B: Future> Drop for Family<'_, B> {
    /// The scope is over: who comes now is refused.
    fn drop(&mut self) {
        let parent = self.arrivals.parent.take();
        let new = self.arrivals.new.take();
        drop((parent, new));
    }
}
