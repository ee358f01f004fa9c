//! The prime numbers below an end, found by a pool of threads.
//!
//! ```text
//! cargo run --release --example primes -- --end 50 --workers 5
//! cargo run --release --example primes -- --end 200000 | wc
//! ```
//!
//! You see the primes in ascending order, whichever thread was ready first, and then how much faster the
//! workers were than one alone. On a terminal a bar shows how far they are.
//!
//! Each worker takes a range of numbers at a time: a job for each number would cost more than the number.

#[path = "program/mod.rs"]
mod program;

use std::ops::Range;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use greenroom::Runtime;
use greenroom::blocking::{JobError, Pool};
use indicatif::ProgressBar;
use lexopt::{Arg, Parser};
use program::{Failure, complain, number, say, value};

/// How many numbers make a job.
const NUMBERS_PER_JOB: u64 = 256;

const HELP: &str = "\
Usage: primes [OPTION]...
Prints the prime numbers below an end, found by a pool of threads, and how much faster they were
than one thread.

  --end END       the end, not included (default 50000)
  --workers N     how many threads, from 1 to 1000 (default: one for each processor)
  --help          print this text and exit
";

/// What the command line asks for.
struct Options {
    /// All primes are below it.
    end: u64,
    /// How many threads look for them.
    workers: u16,
}

fn main() -> ExitCode {
    program::run(HELP, parse, compare)
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options { end: 50_000, workers: available_parallelism().map_or(1, |n| n.get() as u16) };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("end") => options.end = value(parser, "--end", "a number")?,
            Arg::Long("workers") => options.workers = number(parser, "--workers", 1..=1000)?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// Finds the primes with all workers, and again with one.
fn compare(options: Options) -> Result<(), Failure> {
    let runtime = Runtime::new()?;
    let (primes, together) = timed(&runtime, options.end, options.workers)?;
    let (again, alone) = timed(&runtime, options.end, 1)?;
    if again != primes {
        return Err("one worker found other primes than all together".into());
    }
    say(format_args!("{primes:?}"))?;
    complain(format_args!(
        "{} primes below {}: {together:.3?} with {} workers, {alone:.3?} with one, {:.2} times as fast",
        primes.len(),
        options.end,
        options.workers,
        alone.as_secs_f64() / together.as_secs_f64()
    ));
    Ok(())
}

/// The primes below `end`, and how long it took to find them.
fn timed(runtime: &Runtime, end: u64, workers: u16) -> Result<(Vec<u64>, Duration), JobError> {
    let bar =
        program::progress_bar(end, "{msg} {wide_bar} {percent}%").with_message(format!("{workers} at work"));
    let start = Instant::now();
    let primes = runtime.block_on(calc_primes(end, workers, &bar));
    let took = start.elapsed();
    bar.finish_and_clear();
    Ok((primes?, took))
}

/// The primes below `end` in ascending order: in the order of the ranges, not of their completion.
async fn calc_primes(end: u64, workers: u16, bar: &ProgressBar) -> Result<Vec<u64>, JobError> {
    let pool = Pool::builder(workers.into()).name("primes").build();
    let ranges = (0..end.div_ceil(NUMBERS_PER_JOB)).map(move |number| {
        let start = number * NUMBERS_PER_JOB;
        start..end.min(start.saturating_add(NUMBERS_PER_JOB))
    });
    let mut results =
        pool.imap(ranges, |range: Range<u64>| range.filter(|&n| is_prime(n)).collect::<Vec<_>>());
    let mut primes = Vec::new();
    while let Some(found) = results.next().await {
        primes.extend(found?);
        bar.inc(NUMBERS_PER_JOB);
    }
    Ok(primes)
}

/// Tries all divisors up to the half: slow on purpose, so that there is something to share.
fn is_prime(n: u64) -> bool {
    n >= 2 && (2..=n / 2).all(|divisor| !n.is_multiple_of(divisor))
}
