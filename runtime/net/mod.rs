//! TCP: `address.rs` (what to connect to), `tcp_stream.rs`, `split.rs`, `tcp_listener.rs`, and the
//! accept loop that every server needs, `server.rs`.

mod address;
mod server;
mod split;
mod tcp_listener;
mod tcp_stream;

pub use address::Address;
pub use server::{Connection, Drain, Server, ServerReport};
pub use split::{NotOneStream, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use tcp_listener::{Incoming, ListenOptions, TcpListener};
pub use tcp_stream::TcpStream;
