//! Several clients of the counter server at once, each a task whose result is asked for later.
//!
//! ```text
//! cargo run --release --example counter          and, elsewhere:
//! cargo run --release --example request -- --n 3 --bad
//! ```
//!
//! Each request is spawned, and then `get` waits for its result: the line that the server sends, or the
//! error. What fails is reported on standard error, and the others go on. With `--bad` one request more
//! goes to port 1, where as a rule nobody listens. The exit code is 1 if a request failed.

#[path = "program/mod.rs"]
mod program;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

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
}

fn main() -> ExitCode {
    program::run("request", HELP, parse, |options| Runtime::new()?.block_on(request_all(options)))
}

fn parse(parser: &mut Parser) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { host: "127.0.0.1".into(), port: 5000, count: 3, bad: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("host") => options.host = value(parser, "--host", "a host name or an address")?,
            Arg::Long("port") => options.port = value(parser, "--port", "a number from 0 to 65535")?,
            Arg::Long("n") => options.count = value(parser, "--n", "a number")?,
            Arg::Long("bad") => options.bad = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

/// Makes all requests at once; their results are then asked for one by one.
async fn request_all(options: Options) -> Result<(), Failure> {
    let ports = std::iter::repeat_n(options.port, options.count).chain(options.bad.then_some(1));
    let requests: Vec<_> = ports.map(|port| spawn(request(options.host.clone(), port))).collect();
    let (count, mut failed) = (requests.len(), 0);
    for request in requests {
        match get(request).await {
            Ok(answer) => say(answer)?,
            Err(error) => {
                complain("request", error);
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

/// One request: whatever the server sends until it closes, or as much of it as an answer may have.
async fn request(host: String, port: u16) -> io::Result<String> {
    let asked = async {
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        let (mut answer, mut len) = ([0; MAX_ANSWER], 0);
        while len < MAX_ANSWER {
            match stream.read(&mut answer[len..]).await? {
                0 => break,
                count => len += count,
            }
        }
        Ok(String::from_utf8_lossy(&answer[..len]).trim_end().to_string())
    };
    let result = timeout(PATIENCE, asked).await.unwrap_or_else(|elapsed| Err(elapsed.into()));
    result.map_err(|error: io::Error| {
        let remedy = "is the server running there? see --host and --port";
        io::Error::new(error.kind(), format!("request to {host} port {port}: {error} ({remedy})"))
    })
}
