//! Bytes in and out: `registration.rs` and `nonblocking.rs` (any descriptor), `line_splitter.rs` and `line_reader.rs`
//! (lines). Sockets are in `net/`.

mod line_reader;
mod line_splitter;
pub(crate) mod nonblocking;
pub(crate) mod registration;

pub use line_reader::{LineReader, TooLong};
pub use line_splitter::{LineSplitter, LineTooLong};
pub use nonblocking::Nonblocking;
