//! One client of the case service, in callbacks: what `caser.rs` says in the order of its lines stands
//! here in the fields of [`Client`], above all in its [`Phase`].
//!
//! ```text
//!   Talking ──► Leaving ──────────────► Lingering ──► gone
//!      │        (what is unsent goes     (the end is    ▲
//!      │         out first)               sent)         │
//!      └───────► Finishing ────────────────────────────►┘
//!                (the client has gone; what is unsent goes out)
//! ```
//!
//! Each function does what can be done now and leaves word with the loop about what shall happen
//! next. Invariant: the loop watches the connection for reading while nothing is unsent, and for
//! writing while something is; so a client that does not read is not read from.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use greenroom::{CallHandle, add_reader, add_writer, call_later, remove_reader, remove_writer};

use crate::case_service::options::Options;
use crate::case_service::report::{End, Guest};
use crate::case_service::session::Session;
use crate::case_service::{LINGER_BYTES, LINGER_TIME, OUTPUT_BYTES, READ_BYTES, bound_unsent};

/// A client, shared by its callbacks; the server owns it.
pub type SharedClient = Rc<RefCell<Client>>;

/// What a client's connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Lines come in, answers go out.
    Talking,
    /// The client has gone; what is unsent goes out, and that is all.
    Finishing,
    /// We are going: what is unsent goes out, then the end is sent.
    Leaving,
    /// The end is sent; what still comes in is not looked at.
    Lingering,
}

/// One client.
pub struct Client {
    /// The connection.
    stream: TcpStream,
    /// Logs coming and going.
    guest: Guest,
    /// What was said, and what that means.
    session: Session,
    /// What the connection is doing.
    phase: Phase,
    /// Whether the server shall end: then it leaves once all that has come is answered.
    shall_leave: bool,
    /// What has come and is not answered yet.
    input: Vec<u8>,
    /// What is to be sent.
    output: Vec<u8>,
    /// How much of that is sent.
    sent: usize,
    /// How many bytes were heard since goodbye.
    heard: usize,
    /// Whether the loop waits for the connection to take more output.
    is_writing: bool,
    /// What happens when the client is silent, or deaf, for too long.
    patience: Option<CallHandle>,
    /// How long to wait for the client at most.
    idle_timeout: Duration,
    /// Called when the visit is over; drops the server's hold on the client.
    when_gone: Option<Box<dyn FnOnce()>>,
}

/// A client has come: greets it, and leaves word with the loop about what it may do.
pub fn welcome(stream: TcpStream, peer: SocketAddr, options: &Options) -> SharedClient {
    Rc::new(RefCell::new(Client {
        stream,
        guest: Guest::welcome(peer),
        session: Session::new(options.max_line),
        phase: Phase::Talking,
        shall_leave: false,
        input: Vec::new(),
        output: Session::greeting().to_vec(),
        sent: 0,
        heard: 0,
        is_writing: false,
        patience: None,
        idle_timeout: options.idle_timeout,
        when_gone: None,
    }))
}

/// Begins the conversation; `when_gone` is called once, when it is over.
pub fn start(client: &SharedClient, when_gone: impl FnOnce() + 'static) {
    client.borrow_mut().when_gone = Some(Box::new(when_gone));
    if let Err(error) = bound_unsent(&client.borrow().stream) {
        log::debug!("cannot bound what is unsent: {error}");
    }
    be_patient(client);
    listen_to(client);
    go_on(client);
}

/// The server shall end: a client that talks is let go once it has its answers.
pub fn let_go(client: &SharedClient) {
    let mut inside = client.borrow_mut();
    inside.shall_leave = true;
    remove_reader(&inside.stream);
    let is_answered = inside.phase == Phase::Talking && inside.input.is_empty();
    drop(inside);
    if is_answered {
        leave(client, End::Drain);
    }
}

/// Lets the loop call when the client has sent something.
fn listen_to(client: &SharedClient) {
    let speaker = client.clone();
    let watched = add_reader(&client.borrow().stream, move || hear(&speaker));
    if let Err(error) = watched {
        log::error!("cannot watch a connection: {error}");
        gone(client);
    }
}

/// The client has sent something, or has gone.
fn hear(client: &SharedClient) {
    let mut buffer = vec![0; READ_BYTES];
    let mut inside = client.borrow_mut();
    let result = inside.stream.read(&mut buffer);
    let count = match result {
        Ok(count) => count,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
        Err(error) => {
            inside.guest.sent_away(&error);
            drop(inside);
            return gone(client);
        }
    };
    if inside.phase == Phase::Lingering {
        inside.heard += count;
        let enough = count == 0 || inside.heard >= LINGER_BYTES;
        drop(inside);
        if enough {
            gone(client);
        }
        return;
    }
    if count == 0 {
        let Client { session, output, guest, .. } = &mut *inside;
        session.end_of_input(output, &mut |line| guest.said(line));
        inside.phase = if inside.session.ending().is_some() { Phase::Leaving } else { Phase::Finishing };
        remove_reader(&inside.stream);
    } else {
        buffer.truncate(count);
        inside.input = buffer;
    }
    drop(inside);
    go_on(client);
}

