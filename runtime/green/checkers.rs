//! What memory checkers must be told: which memory is a stack, and when the program goes from one to another.
//!
//! Valgrind takes a jump of the stack pointer for a huge frame, and AddressSanitizer keeps the bounds of the
//! thread's stack: both cry wolf unless they are told. Compiled in with `--cfg valgrind` or `--cfg asan`;
//! without, every function here is empty.
//!
//! Read next: `stack.rs`.

// A checker's own, by their names, take the place of those of nobody.
#[cfg(asan)]
pub(super) use super::checkers_asan::{Fiber, Registered, forget_contents, register_stack, unregister_stack};
#[cfg(valgrind)]
pub(super) use super::checkers_valgrind::{Registered, forget_contents, register_stack, unregister_stack};
#[allow(unused_imports, reason = "a checker may take the place of all")]
pub(super) use nobody::*;

/// Nobody is told anything.
#[allow(dead_code, reason = "a checker takes the place of some")]
mod nobody {
    use std::ptr::NonNull;

    /// What a checker knows a stack by.
    #[derive(Debug)]
    pub(crate) struct Registered;

    /// This memory will be a stack.
    pub(crate) fn register_stack(_low: NonNull<u8>, _bytes: usize) -> Registered {
        Registered
    }

    /// It is none any more.
    pub(crate) fn unregister_stack(_registered: &mut Registered) {}

    /// What the stack held is over.
    pub(crate) fn forget_contents(_low: NonNull<u8>, _bytes: usize) {}

    /// What the side that leaves keeps for when it is back.
    pub(crate) struct Departure;

    /// What a checker knows of the two sides of a coroutine.
    pub(crate) struct Fiber;

    impl Fiber {
        /// The stack of `bytes` at `low`, and whoever will resume it.
        #[inline(always)]
        pub(crate) fn new(_low: NonNull<u8>, _bytes: usize) -> Fiber {
            Fiber
        }

        /// The resuming side is about to go.
        #[inline(always)]
        pub(crate) fn host_leaves(&self) -> Departure {
            Departure
        }

        /// The resuming side is back.
        #[inline(always)]
        pub(crate) fn host_is_back(&self, _departure: Departure) {}

        /// The stack runs for the first time.
        #[inline(always)]
        pub(crate) fn arrives_first(&self) {}

        /// The stack is about to suspend.
        #[inline(always)]
        pub(crate) fn leaves(&self) -> Departure {
            Departure
        }

        /// The stack is back.
        #[inline(always)]
        pub(crate) fn is_back(&self, _departure: Departure) {}

        /// The stack is about to go, and does not come back.
        #[inline(always)]
        pub(crate) fn leaves_for_ever(&self) {}
    }
}
