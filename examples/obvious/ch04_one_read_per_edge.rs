//! "An event says that there is something to read: read once, and wait for the next event."
//!
//! ```text
//! cargo run --example obvious -- 4
//! ```
//!
//! mio registers with epoll edge-triggered: an event says that something *became* readable. A reader that
//! takes less than there is and waits for the next event waits for bytes that are there already. The same
//! reader gets along once it reads until the call says `WouldBlock`.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};

/// What the peer says, in one write.
const MESSAGE: &[u8] = b"one\ntwo\nthree\nfour\n";

/// How much is read at a time.
const BUFFER_BYTES: usize = 8;

/// How long to wait for an event before we give up.
const PATIENCE: Duration = Duration::from_millis(300);

/// Waits for events and reads; with `until_blocked`, as long as there is something. Returns what was read.
fn listen(until_blocked: bool) -> io::Result<Vec<u8>> {
    let (mut socket, mut peer) = UnixStream::pair()?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
    peer.write_all(MESSAGE)?;

    let (mut events, mut heard) = (Events::with_capacity(8), Vec::new());
    while heard.len() < MESSAGE.len() {
        poll.poll(&mut events, Some(PATIENCE))?;
        println!("  epoll reports {} event(s)", events.iter().count());
        if events.is_empty() {
            break;
        }
        let mut buffer = [0; BUFFER_BYTES];
        loop {
            match socket.read(&mut buffer) {
                Ok(count) => {
                    println!("  read {:?}", String::from_utf8_lossy(&buffer[..count]));
                    heard.extend_from_slice(&buffer[..count]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    println!("  read would block");
                    break;
                }
                Err(error) => return Err(error),
            }
            if !until_blocked {
                break;
            }
        }
    }
    // The peer lives to here: its end would have been an event of its own.
    drop(peer);
    Ok(heard)
}

/// One read per event, and then as many as it takes.
pub fn run() {
    let total = MESSAGE.len();
    for (name, until_blocked) in
        [("one read for each event", false), ("read until it would block (this is how it should be)", true)]
    {
        println!("{name}: the peer sends {total} bytes");
        match listen(until_blocked) {
            Ok(heard) if heard.len() < total => println!(
                "  {} bytes of {total} lie in the kernel, and nobody will ever ask for them\n",
                total - heard.len()
            ),
            Ok(_) => println!("  all {total} bytes are here"),
            Err(error) => println!("  this needs a pair of sockets: {error}"),
        }
    }
}
