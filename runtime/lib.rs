//! A hand-rolled event loop on mio: callbacks, async tasks and green threads on one thread, one clock, one loop.
//!
//! ```
//! use std::time::Duration;
//!
//! let runtime = greenroom::Runtime::new()?;
//! let answer = runtime.block_on(async {
//!     let task = greenroom::spawn(async {
//!         greenroom::sleep(Duration::from_millis(1)).await;
//!         42
//!     });
//!     task.await
//! });
//! assert_eq!(answer.unwrap(), 42);
//! # std::io::Result::Ok(())
//! ```
//!
//! # Where to start
//!
//! To *use* it: [`Runtime`], [`spawn`], [`sleep`], [`net`], and the examples, above all
//! `examples/caser.rs`.
//!
//! To *read* it: begin with `task/state.rs`, the life of a task on one page, then
//! `executor/turn.rs`, the loop on one screen; or begin at the beginning. This is the table of
//! contents, in reading order. Each file uses only files before it, and its head says what to read
//! next. `NOTES.md` is the companion, chapter by chapter.
//!
//! | file | what it is |
//! |---|---|
//! | `atomic.rs`, `fault.rs` | what crosses threads, exchangeable for a model checker's, and ways to break it |
//! | `table.rs` | keys that never hit a stranger |
//! | `id.rs`, `holders.rs` | who waits, for what, and who holds it: [`TaskId`], [`WaitReason`] |
//! | `rng.rs` | chance as a value: [`Rng`] |
//! | `clock.rs` | one monotonic clock, real or virtual |
//! | `observer.rs` | what the loop tells about itself: [`Event`], [`Observer`] |
//! | `timer_heap.rs` | what is due, and when |
//! | `reactor.rs` | what is ready: epoll, by way of mio |
//! | `inbox.rs` | the only door for other threads |
//! | `task/` | a future with its memory, its states, its waker, and its [`JoinHandle`] |
//! | `executor/` | the loop: its parts, callbacks, one turn, stalls, `block_on`, [`Handle`], the end |
//! | `future.rs` | waiting for a turn: [`yield_now`] |
//! | `time/` | waiting for time: [`sleep`], [`timeout`], [`interval`] |
//! | `waiters.rs`, `sync/` | waiting for each other: events, locks, queues |
//! | `group/` | many at once: [`join_all`], [`race`], [`scope`](scope()), [`task_group`] |
//! | `channel/` | waiting for other threads, and being waited for: [`channel`] |
//! | `blocking/` | what would hold the loop up, on a pool of threads: [`spawn_blocking`], [`blocking::Pool`] |
//! | `io/` | any descriptor ([`io::Nonblocking`]), standard input, lines, exact reads, copies, streams to test with |
//! | `net/` | TCP, UDP, Unix sockets, connecting, datagram protocols and the server helper |
//! | `signal.rs` | signals as a stream |
//! | `process/` | child processes |
//! | `green/` | waiting on a stack of one's own: [`green::spawn`] |
//! | `runtime.rs` | the whole: [`Runtime`], [`Builder`] |

#![deny(clippy::print_stdout, clippy::print_stderr)]

// Tools that cross threads, exchangeable for those of a model checker.
mod atomic;
mod fault;

// Instruments: names, chance, time, and what the loop tells about itself.
mod table;
mod id;
mod holders;
mod rng;
mod clock;
mod observer;

// What is due, what is ready, and what other threads ask for.
mod timer_heap;
mod reactor;
mod inbox;

// The unit of work.
mod task;

// The loop.
mod executor;

// Waiting for a turn, for time, for each other.
mod future;
mod time;
mod waiters;
pub mod sync;
pub mod group;

// Waiting for other threads: their messages, and what would hold the loop up.
pub mod channel;
pub mod blocking;

// Waiting for the world.
pub mod io;
pub mod net;
pub mod signal;
pub mod process;

// Waiting on a stack of one's own.
pub mod green;

// The whole.
mod runtime;

// What crosses threads, under a model checker.
#[cfg(all(test, loom))]
#[path = "../tests/loom/models.rs"]
mod loom_models;

pub use blocking::spawn_blocking;
pub use executor::block_on::BlockOnError;
pub use executor::callbacks::{
    CallHandle, add_reader, add_writer, call_at, call_later, call_periodic, call_soon, remove_reader,
    remove_writer, stop,
};
pub use executor::local_loop::{NoLoop, Order};
pub use executor::remote::{Handle, LoopGone, RemoteJoinHandle};
pub use executor::shutdown::ShutdownReport;
pub use executor::spawn::{current_task, now, spawn, spawn_named, tasks};
pub use executor::stall::{Stalled, TaskInfo};
pub use executor::turn::Turn;
pub use future::{YieldNow, yield_now};
pub use group::{
    CancellationToken, Either, GroupError, TaskGroup, as_completed, gather, join, join_all, race, scope,
    select, task_group, try_join_all,
};
pub use holders::Primitive;
pub use id::{PrimitiveId, TaskId, WaitReason};
pub use observer::{Ending, Event, Observer, Recorder, SlowPolls, Tracer};
pub use rng::Rng;
pub use runtime::{Builder, Runtime};
pub use signal::ctrl_c;
pub use task::error::JoinError;
pub use task::join::{Cancel, JoinHandle};
pub use time::{Elapsed, Interval, MissedTicks, Sleep, interval, sleep, sleep_until, timeout};

/// The examples of the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
