//! Ten workers count to ten together and print as they go: with queues, with locks, and wrongly.
//!
//! ```text
//! cargo run --release --example thread_counter -- queues
//! cargo run --release --example thread_counter -- racy
//! cargo run --release --example thread_counter -- racy --fuzz 0
//! cargo run --release --example thread_counter -- locks --seeds 1000
//! ```
//!
//! You see 22 lines, from `Starting up` to `Finishing up`; with `racy` the same lines, in this order or another;
//! with `racy --fuzz 0` a mess, and each time the same mess.
//!
//! Two resources are shared, the counter and the screen, and the racy program guards neither. It may
//! look right, or nearly right, again and again: the worst cases are rare, and no test can wait for
//! them. To *fuzz* it means to wait for a random time at every point where a switch may hurt, which
//! makes the rare case the common one. Here chance is a seed: `--fuzz SEED` plays one run, always the
//! same, and `--seeds COUNT` looks for one that fails.
//!
//! Without these the programs run on threads of the operating system (`counting/threads.rs`), which
//! nobody can replay. With them they run as tasks (`counting/tasks.rs`): in an order that the seed
//! decides, on a clock that jumps, so that a run with a minute of waiting takes a millisecond.

mod counting;
#[path = "../program/mod.rs"]
mod program;

use std::cell::RefCell;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use counting::{Way, expected, tasks, threads};
use lexopt::{Arg, Parser};
use program::{Failure, say, value};

const HELP: &str = "\
Usage: thread_counter queues|locks|racy [--fuzz SEED | --seeds COUNT]
Ten workers count to ten together. Prints 22 lines, if nothing goes wrong.

  queues          the counter and the screen each belong to one thread, reached by a queue
  locks           the counter and the screen each have a lock
  racy            neither: wrong, though it seldom shows
  --fuzz SEED     run as tasks that wait at random where it hurts: the same seed, the same run
  --seeds COUNT   try the seeds 0 to COUNT-1 until the output is wrong, and say which it was
  --help          print this text and exit

The exit code is 0 if the output was right, 1 if it was not.
";

/// What the command line asks for.
struct Options {
    /// Which program.
    way: Way,
    /// How to run it.
    mode: Mode,
}

/// How to run a program.
#[derive(Clone, Copy)]
enum Mode {
    /// On threads.
    Threads,
    /// As tasks, as this seed decides.
    Fuzz(u64),
    /// As tasks, with the seeds below this one, until a run fails.
    Seeds(u64),
}

fn main() -> ExitCode {
    program::run(HELP, parse, work)
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let (mut way, mut mode) = (None, Mode::Threads);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("fuzz") => mode = Mode::Fuzz(value(parser, "--fuzz", "a number")?),
            Arg::Long("seeds") => mode = Mode::Seeds(value(parser, "--seeds", "a number")?),
            Arg::Value(name) if name == "queues" => way = Some(Way::Queues),
            Arg::Value(name) if name == "locks" => way = Some(Way::Locks),
            Arg::Value(name) if name == "racy" => way = Some(Way::Racy),
            other => return Err(other.unexpected()),
        }
    }
    let way = way.ok_or("which program: queues, locks or racy?")?;
    Ok(Options { way, mode })
}

/// Runs what was asked for; a wrong output is an error.
fn work(Options { way, mode }: Options) -> Result<(), Failure> {
    match mode {
        Mode::Threads => {
            let page = Mutex::new(String::new());
            threads::run(way, &|text| {
                // Held while it is printed, so that the page and the screen show the same.
                let mut page = page.lock().unwrap_or_else(PoisonError::into_inner);
                page.push_str(text);
                print(text);
            })?;
            if page.into_inner().unwrap_or_else(PoisonError::into_inner) != expected() {
                return Err("the output is wrong, and nobody can say how to get it again".into());
            }
        }
        Mode::Fuzz(seed) => {
            let page = fuzzed(way, seed)?;
            print(&page);
            if page != expected() {
                return Err(format!("seed {seed}: the output is wrong; the same again: --fuzz {seed}").into());
            }
        }
        Mode::Seeds(count) => {
            for seed in 0..count {
                if fuzzed(way, seed)? != expected() {
                    return Err(format!("seed {seed}: the output is wrong; to see it: --fuzz {seed}").into());
                }
            }
            say(format_args!("{count} seeds, and always the right output"))?;
        }
    }
    Ok(())
}

/// What the run of this seed prints.
fn fuzzed(way: Way, seed: u64) -> io::Result<String> {
    let page = Rc::new(RefCell::new(String::new()));
    let printer = page.clone();
    tasks::run(way, seed, Rc::new(move |text| printer.borrow_mut().push_str(text)))?;
    Ok(page.take())
}

/// Prints, if there is still somebody who reads.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
