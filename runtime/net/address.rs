//! Where to connect to or listen at: addresses, and names that have yet to be looked up.
//!
//! Facts: getaddrinfo(3) blocks, for seconds if a name server does not answer. So a name is
//! looked up on a thread of the default pool, which bounds how many are asked for at a time; an address
//! written in digits needs no thread.
//!
//! Read next: `connect.rs`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};
use std::time::Duration;

use crate::blocking::default_pool;
use crate::executor::local_loop::try_current;
use crate::id::WaitReason;
use crate::time::timeout;

/// One or more socket addresses, or a `host:port` to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// Addresses, tried in this order; where a connection is wanted, their families take turns.
    Numeric(Vec<SocketAddr>),
    /// A host name and a port.
    Name(String, u16),
    /// Text that is neither.
    Malformed(String),
}

impl Address {
    /// The addresses behind it; names are looked up off the loop.
    ///
    /// # Errors
    /// If the name is unknown or the text is no address; the message has it in it. If there is
    /// no loop on this thread, or no thread can be had to look it up.
    ///
    /// # Cancel safety
    /// Dropping it takes the look-up back, or, if it is under way, lets it end on its own.
    pub async fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = match self {
            Address::Numeric(addresses) => return Ok(addresses),
            Address::Malformed(text) => {
                let message = format!("{text:?} is not an address; write host:port");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            Address::Name(host, port) => (host, port),
        };
        // Whoever connects needs a loop in the end: better said before the look-up than after it.
        try_current("name lookup")?;
        let name = host.clone();
        let look_up = move || (host, port).to_socket_addrs().map(Vec::from_iter);
        match default_pool().spawn(look_up).because(WaitReason::Lookup).await? {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            Ok(_) => Err(io::Error::new(io::ErrorKind::NotFound, format!("{name:?} has no address"))),
            Err(error) => Err(io::Error::new(error.kind(), format!("cannot look up {name:?}: {error}"))),
        }
    }

    /// [`resolve`](Address::resolve), or a [`TimedOut`](io::ErrorKind::TimedOut) when `limit` is over.
    pub(crate) async fn resolve_within(self, limit: Duration) -> io::Result<Vec<SocketAddr>> {
        let host = if let Address::Name(host, _) = &self { host.clone() } else { String::new() };
        timeout(limit, self.resolve()).await.unwrap_or_else(|elapsed| {
            // Only a look-up takes time.
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("cannot look up {host:?}: {elapsed}")))
        })
    }
}

/// The addresses behind `address`, the best first (getaddrinfo(3) sorts by RFC 6724). Names are looked
/// up off the loop; each address has the port that `address` has.
///
/// # Errors
/// As [`Address::resolve`].
///
/// # Cancel safety
/// As [`Address::resolve`].
pub async fn lookup_host(address: impl Into<Address>) -> io::Result<Vec<SocketAddr>> {
    address.into().resolve().await
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Numeric(vec![address])
    }
}

impl From<SocketAddrV4> for Address {
    fn from(address: SocketAddrV4) -> Address {
        SocketAddr::from(address).into()
    }
}

impl From<SocketAddrV6> for Address {
    fn from(address: SocketAddrV6) -> Address {
        SocketAddr::from(address).into()
    }
}

impl From<&[SocketAddr]> for Address {
    fn from(addresses: &[SocketAddr]) -> Address {
        Address::Numeric(addresses.to_vec())
    }
}

impl From<(IpAddr, u16)> for Address {
    fn from(address: (IpAddr, u16)) -> Address {
        SocketAddr::from(address).into()
    }
}

impl From<(Ipv4Addr, u16)> for Address {
    fn from(address: (Ipv4Addr, u16)) -> Address {
        SocketAddr::from(address).into()
    }
}

impl From<(Ipv6Addr, u16)> for Address {
    fn from(address: (Ipv6Addr, u16)) -> Address {
        SocketAddr::from(address).into()
    }
}

impl From<(&str, u16)> for Address {
    fn from((host, port): (&str, u16)) -> Address {
        match host.parse::<IpAddr>() {
            Ok(ip) => (ip, port).into(),
            Err(_) => Address::Name(host.to_string(), port),
        }
    }
}

impl From<(String, u16)> for Address {
    fn from((host, port): (String, u16)) -> Address {
        (host.as_str(), port).into()
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Address {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return address.into();
        }
        match text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
            Some((host, Ok(port))) if !host.is_empty() => (host, port).into(),
            _ => Address::Malformed(text.to_string()),
        }
    }
}

impl From<String> for Address {
    fn from(text: String) -> Address {
        text.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_need_no_look_up_and_nonsense_is_named() {
        let four: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert_eq!(Address::from("127.0.0.1:80"), Address::Numeric(vec![four]));
        assert_eq!(Address::from(("127.0.0.1", 80)), Address::Numeric(vec![four]));
        assert!(matches!(Address::from("[::1]:9"), Address::Numeric(_)));
        assert_eq!(Address::from("localhost:9"), Address::Name("localhost".into(), 9));
        for text in ["", "localhost", "localhost:", ":80", "localhost:99999"] {
            assert_eq!(Address::from(text), Address::Malformed(text.into()));
        }
    }
}
