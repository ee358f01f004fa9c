//! Philosophers around a table, with a fork between each two; eating takes both.
//!
//! ```text
//! cargo run --release --example dining_philosophers
//! cargo run --release --example dining_philosophers -- --deadlock
//! ```
//!
//! You see who eats when, and at the end that everyone has. With `--deadlock` everyone takes the fork to
//! the left first. Once all have done so, nobody will ever get the other one: the program does not hang but
//! ends, with a report of who holds what and who waits for whom, and with exit code 1.
//!
//! The repaired version numbers the forks, and everyone takes the one with the lower number first. Then
//! somebody always reaches for a fork that is nobody's: a circle of waiting would need one who
//! waits for a lower fork than the one it holds.

#[path = "program/mod.rs"]
mod program;

use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use greenroom::sync::Mutex;
use greenroom::{BlockOnError, Primitive, Runtime, Stalled, TaskId, sleep, spawn_named};
use lexopt::{Arg, Parser};
use program::{Failure, number, say, value};

const HELP: &str = "\
Usage: dining_philosophers [OPTION]...
Philosophers share forks, and all get to eat.

  --philosophers N   how many there are, from 2 to 1000 (default 5)
  --meals N          how often each eats (default 3)
  --deadlock         the naive way: all take the fork to the left first, and wait for ever
  --virtual          let time jump instead of passing
  --help             print this text and exit
";

/// The first of them have names.
const NAMES: [&str; 5] = ["Plato", "Konfuzius", "Socrates", "Voltaire", "Descartes"];

/// How long it takes to think, to reach for the second fork, and to eat.
const THINK: Duration = Duration::from_millis(10);
const REACH: Duration = Duration::from_millis(5);
const EAT: Duration = Duration::from_millis(20);

/// What the command line asks for.
struct Options {
    /// How many philosophers there are, and forks.
    philosophers: usize,
    /// How often each eats.
    meals: usize,
    /// Whether everyone takes the left fork first.
    is_naive: bool,
    /// Whether time jumps.
    is_virtual: bool,
}

fn main() -> ExitCode {
    program::run(HELP, parse, dine)
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options { philosophers: 5, meals: 3, is_naive: false, is_virtual: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("philosophers") => {
                options.philosophers = number(parser, "--philosophers", 2..=1000)?;
            }
            Arg::Long("meals") => options.meals = value(parser, "--meals", "a number")?,
            Arg::Long("deadlock") => options.is_naive = true,
            Arg::Long("virtual") => options.is_virtual = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn name(philosopher: usize) -> String {
    NAMES.get(philosopher).map_or_else(|| format!("Philosopher {philosopher}"), |name| name.to_string())
}

/// A whole dinner.
fn dine(options: Options) -> Result<(), Failure> {
    let runtime = Runtime::builder().virtual_clock(options.is_virtual).build()?;
    let count = options.philosophers;
    let forks: Vec<Rc<Mutex<()>>> =
        (0..count).map(|fork| Rc::new(Mutex::new(()).named(&format!("fork {fork}")))).collect();
    let dinner = async {
        let philosophers: Vec<_> = (0..count)
            .map(|philosopher| {
                let (left, right) = (philosopher, (philosopher + 1) % count);
                let (first, second) =
                    if options.is_naive { (left, right) } else { (left.min(right), left.max(right)) };
                let forks = [forks[first].clone(), forks[second].clone()];
                spawn_named(&name(philosopher), live(name(philosopher), forks, options.meals))
            })
            .collect();
        for philosopher in philosophers {
            philosopher.await??;
        }
        say(format_args!("all {count} have eaten {} times", options.meals))?;
        Ok(())
    };
    match runtime.try_block_on(dinner) {
        Ok(done) => done,
        Err(BlockOnError::Stalled(stalled)) => {
            explain(&stalled)?;
            Err(stalled.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The life of one: think, take two forks, eat.
async fn live(name: String, [first, second]: [Rc<Mutex<()>>; 2], meals: usize) -> std::io::Result<()> {
    for meal in 1..=meals {
        sleep(THINK).await;
        let _first = first.lock().await;
        sleep(REACH).await;
        let _second = second.lock().await;
        say(format_args!("{name} eats meal {meal}"))?;
        sleep(EAT).await;
    }
    Ok(())
}

/// Says in plain words who waits for whom.
fn explain(stalled: &Stalled) -> std::io::Result<()> {
    let name_of = |id: TaskId| {
        let task = stalled.tasks.iter().find(|task| task.id == id);
        task.and_then(|task| task.name.clone()).unwrap_or_else(|| id.to_string())
    };
    say("nobody can ever eat again:")?;
    let fork = |fork: &Primitive| fork.name.as_deref().unwrap_or("a fork").to_string();
    for task in &stalled.tasks {
        let (Some(awaited), Some(&neighbour)) = (&task.awaited, task.held_by.first()) else { continue };
        say(format_args!(
            "{} holds {} and waits for {}, which {} holds",
            name_of(task.id),
            task.holds.iter().map(fork).collect::<Vec<_>>().join(" and "),
            fork(awaited),
            name_of(neighbour),
        ))?;
    }
    Ok(())
}
