//! Chapter 11: a thread of the system for each that waits.
//!
//! A function that waits deep inside of others needs a place where the frames of all of them stay meanwhile. A
//! thread has one, so the obvious answer is a thread each. It works, and it ends: where the system allows no more
//! threads, or the process no more mappings, of which each thread takes several. Here a crowd waits three calls
//! deep, in three ways, and what that costs is read from /proc.

use std::cell::Cell;
use std::fs::read_to_string;
use std::rc::Rc;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use greenroom::sync::Event;
use greenroom::{Runtime, green};

/// How many wait at once.
const CROWD: usize = 2000;

/// What the process has now.
#[derive(Clone, Copy)]
struct Cost {
    /// Threads of the system.
    threads: usize,
    /// Lines of /proc/self/maps.
    mappings: usize,
    /// Memory in use, in kB, without what the kernel keeps for itself.
    memory_kb: usize,
}

/// The number behind `name` in /proc/self/status.
fn number(name: &str) -> usize {
    let text = read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

impl Cost {
    /// What it is now.
    fn now() -> Cost {
        Cost {
            threads: number("Threads:"),
            mappings: read_to_string("/proc/self/maps").unwrap().lines().count(),
            memory_kb: number("VmRSS:"),
        }
    }

    /// Prints what has come since.
    fn print_since(self, before: Cost, name: &str) {
        let threads = self.threads - before.threads;
        let mappings = self.mappings.saturating_sub(before.mappings);
        let each = self.memory_kb.saturating_sub(before.memory_kb) as f64 / CROWD as f64;
        println!("  {name:<24}{threads:>8}{mappings:>10}{each:>14.1}");
    }
}

/// Three calls, none of which knows of `async`; the last one waits.
fn serve(wait: &dyn Fn()) {
    fn session(wait: &dyn Fn()) {
        answer(wait);
        std::hint::black_box(()); // so it is still there while `answer` is
    }
    fn answer(wait: &dyn Fn()) {
        wait();
        std::hint::black_box(());
    }
    session(wait);
}

/// The same calls, written anew.
async fn serve_async(end: &Event) {
    async fn session(end: &Event) {
        answer(end).await;
    }
    async fn answer(end: &Event) {
        end.wait().await;
    }
    session(end).await;
}

/// A task for each: the three calls must be written anew.
fn tasks() {
    Runtime::new().unwrap().block_on(async {
        let before = Cost::now();
        let (end, served) = (Rc::new(Event::new()), Rc::new(Cell::new(0)));
        let one = || {
            let (end, served) = (end.clone(), served.clone());
            greenroom::spawn(async move {
                serve_async(&end).await;
                served.set(served.get() + 1);
            })
        };
        let crowd: Vec<_> = (0..CROWD).map(|_| one()).collect();
        greenroom::yield_now().await; // now all of them wait
        Cost::now().print_since(before, "tasks");
        end.set();
        greenroom::join_all(crowd).await;
        assert_eq!(served.get(), CROWD);
    });
}

/// A green thread for each.
fn green_threads() {
    Runtime::new().unwrap().block_on(async {
        let before = Cost::now();
        let (end, served) = (Rc::new(Event::new()), Rc::new(Cell::new(0)));
        let one = || {
            let (end, served) = (end.clone(), served.clone());
            green::spawn(move || {
                serve(&|| green::wait(end.wait()));
                served.set(served.get() + 1);
            })
        };
        let crowd: Vec<_> = (0..CROWD).map(|_| one()).collect();
        greenroom::yield_now().await; // now all of them wait
        Cost::now().print_since(before, "green threads");
        end.set();
        greenroom::join_all(crowd).await;
        assert_eq!(served.get(), CROWD);
    });
}

/// A thread of the system for each; what they share now needs a lock.
fn threads_of_the_system() {
    let before = Cost::now();
    let all_wait = Arc::new(Barrier::new(CROWD + 1));
    let (end, served) = (Arc::new(Barrier::new(CROWD + 1)), Arc::new(Mutex::new(0)));
    let one = || {
        let (all_wait, end, served) = (all_wait.clone(), end.clone(), served.clone());
        thread::spawn(move || {
            all_wait.wait();
            serve(&|| {
                end.wait();
            });
            *served.lock().unwrap() += 1;
        })
    };
    let crowd: Vec<_> = (0..CROWD).map(|_| one()).collect();
    all_wait.wait();
    Cost::now().print_since(before, "threads of the system");
    end.wait();
    crowd.into_iter().for_each(|one| one.join().unwrap());
    assert_eq!(*served.lock().unwrap(), CROWD);
}

/// The same crowd, three times.
pub fn run() {
    println!("{CROWD} wait at once, each three calls deep. On top come:");
    println!("  {:<24}{:>8}{:>10}{:>14}", "", "threads", "mappings", "kB for each");
    tasks();
    green_threads();
    threads_of_the_system();
    let limit = |path: &str| read_to_string(path).unwrap().trim().to_string();
    println!(
        "\nThis system has room for {} threads in all, and for {} mappings in a process.",
        limit("/proc/sys/kernel/pid_max"),
        limit("/proc/sys/vm/max_map_count")
    );
}
