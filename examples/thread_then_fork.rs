//! Sixteen children at once, each waited for by a task of its own: processes and concurrency in the safe order.
//!
//! ```text
//! cargo run --release --example thread_then_fork
//! ```
//!
//! You see `starting 0`, `running 0`, `finished 0`, in this order for each of 0 to 15, and all sixteen mixed.
//!
//! The classic program starts sixteen *threads* and forks a child in each. fork(2) copies the memory, but only
//! the thread that called it: a lock that another thread held at that moment stays locked in the child for
//! ever, since its holder does not exist there. The lock may be one that nobody sees, of the allocator or of
//! standard output, and so the child hangs, once in a thousand runs. The safe orders:
//!
//! 1. fork first, start threads afterwards; or
//! 2. between fork and exec do nothing but system calls (signal-safety(7)), and let the child be a new program,
//!    with memory of its own.
//!
//! `Command` does the second, so it is safe at any time; and here there is nothing to be afraid of anyway: the
//! sixteen who wait are tasks on one thread. The child is this program again, with other arguments.

#[path = "program/mod.rs"]
mod program;

use std::process::ExitCode;

use greenroom::process::Command;
use greenroom::{Runtime, try_join_all};
use lexopt::{Arg, Parser};
use program::{Failure, number, say, value};

const HELP: &str = "\
Usage: thread_then_fork [OPTION]...
Starts children, all at once, and waits for them.

  --children N    how many, from 0 to 1000 (default 16)
  --running TEXT  be one of the children: print `running TEXT`
  --help          print this text and exit
";

/// What the command line asks for.
enum Request {
    /// To start so many children.
    Start(u16),
    /// To be a child.
    Run(String),
}

fn main() -> ExitCode {
    program::run(HELP, parse, |request| match request {
        Request::Start(children) => {
            Runtime::new()?.block_on(try_join_all((0..children).map(start_and_wait))).map(drop)
        }
        Request::Run(what) => Ok(say(format_args!("running {what}"))?),
    })
}

/// One child from start to end.
async fn start_and_wait(number: u16) -> Result<(), Failure> {
    say(format_args!("starting {number}"))?;
    let mut command = Command::new(std::env::current_exe()?);
    let status = command.args(["--running", &number.to_string()]).status().await?;
    if !status.success() {
        return Err(format!("child {number} failed: {status}").into());
    }
    Ok(say(format_args!("finished {number}"))?)
}

fn parse(parser: &mut Parser) -> Result<Request, lexopt::Error> {
    let mut request = Request::Start(16);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("children") => request = Request::Start(number(parser, "--children", 0..=1000)?),
            Arg::Long("running") => request = Request::Run(value(parser, "--running", "a text")?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(request)
}
