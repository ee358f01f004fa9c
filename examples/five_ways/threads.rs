//! The echo server on threads of the system, with std alone: the kernel lets another one go on where one waits.
//!
//! Nobody can tell a thread that waits in read(2) to end. So the threads stay until the process ends, and their
//! connections with them.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

/// How long not to accept when descriptors, or threads, run out.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop` can be read.
pub fn serve(listener: TcpListener, mut stop: UnixStream) -> io::Result<()> {
    thread::Builder::new().spawn(move || accept(&listener))?;
    stop.read(&mut [0]).map(drop)
}

/// Takes clients in, for ever.
fn accept(listener: &TcpListener) {
    loop {
        let admitted =
            listener.accept().and_then(|(stream, _)| thread::Builder::new().spawn(|| echo(stream)));
        if let Err(error) = admitted {
            log::warn!("cannot accept for now: {error}");
            thread::sleep(PAUSE);
        }
    }
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
