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

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use futures::future::join_all;
use greenroom::Runtime;
use greenroom::process::Command;
use lexopt::{Arg, Parser, ValueExt};

/// The help text.
const HELP: &str = "\
Usage: thread_then_fork [OPTION]...
Starts children, all at once, and waits for them.

  --children N    how many (default 16)
  --running TEXT  be one of the children: print `running TEXT`
  --help          print this text and exit
";

/// What the command line asks for.
enum Request {
    /// To start so many children.
    Start(u16),
    /// To be a child.
    Run(String),
    /// The help text.
    Help,
}

fn main() -> ExitCode {
    let ended = match parse(std::env::args_os().skip(1)) {
        Ok(Request::Start(children)) => Runtime::new().and_then(|runtime| {
            let all = join_all((0..children).map(start_and_wait));
            runtime.block_on(all).into_iter().collect()
        }),
        Ok(Request::Run(what)) => say(format!("running {what}\n")),
        Ok(Request::Help) => say(HELP.to_string()),
        Err(problem) => {
            let _ = writeln!(io::stderr(), "thread_then_fork: {problem}; see --help");
            return ExitCode::from(2);
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "thread_then_fork: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One child from start to end.
async fn start_and_wait(number: u16) -> io::Result<()> {
    say(format!("starting {number}\n"))?;
    let mut command = Command::new(std::env::current_exe()?);
    let status = command.args(["--running", &number.to_string()]).status().await?;
    if !status.success() {
        return Err(io::Error::other(format!("child {number} failed: {status}")));
    }
    say(format!("finished {number}\n"))
}

/// Prints a whole line with one write(2), so that the lines of all the processes stay whole.
fn say(line: String) -> io::Result<()> {
    io::stdout().write_all(line.as_bytes())
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut request = Request::Start(16);
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let value = |parser: &mut Parser| parser.value().map_err(|error| error.to_string());
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Request::Help),
            Arg::Long("children") => {
                let given = value(&mut parser)?;
                let children = given.parse().map_err(|_| {
                    format!("--children takes a number from 0 to {}, not {given:?}", u16::MAX)
                })?;
                request = Request::Start(children);
            }
            Arg::Long("running") => {
                request = Request::Run(value(&mut parser)?.to_string_lossy().into_owned());
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(request)
}
