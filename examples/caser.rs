//! The case service on async tasks: one task per client, on one thread.
//!
//! ```text
//! cargo run --release --example caser            then, elsewhere:  telnet 127.0.0.1 9600
//! ```
//!
//! Type a line and it comes back in upper case; type `title` for title case, `upper` to go back,
//! `quit` to leave. Here you see who comes and goes, what they say, and every 15 seconds that the
//! loop is still running. Ctrl-C lets everyone finish, within 5 seconds; a second one does not.
//!
//! The business logic is in `case_service/`. This file only carries bytes, and watches the time;
//! `caser_green.rs` does the same line by line on green threads, and `caser_callbacks.rs` with nothing
//! that waits.

mod case_service;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use case_service::options::Options;
use case_service::report::{self, End, Guest};
use case_service::session::{Flow, Session};
use case_service::{LINGER_BYTES, LINGER_TIME, OUTPUT_BYTES, READ_BYTES, bound_unsent, output};
use greenroom::net::{Connection, Drain, Server, TcpListener, TcpStream};
use greenroom::signal::{INTERRUPT, Signal, TERMINATE};

fn main() -> ExitCode {
    let options = Options::from_args("caser");
    output::init();
    let result = greenroom::Runtime::new().and_then(|runtime| runtime.block_on(serve(options)));
    output::finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say_failed("caser", &error);
            ExitCode::FAILURE
        }
    }
}

/// The server, from its first line to its last.
async fn serve(options: Options) -> io::Result<()> {
    let address = (options.host.as_str(), options.port);
    let listener = TcpListener::bind(address).await.map_err(report::cannot_listen)?;
    let mut stop = StopSignals { interrupt: Signal::new(INTERRUPT)?, terminate: Signal::new(TERMINATE)? };
    report::say_up(&options.host, listener.local_addr()?.port());
    let limit = report::connection_limit_said(options.max_connections);
    greenroom::call_periodic(Duration::from_secs(1), options.announce_every, report::announce);

    let server = Server::new(listener).max_connections(limit).drain_within(case_service::DRAIN_WITHIN);
    let options = Rc::new(options);
    // Signals and server are polled by one task, so a count is all that needs to pass between them.
    let asked_to_stop = Cell::new(0);
    let until = poll_fn(|_| if asked_to_stop.get() > 0 { Poll::Ready(()) } else { Poll::Pending });
    let mut serve = pin!(server.run(until, |connection| converse(connection, options.clone())));
    poll_fn(|context| {
        while stop.poll_next(context).is_ready() {
            asked_to_stop.set(asked_to_stop.get() + 1);
        }
        match asked_to_stop.get() {
            // Whoever is still there is dropped with the loop.
            2.. => Poll::Ready(Err(report::cut_off())),
            _ => serve.as_mut().poll(context).map_ok(drop),
        }
    })
    .await
}

/// The two ways to be asked to end.
struct StopSignals {
    /// Ctrl-C.
    interrupt: Signal,
    /// kill(1).
    terminate: Signal,
}

impl StopSignals {
    /// Ready when one of them has come.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.interrupt.poll_recv(context).is_ready() || self.terminate.poll_recv(context).is_ready() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// One client's visit.
async fn converse(mut connection: Connection, options: Rc<Options>) {
    let guest = Guest::welcome(connection.peer);
    let mut conversation = Conversation {
        stream: &connection.stream,
        session: Session::new(options.max_line),
        patience: options.idle_timeout,
        deadline: greenroom::now() + options.idle_timeout,
    };
    match conversation.run(&mut connection.drain, &guest).await {
        Ok(None) => {}
        Ok(Some(end)) => {
            guest.sent_away(&end);
            linger(&connection.stream).await;
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
    async fn run(&mut self, drain: &mut Drain, guest: &Guest) -> io::Result<Option<End>> {
        bound_unsent(self.stream)?;
        self.send(Session::greeting()).await?;
        loop {
            if let Some(end) = self.wait_for_input(drain).await? {
                return Ok(Some(end));
            }
            // Made anew each time: a client that is silent costs no buffer.
            let mut buffer = vec![0; READ_BYTES];
            let count = match self.stream.try_read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                result => result?,
            };
            if count == 0 {
                let mut output = Vec::new();
                self.session.end_of_input(&mut output, &mut |line| guest.said(line));
                self.send(&output).await?;
                return Ok(self.session.ending().map(End::Rule));
            }
            self.answer(&buffer[..count], guest).await?;
            if let Some(ending) = self.session.ending() {
                return Ok(Some(End::Rule(ending)));
            }
            if count == READ_BYTES {
                // By all appearances there is more. The others first.
                greenroom::yield_now().await;
            }
        }
    }

    /// Answers what has come, in portions.
    async fn answer(&mut self, mut input: &[u8], guest: &Guest) -> io::Result<()> {
        let milestones = self.session.milestones();
        let mut flow = Flow::Open;
        while flow == Flow::Open && !input.is_empty() {
            let mut output = Vec::new();
            flow = self.session.receive(&mut input, &mut output, OUTPUT_BYTES, &mut |line| guest.said(line));
            self.send(&output).await?;
        }
        if self.session.milestones() != milestones {
            self.deadline = greenroom::now() + self.patience;
        }
        Ok(())
    }

    /// Sends it all, as long as the client takes some of it now and then.
    async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = greenroom::timeout(self.patience, self.stream.write(bytes)).await??;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Waits for the client to send something or to go; if that shall not be waited for, says why.
    async fn wait_for_input(&self, drain: &mut Drain) -> io::Result<Option<End>> {
        let mut readable = pin!(self.stream.readable());
        let mut sleep = greenroom::sleep_until(self.deadline);
        poll_fn(|context| {
            if drain.poll_order(context).is_ready() {
                return Poll::Ready(Ok(Some(End::Drain)));
            }
            if let Poll::Ready(result) = readable.as_mut().poll(context) {
                return Poll::Ready(result.map(|()| None));
            }
            Pin::new(&mut sleep).poll(context).map(|()| Ok(Some(End::Silence)))
        })
        .await
    }
}

/// Says goodbye: closing with unread input would reset the connection, and what we said last
/// might never arrive. So we close our side, and listen for a moment without an ear for it.
async fn linger(stream: &TcpStream) {
    let listen = async {
        stream.shutdown(Shutdown::Write)?;
        let mut buffer = vec![0; READ_BYTES];
        let mut heard = 0;
        while heard < LINGER_BYTES {
            match stream.read(&mut buffer).await? {
                0 => break,
                count => heard += count,
            }
        }
        io::Result::Ok(())
    };
    // However it ends, the conversation is over.
    drop(greenroom::timeout(LINGER_TIME, listen).await);
}
