//! Events by time, then priority, then order, as Python's `sched` has them.
//!
//! ```text
//! cargo run --release --example scheduler                  takes a second
//! cargo run --release --example scheduler -- --virtual     the same in no time: the clock jumps
//! ```
//!
//! You see when each event runs, counted from the start:
//!
//! ```text
//! 5 events are planned
//! 0.2 s  the earliest comes first, though it was planned last
//! 0.5 s  priority 1, planned after the next one
//! 0.5 s  priority 2
//! 0.5 s  priority 2, planned after the one before
//! 0.7 s  plans two more: for now, and for 0.3 seconds from now
//! 0.7 s  planned for now
//! 1.0 s  planned for later
//! ```
//!
//! One more was planned and cancelled. `sched.rs` is the scheduler, some forty lines on top of `call_at`.

mod sched;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use greenroom::{Runtime, now};
use lexopt::{Arg, Parser};

use sched::Scheduler;

/// The help text.
const HELP: &str = "\
Usage: scheduler [OPTION]...
Plans some events and runs them in the order of time, priority and planning.

  --virtual    let time jump from one event to the next
  --help       print this text and exit
";

fn main() -> ExitCode {
    let virtual_clock = match parse(std::env::args_os().skip(1)) {
        Ok(Some(virtual_clock)) => virtual_clock,
        Ok(None) => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            let _ = writeln!(io::stderr(), "scheduler: {problem}; see --help");
            return ExitCode::from(2);
        }
    };
    let run = || -> Result<(), Box<dyn std::error::Error>> {
        let runtime = Runtime::builder().virtual_clock(virtual_clock).build()?;
        runtime.enter(plan);
        Ok(runtime.run()?)
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "scheduler: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plans the events; they run when the loop does.
fn plan() {
    let scheduler = Scheduler::default();
    let start = now();
    let at = |tenths: u32| start + tenths * Duration::from_millis(100);
    let tell = move |what| move || tell_at(start, what);
    scheduler.enterabs(at(5), 2, tell("priority 2"));
    scheduler.enterabs(at(5), 2, tell("priority 2, planned after the one before"));
    scheduler.enterabs(at(5), 1, tell("priority 1, planned after the next one"));
    let cancelled = scheduler.enterabs(at(6), 1, tell("this is never said"));
    let planner = scheduler.clone();
    scheduler.enterabs(at(7), 1, move || {
        tell_at(start, "plans two more: for now, and for 0.3 seconds from now");
        planner.enter(Duration::from_millis(300), 1, tell("planned for later"));
        planner.enter(Duration::ZERO, 1, tell("planned for now"));
    });
    scheduler.enterabs(at(2), 9, tell("the earliest comes first, though it was planned last"));
    assert!(scheduler.cancel(cancelled), "it is still planned");
    say(&format!("{} events are planned\n", scheduler.queue().len()));
    scheduler.run();
}

/// Prints when it is, in tenths of a second since `start`, and `what`.
fn tell_at(start: Instant, what: &str) {
    let tenths = now().saturating_duration_since(start).as_millis() / 100;
    say(&format!("{}.{} s  {what}\n", tenths / 10, tenths % 10));
}

/// Whether the clock shall be virtual; `None` is a request for help.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<bool>, String> {
    let mut virtual_clock = false;
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("virtual") => virtual_clock = true,
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(virtual_clock))
}

/// Prints. That nobody reads it is no reason to panic.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
