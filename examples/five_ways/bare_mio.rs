//! The echo server without the runtime: mio says what is ready, and a table says whose it is.
//!
//! A connection is the bytes that are still to be sent back. mio tells of each change once, but registering anew
//! makes it tell what is the case now: so one step for each event is enough, and nobody is served out of turn.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener as StdListener;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream, UnixStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

/// How long not to accept when descriptors run out.
const PAUSE: Duration = Duration::from_secs(1);

/// The listener; connections have the numbers of their places in the table.
const LISTENER: Token = Token(usize::MAX - 1);

/// What tells to stop.
const STOP: Token = Token(usize::MAX - 2);

/// One client.
struct Connection {
    /// The connection.
    stream: TcpStream,
    /// What is to be sent back before more is read.
    unsent: Vec<u8>,
}

/// Serves until `stop` can be read.
pub fn serve(listener: StdListener, stop: StdUnixStream) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    let (mut listener, mut stop) = (TcpListener::from_std(listener), UnixStream::from_std(stop));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    poll.registry().register(&mut stop, STOP, Interest::READABLE)?;
    let mut connections = Slab::new();
    // When to accept next; `None` until the listener has news.
    let mut accept_at = None;
    loop {
        let until = accept_at.map(|at: Instant| at.saturating_duration_since(Instant::now()));
        match poll.poll(&mut events, until) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            match event.token() {
                STOP => return Ok(()),
                LISTENER => accept_at = accept_at.or(Some(Instant::now())),
                Token(key) => go_on(&poll, &mut connections, key),
            }
        }
        if accept_at.is_some_and(|at| at <= Instant::now()) {
            match listener.accept() {
                Ok((stream, _)) => {
                    let key = connections.insert(Connection { stream, unsent: Vec::new() });
                    let stream = &mut connections[key].stream;
                    if poll.registry().register(stream, Token(key), Interest::READABLE).is_err() {
                        connections.remove(key);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => accept_at = None,
                Err(error) => {
                    log::warn!("cannot accept for now: {error}");
                    accept_at = Some(Instant::now() + PAUSE);
                }
            }
        }
    }
}

/// Does what one connection is ready for, and asks to be told when it is ready for the next thing.
fn go_on(poll: &Poll, connections: &mut Slab<Connection>, key: usize) {
    let connection = &mut connections[key];
    let result = match step(connection) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => {
            let next = if connection.unsent.is_empty() { Interest::READABLE } else { Interest::WRITABLE };
            poll.registry().reregister(&mut connection.stream, Token(key), next)
        }
    };
    if result.is_err() {
        // Closing it is enough: epoll forgets what is closed.
        connections.remove(key);
    }
}

/// Sends what is unsent; if nothing is, reads first.
fn step(Connection { stream, unsent }: &mut Connection) -> io::Result<()> {
    if unsent.is_empty() {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => unsent.extend_from_slice(&buffer[..count]),
        }
    }
    let count = stream.write(unsent)?;
    unsent.drain(..count);
    Ok(())
}
