//! The three programs as tasks, for fuzzing: one seed decides the order in which ready tasks run
//! and how long each of them waits at each point where a switch may hurt.
//!
//! Tasks switch only where they `await`, so without these points even the racy one would be right:
//! `fuzz` makes every gap between two steps of a thread visible.
//!
//! The rules for queues (by Raymond Hettinger; numbers are his):
//! * 1000: each shared resource is run by exactly one task, reached by a queue of messages;
//! * 1001: what must happen in sequence is done by one task;
//! * 1002: to wait for workers that end, join them;
//! * 1003: those that never end, which serve a queue, cannot be joined: join their queue instead, which
//!   waits until everything that was put is *done*, not until the queue is empty.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use greenroom::sync::{Mutex, Queue};
use greenroom::{Order, Rng, Runtime, sleep, spawn};

use super::{RULE, WORKERS, Way, count_line};

/// Where the text goes; a line's end is a text of its own.
pub type Print = Rc<dyn Fn(&str)>;

/// The longest wait at one point.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Runs a program as this seed decides.
///
/// # Errors
/// If the system has no descriptors left for a loop.
pub fn run(way: Way, seed: u64, print: Print) -> io::Result<()> {
    let runtime = Runtime::builder().virtual_clock(true).order(Order::Shuffled(seed)).build()?;
    let stage = Rc::new(Stage { print, chance: RefCell::new(Rng::new(seed)) });
    runtime.block_on(async {
        match way {
            Way::Queues => queues(stage).await,
            Way::Locks => locks(stage).await,
            Way::Racy => racy(stage).await,
        }
    });
    Ok(())
}

/// What all tasks can reach, whether they should or not.
struct Stage {
    /// The screen.
    print: Print,
    /// What decides how long to wait.
    chance: RefCell<Rng>,
}

impl Stage {
    /// A point where a switch may hurt.
    async fn fuzz(&self) {
        let millis = self.chance.borrow_mut().below(LONGEST_WAIT.as_millis() as usize);
        sleep(Duration::from_millis(millis as u64)).await;
    }

    /// Prints a line, with a switch before its end and after it.
    async fn print_line(&self, line: &str) {
        (self.print)(line);
        self.fuzz().await;
        (self.print)("\n");
        self.fuzz().await;
    }
}

/// Each resource belongs to one task.
async fn queues(stage: Rc<Stage>) {
    let counter_queue = Rc::new(Queue::<u32>::unbounded());
    let print_queue = Rc::new(Queue::<Vec<String>>::unbounded());
    // Neither of the two ever ends by itself; they go with the loop.
    spawn(manage_counter(stage.clone(), counter_queue.clone(), print_queue.clone())).detach();
    spawn(manage_screen(stage.clone(), print_queue.clone())).detach();

    put(&print_queue, vec!["Starting up".into()]).await;
    stage.fuzz().await;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(spawn(count_by_message(stage.clone(), counter_queue.clone())));
        stage.fuzz().await;
    }
    for worker in workers {
        worker.await.expect("a worker ends by itself"); // rule 1002
        stage.fuzz().await;
    }
    counter_queue.join().await; // rule 1003
    stage.fuzz().await;
    put(&print_queue, vec!["Finishing up".into()]).await;
    stage.fuzz().await;
    print_queue.join().await;
}

/// A worker that leaves the counting to the one whose task it is.
async fn count_by_message(stage: Rc<Stage>, counter_queue: Rc<Queue<u32>>) {
    put(&counter_queue, 1).await;
    stage.fuzz().await;
}

/// Puts an item into a queue that nobody shuts down.
async fn put<T>(queue: &Queue<T>, item: T) {
    assert!(queue.put(item).await.is_ok(), "the queue is open");
}

/// The only task that touches the counter: which is not even visible elsewhere.
async fn manage_counter(stage: Rc<Stage>, orders: Rc<Queue<u32>>, print_queue: Rc<Queue<Vec<String>>>) {
    let mut counter = 0;
    while let Ok(increment) = orders.get().await {
        stage.fuzz().await;
        let before = counter;
        stage.fuzz().await;
        counter = before + increment;
        stage.fuzz().await;
        // In sequence with the counting, rule 1001.
        put(&print_queue, vec![count_line(counter), RULE.into()]).await;
        stage.fuzz().await;
        orders.task_done().expect("it was put");
    }
}

/// The only task that prints.
async fn manage_screen(stage: Rc<Stage>, jobs: Rc<Queue<Vec<String>>>) {
    while let Ok(lines) = jobs.get().await {
        stage.fuzz().await;
        for line in lines {
            stage.print_line(&line).await;
        }
        jobs.task_done().expect("it was put");
        stage.fuzz().await;
    }
}

/// Each resource has a lock.
async fn locks(stage: Rc<Stage>) {
    let counter = Rc::new(Mutex::new(0));
    let screen = Rc::new(Mutex::new(()));
    print_alone(&stage, &screen, &["Starting up"]).await;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(spawn(count_with_locks(stage.clone(), counter.clone(), screen.clone())));
        stage.fuzz().await;
    }
    for worker in workers {
        worker.await.expect("a worker ends by itself");
        stage.fuzz().await;
    }
    print_alone(&stage, &screen, &["Finishing up"]).await;
}

/// A worker that waits until it has the counter for itself.
async fn count_with_locks(stage: Rc<Stage>, counter: Rc<Mutex<u32>>, screen: Rc<Mutex<()>>) {
    let mut counter = counter.lock().await;
    let before = *counter;
    stage.fuzz().await;
    *counter = before + 1;
    stage.fuzz().await;
    // The counter's lock is still held, or the counts might be printed in another order.
    print_alone(&stage, &screen, &[&count_line(*counter), RULE]).await;
}

/// Prints lines with nothing in between.
async fn print_alone(stage: &Stage, screen: &Mutex<()>, lines: &[&str]) {
    let _alone = screen.lock().await;
    for line in lines {
        stage.print_line(line).await;
    }
}

/// Everybody does as he likes.
async fn racy(stage: Rc<Stage>) {
    let counter = Rc::new(Cell::new(0));
    stage.print_line("Starting up").await;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(spawn(count_regardless(stage.clone(), counter.clone())));
        stage.fuzz().await;
    }
    stage.print_line("Finishing up").await;
    for worker in workers {
        worker.await.expect("a worker ends by itself");
    }
}

/// A worker that does not ask who else is there.
async fn count_regardless(stage: Rc<Stage>, counter: Rc<Cell<u32>>) {
    stage.fuzz().await;
    let before = counter.get();
    stage.fuzz().await;
    counter.set(before + 1);
    stage.fuzz().await;
    stage.print_line(&count_line(counter.get())).await;
    stage.print_line(RULE).await;
}
