//! Five tasks sleep for a while each, all at once: the whole takes as long as the longest.
//!
//! ```text
//! cargo run --release --example five_sleepers
//! cargo run --release --example five_sleepers -- --seed 7 --virtual
//! ```
//!
//! You see for how many seconds each task sleeps, and when it awakens; the main task sleeps for two seconds
//! among them, and then waits for all. With `--seed` it is the same each time, and with `--virtual` it is over
//! in milliseconds.
//!
//! A task that sleeps costs a timer and no thread. The virtual clock jumps to the next timer when nobody has
//! anything to do.

#[path = "program/mod.rs"]
mod program;

use std::process::ExitCode;
use std::time::Duration;

use greenroom::{Runtime, join_all, sleep, spawn};
use lexopt::{Arg, Parser};
use program::chance::{self, Chance};
use program::{Failure, say};

const HELP: &str = "\
Usage: five_sleepers [OPTION]...
Five tasks sleep for up to five seconds each, all at once.

  --seed SEED     what decides the chance (default: the time)
  --virtual       let time jump instead of passing
  --help          print this text and exit
";

/// All sleeps are shorter, in milliseconds.
const LONGEST: usize = 5000;

/// What the command line asks for.
struct Options {
    /// What decides the chance.
    seed: u64,
    /// Whether time jumps.
    is_virtual: bool,
}

fn main() -> ExitCode {
    program::run(HELP, parse, |options| {
        let runtime = Runtime::builder().virtual_clock(options.is_virtual).build()?;
        runtime.block_on(five_sleepers(Chance::new(options.seed)))?;
        Ok(say("Done five tasks")?)
    })
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options { seed: chance::any_seed(), is_virtual: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("seed") => options.seed = chance::seed(parser)?,
            Arg::Long("virtual") => options.is_virtual = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

async fn five_sleepers(chance: Chance) -> Result<(), Failure> {
    say("creating five tasks")?;
    let tasks: Vec<_> = (0..5).map(|number| spawn(random_sleep(number, chance.clone()))).collect();
    say("Sleeping after starting five tasks")?;
    sleep(Duration::from_secs(2)).await;
    say("Waking and waiting for five tasks")?;
    for result in join_all(tasks).await {
        result??;
    }
    Ok(())
}

async fn random_sleep(number: u32, chance: Chance) -> Result<(), Failure> {
    let delay = Duration::from_millis(chance.below(LONGEST) as u64);
    say(format_args!("{number} sleeps for {:.3}", delay.as_secs_f64()))?;
    sleep(delay).await;
    say(format_args!("{number} awakens"))?;
    Ok(())
}
