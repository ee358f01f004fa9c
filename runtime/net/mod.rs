//! Sockets. Where to: `attempts.rs` (several addresses), `address.rs`, `connect.rs` (happy eyeballs).
//! Streams: `stream_socket.rs` (what TCP and Unix have in common), `tcp_stream.rs`,
//! `patience.rs`, `unix_address.rs`, `unix_stream.rs`, `split.rs`. Listening: `listener.rs`, `tcp_listener.rs`,
//! `unix_listener.rs`. Datagrams: `datagram_socket.rs`, `udp.rs`, `unix_datagram.rs`,
//! `datagram_protocol.rs` (as callbacks). The server helper: `drain.rs` (its connections),
//! `accept.rs`, `server.rs`.

mod accept;
mod address;
mod attempts;
mod connect;
mod datagram_protocol;
mod datagram_socket;
mod drain;
mod listener;
mod patience;
mod server;
mod split;
mod stream_socket;
mod tcp_listener;
mod tcp_stream;
mod udp;
mod unix_address;
mod unix_datagram;
mod unix_listener;
mod unix_stream;

pub use accept::AcceptError;
pub use address::{Address, lookup_host};
pub use datagram_protocol::{DatagramProtocol, DatagramTransport, bind_protocol};
pub use datagram_socket::{Datagram, DatagramSocket};
pub use drain::Drain;
pub use listener::{Incoming, Listener};
pub use server::{Connection, Server, ServerReport};
pub use split::{NotOneStream, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use stream_socket::StreamSocket;
pub use tcp_listener::{ListenOptions, TcpListener};
pub use tcp_stream::TcpStream;
pub use udp::UdpSocket;
pub use unix_address::UnixAddress;
pub use unix_datagram::UnixDatagram;
pub use unix_listener::{UnixListenOptions, UnixListener};
pub use unix_stream::{PeerCredentials, UnixStream};
