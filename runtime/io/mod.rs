//! Bytes in and out: `registration.rs` and `nonblocking.rs` (any descriptor), `readable_now.rs` and `stdin.rs` (standard
//! input), `line_splitter.rs` and `line_reader.rs` (lines). Sockets are in `net/`.

mod line_reader;
mod line_splitter;
pub(crate) mod nonblocking;
pub(crate) mod readable_now;
pub(crate) mod registration;
mod stdin;

pub use line_reader::{LineReader, TooLong};
pub use line_splitter::{LineSplitter, LineTooLong};
pub use nonblocking::Nonblocking;
pub use stdin::{Stdin, stdin};
