//! The packet in which the result of a remote task or a job crosses over, and the count of a job.

use std::future::poll_fn;

use loom::thread;

use super::check::{Calm, DEADLOCK, fails, holds};
use super::home::ModelHome;
use crate::atomic::{Arc, Ordering};
use crate::blocking::queue::EndPacket;
use crate::executor::packet::{JobCount, Packet};
use crate::executor::remote::{Errand, PacketSender, RemotePacket};
use crate::fault::Fault;
use crate::task::error::JoinError;

const PREEMPTIONS: usize = 3;

/// An empty packet, twice.
fn packet() -> [Calm<Arc<RemotePacket<u32>>>; 2] {
    let packet = Arc::new(Packet::new(Errand::default()));
    [Calm::new(packet.clone()), Calm::new(packet)]
}

/// A result comes while a thread waits for it.
fn result_for_a_thread() {
    let [here, there] = packet();
    thread::spawn(move || there.deliver(Ok(7)));
    assert_eq!(here.wait().expect("the first result counts"), 7);
}

/// A sender delivers and is dropped, which must not change the result.
fn result_for_a_thread_and_then_the_end() {
    let [here, there] = packet();
    thread::spawn(move || {
        let sender = Calm::new(PacketSender(there.release()));
        sender.0.deliver(Ok(7));
        drop(sender.release());
    });
    assert_eq!(here.wait().expect("the first result counts"), 7);
}

/// A sender is dropped without a result while a thread waits for it.
fn no_result_for_a_thread() {
    let [here, there] = packet();
    thread::spawn(move || drop(PacketSender(there.release())));
    let error: JoinError = here.wait().expect_err("there is no result");
    assert!(error.is_cancelled());
}

/// A result comes while a task of another loop waits for it.
fn result_for_a_task() {
    let [here, there] = packet();
    let home = ModelHome::new();
    let task = home.spawn(poll_fn(move |context| here.poll(context)));
    thread::spawn(move || there.deliver(Ok(7)));
    let result = home.block_on(task).expect("the task ends by itself");
    assert_eq!(result.expect("the first result counts"), 7);
}

/// A sender is dropped without a result while a task of another loop waits for it.
fn no_result_for_a_task() {
    let [here, there] = packet();
    let home = ModelHome::new();
    let task = home.spawn(poll_fn(move |context| here.poll(context)));
    thread::spawn(move || drop(PacketSender(there.release())));
    let result = home.block_on(task).expect("the task ends by itself");
    assert!(result.expect_err("there is no result").is_cancelled());
}

/// A packet of a job that the home counts, twice.
fn job_packet(home: &ModelHome) -> [Calm<Arc<EndPacket>>; 2] {
    let packet = Arc::new(Packet::new(vec![JobCount::new(&home.here.home)]));
    [Calm::new(packet.clone()), Calm::new(packet)]
}

/// A task awaits a job. Before each sleep its home asks whether it is stalled, in the order of
/// `executor/stall.rs`: the jobs first, the inbox last.
fn job_for_a_task() {
    let home = ModelHome::new();
    let [here, there] = job_packet(&home);
    let task = home.spawn(poll_fn(move |context| here.poll(context)));
    thread::spawn(move || there.deliver(()));
    let known = home.home();
    home.turn_until(|| {
        let is_ready = task.is_finished() || !home.here.ready.borrow().is_empty();
        let has_help = is_ready || known.jobs.load(Ordering::Acquire) > 0 || !known.inbox.is_empty();
        assert!(has_help, "called stalled while a result was under way");
        task.is_finished()
    });
    home.block_on(task).expect("the task ends by itself");
    assert_eq!(known.jobs.load(Ordering::Acquire), 0, "whoever took the result took the count");
}

/// A job that nobody awaits is all that the home waits for.
fn job_for_nobody() {
    let home = ModelHome::new();
    let [here, there] = job_packet(&home);
    drop(here.release());
    thread::spawn(move || there.deliver(()));
    let known = home.home();
    home.turn_until(|| known.jobs.load(Ordering::Acquire) == 0);
}

#[test]
fn a_loop_is_not_called_stalled_while_a_result_is_under_way() {
    holds(PREEMPTIONS, job_for_a_task);
}

#[test]
fn a_count_that_ends_before_the_result_is_there_is_noticed() {
    fails(Fault::EndCountBeforeResult, "called stalled", PREEMPTIONS, job_for_a_task);
}

#[test]
fn the_end_of_a_job_that_nobody_awaits_is_heard() {
    holds(PREEMPTIONS, job_for_nobody);
}

#[test]
fn a_job_that_ends_without_a_word_is_noticed() {
    fails(Fault::LeaveWithoutWord, DEADLOCK, PREEMPTIONS, job_for_nobody);
}

#[test]
fn a_thread_gets_the_result() {
    holds(PREEMPTIONS, result_for_a_thread);
}

#[test]
fn a_result_announced_to_a_thread_too_early_is_noticed() {
    fails(Fault::AnnounceBeforeResult, DEADLOCK, PREEMPTIONS, result_for_a_thread);
}

#[test]
fn the_first_result_counts() {
    holds(PREEMPTIONS, result_for_a_thread_and_then_the_end);
}

#[test]
fn a_second_result_that_counts_is_noticed() {
    fails(Fault::DeliverTwice, "the first result counts", PREEMPTIONS, result_for_a_thread_and_then_the_end);
}

#[test]
fn a_thread_hears_that_there_is_no_result() {
    holds(PREEMPTIONS, no_result_for_a_thread);
}

#[test]
fn a_silent_end_is_noticed_by_a_thread() {
    fails(Fault::DropWithoutResult, DEADLOCK, PREEMPTIONS, no_result_for_a_thread);
}

#[test]
fn a_task_gets_the_result() {
    holds(PREEMPTIONS, result_for_a_task);
}

#[test]
fn a_result_announced_to_a_task_too_early_is_noticed() {
    fails(Fault::AnnounceBeforeResult, DEADLOCK, PREEMPTIONS, result_for_a_task);
}

#[test]
fn a_task_hears_that_there_is_no_result() {
    holds(PREEMPTIONS, no_result_for_a_task);
}

#[test]
fn a_silent_end_is_noticed_by_a_task() {
    fails(Fault::DropWithoutResult, DEADLOCK, PREEMPTIONS, no_result_for_a_task);
}
