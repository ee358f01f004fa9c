//! Keeps every core busy: one child process per core, each with the same amount of work.
//!
//! ```text
//! cargo run --release --example much_cpu                     a process per core
//! cargo run --release --example much_cpu -- --processes 1    as much work, by one
//! ```
//!
//! You see the number of each process, and how long all of them took together:
//!
//! ```text
//! 4711
//! 4712
//! work took 0.261 seconds
//! ```
//!
//! With as many processes as cores it takes no longer than with one. Kill one (`kill 4711`) and the parent says
//! so. Kill the parent, even with `kill -9`, and the children end as well: each has its standard input from the
//! parent, a pipe on which nothing ever comes, and waits for the end of it beside its work. That needs no
//! help from the system (Linux alone has `PR_SET_PDEATHSIG`).

use std::ffi::OsString;
use std::hint::black_box;
use std::io::{self, Write};
use std::pin::pin;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use futures::future::{Either, select};
use greenroom::io::stdin;
use greenroom::process::{Child, Command};
use greenroom::{Runtime, yield_now};
use lexopt::{Arg, Parser};

/// The help text.
const HELP: &str = "\
Usage: much_cpu [OPTION]...
Starts child processes that work as hard as they can, and says how long they took.

  --processes N    how many children, from 1 to 1000 (default: one per core)
  --work N         how many rounds of a loop each of them has to do (default 200000000)
  --burn           be one of the children: do the work, and end when standard input ends
  --help           print this text and exit
";

/// How many rounds a child does between two looks at its parent.
const ROUNDS_PER_TURN: u64 = 1_000_000;

/// What the command line asks for.
struct Options {
    /// How many children.
    processes: u64,
    /// How many rounds each has to do.
    work: u64,
    /// Whether this is one of the children.
    burn: bool,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            complain(format!("{problem}; see --help"));
            return ExitCode::from(2);
        }
    };
    let run = async {
        match options.burn {
            true => burn(options.work).await,
            false => run_children(&options).await,
        }
    };
    match Runtime::new().and_then(|runtime| runtime.block_on(run)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// Starts the children and waits for all of them; whether all did their work.
async fn run_children(options: &Options) -> io::Result<bool> {
    let start = Instant::now();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--burn", "--work", &options.work.to_string()]);
    command.stdin(Stdio::piped()).kill_on_drop(true);
    // Should one of them not start, the others are dropped here, and killed.
    let children: Vec<Child> = (0..options.processes).map(|_| command.spawn()).collect::<io::Result<_>>()?;
    let mut all_well = true;
    for mut child in children {
        // Open as long as we live, whatever we wait for.
        let _input = child.stdin.take();
        let status = child.wait().await?;
        if !status.success() {
            complain(format!("process {} did not finish its work: {status}", child.id()));
            all_well = false;
        }
    }
    say(format!("work took {:.3} seconds\n", start.elapsed().as_secs_f64()));
    Ok(all_well)
}

/// What a child does; whether it came to the end.
async fn burn(work: u64) -> io::Result<bool> {
    say(format!("{}\n", std::process::id()));
    match select(pin!(do_rounds(work)), pin!(input_ends())).await {
        Either::Left(_) => Ok(true),
        Either::Right((ended, _)) => {
            ended?;
            complain(format!(
                "process {} ends before its work is done: its parent is gone",
                std::process::id()
            ));
            Ok(false)
        }
    }
}

/// The work.
async fn do_rounds(work: u64) {
    let mut done = 0;
    while done < work {
        let end = work.min(done + ROUNDS_PER_TURN);
        for round in done..end {
            black_box(round);
        }
        done = end;
        yield_now().await;
    }
}

/// Waits for the end of standard input.
async fn input_ends() -> io::Result<()> {
    let mut input = stdin()?;
    while input.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

/// The options; `None` is a request for help.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, String> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let mut options = Options { processes: cores, work: 200_000_000, burn: false };
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("processes") => options.processes = number(&mut parser, "--processes", 1, 1000)?,
            Arg::Long("work") => options.work = number(&mut parser, "--work", 0, u64::MAX)?,
            Arg::Long("burn") => options.burn = true,
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(options))
}

/// The number that an option takes.
fn number(parser: &mut Parser, option: &str, least: u64, most: u64) -> Result<u64, String> {
    let given = parser.value().map_err(|error| error.to_string())?;
    let parsed = given.to_str().and_then(|text| text.parse().ok());
    parsed
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("{option} takes a number from {least} to {most}, not {given:?}"))
}

/// Prints. That nobody reads it is no reason to panic.
fn say(text: impl AsRef<str>) {
    let _ = io::stdout().write_all(text.as_ref().as_bytes());
}

fn complain(problem: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "much_cpu: {problem}");
}
