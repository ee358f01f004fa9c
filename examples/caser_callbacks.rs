//! The case service in plain callbacks on the loop, as such servers were written before coroutines.
//!
//! ```text
//! cargo run --release --example caser_callbacks       then, elsewhere:  telnet 127.0.0.1 9600
//! ```
//!
//! It behaves like `caser.rs`, and has the same command line and business logic. But nothing here
//! waits: each function does what can be done now, and leaves word with the loop about what shall
//! happen next. This file is the server: it accepts, counts, and ends. One client's affairs are in
//! `caser_callbacks/client.rs`.

mod case_service;
#[path = "caser_callbacks/client.rs"]
mod client;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use case_service::options::Options;
use case_service::{DRAIN_WITHIN, output, report};
use client::SharedClient;
use greenroom::net::AcceptError;
use greenroom::signal::{INTERRUPT, Signal, TERMINATE};
use greenroom::{CallHandle, add_reader, call_later, remove_reader};
use socket2::{Domain, Socket, Type};

/// How long to stop accepting when descriptors run out, the first time in a row and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

fn main() -> ExitCode {
    let options = Options::from_args("caser_callbacks");
    output::init();
    let result = greenroom::Runtime::new().and_then(|runtime| {
        let server = runtime.enter(|| Server::start(options))?;
        runtime.run().map_err(io::Error::other)?;
        // Who has not left by now is shown out.
        runtime.enter(|| drop(std::mem::take(&mut server.borrow_mut().clients)));
        if server.borrow().is_cut_off { Err(report::cut_off()) } else { Ok(()) }
    });
    output::finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say_failed("caser_callbacks", &error);
            ExitCode::FAILURE
        }
    }
}

/// The server, shared by its callbacks.
type SharedServer = Rc<RefCell<Server>>;

/// Everything but the clients' own affairs.
struct Server {
    /// What the command line asked for.
    options: Options,
    /// Where clients come in; `None` once the server shall end.
    listener: Option<Socket>,
    /// Whether the loop watches the listener.
    is_accepting: bool,
    /// The clients, by their descriptors.
    clients: HashMap<RawFd, SharedClient>,
    /// How many there may be.
    limit: usize,
    /// How long the next pause is if descriptors run out.
    pause: Duration,
    /// The pause that is under way.
    pausing: Option<CallHandle>,
    /// When running out was logged last.
    logged: Option<Instant>,
    /// Whether a second signal has come.
    is_cut_off: bool,
}

impl Server {
    /// Listens, and leaves word with the loop about all that may happen.
    fn start(options: Options) -> io::Result<SharedServer> {
        let listener = listen(&options).map_err(report::cannot_listen)?;
        let port = listener.local_addr()?.as_socket().map_or(options.port, |address| address.port());
        let signals = [Signal::new(INTERRUPT)?, Signal::new(TERMINATE)?];
        report::say_up(&options.host, port);
        let limit = report::connection_limit_said(options.max_connections);
        greenroom::call_periodic(Duration::from_secs(1), options.announce_every, report::announce);
        let server = Rc::new(RefCell::new(Server {
            options,
            listener: Some(listener),
            is_accepting: false,
            clients: HashMap::new(),
            limit,
            pause: PAUSES.0,
            pausing: None,
            logged: None,
            is_cut_off: false,
        }));
        for signal in signals {
            listen_for(signal, &server);
        }
        accept_if_there_is_room(&server)?;
        Ok(server)
    }
}

/// A listening socket at the first address that can be had.
fn listen(options: &Options) -> io::Result<Socket> {
    let mut last = io::Error::new(ErrorKind::NotFound, format!("{}: no address", options.host));
    // Before the loop turns, looking a name up delays nobody.
    let addresses = (options.host.as_str(), options.port).to_socket_addrs().map_err(|error| {
        io::Error::new(error.kind(), format!("cannot look up {:?}: {error}", options.host))
    })?;
    for address in addresses {
        match listen_at(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                last = io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"));
            }
        }
    }
    Err(last)
}

/// A listening socket at `address`.
fn listen_at(address: SocketAddr) -> io::Result<Socket> {
    let listener = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    listener.set_reuse_address(true)?;
    listener.bind(&address.into())?;
    listener.listen(4096)?;
    Ok(listener)
}

