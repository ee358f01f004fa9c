//! Datagrams between programs on this machine, through Unix sockets: reliable and in order (unix(7)).
//!
//! Read next: `datagram_protocol.rs`.

use std::io;
use std::os::unix::net::UnixDatagram as StdSocket;

use socket2::{SockAddr, SockRef, Type};

use super::datagram_socket::{DatagramSocket, Datagrams};
use super::unix_address::{UnixAddress, bind_unix, unix_socket};

/// A Unix socket for datagrams. Dropping it closes it; the file of one that was bound stays.
pub type UnixDatagram = DatagramSocket<StdSocket>;

impl Datagrams for StdSocket {
    type Address = UnixAddress;

    /// It must fit into the sender's buffer, which has 212,992 bytes (`net.core.wmem_default`, socket(7)) unless
    /// the sender has asked for more.
    const LONGEST: usize = 1 << 18;

    fn encode(address: &UnixAddress) -> io::Result<SockAddr> {
        address.encode()
    }

    fn decode(address: &SockAddr) -> io::Result<UnixAddress> {
        Ok(UnixAddress::of(address))
    }
}

impl UnixDatagram {
    /// A socket at a path or a [`UnixAddress`].
    ///
    /// # Errors
    /// What bind(2) reports, with the path in the message: `AddrInUse` if there is a file already. If that
    /// is left from a program that is gone, use
    /// [`bind_replacing_stale`](DatagramSocket::bind_replacing_stale).
    pub fn bind(address: impl Into<UnixAddress>) -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(bind_unix(Type::DGRAM, &address.into(), false)?.into())
    }

    /// The same; but a socket's file that is in the way is removed if nobody answers there. See
    /// [`replace_stale`](crate::net::UnixListenOptions::replace_stale).
    ///
    /// # Errors
    /// As [`bind`](DatagramSocket::bind), if somebody does, or what is in the way is no such socket.
    pub fn bind_replacing_stale(address: impl Into<UnixAddress>) -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(bind_unix(Type::DGRAM, &address.into(), true)?.into())
    }

    /// A socket without an address: it can send, but nobody can answer.
    ///
    /// # Errors
    /// What socket(2) reports, or as [`from_std`](DatagramSocket::from_std).
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(unix_socket(Type::DGRAM)?.into())
    }

    /// Two sockets connected with each other.
    ///
    /// # Errors
    /// What socketpair(2) reports, or as [`from_std`](DatagramSocket::from_std).
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = StdSocket::pair()?;
        Ok((UnixDatagram::from_std(one)?, UnixDatagram::from_std(other)?))
    }

    /// Talks to the socket at `address`: [`send`](DatagramSocket::send) goes there.
    ///
    /// # Errors
    /// What connect(2) reports, with the address in the message.
    pub fn connect(&self, address: impl Into<UnixAddress>) -> io::Result<()> {
        let address = address.into();
        let connect = || SockRef::from(self.socket().get_ref()).connect(&address.encode()?);
        connect().map_err(|error| address.explain("connect to", &error))
    }

    /// This end's address.
    ///
    /// # Errors
    /// What getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<UnixAddress> {
        self.socket().get_ref().local_addr().map(UnixAddress::from)
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    /// What getpeername(2) reports: `ENOTCONN` if it is not connected.
    pub fn peer_addr(&self) -> io::Result<UnixAddress> {
        self.socket().get_ref().peer_addr().map(UnixAddress::from)
    }
}
