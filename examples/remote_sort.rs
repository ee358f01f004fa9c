//! Has a list of random numbers sorted by a server.
//!
//! ```text
//! cargo run --release --example sort_server          then, elsewhere:
//! cargo run --release --example remote_sort
//! ```
//!
//! You see what happens, and then the sorted numbers, as Python prints a list. Any server of that protocol will do;
//! `sort_server` says what the protocol is.

#[path = "program/mod.rs"]
mod program;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::process::ExitCode;

use greenroom::Rng;
use greenroom::io::{StreamReader, StreamWriter};
use greenroom::net::TcpStream;
use lexopt::{Arg, Parser};

/// The help text.
const HELP: &str = "\
Usage: remote_sort [OPTION]...
Has a list of random numbers sorted by a server such as sort_server.

  --host HOST    name or address of the server (default 127.0.0.1)
  --port PORT    its port (default 2015)
  --count N      how many numbers to sort (default 10000)
  --help         print this text and exit
";

/// What the command line asks for.
struct Options {
    /// Name or address of the server.
    host: String,
    /// Its port.
    port: u16,
    /// How many numbers to sort.
    count: usize,
}

fn main() -> ExitCode {
    program::run("remote_sort", HELP, parse, |options| {
        Ok(greenroom::Runtime::new()?.block_on(remote_sort(options))?)
    })
}

/// Sends the numbers, and prints them as they come back.
async fn remote_sort(options: Options) -> io::Result<()> {
    let (host, port) = (options.host.as_str(), options.port);
    let stream = TcpStream::connect((host, port)).await.map_err(|error| {
        io::Error::new(error.kind(), format!("{error}; is the server running? (see --host and --port)"))
    })?;
    let (from, to) = stream.into_split();
    let (mut reader, writer) = (StreamReader::new(from), StreamWriter::new(to));

    program::say("Generating random list...")?;
    let mut rng = Rng::new(RandomState::new().hash_one("remote_sort"));
    let numbers: Vec<usize> = (0..options.count).map(|_| rng.below(10_000)).collect();
    let data = format!("{numbers:?}");
    program::say("List Generated, Sending data")?;
    writer.write(&(data.len() as u64).to_be_bytes());
    writer.write(data.as_bytes());

    program::say("Waiting for data...")?;
    let answer = reader.read_exactly(data.len()).await.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("no answer from {host} port {port}: {error}; is that a sort server?"),
        )
    })?;
    program::say("Received data")?;
    let sorted: Vec<usize> = serde_json::from_slice(&answer).map_err(|error| {
        let problem = format!("the answer from {host} port {port} is no list of numbers: {error}");
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })?;
    program::say(format_args!("{sorted:?}\n\n"))
}

/// Reads the options; none if help is asked for.
fn parse(parser: &mut Parser) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { host: "127.0.0.1".to_string(), port: 2015, count: 10_000 };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") => return Ok(None),
            Arg::Long("host") => {
                options.host = program::value(parser, "--host", "a host name or an address")?;
            }
            Arg::Long("port") => {
                options.port = program::value(parser, "--port", "a number from 0 to 65535")?;
            }
            Arg::Long("count") => options.count = program::value(parser, "--count", "a number")?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}
