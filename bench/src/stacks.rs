//! The runtime's own stacks and switch, from its own files, without the loop around them.
//!
//! They are private to the runtime, and their files need nothing of it: so they are compiled here a second time.

#![allow(dead_code, missing_docs, reason = "the runtime uses, and documents, what is not used here")]

#[path = "../../runtime/green/checkers.rs"]
mod checkers;
#[path = "../../runtime/green/coroutine.rs"]
mod coroutine;
#[path = "../../runtime/green/stack.rs"]
mod stack;
#[path = "../../runtime/green/stack_pool.rs"]
mod stack_pool;
#[path = "../../runtime/green/switch.rs"]
#[allow(unused_imports, reason = "how it rounds is for the runtime")]
mod switch;
#[cfg(target_arch = "aarch64")]
#[path = "../../runtime/green/switch_aarch64.rs"]
mod switch_aarch64;
#[cfg(target_arch = "x86_64")]
#[path = "../../runtime/green/switch_x86_64.rs"]
mod switch_x86_64;

use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use coroutine::{Control, Coroutine};
use stack_pool::PooledStack;

/// The control of the coroutine that is to run, for the body to find.
struct Found(NonNull<Control>);

/// Resumes a coroutine that suspends at once, so many times.
pub fn resume_and_suspend(times: u64) -> Duration {
    let found: &'static std::cell::Cell<Option<Found>> = Box::leak(Box::new(std::cell::Cell::new(None)));
    let stack = PooledStack::of(64 * 1024).expect("memory for a stack");
    let body = || {
        let Found(control) = found.take().expect("set before the first resume");
        loop {
            // SAFETY: the control is that of this stack.
            unsafe { Control::suspend(control) };
        }
    };
    let coroutine = Coroutine::new(stack, body).unwrap_or_else(|_| panic!("a small body fits"));
    let coroutine: Pin<&mut Coroutine<()>> = pin!(coroutine);
    let coroutine = coroutine.into_ref();
    found.set(Some(Found(coroutine.control())));
    assert!(coroutine.resume().is_none());
    let began = Instant::now();
    for _ in 0..times {
        assert!(coroutine.resume().is_none());
    }
    began.elapsed()
}
