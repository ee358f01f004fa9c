//! The case service over WebSocket, by a library that knows only blocking `Read + Write`.
//!
//! ```text
//! cargo run --release --example websocket                     then, elsewhere:
//! cargo run --release --example websocket -- --connect
//! ```
//!
//! You see there each line that you type come back in upper case; `title` and `upper` change that, `quit` ends it.
//! Others can talk to it too, such as `websocat ws://127.0.0.1:9680/`, or the console of a browser (F12, on the page
//! `about:blank`):
//!
//! ```text
//! socket = new WebSocket("ws://127.0.0.1:9680/"); socket.onmessage = event => console.log(event.data)
//! socket.send("hello")
//! ```
//!
//! Each client has a green thread, and on it the crate `tungstenite` as it is: it reads and writes a stream, and has no
//! idea that `StdIo` is not a socket of std and that thousands wait on the same thread. What the library cannot know
//! comes from below: `patient.rs` is a stream whose reads fail when the client is silent for too long, or the server
//! shall end. Then the client is told why, in the closing words of the protocol (RFC 6455, section 7), and has a
//! second to answer. Ctrl-C does that with everyone.

#[allow(dead_code, reason = "the programs for telnet use more of it")]
#[path = "../case_service/mod.rs"]
mod case_service;
mod client;
mod patient;
#[path = "../program/mod.rs"]
mod program;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use case_service::options::{connection_limit, descriptors_for};
use case_service::session::Session;
use case_service::{DRAIN_WITHIN, LINGER_BYTES, LINGER_TIME, bound_unsent};
use greenroom::green::{self, StdIo};
use greenroom::net::{Connection, Server, TcpListener};
use greenroom::{Runtime, now};
use lexopt::{Arg, Parser};
use patient::Patient;
use program::{Failure, complain, say, value};
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, HandshakeError, Message, WebSocket};

const HELP: &str = "\
Usage: websocket [OPTION]...
Serves lines of text, one per WebSocket message: sends each back in upper case or, after the line
`title`, in title case, until the line `quit`. Try it with: websocket --connect

  --connect               be a client, of the server at this host and port: send each line of
                          standard input, print what comes
  --host HOST             name or address to listen on (default 127.0.0.1)
  --port PORT             port to listen on, 0 for any free one (default 9680)
  --max-message BYTES     refuse longer messages (default 65536)
  --max-connections N     serve at most so many clients at a time (default 10000, fewer if the
                          limit of open files is lower)
  --idle-timeout SECONDS  how long a client may be silent, take for one message, or not read
                          what it is sent (default 300)
  --help                  print this text and exit
";

/// How long a client has to answer the closing words.
const GOODBYE: Duration = Duration::from_secs(1);

/// How many bytes are read at once; each client has such a buffer.
const READ_BYTES: usize = 4096;

/// What the command line asks for.
struct Options {
    /// Whether to be a client.
    connect: bool,
    /// Name or address.
    host: String,
    /// Port; 0 lets the system choose one.
    port: u16,
    /// The most bytes that a message may have.
    max_message: NonZeroUsize,
    /// The most connections at a time.
    max_connections: NonZeroUsize,
    /// How long a client may be silent.
    idle_timeout: Duration,
}