/// Signals are awaited by a task of a few lines: on one loop the styles mix freely.
fn listen_for(mut signal: Signal, server: &SharedServer) {
    let server = Rc::downgrade(server);
    greenroom::spawn(async move {
        while signal.recv().await.is_ok() {
            if let Some(server) = server.upgrade() {
                asked_to_stop(&server);
            }
        }
    })
    .detach();
}

/// The first time: lets everyone finish. The second time: ends.
fn asked_to_stop(server: &SharedServer) {
    let Some(listener) = server.borrow_mut().listener.take() else {
        server.borrow_mut().is_cut_off = true;
        return greenroom::stop();
    };
    remove_reader(&listener);
    let clients: Vec<SharedClient> = server.borrow().clients.values().cloned().collect();
    for client in clients {
        client::let_go(&client);
    }
    call_later(DRAIN_WITHIN, greenroom::stop);
    stop_if_done(&server.borrow());
}

/// Ends the loop when the server shall end and the last client has left.
fn stop_if_done(server: &Server) {
    if server.listener.is_none() && server.clients.is_empty() {
        greenroom::stop();
    }
}

/// Watches the listener, or stops to: at the limit the next clients wait in the kernel's backlog.
fn accept_if_there_is_room(server: &SharedServer) -> io::Result<()> {
    let mut inside = server.borrow_mut();
    let room = inside.clients.len() < inside.limit && inside.pausing.is_none();
    let Some(listener) = &inside.listener else {
        return Ok(());
    };
    if room && !inside.is_accepting {
        let server = Rc::downgrade(server);
        add_reader(listener, move || {
            if let Some(server) = server.upgrade() {
                accept(&server);
            }
        })?;
    } else if !room && inside.is_accepting {
        remove_reader(listener);
    }
    inside.is_accepting = room;
    Ok(())
}

/// Takes in who is waiting, up to the limit.
fn accept(server: &SharedServer) {
    loop {
        let mut inside = server.borrow_mut();
        let has_room = inside.clients.len() < inside.limit;
        let Some(listener) = inside.listener.as_ref().filter(|_| has_room) else {
            break;
        };
        let accepted = listener.accept();
        match accepted {
            Ok((socket, address)) => {
                inside.pause = PAUSES.0;
                drop(inside);
                if let Err(error) = admit(server, socket, address.as_socket()) {
                    log::debug!("lost a connection: {error}");
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => {
                drop(inside);
                match AcceptError::of(&error) {
                    AcceptError::Next => log::debug!("a connection failed before it was accepted: {error}"),
                    AcceptError::Later => return pause_accepting(server, &error),
                    AcceptError::Broken => {
                        log::error!("the listener is broken: {error}");
                        return asked_to_stop(server);
                    }
                }
            }
        }
    }
    if let Err(error) = accept_if_there_is_room(server) {
        log::error!("cannot watch the listener: {error}");
    }
}

/// Takes one client in.
fn admit(server: &SharedServer, socket: Socket, peer: Option<SocketAddr>) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let stream = TcpStream::from(socket);
    let fd = stream.as_raw_fd();
    let peer = peer.ok_or(ErrorKind::AddrNotAvailable)?;
    let client = client::welcome(stream, peer, &server.borrow().options);
    server.borrow_mut().clients.insert(fd, client.clone());
    let entered = Rc::downgrade(server);
    client::start(&client, move || {
        let Some(server) = entered.upgrade() else { return };
        server.borrow_mut().clients.remove(&fd);
        if let Err(error) = accept_if_there_is_room(&server) {
            log::error!("cannot watch the listener: {error}");
        }
        stop_if_done(&server.borrow());
    });
    Ok(())
}

/// Stops accepting for a while, so as not to fail in a loop; says so once a second.
fn pause_accepting(server: &SharedServer, error: &io::Error) {
    let mut inside = server.borrow_mut();
    let now = greenroom::now();
    if inside.logged.is_none_or(|logged| now - logged >= PAUSES.1) {
        inside.logged = Some(now);
        log::warn!("cannot accept connections for now: {error}; they wait in the backlog");
    }
    if let Some(listener) = &inside.listener {
        remove_reader(listener);
    }
    inside.is_accepting = false;
    let pause = inside.pause;
    inside.pause = (pause * 2).min(PAUSES.1);
    let paused = Rc::downgrade(server);
    inside.pausing = Some(call_later(pause, move || {
        let Some(server) = paused.upgrade() else { return };
        server.borrow_mut().pausing = None;
        if let Err(error) = accept_if_there_is_room(&server) {
            log::error!("cannot watch the listener: {error}");
        }
    }));
}
