//! Counts its visitors: each is told a number and sent away. The classic race, and four ways to run it.
//!
//! ```text
//! cargo run --release --example counter                    then, elsewhere:  nc 127.0.0.1 5000
//! cargo run --release --example counter -- --threads-racy
//! ```
//!
//! You see `<1, took 0.3 ms>`, the next visitor `<2, took 0.3 ms>`. However many come at once, on tasks and on
//! green threads (`--green`) nobody gets a number twice and none is left out, without any lock: a task is
//! interrupted only where it says `await`, a green thread only where it calls `wait`, and between reading the
//! count and writing it there is neither. On threads it takes a lock (`--threads-locked`); without one
//! (`--threads-racy`) let fifty visitors come at once and look at their numbers:
//!
//! ```text
//! for i in $(seq 50); do nc 127.0.0.1 5000 & done | sort | uniq -d
//! ```

#[path = "program/mod.rs"]
mod program;

use std::cell::Cell;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use greenroom::green::{self, wait};
use greenroom::net::{Connection, Server, TcpListener, TcpStream};
use greenroom::signal::{INTERRUPT, Signal};
use greenroom::timeout;
use lexopt::{Arg, Parser};
use program::{Failure, complain, say, value};

/// How long a visitor is listened to after goodbye. Closing with unread input would reset the connection,
/// and the number might never arrive.
const LINGER: Duration = Duration::from_millis(300);

/// How long to wait when no more connections or threads are to be had.
const PAUSE: Duration = Duration::from_millis(50);

const HELP: &str = "\
Usage: counter [OPTION]...
Tells each visitor a number: 1, 2, 3... Try it with: nc 127.0.0.1 5000

  --host HOST       name or address to listen on (default 127.0.0.1)
  --port PORT       port to listen on, 0 for any free one (default 5000)
  --work ROUNDS     how much to do per visitor (default 1000000)
  --tasks           a task per visitor, no lock (default)
  --green           a green thread per visitor, no lock
  --threads-racy    a thread per visitor, no lock: shows the race
  --threads-locked  a thread per visitor, and a lock
  --help            print this text and exit
";

/// The ways to run it.
enum Style {
    /// All on one thread, no lock.
    Tasks,
    /// The same, each on a stack of its own.
    Green,
    /// A thread per visitor and no lock: wrong.
    ThreadsRacy,
    /// A thread per visitor and a lock.
    ThreadsLocked,
}

/// What the command line asks for.
struct Options {
    /// Name or address to listen on.
    host: String,
    /// Port to listen on; 0 lets the system choose one.
    port: u16,
    /// How to run.
    style: Style,
    /// How much there is to do per visitor, as rounds of a loop.
    rounds: u64,
}

