//! The three programs on threads of the operating system: no loop.
//!
//! With queues, each resource is owned by one thread, and the queue is a [`channel`]. Two things are better
//! than in the rules that `tasks.rs` keeps to. The counter is a local variable of its owner: that nobody
//! else touches it is not a rule to remember, the compiler sees to it. And a thread that serves a channel does
//! end, when all senders are gone; so it can be joined like a worker, and nothing has to be counted as
//! done.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use greenroom::channel;

use super::{RULE, WORKERS, Way, count_line};

/// Where the text goes.
pub type Print<'a> = &'a (dyn Fn(&str) + Sync);

/// Runs a program.
///
/// # Errors
/// If the system has no threads left.
pub fn run(way: Way, print: Print<'_>) -> io::Result<()> {
    match way {
        Way::Queues => queues(print),
        Way::Locks => locks(print),
        Way::Racy => racy(print),
    }
}

/// Starts a thread that ends before the scope does.
fn start<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    body: impl FnOnce() + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, ()>> {
    Builder::new().spawn_scoped(scope, body)
}

/// Waits for threads to end.
fn join(threads: Vec<ScopedJoinHandle<'_, ()>>) {
    for thread in threads {
        thread.join().expect("no thread panics");
    }
}

/// Each resource belongs to one thread.
fn queues(print: Print<'_>) -> io::Result<()> {
    let (to_counter, mut increments) = channel::unbounded::<u32>();
    let (to_screen, mut jobs) = channel::unbounded::<Vec<String>>();
    thread::scope(|scope| {
        let screen = start(scope, move || {
            while let Some(lines) = jobs.recv_blocking() {
                lines.iter().for_each(|line| print(&format!("{line}\n")));
            }
        })?;
        let from_counter = to_screen.clone();
        let counter = start(scope, move || {
            let mut count = 0;
            while let Some(increment) = increments.recv_blocking() {
                count += increment;
                send(&from_counter, vec![count_line(count), RULE.into()]);
            }
        })?;
        send(&to_screen, vec!["Starting up".into()]);
        let worker = |_| {
            let to_counter = to_counter.clone();
            start(scope, move || send(&to_counter, 1))
        };
        join((0..WORKERS).map(worker).collect::<io::Result<_>>()?);
        // The last sender but ours is gone; with ours, the counter's thread comes to its end.
        drop(to_counter);
        join(vec![counter]);
        send(&to_screen, vec!["Finishing up".into()]);
        drop(to_screen);
        join(vec![screen]);
        Ok(())
    })
}

/// Sends to an owner, who receives as long as there are senders.
fn send<T>(to: &channel::Sender<T>, message: T) {
    to.send_blocking(message).expect("the owner is there");
}

/// Each resource has a lock.
fn locks(print: Print<'_>) -> io::Result<()> {
    let (counter, screen) = (Mutex::new(0), Mutex::new(()));
    let print_alone = |lines: &[&str]| {
        let _alone = screen.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().for_each(|line| print(&format!("{line}\n")));
    };
    let worker = || {
        let mut counter = counter.lock().unwrap_or_else(PoisonError::into_inner);
        *counter += 1;
        // The counter's lock is still held, or the counts might be printed in another order.
        print_alone(&[&count_line(*counter), RULE]);
    };
    print_alone(&["Starting up"]);
    thread::scope(|scope| {
        let workers = (0..WORKERS).map(|_| start(scope, worker)).collect::<io::Result<_>>()?;
        join(workers);
        print_alone(&["Finishing up"]);
        Ok(())
    })
}

/// Everybody does as he likes.
fn racy(print: Print<'_>) -> io::Result<()> {
    // Rust does not compile a data race. This is as close as it gets: between the load and the store, and
    // between counting and printing, anything may happen.
    let counter = AtomicU32::new(0);
    let worker = || {
        let count = counter.load(Ordering::SeqCst) + 1;
        counter.store(count, Ordering::SeqCst);
        print(&format!("{}\n", count_line(count)));
        print(&format!("{RULE}\n"));
    };
    print("Starting up\n");
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            start(scope, worker)?;
        }
        print("Finishing up\n");
        Ok(())
    })
}
