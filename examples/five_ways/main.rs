//! One echo server written five ways, to be read side by side: a bare mio loop, callbacks, tasks, green threads,
//! OS threads.
//!
//! ```text
//! cargo run --release --example five_ways -- green         then, elsewhere:  nc 127.0.0.1 9610
//! ```
//!
//! You see `green at 127.0.0.1:9610`, and elsewhere each line that you type come back; so with `mio`, `callbacks`,
//! `tasks` and `threads`. With `all`, the five of them listen at 9610 and the ports after it. Ctrl-C ends it.
//!
//! Each way is one file with a function `serve`, and needs nothing of the others. All do the same: they send back
//! what comes until its end; read nothing from a client who does not read; lose nothing but the connection when
//! one breaks; and wait a second before they accept again when descriptors run out. This file is what they are
//! not to be compared by: the command line, the listening socket, and Ctrl-C.

mod bare_mio;
mod callbacks;
mod green;
#[path = "../program/mod.rs"]
mod program;
mod tasks;
mod threads;

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::process::ExitCode;

use greenroom::signal::{INTERRUPT, Signal};
use greenroom::{Either, select, spawn_blocking, try_join_all};
use lexopt::{Arg, Parser, ValueExt};
use program::{Failure, say};
use socket2::SockRef;

const HELP: &str = "\
Usage: five_ways [OPTION]... WAY
Sends back what it is sent. Try it with: nc 127.0.0.1 9610

WAY is one of
  mio             a loop around epoll, without the runtime
  callbacks       functions that the loop calls
  tasks           async functions
  green           green threads
  threads         threads of the system
  all             each of them, at consecutive ports

  --host HOST     name or address to listen on (default 127.0.0.1)
  --port PORT     port to listen on, 0 for any free one (default 9610)
  --help          print this text and exit
";

/// Serves until there is something to read from the other end of the second argument, or its end.
type Serve = fn(TcpListener, UnixStream) -> io::Result<()>;

/// The ways.
const WAYS: [(&str, Serve); 5] = [
    ("mio", bare_mio::serve),
    ("callbacks", callbacks::serve),
    ("tasks", tasks::serve),
    ("green", green::serve),
    ("threads", threads::serve),
];

/// What the command line asks for.
struct Options {
    /// Name or address to listen on.
    host: String,
    /// Port to listen on; 0 lets the system choose one.
    port: u16,
    /// The ways to serve.
    ways: &'static [(&'static str, Serve)],
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    program::run(HELP, parse, |options| greenroom::Runtime::new()?.block_on(serve(&options)))
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options { host: "127.0.0.1".to_string(), port: 9610, ways: &[] };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("host") => options.host = program::host(parser)?,
            Arg::Long("port") => options.port = program::port(parser)?,
            Arg::Value(way) if options.ways.is_empty() => options.ways = ways(&way.string()?)?,
            other => return Err(other.unexpected()),
        }
    }
    if options.ways.is_empty() {
        return Err("no way is given".into());
    }
    if options.port.checked_add(options.ways.len() as u16 - 1).is_none() {
        return Err(format!("there are no {} ports from --port {} on", WAYS.len(), options.port).into());
    }
    Ok(options)
}

/// The ways that go by this name.
fn ways(name: &str) -> Result<&'static [(&'static str, Serve)], lexopt::Error> {
    match WAYS.iter().position(|way| way.0 == name) {
        Some(index) => Ok(&WAYS[index..=index]),
        None if name == "all" => Ok(&WAYS),
        None => Err(format!("{name:?} is no way").into()),
    }
}

/// Serves in all ways that were asked for, each on a thread of its own, until Ctrl-C.
async fn serve(options: &Options) -> Result<(), Failure> {
    // Before the first line: who reads that may interrupt at once.
    let mut interrupts = Signal::new(INTERRUPT)?;
    let (mut jobs, mut ends) = (Vec::new(), Vec::new());
    for (index, &(name, serve)) in options.ways.iter().enumerate() {
        let port = if options.port == 0 { 0 } else { options.port + index as u16 };
        let listener = listen(&options.host, port)?;
        // A server goes on though nobody reads what it says.
        let _ = say(format_args!("{name} at {}", listener.local_addr()?));
        let (stop, end) = UnixStream::pair()?;
        ends.push(end);
        jobs.push(spawn_blocking(move || serve(listener, stop)));
    }
    let served = try_join_all(jobs.into_iter().map(|job| async { Ok::<(), Failure>(job.await??) }));
    let mut served = pin!(served);
    match select(interrupts.recv(), served.as_mut()).await {
        Either::First(interrupted) => interrupted?,
        // Only an error ends one without being asked to.
        Either::Second(ended) => return ended.map(drop),
    }
    drop(ends);
    served.await.map(drop)
}

/// A listening socket; looking the name up delays nobody yet.
fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((host, port)).map_err(|error| {
        let text = format!("cannot listen at {host}:{port}: {error}");
        program::with_remedy(io::Error::new(error.kind(), text))
    })?;
    // std lets 128 wait; a crowd would have to knock again, a second later.
    SockRef::from(&listener).listen(4096)?;
    Ok(listener)
}
