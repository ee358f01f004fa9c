//! The case service: everything about it that needs neither a socket nor a loop.
//!
//! Clients send lines, the service sends them back in upper or in title case. Shared by the example
//! programs that serve it, each in another style; what these programs add is only how bytes are carried.
//!
//! Read `session` first, it is the whole conversation. `telnet` and `text` are its two ends: commands
//! taken out of the input, letters mapped on the way to the output. `options` and `output` are the
//! program's surroundings: its command line and its log.

pub mod options;
pub mod output;
pub mod session;
pub mod telnet;
pub mod text;
