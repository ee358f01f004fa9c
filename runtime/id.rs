//! Who waits, and for what: the names that every report, trace and panic of this runtime uses.
//!
//! [`TaskId`] is printed as its slot, and, when the slot was used before, how often: `task 4` is
//! the first task that stood in slot 4, `task 4.2` the third. [`WaitReason`] is recorded by
//! whoever parks a task; reports only read it, they never poll to find out.
//!
//! Read next: `holders.rs`.

use std::fmt;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::table::Key;

/// Names one task of one loop for as long as the loop lives; it is never given to another task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub(crate) Key);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.generation {
            0 => write!(f, "task {}", self.0.slot),
            used_before => write!(f, "task {}.{used_before}", self.0.slot),
        }
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names one loop of the process; it is never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoopId(u64);

impl LoopId {
    /// A new loop's name.
    pub(crate) fn next() -> LoopId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        LoopId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A task and its loop: [`TaskId`]s of two loops may be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoopTask {
    /// The loop.
    pub(crate) home: LoopId,
    /// The task there.
    pub(crate) id: TaskId,
}

/// Names one primitive of `sync` on its thread: a mutex, a queue, an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrimitiveId(pub(crate) Key);

impl fmt::Display for PrimitiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.generation {
            0 => write!(f, "{}", self.0.slot),
            used_before => write!(f, "{}.{used_before}", self.0.slot),
        }
    }
}

impl fmt::Debug for PrimitiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a parked task waits for: a word, and the key of the thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// A future that is not ours parked the task and did not say why.
    Unknown,
    /// A timer; the time is measured from the start of the loop.
    Sleep {
        /// When it ends; [`Duration::MAX`] means never.
        until: Duration,
    },
    /// This descriptor becoming readable.
    Read(RawFd),
    /// This descriptor becoming writable.
    Write(RawFd),
    /// A connection coming in on this listening descriptor.
    Accept(RawFd),
    /// The connection under way on this descriptor.
    Connect(RawFd),
    /// The end of another task.
    Join(TaskId),
    /// A host name being looked up on another thread.
    Lookup,
    /// A signal, by its number (see signal(7)).
    Signal(i32),
    /// The order to finish that a server gives its connections.
    Drain,
    /// A free place among a server's connections, or the end of the last one.
    Connections,
    /// An event to be set.
    Event(PrimitiveId),
    /// Permits of a semaphore.
    Semaphore(PrimitiveId),
    /// A mutex.
    Mutex(PrimitiveId),
    /// A lock that its holder may take again.
    RLock(PrimitiveId),
    /// A read-write lock, to read.
    RwLockRead(PrimitiveId),
    /// A read-write lock, to write.
    RwLockWrite(PrimitiveId),
    /// A condition to be notified.
    Condition(PrimitiveId),
    /// The others at a barrier.
    Barrier(PrimitiveId),
    /// An item in a queue.
    QueueGet(PrimitiveId),
    /// Room in a queue.
    QueuePut(PrimitiveId),
    /// All items of a queue to be done.
    QueueJoin(PrimitiveId),
    /// The value of a oneshot channel, or the end of its other side.
    Oneshot(PrimitiveId),
    /// A new value of a watch channel.
    Watch(PrimitiveId),
    /// The next value of a broadcast channel.
    Broadcast(PrimitiveId),
    /// A message from a channel that crosses threads.
    ChannelReceive,
    /// Room in a channel that crosses threads.
    ChannelSend,
    /// Bytes, or room for bytes, in an in-memory pipe.
    Pipe,
    /// The tasks of a group.
    Group,
    /// A cancellation token.
    Cancellation,
    /// A job on another thread, or a task that a [`Handle`](crate::Handle) was given: one of another loop, or
    /// of this one before the loop has taken it in.
    Job,
    /// The end of this child process.
    Process(u32),
    /// Its next turn: it gave way to others.
    Turn,
}

impl WaitReason {
    /// The primitive that is waited for, if it is one that can be held.
    pub(crate) fn primitive(&self) -> Option<PrimitiveId> {
        match *self {
            WaitReason::Semaphore(id)
            | WaitReason::Mutex(id)
            | WaitReason::RLock(id)
            | WaitReason::RwLockRead(id)
            | WaitReason::RwLockWrite(id) => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitReason::Unknown => write!(f, "something it did not name"),
            WaitReason::Sleep { until: Duration::MAX } => write!(f, "sleep for ever"),
            WaitReason::Sleep { until } => write!(f, "sleep until {until:?}"),
            WaitReason::Read(fd) => write!(f, "read fd {fd}"),
            WaitReason::Write(fd) => write!(f, "write fd {fd}"),
            WaitReason::Accept(fd) => write!(f, "accept fd {fd}"),
            WaitReason::Connect(fd) => write!(f, "connect fd {fd}"),
            WaitReason::Join(task) => write!(f, "join {task}"),
            WaitReason::Lookup => write!(f, "name lookup"),
            WaitReason::Signal(number) => write!(f, "signal {number}"),
            WaitReason::Drain => write!(f, "order to finish"),
            WaitReason::Connections => write!(f, "connections to end"),
            WaitReason::Event(id) => write!(f, "event {id}"),
            WaitReason::Semaphore(id) => write!(f, "semaphore {id}"),
            WaitReason::Mutex(id) => write!(f, "mutex {id}"),
            WaitReason::RLock(id) => write!(f, "rlock {id}"),
            WaitReason::RwLockRead(id) => write!(f, "rwlock {id} to read"),
            WaitReason::RwLockWrite(id) => write!(f, "rwlock {id} to write"),
            WaitReason::Condition(id) => write!(f, "condition {id}"),
            WaitReason::Barrier(id) => write!(f, "barrier {id}"),
            WaitReason::QueueGet(id) => write!(f, "queue {id} to get"),
            WaitReason::QueuePut(id) => write!(f, "queue {id} to put"),
            WaitReason::QueueJoin(id) => write!(f, "queue {id} to be done"),
            WaitReason::Oneshot(id) => write!(f, "oneshot {id}"),
            WaitReason::Watch(id) => write!(f, "watch {id} to change"),
            WaitReason::Broadcast(id) => write!(f, "broadcast {id}"),
            WaitReason::ChannelReceive => write!(f, "channel message"),
            WaitReason::ChannelSend => write!(f, "channel room"),
            WaitReason::Pipe => write!(f, "in-memory pipe"),
            WaitReason::Group => write!(f, "tasks of its group"),
            WaitReason::Cancellation => write!(f, "cancellation"),
            WaitReason::Job => write!(f, "job on another thread"),
            WaitReason::Process(pid) => write!(f, "process {pid} to end"),
            WaitReason::Turn => write!(f, "its turn"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reused_slots_print_differently() {
        let id = |slot, generation| TaskId(Key { slot, generation }).to_string();
        assert_eq!(id(4, 0), "task 4");
        assert_eq!(id(4, 2), "task 4.2");
    }

    #[test]
    fn reasons_read_as_a_word_and_a_key() {
        let until = Duration::from_millis(1500);
        assert_eq!(WaitReason::Sleep { until }.to_string(), "sleep until 1.5s");
        assert_eq!(WaitReason::Sleep { until: Duration::MAX }.to_string(), "sleep for ever");
        assert_eq!(WaitReason::Read(7).to_string(), "read fd 7");
    }
}
