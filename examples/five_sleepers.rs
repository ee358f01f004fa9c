//! Five tasks sleep for a while each, all at once: the whole takes as long as the longest.
//!
//! ```text
//! cargo run --release --example five_sleepers
//! cargo run --release --example five_sleepers -- --seed 7 --virtual
//! ```
//!
//! Each task says for how many seconds it sleeps, and when it awakens; the main task sleeps for two
//! seconds among them, and then waits for all. With `--virtual` the time jumps, so that it is over in
//! milliseconds, and with `--seed` it is the same each time.

#[path = "program/mod.rs"]
mod program;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use greenroom::{Rng, Runtime, join_all, sleep, spawn};
use lexopt::{Arg, Parser};
use program::{Failure, say, value};

const HELP: &str = "\
Usage: five_sleepers [OPTION]...
Five tasks sleep for up to five seconds each, all at once.

  --seed SEED     what decides how long they sleep (default: the time)
  --virtual       let time jump instead of passing
  --help          print this text and exit
";

/// The longest sleep, in seconds.
const LONGEST: f64 = 5.0;

/// What the command line asks for.
struct Options {
    /// What decides the chance.
    seed: u64,
    /// Whether time jumps.
    is_virtual: bool,
}

fn main() -> ExitCode {
    program::run("five_sleepers", HELP, parse, |options| {
        let runtime = Runtime::builder().virtual_clock(options.is_virtual).build()?;
        runtime.block_on(five_sleepers(Rc::new(RefCell::new(Rng::new(options.seed)))))?;
        Ok(say("Done five tasks")?)
    })
}

fn parse(parser: &mut Parser) -> Result<Option<Options>, lexopt::Error> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut options = Options { seed: now.as_nanos() as u64, is_virtual: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("seed") => options.seed = value(parser, "--seed", "a number")?,
            Arg::Long("virtual") => options.is_virtual = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

async fn five_sleepers(chance: Rc<RefCell<Rng>>) -> Result<(), Failure> {
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

async fn random_sleep(number: u32, chance: Rc<RefCell<Rng>>) -> Result<(), Failure> {
    // As many bits as a number between 0 and 1 has room for.
    let share = (chance.borrow_mut().next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let delay = share * LONGEST;
    say(format_args!("{number} sleeps for {delay}"))?;
    sleep(Duration::from_secs_f64(delay)).await;
    say(format_args!("{number} awakens"))?;
    Ok(())
}
