//! "A conversation is a loop around a blocking read; when it is over, the next one begins."
//!
//! ```text
//! cargo run --example obvious -- 1
//! ```
//!
//! Somebody who connects and says nothing holds everybody else up. With a thread for each client it works: what
//! that costs is measured in NOTES.md.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// How long a client waits for its answer before it gives up.
const PATIENCE: Duration = Duration::from_millis(300);

/// Sends back what comes, to its end.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}

/// Serves two clients, one after the other, or each on a thread.
fn serve(listener: &TcpListener, on_threads: bool) {
    for stream in listener.incoming().flatten().take(2) {
        // A client that has given up is no failure of the server.
        if on_threads {
            thread::spawn(|| echo(stream));
        } else {
            drop(echo(stream));
        }
    }
}

/// Says hello, and tells what comes back.
fn say_hello(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"hello")?;
    let mut buffer = [0; 100];
    match stream.read(&mut buffer) {
        Ok(count) => println!("  the second is answered {:?}", String::from_utf8_lossy(&buffer[..count])),
        Err(_) => println!("  the second is connected, says hello, and waits in vain for the first to go"),
    }
    Ok(())
}

/// Two clients, of whom the first says nothing.
fn demonstrate(on_threads: bool) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        scope.spawn(|| serve(&listener, on_threads));
        let silent = TcpStream::connect(address)?;
        println!("  the first client connects and says nothing");
        say_hello(address)?;
        drop(silent);
        Ok(())
    })
}

/// One after the other, and then all at once.
pub fn run() {
    for (name, on_threads) in [("one conversation after the other", false), ("a thread for each", true)] {
        println!("{name}:");
        if let Err(error) = demonstrate(on_threads) {
            println!("  this needs sockets: {error}");
        }
    }
}
