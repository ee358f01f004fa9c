//! The few tools that cross threads, taken from std, or from loom when its models are built.
//!
//! loom (a model checker: <https://docs.rs/loom>) explores every interleaving of code that uses
//! its versions of these types. `.ci/run` builds with `--cfg loom`; nobody else notices.
//!
//! Read next: `fault.rs`.

pub(crate) use tools::*;

#[cfg(not(loom))]
mod tools {
    pub(crate) use std::sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence},
    };
    pub(crate) use std::thread_local;
}

#[cfg(loom)]
mod tools {
    pub(crate) use loom::sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence},
    };

    /// `thread_local!` for loom's threads; loom's own takes no `const` block.
    macro_rules! loom_thread_local {
        ($(#[$attribute:meta])* static $name:ident: $type:ty = const { $value:expr };) => {
            loom::thread_local! { $(#[$attribute])* static $name: $type = $value }
        };
    }
    pub(crate) use loom_thread_local as thread_local;
}
