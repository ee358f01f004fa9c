//! Several clients of the counter server at once, each a task or green thread whose result is asked for later.
//!
//! ```text
//! cargo run --release --example counter          and, elsewhere:
//! cargo run --release --example request -- --n 3 --bad
//! ```
//!
//! You see the line that each of them got, or why it got none: with `--bad` one request more goes to port 1,
//! where as a rule nobody listens. The exit code is 1 if a request failed.
//!
//! Each request is a task, and `get` waits for its result, or its error. One that fails stops none of the others.
//! With `--green` each asks in blocking-looking code on a stack of its own. That is a future too: what limits the
//! time of the one and names its errors does so for the other.

#[path = "program/mod.rs"]
mod program;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use greenroom::green::{self, wait};
use greenroom::io::StreamReader;
use greenroom::net::TcpStream;
use greenroom::{JoinHandle, Runtime, spawn, timeout};
use lexopt::{Arg, Parser};
use program::{Failure, complain, say, value};

const HELP: &str = "\
Usage: request [OPTION]...
Asks the counter server for several numbers at once.

  --host HOST     name or address of the server (default 127.0.0.1)
  --port PORT     its port (default 5000)
  --n N           how many requests to make at once (default 3)
  --bad           make one more, to port 1, where as a rule nobody listens
  --green         ask on green threads
  --help          print this text and exit
";

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of an answer.
const MAX_ANSWER: usize = 1024;

/// What the command line asks for.
struct Options {
    /// Name or address of the server.
    host: String,
    /// Its port.
    port: u16,
    /// How many requests.
    count: usize,
    /// Whether there is one more that should fail.
    bad: bool,
    /// Whether to ask on green threads.
    green: bool,
}

fn main() -> ExitCode {
    program::run(HELP, parse, |options| Runtime::new()?.block_on(request_all(options)))
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options { host: "127.0.0.1".into(), port: 5000, count: 3, bad: false, green: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("host") => options.host = program::host(parser)?,
            Arg::Long("port") => options.port = program::port(parser)?,
            Arg::Long("n") => options.count = value(parser, "--n", "a number")?,
            Arg::Long("bad") => options.bad = true,
            Arg::Long("green") => options.green = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// Makes all requests at once; their results are then asked for one by one.
async fn request_all(options: Options) -> Result<(), Failure> {
    let ports = std::iter::repeat_n(options.port, options.count).chain(options.bad.then_some(1));
    let start = |port| {
        let (server, asked) = (options.host.clone(), options.host.clone());
        match options.green {
            false => spawn(request(server, port, ask(asked, port))),
            true => {
                let asking = green::Builder::new().future(move || ask_on_stack(&asked, port));
                spawn(request(server, port, async { asking?.await }))
            }
        }
    };
    let requests: Vec<_> = ports.map(start).collect();
    let (count, mut failed) = (requests.len(), 0);
    for request in requests {
        match get(request).await {
            // What a server says is no command to our terminal.
            Ok(answer) => say(answer.escape_debug())?,
            Err(error) => {
                complain(error);
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} of {count} requests failed").into()),
    }
}

/// What a task has to give: its value, its own error, or that it panicked.
async fn get(request: JoinHandle<io::Result<String>>) -> Result<String, Failure> {
    Ok(request.await??)
}

/// One request, which may not take too long, and whose error says where it went.
async fn request(
    host: String,
    port: u16,
    asked: impl Future<Output = io::Result<Vec<u8>>>,
) -> io::Result<String> {
    let result = timeout(PATIENCE, asked).await.unwrap_or_else(|elapsed| Err(elapsed.into()));
    let answer = result
        .map_err(|error| io::Error::new(error.kind(), format!("request to {host} port {port}: {error}")))?;
    Ok(String::from_utf8_lossy(&answer).trim_end().to_string())
}

/// Whatever the server sends until it closes.
async fn ask(host: String, port: u16) -> io::Result<Vec<u8>> {
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(program::with_remedy)?;
    StreamReader::new(&stream).read_to_end(MAX_ANSWER).await
}

/// The same on a green thread.
fn ask_on_stack(host: &str, port: u16) -> io::Result<Vec<u8>> {
    let stream = wait(TcpStream::connect((host, port))).map_err(program::with_remedy)?;
    wait(StreamReader::new(&stream).read_to_end(MAX_ANSWER))
}
