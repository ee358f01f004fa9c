//! Chapter 12: call a blocking function in the task that needs its result.
//!
//! It compiles, it gives the right result, and in a test with one client nobody notices. The loop has one
//! thread, and for as long as that sleeps in a system call the loop is not there: no timer fires, no socket is
//! read, no other task runs. Here a beat is due every 20 milliseconds, and a task asks an old library, which
//! takes its time.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use greenroom::{Runtime, call_periodic, spawn_blocking};

/// How long the library takes.
const ANSWER_TIME: Duration = Duration::from_millis(210);

/// When the next beat is due, from the one before.
const BEAT: Duration = Duration::from_millis(20);

/// A function of somebody else's that blocks its thread: a database driver, a file on a network, a password
/// hash, getaddrinfo(3).
fn ask_library() -> u32 {
    thread::sleep(ANSWER_TIME);
    42
}

/// Runs `task` beside the beats; gives how many were heard until it was over.
fn beats_beside(task: impl Future<Output = u32>) -> u32 {
    let runtime = Runtime::new().unwrap();
    let beats = Rc::new(Cell::new(0));
    runtime.block_on(async move {
        let heard = beats.clone();
        call_periodic(BEAT, BEAT, move || heard.set(heard.get() + 1));
        assert_eq!(task.await, 42);
        beats.get()
    })
}

/// Asks in three ways.
pub fn run() {
    println!("One task waits {ANSWER_TIME:?} for an answer. Beats heard meanwhile, one due every {BEAT:?}:");
    let in_the_task = beats_beside(async { ask_library() });
    println!("  called in the task:       {in_the_task:>2}");
    let off_the_loop = beats_beside(async { spawn_blocking(ask_library).await.unwrap() });
    println!("  given to a pool:          {off_the_loop:>2}   (what should have happened: 10)");
    let asynchronous = beats_beside(async {
        greenroom::sleep(ANSWER_TIME).await;
        42
    });
    println!("  a library that awaits:    {asynchronous:>2}   (so it is best: no thread at all)");
    println!(
        "\nThe answer is 42 each time. The first way was no slower for the one who asked; it was slower for\n\
         everybody else."
    );
}
