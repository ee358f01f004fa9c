//! The green thread that runs on this thread now: who it is, and with what it may wait.
//!
//! Each time that a green thread is resumed, its host leaves a [`Visit`] on its own stack and a pointer to it in
//! a thread-local; what runs on the green stack finds the way back, and its own things, through it. A green
//! thread can poll a future in which there is another one, so visits nest.
//!
//! Invariant: the thread-local points to a visit only while that visit lasts.
//!
//! Read next: `wait.rs`.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::Context;

use super::coroutine::Control;
use crate::task::here::Indivisible;

/// The values of a green thread's [`Local`](crate::green::Local)s, by the keys' addresses.
pub(super) type Locals = RefCell<Vec<(usize, Rc<dyn Any>)>>;

/// One stay on a green thread's stack, from a resume to the next suspend.
pub(super) struct Visit {
    /// The coroutine.
    pub(super) control: NonNull<Control>,
    /// What the host was polled with; `None` if it was dropped instead.
    pub(super) context: Option<NonNull<Context<'static>>>,
    /// Whether a future is being polled on the stack, so that nothing may suspend it.
    pub(super) polls: Cell<bool>,
    /// Whether the thread was unwinding before this visit: then that is not the green thread.
    pub(super) unwinding_before: bool,
    /// How many of the host's calls cannot be left in their middle; more of them are the stack's own.
    pub(super) indivisible: usize,
    /// The stack's lowest address.
    pub(super) stack_low: NonNull<u8>,
    /// How many bytes it has.
    pub(super) stack_bytes: usize,
    /// The green thread's own values.
    locals: NonNull<Locals>,
}

thread_local! {
    /// The innermost visit.
    static VISIT: Cell<Option<NonNull<Visit>>> = const { Cell::new(None) };
}

impl Visit {
    /// A visit to the stack of `control`, for the poll with `context`, if it is for one.
    #[inline]
    pub(super) fn new(
        control: NonNull<Control>,
        context: Option<&mut Context<'_>>,
        stack: (NonNull<u8>, usize),
        locals: &Locals,
    ) -> Visit {
        Visit {
            control,
            // Only the lifetime is forgotten; the visit is over before the context is.
            context: context.map(|context| NonNull::from(context).cast()),
            polls: Cell::new(false),
            unwinding_before: std::thread::panicking(),
            indivisible: Indivisible::count(),
            stack_low: stack.0,
            stack_bytes: stack.1,
            locals: NonNull::from(locals),
        }
    }

    /// The green thread's own values; what holds them may move before the next visit.
    pub(super) fn locals(&self) -> &Locals {
        // SAFETY: they stay where they are during the visit. Tested by `tests/green_threads.rs`.
        unsafe { self.locals.as_ref() }
    }

    /// Runs `resume` with this visit as the current one.
    #[inline]
    pub(super) fn during<R>(&self, resume: impl FnOnce() -> R) -> R {
        /// Makes the visit before the current one again, in whatever manner this one ends.
        struct Restore(Option<NonNull<Visit>>);
        impl Drop for Restore {
            #[inline]
            fn drop(&mut self) {
                VISIT.set(self.0);
            }
        }
        let _restore = Restore(VISIT.replace(Some(NonNull::from(self))));
        resume()
    }
}

/// The current visit, if this is a green thread. It lasts until the stack suspends.
#[inline]
pub(super) fn current() -> Option<NonNull<Visit>> {
    VISIT.get()
}

/// Runs `f` with the current visit, if this is a green thread; `f` may not suspend.
#[inline]
pub(super) fn with<R>(f: impl FnOnce(&Visit) -> R) -> Option<R> {
    // SAFETY: the invariant above: the visit is on its host's stack, which waits for this one. Tested by every
    // green thread that waits.
    current().map(|visit| f(unsafe { visit.as_ref() }))
}
