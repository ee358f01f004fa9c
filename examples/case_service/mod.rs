//! The case service: everything about it that needs neither a socket nor a loop.
//!
//! Clients send lines, the service sends them back in upper or in title case. Shared by the example
//! programs that serve it, each in another style; what these programs add is only how bytes are carried.
//!
//! Read `session` first, it is the whole conversation. `telnet` and `text` are its two ends: commands
//! taken out of the input, letters mapped on the way to the output. `options`, `output` and `report` are the
//! program's surroundings: its command line and its log.

pub mod options;
pub mod output;
pub mod report;
pub mod session;
pub mod telnet;
pub mod text;

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;

/// How much is read from a client before it is answered.
pub const READ_BYTES: usize = 16 * 1024;

/// How much a client's answers may grow before they are sent; until then nothing more is read from it.
pub const OUTPUT_BYTES: usize = 64 * 1024;

/// How long a client is listened to after goodbye.
pub const LINGER_TIME: Duration = Duration::from_millis(300);

/// How many bytes of a client are listened to after goodbye.
pub const LINGER_BYTES: usize = 1024 * 1024;

/// How long the clients have when the server shall end.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Bounds what the kernel holds for a client that reads slowly. Without this the send buffer grows to
/// megabytes and is writable again only after a third of it has drained: to us, a client that reads steadily
/// but slowly would look as if it did not read at all.
pub fn bound_unsent(connection: &impl AsFd) -> io::Result<()> {
    SockRef::from(connection).set_tcp_notsent_lowat(OUTPUT_BYTES as u32)
}
