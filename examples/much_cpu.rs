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
//! so.
//!
//! Kill the parent, even with `kill -9`, and the children end as well: each has its standard input from the
//! parent, a pipe on which nothing ever comes, and waits for the end of it beside its work. That needs no
//! help from the system (Linux alone has `PR_SET_PDEATHSIG`).

#[path = "program/mod.rs"]
mod program;

use std::hint::black_box;
use std::io;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use greenroom::io::stdin;
use greenroom::process::{Child, Command};
use greenroom::{Either, Runtime, select, yield_now};
use lexopt::{Arg, Parser};
use program::{Failure, complain, number, say, value};

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
    processes: u16,
    /// How many rounds each has to do.
    work: u64,
    /// Whether this is one of the children.
    burn: bool,
}

fn main() -> ExitCode {
    program::run(HELP, parse, |options| {
        Runtime::new()?.block_on(async {
            match options.burn {
                true => burn(options.work).await,
                false => run_children(&options).await,
            }
        })
    })
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u16);
    let mut options = Options { processes: cores, work: 200_000_000, burn: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("processes") => options.processes = number(parser, "--processes", 1..=1000)?,
            Arg::Long("work") => options.work = value(parser, "--work", "a number")?,
            Arg::Long("burn") => options.burn = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// Starts the children and waits for all of them.
async fn run_children(options: &Options) -> Result<(), Failure> {
    let start = Instant::now();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--burn", "--work", &options.work.to_string()]);
    command.stdin(Stdio::piped()).kill_on_drop(true);
    // Should one of them not start, the others are dropped here, and killed.
    let children: Vec<Child> = (0..options.processes).map(|_| command.spawn()).collect::<io::Result<_>>()?;
    let mut failed = 0;
    for mut child in children {
        // Open as long as we live, whatever we wait for.
        let _input = child.stdin.take();
        let status = child.wait().await?;
        if !status.success() {
            complain(format_args!("process {} did not finish its work: {status}", child.id()));
            failed += 1;
        }
    }
    let told = say(format_args!("work took {:.3} seconds", start.elapsed().as_secs_f64()));
    match failed {
        0 => Ok(told?),
        _ => Err(format!("{failed} of {} processes did not finish their work", options.processes).into()),
    }
}

/// What a child does.
async fn burn(work: u64) -> Result<(), Failure> {
    let id = std::process::id();
    say(id)?;
    match select(do_rounds(work), input_ends()).await {
        Either::First(()) => Ok(()),
        Either::Second(Ok(())) => {
            Err(format!("process {id} ends before its work is done: its parent is gone").into())
        }
        Either::Second(Err(error)) => Err(error.into()),
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
