//! What the case servers say, to their log and to whoever started them: one place for the words.
//!
//! The lines about clients and the announcements are part of the service. Whatever a client sent is made
//! fit to be printed here, and only if it is printed.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;

use super::options::{connection_limit, descriptors_for};
use super::output::now_as_ctime;
use super::session::Ending;
use super::text::for_log;

/// The server is there.
pub fn say_up(host: &str, port: u16) {
    log::info!("Server up, running, and waiting for call on {host} {port}");
}

/// The loop turns.
pub fn announce() {
    log::info!("The event loop is still running at: {}", now_as_ctime());
}

/// How many connections to serve at a time; says so if it is less than asked for.
pub fn connection_limit_said(asked: usize) -> usize {
    // The soft limit may be raised as far as the hard one, which is the operator's word.
    let descriptors = rlimit::increase_nofile_limit(descriptors_for(asked)).unwrap_or(1024);
    let limit = connection_limit(asked, descriptors);
    if limit < asked {
        log::warn!(
            "serving at most {limit} connections at a time, not {asked}: the limit of open files \
             is {descriptors} (ulimit -n raises it)"
        );
    }
    limit
}

/// What to tell a person about an address that cannot be listened at.
pub fn cannot_listen(error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "stop the program that listens there, or choose another --port (0: any)",
        io::ErrorKind::PermissionDenied => "choose a --port above 1023",
        io::ErrorKind::AddrNotAvailable => "choose a --host that is an address of this machine",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}; {remedy}"))
}

/// The last words of a server that cannot go on.
pub fn say_failed(program: &str, error: &io::Error) {
    let hint = match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => " (ulimit -n raises the limit)",
        _ => "",
    };
    // Standard error may be closed, which is no reason to panic.
    let _ = writeln!(io::stderr(), "{program}: {error}{hint}");
}

/// The error of a server that was told to stop while it was stopping.
pub fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "told to stop at once, before everyone had left")
}

/// A client's visit: its coming is logged when this is made, its going, in whatever manner, when it is
/// dropped.
#[derive(Debug)]
pub struct Guest {
    /// The client's address as it is shown.
    address: String,
}

impl Guest {
    /// A client has come.
    pub fn welcome(peer: SocketAddr) -> Guest {
        let address = format!("('{}', {})", peer.ip(), peer.port());
        log::info!("Received connection from {address}");
        Guest { address }
    }

    /// The client has said this line, of which only a printable form is shown.
    pub fn said(&self, line: &[u8]) {
        log::info!("{} --> {}", self.address, for_log(line));
    }

    /// The server ends the visit: by an [`End`], or because of an error.
    pub fn sent_away(&self, reason: &dyn fmt::Display) {
        log::debug!("{} sent away: {reason}", self.address);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        log::info!("{} quit", self.address);
    }
}

/// Why the server ends a conversation, if it does so before the client.
#[derive(Debug)]
pub enum End {
    /// The client has sent nothing, or no whole line, for too long.
    Silence,
    /// The server shall end.
    Drain,
    /// By the rules of the conversation.
    Rule(Ending),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Silence => f.write_str("the client was silent for too long"),
            End::Drain => f.write_str("the server shall end"),
            End::Rule(ending) => ending.fmt(f),
        }
    }
}
