//! A client: sends each line of standard input, and prints what comes, whichever comes first.
//!
//! It shows how waiting for several things goes together with a library that blocks: `select` waits for a line, or for
//! something to read, and then a read limit of no time lets the library take what is there.

use std::io::{self, ErrorKind};
use std::time::Duration;

use greenroom::green::{StdIo, wait};
use greenroom::io::{LineReader, stdin};
use greenroom::net::TcpStream;
use greenroom::{Either, select};
use tungstenite::{Error, Message, WebSocket};

use crate::program::{Failure, say, with_remedy};

/// The longest line that is sent, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// How long connecting may take, and the last answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Talks with the server until either has had enough.
pub fn talk(host: &str, port: u16) -> Result<(), Failure> {
    let stream = wait(TcpStream::connect_timeout((host, port), PATIENCE)).map_err(with_remedy)?;
    stream.set_nodelay(true)?;
    let brackets = if host.contains(':') { ["[", "]"] } else { ["", ""] };
    let url = format!("ws://{}{host}{}:{port}/", brackets[0], brackets[1]);
    let mut blocking = StdIo::new(&stream);
    blocking.set_read_timeout(Some(PATIENCE));
    let (mut socket, _) = tungstenite::client(url, blocking)
        .map_err(|error| format!("{error}; is that a server for WebSockets? See --host and --port"))?;
    socket.get_mut().set_read_timeout(Some(Duration::ZERO));
    let mut lines = LineReader::new(stdin()?, LONGEST_LINE);
    // First what is there, and only then the wait for more: the library may have read ahead.
    while print_what_is_there(&mut socket)? {
        match wait(select(lines.next_line(), stream.readable())) {
            Either::First(line) => match line? {
                Some(line) => socket.send(Message::text(&*String::from_utf8_lossy(&line)))?,
                None => {
                    // Nothing more to say; the answers may still be under way.
                    socket.get_mut().set_read_timeout(Some(PATIENCE));
                    socket.close(None)?;
                }
            },
            Either::Second(ready) => ready?,
        }
    }
    Ok(())
}

/// Prints the messages that have come; false if there will be no more.
fn print_what_is_there(socket: &mut WebSocket<StdIo<&TcpStream>>) -> Result<bool, Failure> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => say(text)?,
            Ok(Message::Close(words)) => {
                // From here on it answers, and waits for the server to close the connection.
                socket.get_mut().set_read_timeout(Some(PATIENCE));
                if let Some(words) = words {
                    say(format_args!("closed: {words}"))?;
                }
            }
            Ok(_) => {}
            Err(Error::Io(error)) if is_from_zero(&error, socket) => return Ok(true),
            Err(Error::ConnectionClosed) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether this only says that nothing more is there.
fn is_from_zero(error: &io::Error, socket: &WebSocket<StdIo<&TcpStream>>) -> bool {
    error.kind() == ErrorKind::TimedOut && socket.can_write()
}
