//! Work that would hold the loop up, on a pool of threads apart from it.
//!
//! A loop does nothing else while a task computes or makes a blocking call. Such work is given away,
//! and its result awaited like any other:
//!
//! ```
//! let runtime = greenroom::Runtime::new()?;
//! let sum = runtime.block_on(greenroom::spawn_blocking(|| (1..=1_000_000_u64).sum::<u64>()));
//! assert_eq!(sum.unwrap(), 500_000_500_000);
//!
//! let pool = greenroom::blocking::Pool::new(4);
//! let squares = runtime.block_on(pool.map(1..=3_u64, |n| n * n));
//! assert_eq!(squares.into_iter().flatten().collect::<Vec<_>>(), [1, 4, 9]);
//! # std::io::Result::Ok(())
//! ```
//!
//! A thread is never ended from outside: it may hold a lock, or be halfway through a change. A job
//! that has begun goes on to its end, whoever waits for it or not; one that has not can be taken back.
//! When the process ends, its threads end with it, wherever they are: no job keeps the process alive.
//! A program that wants its jobs done calls [`Pool::shutdown`] first.
//!
//! In reading order: `error.rs`, `queue.rs` (the jobs, and which thread may leave), `job.rs` (one job and its
//! handle), `pool.rs` (the threads), `map.rs` (one function, many inputs).

pub(crate) mod error;
pub(crate) mod queue;
pub(crate) mod job;
pub(crate) mod pool;
pub(crate) mod map;

pub use error::{JobError, NotStarted, Refused};
pub use job::JobHandle;
pub use map::{Blocking, Imap};
pub use pool::{Pool, PoolBuilder, PoolReport, PoolStatistics, default_pool, spawn_blocking};
