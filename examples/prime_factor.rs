//! The prime factors of numbers, one job of a pool for each.
//!
//! ```text
//! cargo run --release --example prime_factor -- 84 1000003 4999999
//! cargo run --release --example prime_factor
//! ```
//!
//! You see `the factors of 84 are [2, 2, 3, 7]` and so on, in the order in which you gave the numbers; without
//! numbers, those of 20 that chance picks.
//!
//! `Pool::map` shares the numbers out among as many threads as there are processors, and gives the results in the
//! order of the numbers, whoever is ready first.

#[path = "program/mod.rs"]
mod program;

use std::process::ExitCode;
use std::thread::available_parallelism;

use greenroom::Runtime;
use greenroom::blocking::Pool;
use lexopt::{Arg, Parser, ValueExt};
use program::chance::{self, Chance};
use program::{Failure, say};

const HELP: &str = "\
Usage: prime_factor [OPTION]... [NUMBER]...
Prints the prime factors of each number; without any, of 20 between 10000 and 5000000 that chance picks.

  --seed SEED     what decides the chance (default: the time)
  --help          print this text and exit
";

fn main() -> ExitCode {
    program::run(HELP, parse, |numbers| Runtime::new()?.block_on(print_factors(numbers)))
}

/// The numbers that the command line asks for.
fn parse(parser: &mut Parser) -> Result<Vec<u64>, lexopt::Error> {
    let (mut seed, mut numbers) = (chance::any_seed(), Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("seed") => seed = chance::seed(parser)?,
            Arg::Value(number) => numbers.push(number.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    if numbers.is_empty() {
        let chance = Chance::new(seed);
        numbers.extend((0..20).map(|_| 10_000 + chance.below(4_990_001) as u64));
    }
    Ok(numbers)
}

async fn print_factors(numbers: Vec<u64>) -> Result<(), Failure> {
    let pool = Pool::builder(available_parallelism()?.get()).name("factors").build();
    let results = pool.map(numbers.clone(), prime_factor).await;
    for (value, factors) in numbers.into_iter().zip(results) {
        say(format_args!("the factors of {value} are {:?}", factors?))?;
    }
    Ok(())
}

/// The prime factors of `value` in ascending order, each as often as it divides; of 0, 1 and primes, `value`.
fn prime_factor(value: u64) -> Vec<u64> {
    let (mut factors, mut rest, mut divisor) = (Vec::new(), value, 2);
    while divisor <= rest / divisor {
        if rest.is_multiple_of(divisor) {
            factors.push(divisor);
            rest /= divisor;
        } else {
            divisor += 1;
        }
    }
    factors.push(rest);
    factors
}
