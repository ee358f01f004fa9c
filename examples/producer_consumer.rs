//! Some produce, others consume: once over a list with a condition, once over a queue.
//!
//! ```text
//! cargo run --release --example producer_consumer -- condition --producers 1 --consumers 3 --items 6
//! cargo run --release --example producer_consumer -- queue
//! ```
//!
//! You see each item being produced and then consumed, by whom, and how each consumer gives up after a
//! second in which nothing came. At the end it says how many items went through: all of them, each once.
//!
//! The condition version takes the newest item first, the queue version the oldest. In both a consumer
//! works on its item *after* letting the list go, so that several work at the same time; and a consumer whose
//! time is over looks once more before it goes, so that no item is left lying.

#[path = "program/mod.rs"]
mod program;

use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use greenroom::sync::{Condition, Mutex, Queue};
use greenroom::{JoinHandle, Order, Runtime, spawn, timeout};
use lexopt::{Arg, Parser};
use program::chance::{self, Chance};
use program::{Failure, say, value};

const HELP: &str = "\
Usage: producer_consumer [OPTION]... [condition|queue]
Producers make items, consumers take each exactly once.

  condition        over a list with a condition, the newest item first (default)
  queue            over a queue, the oldest item first

  --producers N    how many produce (default 3)
  --consumers N    how many consume (default 4)
  --items N        how many items each producer makes (default 4)
  --seed SEED      what decides the chance (default: the time)
  --virtual        let time jump instead of passing
  --help           print this text and exit
";

/// How long a consumer waits for the next item.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the command line asks for.
#[derive(Clone)]
struct Options {
    /// Whether the queue is used, or the condition.
    with_queue: bool,
    /// How many produce.
    producers: usize,
    /// How many consume.
    consumers: usize,
    /// How many items each producer makes.
    items: usize,
    /// What decides the chance.
    seed: u64,
    /// Whether time jumps.
    is_virtual: bool,
}

fn main() -> ExitCode {
    program::run(HELP, parse, |options| {
        let order = Order::Shuffled(options.seed);
        let runtime = Runtime::builder().virtual_clock(options.is_virtual).order(order).build()?;
        runtime.block_on(async {
            let chance = Chance::new(options.seed);
            let consumed = match options.with_queue {
                true => run(&options, Shelf::new(chance, Row { queue: Queue::unbounded() })).await?,
                false => run(&options, Shelf::new(chance, Heap::default())).await?,
            };
            say(format_args!("{consumed} of {} items consumed", options.producers * options.items))?;
            Ok(())
        })
    })
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options {
        with_queue: false,
        producers: 3,
        consumers: 4,
        items: 4,
        seed: chance::any_seed(),
        is_virtual: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("producers") => options.producers = value(parser, "--producers", "a number")?,
            Arg::Long("consumers") => options.consumers = value(parser, "--consumers", "a number")?,
            Arg::Long("items") => options.items = value(parser, "--items", "a number")?,
            Arg::Long("seed") => options.seed = chance::seed(parser)?,
            Arg::Long("virtual") => options.is_virtual = true,
            Arg::Value(kind) if kind == "condition" => options.with_queue = false,
            Arg::Value(kind) if kind == "queue" => options.with_queue = true,
            other => return Err(other.unexpected()),
        }
    }
    if options.consumers == 0 && options.producers > 0 {
        return Err("without a consumer nothing would be consumed; see --consumers".into());
    }
    Ok(options)
}

/// Where items are put and taken.
trait Store: 'static {
    /// Puts an item in.
    async fn put(&self, item: String);

    /// Takes an item, waiting for one up to the time limit.
    async fn take(&self) -> Option<String>;
}

/// A list, and the news that it has grown.
#[derive(Default)]
struct Heap {
    /// The items.
    items: Mutex<Vec<String>>,
    /// Notified once for each item.
    grown: Condition,
}

impl Store for Heap {
    async fn put(&self, item: String) {
        self.items.lock().await.push(item);
        self.grown.notify(1);
    }

    async fn take(&self) -> Option<String> {
        let filled = self.grown.wait_for(self.items.lock().await, |items| !items.is_empty());
        match timeout(PATIENCE, filled).await {
            Ok(mut items) => items.pop(),
            // The item that came at the very end of our time is not left lying.
            Err(_) => self.items.lock().await.pop(),
        }
    }
}

/// A queue.
struct Row {
    /// The items.
    queue: Queue<String>,
}

impl Store for Row {
    async fn put(&self, item: String) {
        // It is never shut down, so every item goes in.
        let _ = self.queue.put(item).await;
    }

    async fn take(&self) -> Option<String> {
        match timeout(PATIENCE, self.queue.get()).await {
            Ok(item) => item.ok(),
            Err(_) => self.queue.try_get().ok(),
        }
    }
}

/// What producers and consumers share.
struct Shelf<S> {
    /// The items.
    store: S,
    /// What decides how long things take.
    chance: Chance,
    /// How many items were consumed.
    consumed: Cell<usize>,
}

impl<S: Store> Shelf<S> {
    fn new(chance: Chance, store: S) -> Rc<Shelf<S>> {
        Rc::new(Shelf { store, chance, consumed: Cell::new(0) })
    }

    async fn produce(self: Rc<Self>, id: usize, count: usize) -> Result<(), Failure> {
        say(format_args!("Producer {id} started..."))?;
        for number in 0..count {
            say(format_args!("Producer {id} produced item {id}/{number}..."))?;
            self.store.put(format!("{id}/{number}")).await;
            self.chance.work(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn consume(self: Rc<Self>, id: usize) -> Result<(), Failure> {
        say(format_args!("Consumer {id} started..."))?;
        while let Some(item) = self.store.take().await {
            say(format_args!("Consumer {id} starting processing of item {item}..."))?;
            self.chance.work(Duration::from_millis(200)).await;
            self.consumed.set(self.consumed.get() + 1);
            say(format_args!("Consumer {id} done processing item {item}..."))?;
        }
        say(format_args!("Consumer {id} timed out..."))?;
        Ok(())
    }
}

/// Runs all of them to their end; says how many items were consumed.
async fn run<S: Store>(options: &Options, shelf: Rc<Shelf<S>>) -> Result<usize, Failure> {
    let mut workers: Vec<JoinHandle<Result<(), Failure>>> = Vec::new();
    workers.extend((1..=options.consumers).map(|id| spawn(shelf.clone().consume(id))));
    workers.extend((1..=options.producers).map(|id| spawn(shelf.clone().produce(id, options.items))));
    for worker in workers {
        worker.await??;
    }
    Ok(shelf.consumed.get())
}
