//! Tells how many bytes the pages behind URLs have, ten at a time, in the order in which they are done.
//!
//! ```text
//! cargo run --release --example site_sizes -- http://example.com http://www.rfc-editor.org/rfc/rfc9112.txt
//! ```
//!
//! You see a line for each, as Python prints a pair: `('http://example.com', 1256)`. A site that fails stops none of
//! the others; it is named at the end with the reason, and the exit code is 1 then. On a terminal you see meanwhile
//! how many are done.
//!
//! Ten futures of one task take URL after URL from a list that they share. They run in turns, not at the same
//! time, so nothing needs a lock and no lines mix. `page.rs` is the part that speaks HTTP (only that: no TLS).

mod page;
#[path = "../program/mod.rs"]
mod program;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use greenroom::{Runtime, timeout, try_join_all};
use indicatif::ProgressBar;
use lexopt::{Arg, Parser};
use program::{Failure, complain, say, value};

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
    program::run(HELP, parse, |options| Runtime::new()?.block_on(fetch_all(options)))
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let at_once = NonZeroUsize::new(10).expect("not zero");
    let mut options = Options { urls: VecDeque::new(), at_once, timeout: Duration::from_secs(30) };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("at-once") => options.at_once = value(parser, "--at-once", "a number above 0")?,
            Arg::Long("timeout") => options.timeout = program::seconds(parser, "--timeout")?,
            Arg::Value(url) => {
                options.urls.push_back(url.into_string().map_err(|url| format!("{url:?} is no URL"))?);
            }
            other => return Err(other.unexpected()),
        }
    }
    if options.urls.is_empty() {
        return Err("no URL is given, for example http://example.com".into());
    }
    Ok(options)
}

/// Fetches the pages and prints their sizes, and at the end those that failed, with the reasons.
async fn fetch_all(options: Options) -> Result<(), Failure> {
    let total = options.urls.len();
    let round = Round {
        timeout: options.timeout,
        urls: RefCell::new(options.urls),
        progress: program::progress_bar(total as u64, "{pos} of {len} pages"),
        failures: RefCell::default(),
    };
    let at_once = options.at_once.get().min(total);
    try_join_all((0..at_once).map(|_| round.fetch())).await?;
    round.progress.finish_and_clear();
    let failures = round.failures.take();
    for (url, reason) in &failures {
        complain(format_args!("{url}: {reason}"));
    }
    match failures.len() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {total} pages failed").into()),
    }
}

/// What the fetchers share.
struct Round {
    /// How long one page may take.
    timeout: Duration,
    /// Those that nobody has taken yet.
    urls: RefCell<VecDeque<String>>,
    /// How many are done.
    progress: ProgressBar,
    /// Those that failed, and why.
    failures: RefCell<Vec<(String, io::Error)>>,
}

impl Round {
    /// Fetches one page after the other until none is left.
    async fn fetch(&self) -> io::Result<()> {
        loop {
            let Some(url) = self.urls.borrow_mut().pop_front() else { return Ok(()) };
            let size = timeout(self.timeout, page::size(&url)).await;
            self.progress.inc(1);
            match size.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                Ok(size) => self.progress.suspend(|| say(format_args!("({}, {size})", quoted(&url))))?,
                Err(error) => self.failures.borrow_mut().push((url, error)),
            }
        }
    }
}

/// Text as Python shows it; in a URL there is nothing to escape but a quotation mark.
fn quoted(url: &str) -> String {
    if url.contains('\'') { format!("\"{url}\"") } else { format!("'{url}'") }
}
