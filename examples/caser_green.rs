//! The case service on green threads: one per client, all of them on one thread of the system.
//!
//! ```text
//! cargo run --release --example caser_green      then, elsewhere:  telnet 127.0.0.1 9600
//! ```
//!
//! It behaves like `caser.rs`, and has the same command line and business logic. Its functions have
//! the same names and stand in the same order, to be laid side by side: here none of them is `async`.
//! Where those say `.await` these call `wait`, which leaves the green thread's stack as it is, lets the
//! others run, and returns when what was waited for is there.

mod case_service;

use std::io;
use std::net::Shutdown;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use case_service::options::Options;
use case_service::report::{self, End, Guest};
use case_service::session::{Flow, Session};
use case_service::{LINGER_BYTES, LINGER_TIME, OUTPUT_BYTES, READ_BYTES, bound_unsent, output};
use greenroom::green::{self, wait};
use greenroom::net::{Connection, Drain, Server, TcpListener, TcpStream};
use greenroom::signal::{INTERRUPT, Signal, TERMINATE};
use greenroom::sync::Event;
use greenroom::{Either, race, select, timeout};

fn main() -> ExitCode {
    let options = Options::from_args("caser_green");
    output::init();
    let result =
        greenroom::Runtime::new().and_then(|runtime| runtime.block_on(green::future(move || serve(options))));
    output::finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say_failed("caser_green", &error);
            ExitCode::FAILURE
        }
    }
}

/// The server, from its first line to its last.
fn serve(options: Options) -> io::Result<()> {
    let address = (options.host.as_str(), options.port);
    let listener = wait(TcpListener::bind(address)).map_err(report::cannot_listen)?;
    let mut signals = [Signal::new(INTERRUPT)?, Signal::new(TERMINATE)?];
    report::say_up(&options.host, listener.local_addr()?.port());
    let limit = report::connection_limit_said(options.max_connections);
    greenroom::call_periodic(Duration::from_secs(1), options.announce_every, report::announce);

    let server = Server::new(listener).max_connections(limit).drain_within(case_service::DRAIN_WITHIN);
    let options = Rc::new(options);
    let stop = Rc::new(Event::new());
    let asked_to_stop = stop.clone();
    let asked_twice = green::spawn(move || {
        wait(race(signals.iter_mut().map(Signal::recv)))?;
        asked_to_stop.set();
        wait(race(signals.iter_mut().map(Signal::recv)))
    });
    let serving = server.run(stop.wait(), |connection| {
        let options = options.clone();
        let visit = green::Builder::new().future(move || converse(connection, &options));
        async {
            match visit {
                Ok(visit) => visit.await,
                Err(error) => log::warn!("cannot serve a client: {error}"),
            }
        }
    });
    match wait(select(serving, asked_twice)) {
        Either::First(result) => result.map(drop),
        // Whoever is still there is dropped with the loop.
        Either::Second(result) => result.map_err(io::Error::other)?.and_then(|()| Err(report::cut_off())),
    }
}

/// One client's visit.
fn converse(mut connection: Connection, options: &Options) {
    let guest = Guest::welcome(connection.peer);
    let mut conversation = Conversation {
        stream: &connection.stream,
        session: Session::new(options.max_line),
        patience: options.idle_timeout,
        deadline: greenroom::now() + options.idle_timeout,
    };
    match conversation.run(&mut connection.drain, &guest) {
        Ok(None) => {}
        Ok(Some(end)) => {
            guest.sent_away(&end);
            // However it ends, the conversation is over.
            drop(linger(&connection.stream));
        }
        Err(error) => guest.sent_away(&error),
    }
}

/// What one client and the server are to each other.
struct Conversation<'a> {
    /// The connection.
    stream: &'a TcpStream,
    /// What was said, and what that means.
    session: Session,
    /// How long to wait for a client at most.
    patience: Duration,
    /// When the patience is over.
    deadline: Instant,
}

impl Conversation<'_> {
    /// Answers until somebody wants to end; says why, unless it is the client.
    fn run(&mut self, drain: &mut Drain, guest: &Guest) -> io::Result<Option<End>> {
        bound_unsent(self.stream)?;
        self.send(Session::greeting())?;
        loop {
            if let Some(end) = self.wait_for_input(drain)? {
                return Ok(Some(end));
            }
            // Made anew each time, and not on the stack: a client that is silent costs no buffer.
            let mut buffer = vec![0; READ_BYTES];
            let count = match self.stream.try_read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                result => result?,
            };
            if count == 0 {
                let mut output = Vec::new();
                self.session.end_of_input(&mut output, &mut |line| guest.said(line));
                self.send(&output)?;
                return Ok(self.session.ending().map(End::Rule));
            }
            self.answer(&buffer[..count], guest)?;
            if let Some(ending) = self.session.ending() {
                return Ok(Some(End::Rule(ending)));
            }
            if count == READ_BYTES {
                // By all appearances there is more. The others first.
                green::yield_now();
            }
        }
    }

    /// Answers what has come, in portions.
    fn answer(&mut self, mut input: &[u8], guest: &Guest) -> io::Result<()> {
        let milestones = self.session.milestones();
        let mut flow = Flow::Open;
        while flow == Flow::Open && !input.is_empty() {
            let mut output = Vec::new();
            flow = self.session.receive(&mut input, &mut output, OUTPUT_BYTES, &mut |line| guest.said(line));
            self.send(&output)?;
        }
        if self.session.milestones() != milestones {
            self.deadline = greenroom::now() + self.patience;
        }
        Ok(())
    }

    /// Sends it all, as long as the client takes some of it now and then.
    fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = wait(timeout(self.patience, self.stream.write(bytes)))??;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Waits for the client to send something or to go; if that shall not be waited for, says why.
    fn wait_for_input(&self, drain: &mut Drain) -> io::Result<Option<End>> {
        if drain.is_ordered() {
            return Ok(Some(End::Drain));
        }
        let input = timeout(time_until(self.deadline), self.stream.readable());
        match wait(select(drain.wait_for_order(), input)) {
            Either::First(()) => Ok(Some(End::Drain)),
            Either::Second(Ok(result)) => result.map(|()| None),
            Either::Second(Err(_elapsed)) => Ok(Some(End::Silence)),
        }
    }
}

/// Says goodbye: closing with unread input would reset the connection, and what we said last
/// might never arrive. So we close our side, and listen for a moment without an ear for it.
fn linger(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let deadline = greenroom::now() + LINGER_TIME;
    let mut buffer = vec![0; READ_BYTES];
    let mut heard = 0;
    while heard < LINGER_BYTES {
        match wait(timeout(time_until(deadline), stream.read(&mut buffer)))?? {
            0 => break,
            count => heard += count,
        }
    }
    Ok(())
}

/// How long to wait until then.
fn time_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(greenroom::now())
}
