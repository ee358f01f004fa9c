//! Bytes in and out: `registration.rs` and `nonblocking.rs` (any descriptor), `readable_now.rs` and `stdin.rs` (standard
//! input), `line_splitter.rs` and `line_reader.rs` (lines), `stream_reader.rs`, `copy.rs` and `stream_writer.rs` (any
//! stream), `duplex.rs` and `hostile.rs` (streams to test with). Sockets are in `net/`.

mod copy;
mod duplex;
mod hostile;
mod line_reader;
mod line_splitter;
pub(crate) mod nonblocking;
pub(crate) mod readable_now;
pub(crate) mod registration;
mod stdin;
mod stream_reader;
mod stream_writer;

pub use copy::{BrokenCopy, copy, copy_bidirectional, write_all};
pub use duplex::{Duplex, duplex};
pub use hostile::Hostile;
pub use line_reader::{LineReader, TooLong};
pub use line_splitter::{LineSplitter, LineTooLong};
pub use nonblocking::Nonblocking;
pub use stdin::{Stdin, stdin};
pub use stream_reader::{IncompleteRead, LimitOverrun, StreamReader};
pub use stream_writer::StreamWriter;
