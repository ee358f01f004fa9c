//! Sends every byte back, on a task per connection: the smallest server.
//!
//! ```text
//! cargo run --release --example echo          then, elsewhere:  nc 127.0.0.1 7000
//! ```
//!
//! You see each line that you type come back. Ctrl-C ends the server once its connections are done.
//!
//! Each connection has a task of its own that reads and writes as if it were alone; whoever waits lets the
//! others go on.

#[path = "program/mod.rs"]
mod program;

use std::process::ExitCode;

use greenroom::net::{Connection, Server, TcpListener, TcpStream};
use greenroom::signal::{INTERRUPT, Signal};
use lexopt::{Arg, Parser};
use program::{Failure, complain, say};

const HELP: &str = "\
Usage: echo [OPTION]...
Sends back what it is sent. Try it with: nc 127.0.0.1 7000

  --host HOST     name or address to listen on (default 127.0.0.1)
  --port PORT     port to listen on, 0 for any free one (default 7000)
  --help          print this text and exit
";

fn main() -> ExitCode {
    program::run(HELP, parse, |address| greenroom::Runtime::new()?.block_on(serve(address)))
}

/// Where to listen.
fn parse(parser: &mut Parser) -> Result<(String, u16), lexopt::Error> {
    let (mut host, mut port) = ("127.0.0.1".to_string(), 7000);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("host") => host = program::host(parser)?,
            Arg::Long("port") => port = program::port(parser)?,
            other => return Err(other.unexpected()),
        }
    }
    Ok((host, port))
}

/// The server, until Ctrl-C.
async fn serve(address: (String, u16)) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await.map_err(program::with_remedy)?;
    // Listened for before anyone can know that the server is there.
    let mut interrupts = Signal::new(INTERRUPT)?;
    // A server goes on though nobody reads what it says.
    let _ = say(format_args!("echo at {}", listener.local_addr()?));
    let interrupted = async move { drop(interrupts.recv().await) };
    let handler = async |connection: Connection| {
        if let Err(error) = echo(&connection.stream).await {
            complain(format_args!("{}: {error}", connection.peer));
        }
    };
    let report = Server::new(listener).run(interrupted, handler).await?;
    let _ = say(report);
    Ok(())
}

/// Sends back what comes, until the peer has said all it had to say.
async fn echo(stream: &TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
