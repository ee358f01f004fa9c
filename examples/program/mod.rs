//! What every example program does in the same way: its options, its output, its end.
//!
//! A program gives its name, its help, a function that reads the options and one that does the work.
//! A wrong option is told in one line, with exit code 2; a failure in one line, with code 1. A reader
//! who has seen enough (`| head`) ends the program quietly.

// Each example uses its own part of this.
#![allow(dead_code)]

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::str::FromStr;

use lexopt::Parser;

/// What can go wrong while a program runs.
pub type Failure = Box<dyn Error>;

/// Runs a program: `parse` gives its options, or `None` if the help is wanted; `work` does the rest.
pub fn run<O>(
    name: &str,
    help: &str,
    parse: impl FnOnce(&mut Parser) -> Result<Option<O>, lexopt::Error>,
    work: impl FnOnce(O) -> Result<(), Failure>,
) -> ExitCode {
    let done = match parse(&mut Parser::from_env()) {
        Ok(Some(options)) => work(options),
        Ok(None) => say(help.trim_end()).map_err(Failure::from),
        Err(problem) => {
            complain(name, format_args!("{problem}; see {name} --help"));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(name, error);
            ExitCode::FAILURE
        }
    }
}

/// Prints a line.
///
/// # Errors
/// If nobody reads any more: give it to [`run`], which ends the program quietly.
pub fn say(line: impl fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Prints a line to standard error. Failing to is no reason to stop.
pub fn complain(name: &str, problem: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{name}: {problem}");
}

/// The value of the option that was just met.
///
/// # Errors
/// If there is none, or it is not `allowed`; the message names the option.
pub fn value<T: FromStr>(parser: &mut Parser, option: &str, allowed: &str) -> Result<T, lexopt::Error> {
    let given = parser.value().map_err(|_| format!("{option} takes {allowed}, but none is given"))?;
    let parsed = given.to_str().filter(|text| !text.is_empty()).and_then(|text| text.parse().ok());
    Ok(parsed.ok_or_else(|| format!("{option} takes {allowed}, not {given:?}"))?)
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