fn main() -> ExitCode {
    program::run(HELP, parse, |options| {
        let runtime = Runtime::new()?;
        match options.connect {
            true => runtime.block_on(green::future(move || client::talk(&options.host, options.port))),
            false => runtime.block_on(serve(options)),
        }
    })
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options {
        connect: false,
        host: "127.0.0.1".to_string(),
        port: 9680,
        max_message: NonZeroUsize::new(64 << 10).expect("not zero"),
        max_connections: NonZeroUsize::new(10_000).expect("not zero"),
        idle_timeout: Duration::from_secs(300),
    };
    let above_zero = "a number above 0";
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("connect") => options.connect = true,
            Arg::Long("host") => options.host = program::host(parser)?,
            Arg::Long("port") => options.port = program::port(parser)?,
            Arg::Long("max-message") => options.max_message = value(parser, "--max-message", above_zero)?,
            Arg::Long("max-connections") => {
                options.max_connections = value(parser, "--max-connections", above_zero)?;
            }
            Arg::Long("idle-timeout") => options.idle_timeout = program::seconds(parser, "--idle-timeout")?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// The server, until Ctrl-C.
async fn serve(options: Options) -> Result<(), Failure> {
    let address = (options.host.as_str(), options.port);
    let listener = TcpListener::bind(address).await.map_err(program::with_remedy)?;
    let asked = options.max_connections.get();
    let descriptors = rlimit::increase_nofile_limit(descriptors_for(asked)).unwrap_or(1024);
    let limit = connection_limit(asked, descriptors);
    if limit < asked {
        complain(format_args!("at most {limit} clients at a time, not {asked} (ulimit -n raises that)"));
    }
    // A server goes on though nobody reads what it says.
    let _ = say(format_args!("listening for WebSockets at {}", listener.local_addr()?));
    let interrupted = async { drop(greenroom::ctrl_c().await) };
    let server = Server::new(listener).max_connections(limit).drain_within(DRAIN_WITHIN);
    let options = Rc::new(options);
    let handler = |connection| {
        let options = options.clone();
        let visit = green::Builder::new().future(move || receive(connection, &options));
        async {
            match visit {
                Ok(visit) => visit.await,
                Err(error) => complain(format_args!("cannot serve a client: {error}")),
            }
        }
    };
    let report = server.run(interrupted, handler).await?;
    let _ = say(report);
    Ok(())
}

/// One client's visit. From here on everything blocks.
fn receive(connection: Connection, options: &Options) {
    let peer = connection.peer;
    let visited = || {
        connection.stream.set_nodelay(true)?;
        bound_unsent(&connection.stream)?;
        let mut stream = StdIo::new(Patient::new(connection.stream, connection.drain, options.idle_timeout));
        stream.set_write_timeout(Some(options.idle_timeout));
        visit(stream, options)
    };
    match visited() {
        Err(error) if !is_from_our_end(&error) => complain_about(peer, &error),
        _ => {}
    }
}

/// Receives a client, talks with it, and sees it off; says what went wrong.
fn visit(mut stream: StdIo<Patient>, options: &Options) -> Result<(), Error> {
    let max_bytes = Some(options.max_message.get());
    let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
    let config = config.max_message_size(max_bytes).max_frame_size(max_bytes);
    let visited = match tungstenite::accept_with_config(&mut stream, Some(config)) {
        Ok(mut socket) => {
            let talked = talk(&mut socket, options);
            see_off(socket, &talked);
            talked.map(drop)
        }
        Err(HandshakeError::Failure(error)) => {
            refuse(&mut stream, &error);
            Err(error)
        }
        Err(HandshakeError::Interrupted(_)) => unreachable!("a blocking stream has no `WouldBlock`"),
    };
    linger(&mut stream);
    visited
}

/// A client's end of the line, as tungstenite has it.
type Socket<'a> = WebSocket<&'a mut StdIo<Patient>>;

/// Answers message by message. Gives the words to close with; `None` if the client said them.
fn talk(socket: &mut Socket<'_>, options: &Options) -> Result<Option<CloseFrame>, Error> {
    let mut session = Session::new(options.max_message.get());
    socket.send(to_message(Session::greeting()))?;
    loop {
        // From now on, and not from the last message on: a client who reads the answer slowly is not silent.
        socket.get_mut().get_mut().be_patient(options.idle_timeout);
        let message = socket.read()?;
        let line = match message {
            Message::Text(line) => line,
            Message::Binary(_) => return Ok(Some(closing(CloseCode::Unsupported, "text only, please"))),
            Message::Close(_) => return Ok(None),
            // The library has the answer to a ping ready, and sends it with the next call.
            _ => continue,
        };
        let (mut output, end_of_line) = (Vec::new(), if line.ends_with('\n') { "" } else { "\n" });
        for mut bytes in [line.as_bytes(), end_of_line.as_bytes()] {
            session.receive(&mut bytes, &mut output, usize::MAX, &mut |_| ());
        }
        socket.send(to_message(&output))?;
        if session.ending().is_some() {
            return Ok(Some(closing(CloseCode::Normal, "quit")));
        }
    }
}

/// Answers as a message, of which only those in the middle have an end of line.
fn to_message(answers: &[u8]) -> Message {
    Message::text(String::from_utf8_lossy(answers).trim_end_matches(['\r', '\n']))
}

/// Closing words.
fn closing(code: CloseCode, reason: impl ToString) -> CloseFrame {
    CloseFrame { code, reason: reason.to_string().into() }
}

/// Whether this is the error of a read because the server shall end.
fn is_from_our_end(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::ConnectionAborted)
}

/// Says why the conversation ends, and waits for the client to agree; not for long.
fn see_off(mut socket: Socket<'_>, talked: &Result<Option<CloseFrame>, Error>) {
    let words = match talked {
        Ok(words) => words.clone(),
        Err(Error::Io(error)) => match error.kind() {
            ErrorKind::TimedOut | ErrorKind::ConnectionAborted => Some(closing(CloseCode::Away, error)),
            // Nobody is there.
            _ => return,
        },
        Err(Error::ConnectionClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return,
        Err(error @ Error::Capacity(_)) => Some(closing(CloseCode::Size, error)),
        Err(error @ Error::Utf8(_)) => Some(closing(CloseCode::Invalid, error)),
        Err(error) => Some(closing(CloseCode::Protocol, error)),
    };
    socket.get_mut().set_write_timeout(Some(GOODBYE));
    socket.get_mut().get_mut().be_patient_to_the_end(GOODBYE);
    let end = now() + GOODBYE;
    let said = match words {
        Some(words) => socket.close(Some(words)),
        // The answer to the client's own is under way.
        None => socket.flush(),
    };
    // Where the client broke the rules, its next message cannot be found.
    let is_readable = said.is_ok() && matches!(talked, Ok(_) | Err(Error::Io(_)));
    while is_readable && now() < end && socket.read().is_ok() {}
}

/// Answers somebody who did not ask for a WebSocket in the right way.
fn refuse(stream: &mut StdIo<Patient>, error: &Error) {
    if matches!(error, Error::Io(_) | Error::Protocol(ProtocolError::HandshakeIncomplete)) {
        return;
    }
    let text = format!("This is a server for WebSockets. {error}\n");
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Sec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    // Whether it is heard is not for us to wait for.
    let _ = stream.write_all(answer.as_bytes());
}

/// Closes our direction and listens for a moment without an ear for it: closing with unread input would reset the
/// connection, and what we said last might never arrive.
fn linger(stream: &mut StdIo<Patient>) {
    stream.get_mut().be_patient_to_the_end(LINGER_TIME);
    if stream.get_ref().stream().shutdown(Shutdown::Write).is_ok() {
        // However it ends, the visit is over.
        let _ = io::copy(&mut stream.take(LINGER_BYTES as u64), &mut io::sink());
    }
}

/// A line on standard error about a client.
fn complain_about(peer: SocketAddr, error: &Error) {
    complain(format_args!("{peer}: {error}"));
}
