//! UDP: where a socket is, whom it talks to, and what only UDP has.
//!
//! Read next: `unix_datagram.rs`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::address::Address;
use super::attempts::first_that_does;
use super::datagram_socket::{DatagramSocket, Datagrams};

/// A UDP socket. Dropping it closes it.
pub type UdpSocket = DatagramSocket<StdSocket>;

impl Datagrams for StdSocket {
    type Address = SocketAddr;

    /// Its length has 16 bits (RFC 768).
    const LONGEST: usize = 65_535;

    fn encode(address: &SocketAddr) -> io::Result<SockAddr> {
        Ok((*address).into())
    }

    fn decode(address: &SockAddr) -> io::Result<SocketAddr> {
        address.as_socket().ok_or_else(|| io::Error::other("a datagram whose sender has no internet address"))
    }
}

impl UdpSocket {
    /// A socket at the first address behind `address` that can be had; port 0 takes a free one. To set
    /// options before it is bound, make it with socket2 and take it in with
    /// [`from_std`](DatagramSocket::from_std).
    ///
    /// # Errors
    /// What bind(2) reports: `AddrInUse` if another program is there. The message has each address in it.
    ///
    /// # Cancel safety
    /// Dropping it gives up.
    pub async fn bind(address: impl Into<Address>) -> io::Result<UdpSocket> {
        let addresses = address.into().resolve().await?;
        let bind = |address: SocketAddr| {
            let kind = Type::DGRAM.nonblocking().cloexec();
            let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
            socket.bind(&address.into())?;
            Ok(socket)
        };
        UdpSocket::from_std(first_that_does("bind to", addresses, bind)?.into())
    }

    /// Talks to the first address behind `address` that can be reached: [`send`](DatagramSocket::send)
    /// goes there, and only from there something is received. Nothing is sent yet, so whether somebody
    /// is there is not known.
    ///
    /// # Errors
    /// What connect(2) reports. The message has each address in it.
    ///
    /// # Cancel safety
    /// Dropping it leaves the socket as it was.
    pub async fn connect(&self, address: impl Into<Address>) -> io::Result<()> {
        let addresses = address.into().resolve().await?;
        first_that_does("connect to", addresses, |address| self.socket().get_ref().connect(address))
    }

    /// This end's address.
    ///
    /// # Errors
    /// What getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().get_ref().local_addr()
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    /// What getpeername(2) reports: `ENOTCONN` if it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().get_ref().peer_addr()
    }

    /// Whether it may send to broadcast addresses (`SO_BROADCAST`, socket(7)).
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.socket().get_ref().set_broadcast(broadcast)
    }

    /// Whether it may send to broadcast addresses.
    ///
    /// # Errors
    /// What getsockopt(2) reports.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket().get_ref().broadcast()
    }

    /// How many routers what it sends may pass (`IP_TTL`, ip(7)).
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.socket().get_ref().set_ttl(hops)
    }

    /// How many routers what it sends may pass.
    ///
    /// # Errors
    /// What getsockopt(2) reports.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket().get_ref().ttl()
    }

    /// Receives what is sent to the group `group` (`IP_ADD_MEMBERSHIP`, ip(7)) on the interface with the
    /// address `interface`; with `0.0.0.0`, the system chooses one.
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.socket().get_ref().join_multicast_v4(&group, &interface)
    }

    /// Ends [`join_multicast_v4`](DatagramSocket::join_multicast_v4).
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.socket().get_ref().leave_multicast_v4(&group, &interface)
    }

    /// Receives what is sent to the group `group` (ipv6(7)) on the interface number `interface`; with 0, the
    /// system chooses one.
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket().get_ref().join_multicast_v6(group, interface)
    }

    /// Ends [`join_multicast_v6`](DatagramSocket::join_multicast_v6).
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket().get_ref().leave_multicast_v6(group, interface)
    }

    /// Whether what it sends to groups also comes back to this machine (`IP_MULTICAST_LOOP`, ip(7)).
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn set_multicast_loop_v4(&self, comes_back: bool) -> io::Result<()> {
        self.socket().get_ref().set_multicast_loop_v4(comes_back)
    }

    /// Whether what it sends to groups also comes back to this machine.
    ///
    /// # Errors
    /// What getsockopt(2) reports.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.socket().get_ref().multicast_loop_v4()
    }

    /// The same for IPv6 (ipv6(7)).
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn set_multicast_loop_v6(&self, comes_back: bool) -> io::Result<()> {
        self.socket().get_ref().set_multicast_loop_v6(comes_back)
    }

    /// The same for IPv6.
    ///
    /// # Errors
    /// What getsockopt(2) reports.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.socket().get_ref().multicast_loop_v6()
    }

    /// How many routers what it sends to groups may pass (`IP_MULTICAST_TTL`, ip(7)); 1 stays in the network.
    ///
    /// # Errors
    /// What setsockopt(2) reports.
    pub fn set_multicast_ttl_v4(&self, hops: u32) -> io::Result<()> {
        self.socket().get_ref().set_multicast_ttl_v4(hops)
    }

    /// How many routers what it sends to groups may pass.
    ///
    /// # Errors
    /// What getsockopt(2) reports.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.socket().get_ref().multicast_ttl_v4()
    }
}
