//! The prime factors of numbers, one job of a pool for each.
//!
//! ```text
//! cargo run --release --example prime_factor -- 84 1000003 4999999
//! cargo run --release --example prime_factor
//! ```
//!
//! You see `the factors of 84 are [2, 2, 3, 7]` and so on, in the order in which you gave the numbers; without
//! numbers, those of 20 that chance picks.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::SystemTime;

use greenroom::blocking::Pool;
use greenroom::{Rng, Runtime};
use lexopt::{Arg, Parser, ValueExt};

const HELP: &str = "\
Usage: prime_factor [OPTION]... [NUMBER]...
Prints the prime factors of each number; without any, of 20 between 10000 and 5000000 that chance picks.

  --seed SEED     what decides the chance (default: the time)
  --help          print this and exit
";

/// The numbers that the command line asks for; none if it asks for help.
fn numbers(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Vec<u64>>, lexopt::Error> {
    let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let (mut seed, mut numbers) = (since_1970.as_nanos() as u64, Vec::new());
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("seed") => seed = parser.value()?.parse()?,
            Arg::Value(number) => numbers.push(number.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    if numbers.is_empty() {
        let mut rng = Rng::new(seed);
        numbers.extend((0..20).map(|_| 10_000 + rng.below(4_990_001) as u64));
    }
    Ok(Some(numbers))
}

/// Prints to standard error. Failing to is no reason to panic.
fn complain(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "prime_factor: {text}");
}

fn main() -> ExitCode {
    let result = match numbers(std::env::args_os().skip(1)) {
        Ok(Some(numbers)) => run(&numbers),
        Ok(None) => io::stdout().write_all(HELP.as_bytes()),
        Err(problem) => {
            complain(format_args!("{problem}; see prime_factor --help"));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(numbers: &[u64]) -> io::Result<()> {
    let pool = Pool::builder(available_parallelism()?.get()).name("factors").build();
    let results = Runtime::new()?.block_on(pool.map(numbers.to_vec(), prime_factor));
    for (value, factors) in numbers.iter().zip(results) {
        writeln!(io::stdout(), "the factors of {value} are {:?}", factors?)?;
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
