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

#[path = "../program/mod.rs"]
mod program;
mod sched;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use greenroom::{Runtime, now};
use lexopt::{Arg, Parser};
use program::say;
use sched::Scheduler;

const HELP: &str = "\
Usage: scheduler [OPTION]...
Plans some events and runs them in the order of time, priority and planning.

  --virtual       let time jump instead of passing
  --help          print this text and exit
";

fn main() -> ExitCode {
    program::run(HELP, parse, |is_virtual| {
        let runtime = Runtime::builder().virtual_clock(is_virtual).build()?;
        runtime.enter(plan);
        Ok(runtime.run()?)
    })
}

/// Whether time jumps.
fn parse(parser: &mut Parser) -> Result<bool, lexopt::Error> {
    let mut is_virtual = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("virtual") => is_virtual = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(is_virtual)
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
    let _ = say(format_args!("{} events are planned", scheduler.queue().len()));
    scheduler.run();
}

/// Prints when it is, in tenths of a second since `start`, and `what`.
fn tell_at(start: Instant, what: &str) {
    let tenths = now().saturating_duration_since(start).as_millis() / 100;
    // An event has nobody to report to that nobody reads.
    let _ = say(format_args!("{}.{} s  {what}", tenths / 10, tenths % 10));
}
