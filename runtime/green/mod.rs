//! Green threads: functions that wait without holding the loop up, because each has a stack of its own.
//!
//! ```
//! use std::time::Duration;
//! use greenroom::green;
//!
//! fn nap(millis: u64) -> u64 {
//!     green::sleep(Duration::from_millis(millis)); // no async, at any depth of calls
//!     millis
//! }
//!
//! let runtime = greenroom::Runtime::new()?;
//! let total = runtime.block_on(async {
//!     let one = green::spawn(|| nap(1));
//!     let two = green::spawn(|| nap(2));
//!     one.await.unwrap() + two.await.unwrap()
//! });
//! assert_eq!(total, 3);
//! # std::io::Result::Ok(())
//! ```
//!
//! A green thread is a task whose future has a stack for its state. It runs on the loop's one thread, leaves it
//! where it waits, and is polled, woken, cancelled and reported like any task. What it waits for are the futures
//! that tasks await ([`wait`]); there is no second set of sockets, locks and timers. For libraries that only know
//! [`std::io::Read`] and `Write` there is [`StdIo`].
//!
//! What holds the thread up (a call of the system, a lock of std, a long computation) holds all up: see
//! [`blocking`](crate::blocking) for these.
//!
//! From below: `checkers_asan.rs`, `checkers_valgrind.rs` and `checkers.rs` (what memory checkers must be told),
//! `stack.rs` (memory), `stack_pool.rs` (stacks to have and to give back), `switch_x86_64.rs`,
//! `switch_aarch64.rs` and `switch.rs` (from one stack to another), `coroutine.rs` (a body that can stop in the
//! middle), `visit.rs` (who runs now), `wait.rs` (waiting), `local.rs` (values of its own), `overflow.rs` (when a
//! stack is full), `thread.rs` (the future), `spawn.rs` (new ones), `std_io.rs` (for those who know only std).

mod checkers;
mod coroutine;
mod local;
mod overflow;
mod spawn;
mod stack;
mod stack_pool;
mod std_io;
mod switch;
mod thread;
mod visit;
mod wait;

#[cfg(asan)]
mod checkers_asan;
#[cfg(valgrind)]
mod checkers_valgrind;
#[cfg(target_arch = "aarch64")]
mod switch_aarch64;
#[cfg(target_arch = "x86_64")]
mod switch_x86_64;

pub use coroutine::Cancellation;
pub use local::Local;
pub use spawn::{Builder, future, spawn, spawn_named};
pub use std_io::{Incoming, StdIo, incoming};
pub use thread::GreenThread;
pub use wait::{CannotWait, join, join_all, sleep, stack_bytes, stack_high_water, try_wait, wait, yield_now};
