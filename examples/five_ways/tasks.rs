//! The echo server on tasks: one task for each client, and wherever it says `await` the others go on.
//!
//! The library's [`Server`] accepts, pauses when descriptors run out, and ends the tasks at the end.

use std::io;
use std::net::TcpListener as StdListener;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use greenroom::Runtime;
use greenroom::net::{Connection, Server, TcpListener, TcpStream, UnixStream};

/// Serves until `stop` can be read.
pub fn serve(listener: StdListener, stop: StdUnixStream) -> io::Result<()> {
    Runtime::new()?.block_on(async {
        let server = Server::new(TcpListener::from_std(listener)?).drain_within(Duration::ZERO);
        let stop = UnixStream::from_std(stop)?;
        let stopped = async { drop(stop.read(&mut [0]).await) };
        let handler = async |connection: Connection| drop(echo(connection.stream).await);
        server.run(stopped, handler).await.map(drop)
    })
}

/// Sends back what comes, to its end.
async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}
