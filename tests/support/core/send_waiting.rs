//! The same table for waiting: primitives and groups are of one thread, what crosses threads is `Send`, and what
//! they report may go anywhere.

use std::future::Ready as At;
use std::rc::Rc;

use greenroom::blocking::Blocking;
use greenroom::channel::{Closed, Receiver, Receiving, Sender, Sending, WeakSender};
use greenroom::group::{
    AsCompleted, Cancelled, Child, Failure, Gather, JoinAll, NotReady, Race, Ready, Scope, Scoped, TryJoinAll,
};
use greenroom::sync::*;
use greenroom::{CancellationToken, Either, GroupError, TaskGroup};

use super::send_table::{No, Probe, assert_right, table};

#[test]
fn primitives_are_of_one_thread() {
    let rows = table! {
        Event: false false,
        EventWait<'static>: false false,
        Semaphore: false false,
        BoundedSemaphore: false false,
        Acquire<&'static Semaphore>: false false,
        Permit<Rc<Semaphore>>: false false,
        Mutex<u8>: false false,
        Lock<'static, u8>: false false,
        MutexGuard<'static, u8>: false false,
        RLock: false false,
        RLockFuture<'static>: false false,
        RLockGuard<'static>: false false,
        RwLock<u8>: false false,
        Read<'static, u8>: false false,
        Write<'static, u8>: false false,
        ReadGuard<'static, u8>: false false,
        WriteGuard<'static, u8>: false false,
        Condition: false false,
        Barrier: false false,
        AnyQueue<Fifo<u8>>: false false,
        OneshotSender<u8>: false false,
        OneshotReceiver<u8>: false false,
        WatchSender<u8>: false false,
        WatchReceiver<u8>: false false,
        BroadcastSender<u8>: false false,
        BroadcastReceiver<u8>: false false,
    };
    assert_right(&rows);
}

#[test]
fn groups_are_of_one_thread_and_sets_as_free_as_their_futures() {
    let rows = table! {
        JoinAll<At<u8>>: true true,
        TryJoinAll<At<Result<u8, u8>>, u8>: true true,
        Race<At<u8>>: true true,
        AsCompleted<At<u8>>: true true,
        JoinAll<At<Rc<u8>>>: false false,
        Gather<u8>: true true,
        TaskGroup<u8>: false false,
        Child<u8>: false false,
        Ready<u8>: false false,
        Scope<'static>: false false,
        Scoped<u8>: false false,
        CancellationToken: false false,
        Cancelled: false false,
    };
    assert_right(&rows);
}

#[test]
fn channels_cross_threads_if_their_messages_may() {
    let rows = table! {
        Sender<std::cell::Cell<u8>>: true true,
        Sender<Rc<u8>>: false false,
        WeakSender<u8>: true true,
        Sending<'static, u8>: true true,
        Sending<'static, Rc<u8>>: false false,
        Closed<'static, u8>: true true,
        Receiver<std::cell::Cell<u8>>: true true,
        Receiver<Rc<u8>>: false false,
        Receiving<'static, u8>: true true,
        Blocking<std::ops::Range<u8>, fn(u8) -> u8, u8>: true true,
    };
    assert_right(&rows);
}

#[test]
fn what_they_report_may_go_anywhere() {
    let rows = table! {
        BarrierStatistics: true true,
        BroadcastStatistics: true true,
        BrokenBarrier: true true,
        ConditionStatistics: true true,
        Either<u8, u8>: true true,
        EventStatistics: true true,
        Failure<u8>: true true,
        Fifo<u8>: true true,
        GroupError<u8>: true true,
        Least<u8>: true true,
        Lifo<u8>: true true,
        LockStatistics: true true,
        Missed: true true,
        NotPut<u8>: true true,
        NotReady: true true,
        OneshotStatistics: true true,
        OverReleased: true true,
        QueueError: true true,
        QueueStatistics: true true,
        RwLockStatistics: true true,
        SemaphoreStatistics: true true,
        SenderGone: true true,
        TooManyDone: true true,
        WatchStatistics: true true,
    };
    assert_right(&rows);
}

/// The public types of the library, by the text of its sources.
fn public_types() -> Vec<String> {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/runtime"))];
    let mut types = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for line in std::fs::read_to_string(path).unwrap().lines() {
                let name = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
                types.extend(
                    name.map(|name| name.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_string()),
                );
            }
        }
    }
    types
}

#[test]
fn no_public_type_is_missing_in_the_tables() {
    let tables = [include_str!("send_table.rs"), include_str!("send_waiting.rs")].concat();
    let rows: Vec<&str> =
        tables.lines().filter(|line| line.contains(": true ") || line.contains(": false ")).collect();
    let is_there = |name: &str| {
        rows.iter().any(|row| row.split(|c: char| !c.is_alphanumeric()).any(|word| word == name))
    };
    // These two have other names for each kind of socket.
    let mut missing: Vec<String> = public_types().into_iter().filter(|name| !is_there(name)).collect();
    missing.sort();
    assert_eq!(
        missing,
        ["DatagramSocket", "StreamSocket"].map(String::from),
        "only these are known by other names"
    );
}
