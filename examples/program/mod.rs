//! What every example program does in the same way: its options, its output, its end.
//!
//! A program gives its help, a function that reads its options, and one that does the work. `--help` prints
//! the help. A wrong option is told in one line, with exit code 2; a failure in one line, with code 1. A
//! reader who has seen enough (`| head`) ends the program quietly.
//!
//! `chance.rs` is for the programs in which it decides how long things take.

// Each example uses its own part of this.
#![allow(dead_code)]

pub mod chance;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::ops::RangeInclusive;
use std::process::{ExitCode, Termination};
use std::str::FromStr;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use lexopt::Parser;

/// What can go wrong while a program runs.
pub type Failure = Box<dyn Error>;

/// The name of the example of which this is a part.
const NAME: &str = env!("CARGO_CRATE_NAME");

/// Runs a program: `parse` gives its options, `work` does the rest. What `parse` does not expect is a wrong
/// option, unless it is `--help`.
pub fn run<O, T: Termination>(
    help: &str,
    parse: impl FnOnce(&mut Parser) -> Result<O, lexopt::Error>,
    work: impl FnOnce(O) -> Result<T, Failure>,
) -> ExitCode {
    let done = match parse(&mut Parser::from_env()) {
        Ok(options) => work(options).map(Termination::report),
        Err(lexopt::Error::UnexpectedOption(option)) if option == "--help" || option == "-h" => {
            say(help.trim_end()).map(|()| ExitCode::SUCCESS).map_err(Failure::from)
        }
        Err(problem) => {
            complain(format_args!("{problem}; see {NAME} --help"));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// Prints a line.
///
/// # Errors
/// If nobody reads any more: give it to [`run`], which ends the program quietly. (A server goes on.)
pub fn say(line: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Prints a line to standard error. Failing to is no reason to stop.
pub fn complain(problem: impl Display) {
    let _ = writeln!(io::stderr(), "{NAME}: {problem}");
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

/// The same for a number within limits.
pub fn number<T: FromStr + PartialOrd + Display>(
    parser: &mut Parser,
    option: &str,
    limits: RangeInclusive<T>,
) -> Result<T, lexopt::Error> {
    let allowed = format!("a number from {} to {}", limits.start(), limits.end());
    let number = value(parser, option, &allowed)?;
    if !limits.contains(&number) {
        return Err(format!("{option} takes {allowed}, not \"{number}\"").into());
    }
    Ok(number)
}

/// The same for a time in seconds, which may have decimals.
pub fn seconds(parser: &mut Parser, option: &str) -> Result<Duration, lexopt::Error> {
    let seconds: f64 = value(parser, option, "a number of seconds")?;
    Ok(Duration::try_from_secs_f64(seconds).map_err(|error| format!("{option} {seconds}: {error}"))?)
}

/// The value of `--host`.
pub fn host(parser: &mut Parser) -> Result<String, lexopt::Error> {
    value(parser, "--host", "a host name or an address")
}

/// The value of `--port`.
pub fn port(parser: &mut Parser) -> Result<u16, lexopt::Error> {
    number(parser, "--port", 0..=u16::MAX)
}

/// An error of listening or connecting, with the option that helps.
pub fn with_remedy(error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => {
            "stop the program that listens there, or choose another --port (0: any free one)"
        }
        ErrorKind::PermissionDenied => "choose a --port above 1023",
        ErrorKind::AddrNotAvailable => "choose a --host that is an address of this machine",
        ErrorKind::ConnectionRefused => "is the server running there? See --host and --port",
        _ => "see --host and --port",
    };
    io::Error::new(error.kind(), format!("{error}; {remedy}"))
}

/// A line on standard error that shows how far the program is, if that is a terminal. `template` says how
/// it looks, in the words of `indicatif`.
pub fn progress_bar(total: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is right");
    ProgressBar::new(total).with_style(style)
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
