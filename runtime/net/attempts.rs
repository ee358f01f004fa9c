//! Several addresses to try: in which order, and what to say when none of them will do. Pure.
//!
//! RFC 8305 section 4: addresses come sorted by preference (getaddrinfo(3) does that, with the rules
//! of RFC 6724), and then the families take turns, so that a family that does not work here costs
//! one attempt's delay and not one for each of its addresses.
//!
//! Read next: `address.rs`.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;

/// The addresses with their families taking turns, beginning with the first one's; within a family
/// they keep their order.
pub(crate) fn families_in_turn(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first_family = |address: &SocketAddr| address.is_ipv4() == addresses[0].is_ipv4();
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().copied().partition(is_first_family);
    let mut second = second.into_iter();
    let mut turns = Vec::with_capacity(addresses.len());
    for address in first {
        turns.push(address);
        turns.extend(second.next());
    }
    turns.extend(second);
    turns
}

/// Calls `attempt` with one address after the other, until one will do; `what` completes the sentence
/// "cannot ... 127.0.0.1:80".
///
/// # Errors
/// Names every address and why it would not do.
pub(crate) fn first_that_does<T>(
    what: &'static str,
    addresses: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut failures = Failures::new(what);
    for address in addresses {
        match attempt(address) {
            Ok(done) => return Ok(done),
            Err(error) => failures.add(address, error),
        }
    }
    Err(failures.error())
}

/// What was tried in vain.
#[derive(Debug)]
pub(crate) struct Failures {
    /// What was tried, to complete the sentence "cannot ... 127.0.0.1:80".
    what: &'static str,
    /// Where, and what came of it.
    tried: Vec<(SocketAddr, io::Error)>,
}

impl Failures {
    /// Nothing so far.
    pub(crate) fn new(what: &'static str) -> Failures {
        Failures { what, tried: Vec::new() }
    }

    /// One more.
    pub(crate) fn add(&mut self, address: SocketAddr, error: io::Error) {
        self.tried.push((address, error));
    }

    /// All in one error, of the last one's kind.
    pub(crate) fn error(&self) -> io::Error {
        let what = self.what;
        let Some((_, last)) = self.tried.last() else {
            return io::Error::new(io::ErrorKind::InvalidInput, format!("no address to {what}"));
        };
        let mut text = format!("cannot {what} ");
        for (at, (address, error)) in self.tried.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            // Writing into a string does not fail.
            let _ = write!(text, "{separator}{address}: {error}");
        }
        io::Error::new(last.kind(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(addresses: &[&str]) -> Vec<String> {
        let addresses: Vec<SocketAddr> =
            addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 1)).collect();
        families_in_turn(&addresses).iter().map(|address| address.ip().to_string()).collect()
    }

    #[test]
    fn families_take_turns_and_keep_their_order() {
        assert_eq!(turns(&[]), [""; 0]);
        assert_eq!(turns(&["::1"]), ["::1"]);
        assert_eq!(turns(&["0.0.0.1", "0.0.0.2", "0.0.0.3"]), ["0.0.0.1", "0.0.0.2", "0.0.0.3"]);
        let sorted = ["::1", "::2", "::3", "0.0.0.1", "0.0.0.2"];
        assert_eq!(turns(&sorted), ["::1", "0.0.0.1", "::2", "0.0.0.2", "::3"]);
        assert_eq!(turns(&["0.0.0.1", "::1", "::2", "::3"]), ["0.0.0.1", "::1", "::2", "::3"]);
    }

    #[test]
    fn the_error_names_each_address_and_its_reason() {
        let refuse = |address: SocketAddr| -> io::Result<()> {
            Err(match address.is_ipv4() {
                true => io::Error::new(io::ErrorKind::AddrInUse, "four"),
                false => io::Error::new(io::ErrorKind::PermissionDenied, "six"),
            })
        };
        let addresses = vec!["[::1]:6".parse().unwrap(), "127.0.0.1:4".parse().unwrap()];
        let error = first_that_does("listen at", addresses, refuse).unwrap_err();
        assert_eq!(error.to_string(), "cannot listen at [::1]:6: six; 127.0.0.1:4: four");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let error = first_that_does("listen at", Vec::new(), refuse).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.kind()),
            ("no address to listen at", io::ErrorKind::InvalidInput)
        );
        let addresses = vec!["127.0.0.1:4".parse().unwrap(), "[::1]:6".parse().unwrap()];
        let port = first_that_does("listen at", addresses, |address| match address.is_ipv4() {
            true => refuse(address).map(|()| 0),
            false => Ok(address.port()),
        });
        assert_eq!(port.unwrap(), 6);
    }
}
