//! The children of a group, and what becomes of each.
//!
//! ```text
//!   admitted ──► runs ──► value ─────────► its promise ─┐
//!                  │      error, panic ──► failures,    ├─► leaves; the last one rings
//!                  │                       cancel all   │
//!                  └─ cancelled: dropped ───────────────┘
//! ```
//!
//! Invariants: a child is a member until its future is gone, in whatever manner. Once cancelled, a
//! group stays so: who comes later is cancelled before its first turn. No failure is lost: those that
//! nobody takes are logged.
//!
//! Read next: `task_group.rs`.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::bell::Bell;
use super::failure::Failure;
use super::promise::{Promise, Promised, promise};
use crate::executor::local_loop::expect_current;
use crate::id::TaskId;
use crate::table::{Key, Table};
use crate::task::error::JoinError;
use crate::task::header::Payload;
use crate::task::join::JoinHandle;
use crate::task::waker::guard;

/// The children of one group.
pub(crate) struct Members<E> {
    /// Their tasks; `None` while one is being made.
    tasks: RefCell<Table<Option<JoinHandle<()>>>>,
    /// What went wrong, first come first.
    failures: RefCell<Vec<Failure<E>>>,
    /// Whether all are asked to stop.
    is_cancelled: Cell<bool>,
    /// Rings when they are, and when the last one is gone.
    pub(crate) news: Bell,
}

impl<E: 'static> Members<E> {
    /// Nobody.
    pub(crate) fn new() -> Rc<Members<E>> {
        Rc::new(Members {
            tasks: RefCell::new(Table::new()),
            failures: RefCell::new(Vec::new()),
            is_cancelled: Cell::new(false),
            news: Bell::new(),
        })
    }

    /// Runs a task for one more; its value is promised.
    pub(crate) fn admit<T: 'static>(
        self: &Rc<Self>,
        future: impl Future<Output = Result<T, E>> + 'static,
        name: Option<&str>,
        location: &'static Location<'static>,
    ) -> (TaskId, Promised<T>) {
        let current = expect_current("TaskGroup::spawn");
        let (promise, promised) = promise();
        let key = self.tasks.borrow_mut().insert(None);
        let membership = Membership { members: self.clone(), key };
        let child = Childhood { future: Some(Box::pin(future)), promise: Some(promise), membership };
        let mut task = current.spawn(child, name, location);
        if self.is_cancelled() {
            task.cancel();
        }
        let id = task.id();
        if let Some(place) = self.tasks.borrow_mut().get_mut(key) {
            *place = Some(task);
        }
        (id, promised)
    }
}

impl<E> Members<E> {
    /// Whether all have left.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.borrow().len() == 0
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Whether all are asked to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.get()
    }

    /// Asks all to stop.
    pub(crate) fn cancel(&self) {
        if self.is_cancelled.replace(true) {
            return;
        }
        let keys = self.tasks.borrow().keys();
        for key in keys {
            if let Some(Some(task)) = self.tasks.borrow_mut().get_mut(key) {
                task.cancel();
            }
        }
        self.news.ring();
    }

    /// One has failed, so all stop.
    pub(crate) fn fail(&self, failure: Failure<E>) {
        self.failures.borrow_mut().push(failure);
        self.cancel();
    }

    /// What went wrong so far.
    pub(crate) fn take_failures(&self) -> Vec<Failure<E>> {
        self.failures.take()
    }

    /// Logs what went wrong and nobody asks for.
    pub(crate) fn log_failures(&self) {
        for failure in self.take_failures() {
            match failure {
                Failure::Panic(error) => log::error!("{error}; its group was gone"),
                Failure::Error(error) => {
                    log::error!("an error of a task whose group was gone");
                    guard("an error that nobody took", || drop(error));
                }
                Failure::Cancelled => {}
            }
        }
    }
}

impl<E> Drop for Members<E> {
    fn drop(&mut self) {
        self.log_failures();
    }
}

/// Being one of a group, until dropped with one's task.
struct Membership<E> {
    /// The group's members.
    members: Rc<Members<E>>,
    /// The key there.
    key: Key,
}

impl<E> Membership<E> {
    /// The member has panicked.
    fn panicked(&self, payload: Payload) {
        let task = self.members.tasks.borrow().get(self.key).and_then(|task| Some(task.as_ref()?.id()));
        self.members.fail(Failure::Panic(JoinError::panicked(task, payload)));
    }
}

impl<E> Drop for Membership<E> {
    fn drop(&mut self) {
        let task = self.members.tasks.borrow_mut().remove(self.key);
        drop(task);
        if self.members.is_empty() {
            self.members.news.ring();
        }
    }
}

/// The future of a member's task.
struct Childhood<F, T, E> {
    /// What it does, until it is done.
    future: Option<Pin<Box<F>>>,
    /// Who waits for its value.
    promise: Option<Promise<T>>,
    /// Its place in the group; left last.
    membership: Membership<E>,
}

// The future stands in a box; of the rest nothing is pinned.
impl<F, T, E> Unpin for Childhood<F, T, E> {}

impl<F, T, E> Childhood<F, T, E> {
    /// Drops the future; false if that panicked.
    fn drop_future(&mut self) -> bool {
        let future = self.future.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        dropped.map_err(|payload| self.membership.panicked(payload)).is_ok()
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> Future for Childhood<F, T, E> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let future = this.future.as_mut().expect("a child that is not finished has a future");
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        let result = match polled {
            Ok(polled) => Ok(ready!(polled)),
            Err(payload) => Err(payload),
        };
        match result {
            Ok(Ok(value)) => match (this.drop_future(), this.promise.take()) {
                (true, Some(promise)) => promise.keep(value),
                _ => guard("the value of a child", || drop(value)),
            },
            Ok(Err(error)) => {
                this.membership.members.fail(Failure::Error(error));
                this.drop_future();
            }
            Err(payload) => {
                this.membership.panicked(payload);
                this.drop_future();
            }
        }
        Poll::Ready(())
    }
}

impl<F, T, E> Drop for Childhood<F, T, E> {
    /// A panic of the destructor is the group's to hear of.
    fn drop(&mut self) {
        self.drop_future();
    }
}
