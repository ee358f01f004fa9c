//! Has a list of random numbers sorted by a server.
//!
//! ```text
//! cargo run --release --example sort_server          then, elsewhere:
//! cargo run --release --example remote_sort
//! ```
//!
//! You see what happens, and then the sorted numbers, as Python prints a list.
//!
//! What is written waits in a queue, and nothing waits for it; the answer is as long as the question, so it is
//! read as so many bytes. Any server of that protocol will do; `sort_server` says what the protocol is.

#[path = "program/mod.rs"]
mod program;

use std::process::ExitCode;
use std::time::Duration;

use greenroom::io::{StreamReader, StreamWriter};
use greenroom::net::TcpStream;
use greenroom::timeout;
use lexopt::{Arg, Parser};
use program::chance::{self, Chance};
use program::{Failure, say, value};

const HELP: &str = "\
Usage: remote_sort [OPTION]...
Has a list of random numbers sorted by a server such as sort_server.

  --host HOST         name or address of the server (default 127.0.0.1)
  --port PORT         its port (default 2015)
  --count N           how many numbers to sort (default 10000)
  --timeout SECONDS   how long the answer may take (default 60)
  --help              print this text and exit
";

/// What the command line asks for.
struct Options {
    /// Name or address of the server.
    host: String,
    /// Its port.
    port: u16,
    /// How many numbers to sort.
    count: usize,
    /// How long the answer may take.
    timeout: Duration,
}

fn main() -> ExitCode {
    program::run(HELP, parse, |options| greenroom::Runtime::new()?.block_on(remote_sort(options)))
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let (host, timeout) = ("127.0.0.1".to_string(), Duration::from_secs(60));
    let mut options = Options { host, port: 2015, count: 10_000, timeout };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("host") => options.host = program::host(parser)?,
            Arg::Long("port") => options.port = program::port(parser)?,
            Arg::Long("count") => options.count = value(parser, "--count", "a number")?,
            Arg::Long("timeout") => options.timeout = program::seconds(parser, "--timeout")?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// Sends the numbers, and prints them as they come back.
async fn remote_sort(options: Options) -> Result<(), Failure> {
    let (host, port) = (options.host.as_str(), options.port);
    let stream = TcpStream::connect((host, port)).await.map_err(program::with_remedy)?;
    let (from, to) = stream.into_split();
    let (mut reader, writer) = (StreamReader::new(from), StreamWriter::new(to));

    say("Generating random list...")?;
    let chance = Chance::new(chance::any_seed());
    let numbers: Vec<usize> = (0..options.count).map(|_| chance.below(10_000)).collect();
    let data = format!("{numbers:?}");
    say("List Generated, Sending data")?;
    writer.write(&(data.len() as u64).to_be_bytes());
    writer.write(data.as_bytes());

    say("Waiting for data...")?;
    let answer = timeout(options.timeout, reader.read_exactly(data.len()))
        .await
        .unwrap_or_else(|elapsed| Err(elapsed.into()))
        .map_err(|error| format!("no answer from {host} port {port}: {error}; is that a sort server?"))?;
    say("Received data")?;
    let sorted: Vec<usize> = serde_json::from_slice(&answer)
        .map_err(|error| format!("the answer from {host} port {port} is no list of numbers: {error}"))?;
    let mut expected = numbers;
    expected.sort_unstable();
    if sorted != expected {
        return Err(format!("the answer from {host} port {port} is not our list in order").into());
    }
    Ok(say(format_args!("{sorted:?}\n\n"))?)
}
