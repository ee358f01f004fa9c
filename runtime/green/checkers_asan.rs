//! What AddressSanitizer is told of stacks, with `--cfg asan` (see `.ci/asan`).
//!
//! ```text
//!   host ── start_switch(keep its fake stack, where we go) ─► the switch ─► finish_switch(…) ── stack
//!        ◄─ finish_switch(its fake stack) ◄─ the switch ◄─ start_switch(keep, the host's bounds) ─
//! ```
//!
//! Facts (sanitizer/common_interface_defs.h, sanitizer/asan_interface.h): the sanitizer keeps the bounds of the
//! stack that runs, and marks in its shadow memory what may not be touched. A frame marks what is between its
//! variables and takes the marks away when it returns; frames that never return (`enter` in `coroutine.rs`, all of
//! a stack left for ever) leave theirs behind. To find uses after a return it may place variables in a *fake
//! stack* of the heap, which belongs to the stack that runs; a null handle at a departure gives it up.
//! Its search for leaks reads the stacks of the system's threads and what is registered as a root.
//!
//! Read next: `checkers_valgrind.rs`.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

unsafe extern "C" {
    fn __sanitizer_start_switch_fiber(kept: *mut *mut c_void, bottom: *const c_void, bytes: usize);
    fn __sanitizer_finish_switch_fiber(kept: *mut c_void, bottom: *mut *const c_void, bytes: *mut usize);
    fn __asan_unpoison_memory_region(low: *const c_void, bytes: usize);
    fn __lsan_register_root_region(low: *const c_void, bytes: usize);
    fn __lsan_unregister_root_region(low: *const c_void, bytes: usize);
}

/// A stack where pointers are looked for when leaks are.
#[derive(Debug)]
pub(crate) struct Registered(NonNull<u8>, usize);

/// This memory will be a stack; whatever was at its addresses before has left no marks.
pub(crate) fn register_stack(low: NonNull<u8>, bytes: usize) -> Registered {
    forget_contents(low, bytes);
    // SAFETY: the memory is there until it is unregistered.
    unsafe { __lsan_register_root_region(low.as_ptr().cast(), bytes) };
    Registered(low, bytes)
}

/// It is none any more.
pub(crate) fn unregister_stack(registered: &mut Registered) {
    // SAFETY: it was registered with these numbers.
    unsafe { __lsan_unregister_root_region(registered.0.as_ptr().cast(), registered.1) };
}

/// What the stack held is over: so are the marks of frames that never returned.
pub(crate) fn forget_contents(low: NonNull<u8>, bytes: usize) {
    // SAFETY: only marks change, and those of a stack that nobody runs on.
    unsafe { __asan_unpoison_memory_region(low.as_ptr().cast(), bytes) };
}

/// The fake stack of the side that leaves.
pub(crate) struct Departure(*mut c_void);

/// The bounds of both sides.
pub(crate) struct Fiber {
    /// The stack's.
    own: (*const c_void, usize),
    /// Those of the stack of whoever resumed it last.
    host: Cell<(*const c_void, usize)>,
}

impl Fiber {
    /// The stack of `bytes` at `low`, and whoever will resume it.
    #[inline(always)]
    pub(crate) fn new(low: NonNull<u8>, bytes: usize) -> Fiber {
        Fiber { own: (low.as_ptr().cast(), bytes), host: Cell::new((ptr::null(), 0)) }
    }

    /// The resuming side is about to go.
    #[inline(always)]
    pub(crate) fn host_leaves(&self) -> Departure {
        leave_for(self.own)
    }

    /// The resuming side is back.
    #[inline(always)]
    pub(crate) fn host_is_back(&self, departure: Departure) {
        arrive(departure.0);
    }

    /// The stack runs for the first time.
    #[inline(always)]
    pub(crate) fn arrives_first(&self) {
        self.host.set(arrive(ptr::null_mut()));
    }

    /// The stack is about to suspend.
    #[inline(always)]
    pub(crate) fn leaves(&self) -> Departure {
        leave_for(self.host.get())
    }

    /// The stack is back; it may be another host, or the same one at another depth of stacks.
    #[inline(always)]
    pub(crate) fn is_back(&self, departure: Departure) {
        self.host.set(arrive(departure.0));
    }

    /// The stack is about to go, and does not come back.
    #[inline(always)]
    pub(crate) fn leaves_for_ever(&self) {
        let (bottom, bytes) = self.host.get();
        // SAFETY: as in `leave_for`; null gives the fake stack up.
        unsafe { __sanitizer_start_switch_fiber(ptr::null_mut(), bottom, bytes) };
    }
}

/// Before the switch to a stack with these bounds.
#[inline(always)]
fn leave_for((bottom, bytes): (*const c_void, usize)) -> Departure {
    let mut kept = ptr::null_mut();
    // SAFETY: the place is there, and what is between this and the switch is on the stack that is left.
    unsafe { __sanitizer_start_switch_fiber(&raw mut kept, bottom, bytes) };
    Departure(kept)
}

/// After the switch: gives the fake stack back, and learns the bounds of the stack that was left.
#[inline(always)]
fn arrive(kept: *mut c_void) -> (*const c_void, usize) {
    let (mut bottom, mut bytes) = (ptr::null(), 0);
    // SAFETY: the handle is what the departure gave, or null for a stack that begins; the places are there.
    unsafe { __sanitizer_finish_switch_fiber(kept, &raw mut bottom, &raw mut bytes) };
    (bottom, bytes)
}