/// Sends what is unsent, answers what is unanswered, as far as that goes without waiting.
fn go_on(client: &SharedClient) {
    loop {
        let was_writing = client.borrow().is_writing;
        let sent = client.borrow_mut().send();
        match sent {
            Ok(true) => {}
            Ok(false) => return wait_for_room(client),
            Err(error) => {
                client.borrow().guest.sent_away(&error);
                return gone(client);
            }
        }
        if was_writing {
            stop_waiting_for_room(client);
        }
        let phase = client.borrow().phase;
        match phase {
            Phase::Talking if client.borrow().input.is_empty() => {
                let shall_leave = client.borrow().shall_leave;
                if shall_leave {
                    leave(client, End::Drain);
                }
                return;
            }
            Phase::Talking => answer(client),
            Phase::Finishing => return gone(client),
            Phase::Leaving => return linger(client),
            Phase::Lingering => return,
        }
    }
}

/// Answers what has come, or a portion of it.
fn answer(client: &SharedClient) {
    let mut inside = client.borrow_mut();
    let Client { session, input, output, guest, .. } = &mut *inside;
    let milestones = session.milestones();
    let mut rest = &input[..];
    session.receive(&mut rest, output, OUTPUT_BYTES, &mut |line| guest.said(line));
    *input = rest.to_vec();
    let has_news = session.milestones() != milestones;
    if let Some(ending) = session.ending() {
        guest.sent_away(&End::Rule(ending));
        input.clear();
        inside.phase = Phase::Leaving;
    }
    drop(inside);
    if has_news {
        be_patient(client);
    }
}

impl Client {
    /// Sends what the connection takes; true if that was all.
    fn send(&mut self) -> io::Result<bool> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output = Vec::new();
        self.sent = 0;
        Ok(true)
    }
}

/// The connection takes no more for now: nothing is read from the client until it does.
fn wait_for_room(client: &SharedClient) {
    be_patient(client);
    if std::mem::replace(&mut client.borrow_mut().is_writing, true) {
        return;
    }
    let listener = client.clone();
    let inside = client.borrow();
    remove_reader(&inside.stream);
    let watched = add_writer(&inside.stream, move || go_on(&listener));
    drop(inside);
    if let Err(error) = watched {
        log::error!("cannot watch a connection: {error}");
        gone(client);
    }
}

/// All is sent: the client is read from again.
fn stop_waiting_for_room(client: &SharedClient) {
    client.borrow_mut().is_writing = false;
    remove_writer(&client.borrow().stream);
    let is_listening = client.borrow().phase == Phase::Talking && !client.borrow().shall_leave;
    if is_listening {
        be_patient(client);
        listen_to(client);
    }
}

/// Begins to wait for the client anew.
fn be_patient(client: &SharedClient) {
    let patience = client.borrow().idle_timeout;
    let silent = Rc::downgrade(client);
    let timer = call_later(patience, move || {
        let Some(client) = silent.upgrade() else { return };
        let is_deaf = client.borrow().is_writing;
        if is_deaf { gone(&client) } else { leave(&client, End::Silence) }
    });
    set_timer(client, timer);
}

/// Sets the client's one timer in place of the last.
fn set_timer(client: &SharedClient, timer: CallHandle) {
    if let Some(last) = client.borrow_mut().patience.replace(timer) {
        last.cancel();
    }
}

/// We are going: what is unsent is sent first.
fn leave(client: &SharedClient, end: End) {
    client.borrow().guest.sent_away(&end);
    client.borrow_mut().phase = Phase::Leaving;
    go_on(client);
}

/// Says goodbye: closing with unread input would reset the connection, and what we said last might never
/// arrive. So the end is sent, and for a moment the client is listened to without an ear for it.
fn linger(client: &SharedClient) {
    client.borrow_mut().phase = Phase::Lingering;
    if client.borrow().stream.shutdown(Shutdown::Write).is_err() {
        return gone(client);
    }
    remove_reader(&client.borrow().stream);
    listen_to(client);
    let lingering = Rc::downgrade(client);
    let timer = call_later(LINGER_TIME, move || {
        if let Some(client) = lingering.upgrade() {
            gone(&client);
        }
    });
    set_timer(client, timer);
}

/// The client's visit is over.
fn gone(client: &SharedClient) {
    let mut inside = client.borrow_mut();
    remove_reader(&inside.stream);
    remove_writer(&inside.stream);
    if let Some(timer) = inside.patience.take() {
        timer.cancel();
    }
    let when_gone = inside.when_gone.take();
    drop(inside);
    if let Some(when_gone) = when_gone {
        when_gone();
    }
}
