//! TCP: `address.rs` (what to connect to), `tcp_stream.rs`, `split.rs`, `tcp_listener.rs`, and the
//! parts of the server helper: `drain.rs` (its connections), `accept.rs`, `server.rs`.

mod accept;
mod address;
mod drain;
mod server;
mod split;
mod tcp_listener;
mod tcp_stream;

pub use accept::AcceptError;
pub use address::Address;
pub use drain::Drain;
pub use server::{Connection, Server, ServerReport};
pub use split::{NotOneStream, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use tcp_listener::{Incoming, ListenOptions, TcpListener};
pub use tcp_stream::TcpStream;