fn main() -> ExitCode {
    program::run(HELP, parse, |options| match options.style {
        Style::Tasks => greenroom::Runtime::new()?.block_on(serve(&options, answer)),
        Style::Green => greenroom::Runtime::new()?.block_on(serve(&options, |stream, count, rounds| {
            let visit = green::Builder::new().future(move || answer_on_stack(&stream, &count, rounds));
            async { visit?.await }
        })),
        Style::ThreadsRacy => serve_on_threads(&options, Count::next_racy),
        Style::ThreadsLocked => serve_on_threads(&options, Count::next_locked),
    })
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options =
        Options { host: "127.0.0.1".into(), port: 5000, style: Style::Tasks, rounds: 1_000_000 };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("host") => options.host = program::host(parser)?,
            Arg::Long("port") => options.port = program::port(parser)?,
            Arg::Long("work") => options.rounds = value(parser, "--work", "a number")?,
            Arg::Long("tasks") => options.style = Style::Tasks,
            Arg::Long("green") => options.style = Style::Green,
            Arg::Long("threads-racy") => options.style = Style::ThreadsRacy,
            Arg::Long("threads-locked") => options.style = Style::ThreadsLocked,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// What is done for a visitor; says how long it took.
fn work(rounds: u64) -> Duration {
    let start = Instant::now();
    for round in 0..rounds {
        black_box(round);
    }
    start.elapsed()
}

/// What a visitor is told.
fn line(number: u64, took: Duration) -> String {
    format!("<{number}, took {:.1} ms>\n", took.as_secs_f64() * 1e3)
}

/// On one thread: `answer` is for a visitor, with the count and the rounds of work.
async fn serve<V>(
    options: &Options,
    answer: impl Fn(TcpStream, Rc<Cell<u64>>, u64) -> V,
) -> Result<(), Failure>
where
    V: Future<Output = io::Result<()>> + 'static,
{
    let address = (options.host.as_str(), options.port);
    let listener = TcpListener::bind(address).await.map_err(program::with_remedy)?;
    // Listened for before anyone can know that the server is there.
    let mut interrupts = Signal::new(INTERRUPT)?;
    // A server goes on though nobody reads what it says.
    let _ = say(format_args!("counter at {}", listener.local_addr()?));
    let (count, rounds) = (Rc::new(Cell::new(0)), options.rounds);
    let handler = |connection: Connection| {
        let visit = answer(connection.stream, count.clone(), rounds);
        async move {
            if let Err(error) = visit.await {
                complain(format_args!("{}: {error}", connection.peer));
            }
        }
    };
    let interrupted = async move { drop(interrupts.recv().await) };
    let report = Server::new(listener).run(interrupted, handler).await?;
    let _ = say(report);
    Ok(())
}

/// One visitor, as a task.
async fn answer(stream: TcpStream, count: Rc<Cell<u64>>, rounds: u64) -> io::Result<()> {
    // From here to the next `await` nobody else runs.
    let before = count.get();
    let took = work(rounds);
    count.set(before + 1);

    stream.write_all(line(before + 1, took).as_bytes()).await?;
    let listen = async {
        stream.shutdown(Shutdown::Write)?;
        while stream.read(&mut [0; 4096]).await? > 0 {}
        io::Result::Ok(())
    };
    // However it ends, the visit is over: many leave without saying goodbye.
    drop(timeout(LINGER, listen).await);
    Ok(())
}

/// One visitor, as a green thread.
fn answer_on_stack(stream: &TcpStream, count: &Cell<u64>, rounds: u64) -> io::Result<()> {
    // From here to the next `wait` nobody else runs.
    let before = count.get();
    let took = work(rounds);
    count.set(before + 1);

    wait(stream.write_all(line(before + 1, took).as_bytes()))?;
    let deadline = greenroom::now() + LINGER;
    // However it ends, the visit is over: many leave without saying goodbye.
    if stream.shutdown(Shutdown::Write).is_ok() {
        let left = || deadline.saturating_duration_since(greenroom::now());
        while let Ok(Ok(1..)) = wait(timeout(left(), stream.read(&mut [0; 4096]))) {}
    }
    Ok(())
}

/// A number that threads share.
#[derive(Default)]
struct Count {
    /// For those who take no lock. Rust refuses to compile a *data race* on a plain number; with atomic
    /// loads and stores the *race condition* stays: what was loaded may be old when it is used.
    racy: AtomicU64,
    /// For those who do.
    locked: Mutex<u64>,
}

impl Count {
    /// Reads, works, writes; in the meantime others have read the same.
    fn next_racy(&self, rounds: u64) -> (u64, Duration) {
        let before = self.racy.load(Ordering::SeqCst);
        let took = work(rounds);
        self.racy.store(before + 1, Ordering::SeqCst);
        (before + 1, took)
    }

    /// The same, one at a time.
    fn next_locked(&self, rounds: u64) -> (u64, Duration) {
        let mut number = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        let took = work(rounds);
        *number += 1;
        (*number, took)
    }
}

/// On threads: no loop, only the operating system.
fn serve_on_threads(options: &Options, next: fn(&Count, u64) -> (u64, Duration)) -> Result<(), Failure> {
    let (host, port) = (options.host.as_str(), options.port);
    // std sets SO_REUSEADDR, and not SO_REUSEPORT, with which a second server could steal visitors.
    let listener = std::net::TcpListener::bind((host, port))
        .map_err(|error| format!("cannot listen at {host}:{port}: {}", program::with_remedy(error)))?;
    let _ = say(format_args!("counter at {}", listener.local_addr()?));
    let (count, rounds) = (Arc::new(Count::default()), options.rounds);
    for stream in listener.incoming() {
        let count = count.clone();
        let started = stream.and_then(|stream| {
            thread::Builder::new().spawn(move || {
                let (number, took) = next(&count, rounds);
                if let Err(error) = answer_from_thread(&stream, number, took) {
                    complain(error);
                }
            })
        });
        if let Err(error) = started {
            // This visitor has gone already, or too many are here: the others are still served.
            complain(error);
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// One visitor, on a thread.
fn answer_from_thread(mut stream: &std::net::TcpStream, number: u64, took: Duration) -> io::Result<()> {
    stream.write_all(line(number, took).as_bytes())?;
    stream.set_read_timeout(Some(LINGER))?;
    let deadline = Instant::now() + LINGER;
    // However it ends, the visit is over: many leave without saying goodbye.
    if stream.shutdown(Shutdown::Write).is_ok() {
        while Instant::now() < deadline && stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    }
    Ok(())
}
