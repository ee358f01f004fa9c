//! Waiting for each other: what the tasks of one loop share, and how they take turns.
//!
//! All of it is local to a thread: no atomics, first come first served, and each primitive knows
//! who waits and who holds it, which makes the report of a stalled loop exact. A waiter that is
//! dropped after it was granted what it waited for hands that on. To cross threads, use
//! a [`Handle`](crate::Handle) or a [`channel`](crate::channel).
//!
//! In reading order: `event.rs`, `semaphore.rs`, `mutex.rs`, `rlock.rs`, `rwlock.rs`,
//! `condition.rs`, `barrier.rs`, `store.rs`, `queue.rs`, `oneshot.rs`, `watch.rs`, `broadcast.rs`.

pub(crate) mod event;
pub(crate) mod semaphore;
pub(crate) mod mutex;
pub(crate) mod rlock;
pub(crate) mod rwlock;
pub(crate) mod condition;
pub(crate) mod barrier;
pub(crate) mod store;
pub(crate) mod queue;
pub(crate) mod oneshot;
pub(crate) mod watch;
pub(crate) mod broadcast;

pub use barrier::{Barrier, BarrierStatistics, BrokenBarrier};
pub use broadcast::{BroadcastReceiver, BroadcastSender, BroadcastStatistics, Missed, broadcast};
pub use condition::{Condition, ConditionStatistics};
pub use event::{Event, EventStatistics, EventWait};
pub use mutex::{Lock, LockStatistics, Mutex, MutexGuard};
pub use oneshot::{OneshotReceiver, OneshotSender, OneshotStatistics, SenderGone, oneshot};
pub use queue::{
    AnyQueue, LifoQueue, NotPut, PriorityQueue, Queue, QueueError, QueueStatistics, TooManyDone,
};
pub use rlock::{RLock, RLockFuture, RLockGuard};
pub use rwlock::{Read, ReadGuard, RwLock, RwLockStatistics, Write, WriteGuard};
pub use semaphore::{Acquire, BoundedSemaphore, OverReleased, Permit, Semaphore, SemaphoreStatistics};
pub use store::{Fifo, Least, Lifo, Store};
pub use watch::{WatchReceiver, WatchSender, WatchStatistics, watch};
