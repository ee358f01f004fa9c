//! greenroom beside its peers: the same work, in the same run, as ratios.
//!
//! ```text
//! cargo run --release -p bench -- micro [--only WORD] [--runs N]
//! ```
//!
//! Each row is one kind of work, done by several contestants; a contestant is a function that does the work a given
//! number of times and says how long that took. The contestants of a row take turns, so that a busy moment of the
//! machine hits all of them; what counts is the median of their runs, as a ratio to the row's first contestant.

mod green;
mod measure;
mod stacks;

use std::process::ExitCode;

use lexopt::prelude::*;

const USAGE: &str = "\
Usage: bench micro [--only WORD] [--runs N]

  micro        small costs, in nanoseconds an operation
  --only WORD  only rows whose name contains WORD
  --runs N     how often each contestant runs (7)
";

/// What was asked for.
struct Options {
    /// Only rows whose name contains this.
    only: String,
    /// How often each contestant runs.
    runs: usize,
}

fn main() -> ExitCode {
    match options() {
        Ok(Some(options)) => {
            let mut rows = green::rows();
            rows.retain(|row| row.name.contains(&options.only));
            if rows.is_empty() {
                eprintln!("no row has {:?} in its name", options.only);
                return ExitCode::from(2);
            }
            for row in &rows {
                print!("{}", measure::compare(row, options.runs));
            }
            ExitCode::SUCCESS
        }
        Ok(None) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint!("{error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// The arguments; `None` asks for help.
fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { only: String::new(), runs: 7 };
    let mut command = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("only") => options.only = arguments.value()?.string()?,
            Long("runs") => options.runs = arguments.value()?.parse::<usize>()?.max(1),
            Value(word) if command.is_none() => command = Some(word.string()?),
            _ => return Err(argument.unexpected()),
        }
    }
    match command.as_deref() {
        Some("micro") => Ok(Some(options)),
        Some(other) => Err(format!("there is no set of benchmarks called {other:?}").into()),
        None => Ok(None),
    }
}
