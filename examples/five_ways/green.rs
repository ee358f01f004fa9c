//! The echo server on green threads: the body is that of `threads.rs`, letter by letter, but where it waits it
//! leaves its stack, and the others go on.
//!
//! The library's [`Server`] accepts, pauses when descriptors run out, and ends the green threads at the end.

use std::io::{self, Read, Write};
use std::net::TcpListener as StdListener;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use greenroom::Runtime;
use greenroom::green::{self, StdIo};
use greenroom::net::{Connection, Server, TcpListener, UnixStream};

/// Serves until `stop` can be read.
pub fn serve(listener: StdListener, stop: StdUnixStream) -> io::Result<()> {
    Runtime::new()?.block_on(async {
        let server = Server::new(TcpListener::from_std(listener)?).drain_within(Duration::ZERO);
        let stop = UnixStream::from_std(stop)?;
        let stopped = async { drop(stop.read(&mut [0]).await) };
        let handler = async |connection: Connection| {
            let body = || drop(echo(StdIo::new(connection.stream)));
            match green::Builder::new().future(body) {
                Ok(visit) => visit.await,
                Err(error) => log::warn!("no stack for a client: {error}"),
            }
        };
        server.run(stopped, handler).await.map(drop)
    })
}

/// Sends back what comes, to its end.
fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}
