//! Tells how many bytes the pages behind URLs have, ten at a time, in the order in which they are done.
//!
//! ```text
//! cargo run --release --example site_sizes -- http://example.com http://www.rfc-editor.org/rfc/rfc9112.txt
//! ```
//!
//! You see a line for each, as Python prints a pair: `('http://example.com', 1256)`. A site that fails stops none of
//! the others; it is named at the end with the reason, and the exit code is 1 then. On a terminal you see meanwhile
//! how many are done. HTTP only, no TLS. `page.rs` is the part that speaks HTTP.

mod page;
#[path = "../program/mod.rs"]
mod program;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use lexopt::{Arg, Parser};

/// The help text.
const HELP: &str = "\
Usage: site_sizes [OPTION]... URL...
Prints how many bytes each page has, in the order in which they are done. URLs begin with http://

  --at-once N          fetch so many pages at a time (default 10)
  --timeout SECONDS    how long one page may take, redirections included (default 30)
  --help               print this text and exit

The exit code is 0 if every page came, 1 if one failed, 2 if the command line is wrong.
";

/// What the command line asks for.
struct Options {
    /// The pages.
    urls: VecDeque<String>,
    /// How many to fetch at a time.
    at_once: NonZeroUsize,
    /// How long one may take.
    timeout: Duration,
}

fn main() -> ExitCode {
    program::run("site_sizes", HELP, parse, |options| {
        let total = options.urls.len();
        let failures = greenroom::Runtime::new()?.block_on(fetch_all(options));
        for (url, reason) in &failures {
            program::complain("site_sizes", format_args!("{url}: {reason}"));
        }
        match failures.len() {
            0 => Ok(()),
            failed => Err(format!("{failed} of {total} pages failed").into()),
        }
    })
}

/// Fetches the pages and prints their sizes; gives those that failed, with the reasons.
async fn fetch_all(options: Options) -> Vec<(String, io::Error)> {
    let at_once = options.at_once.get().min(options.urls.len());
    let round = Rc::new(Round {
        total: options.urls.len(),
        timeout: options.timeout,
        urls: RefCell::new(options.urls),
        done: Cell::new(0),
        failures: RefCell::default(),
    });
    round.show_progress();
    let fetchers: Vec<_> = (0..at_once).map(|_| greenroom::spawn(round.clone().fetch())).collect();
    for fetcher in fetchers {
        fetcher.await.expect("a fetcher does not panic");
    }
    round.clear_progress();
    round.failures.take()
}

/// What the fetchers share; all of them run on one thread, so no lines mix.
struct Round {
    /// How many pages there are.
    total: usize,
    /// How long one may take.
    timeout: Duration,
    /// Those that nobody has taken yet.
    urls: RefCell<VecDeque<String>>,
    /// How many are done.
    done: Cell<usize>,
    /// Those that failed, and why.
    failures: RefCell<Vec<(String, io::Error)>>,
}

impl Round {
    /// Fetches one page after the other until none is left.
    async fn fetch(self: Rc<Self>) {
        loop {
            let Some(url) = self.urls.borrow_mut().pop_front() else { return };
            let size = greenroom::timeout(self.timeout, page::size(&url)).await;
            self.done.set(self.done.get() + 1);
            self.clear_progress();
            match size.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                Ok(size) => self.print(&url, size),
                Err(error) => self.failures.borrow_mut().push((url, error)),
            }
            self.show_progress();
        }
    }

    /// Prints one result.
    fn print(&self, url: &str, size: u64) {
        if program::say(format_args!("({}, {size})", quoted(url))).is_err() {
            // Whoever reads our output has seen enough, as `head` does.
            self.urls.borrow_mut().clear();
        }
    }

    /// Says on a terminal how many are done.
    fn show_progress(&self) {
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "{} of {} pages", self.done.get(), self.total);
        }
    }

    /// Makes room on the terminal for another line.
    fn clear_progress(&self) {
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Text as Python shows it; in a URL there is nothing to escape but a quotation mark.
fn quoted(url: &str) -> String {
    if url.contains('\'') { format!("\"{url}\"") } else { format!("'{url}'") }
}

/// Reads the options; none if help is asked for.
fn parse(parser: &mut Parser) -> Result<Option<Options>, lexopt::Error> {
    let at_once = NonZeroUsize::new(10).expect("not zero");
    let mut options = Options { urls: VecDeque::new(), at_once, timeout: Duration::from_secs(30) };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") => return Ok(None),
            Arg::Long("at-once") => {
                options.at_once = program::value(parser, "--at-once", "a number above 0")?;
            }
            Arg::Long("timeout") => {
                let seconds: f64 = program::value(parser, "--timeout", "a number of seconds")?;
                let timeout = Duration::try_from_secs_f64(seconds);
                options.timeout = timeout.map_err(|error| format!("--timeout {seconds}: {error}"))?;
            }
            Arg::Value(url) => {
                options.urls.push_back(url.into_string().map_err(|url| format!("{url:?} is no URL"))?);
            }
            other => return Err(other.unexpected()),
        }
    }
    if options.urls.is_empty() {
        return Err("no URL is given, for example http://example.com".into());
    }
    Ok(Some(options))
}
