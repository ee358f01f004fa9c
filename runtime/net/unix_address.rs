//! Where a Unix socket is: a path, a name without a file, or nowhere; and binding there.
//!
//! Facts (unix(7)), then what they force on us:
//! * The file of a socket outlives its server, and bind(2) fails where there is one. Whether its
//!   server is gone, connect(2) tells: nobody answers (`ECONNREFUSED`).
//! * A path has at most 107 bytes. An abstract name is a Linux matter: it has no file and is gone
//!   with its socket. The kernel stops reading a path at a zero byte, so we refuse one inside.
//!
//! Read next: `unix_stream.rs`.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::SocketAddr as StdAddress;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::executor::local_loop::try_current;

/// The address of a Unix socket (unix(7)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnixAddress {
    /// A path in the file system.
    Path(PathBuf),
    /// A name that is no file; shown with an `@` before it, as ss(8) and others do.
    Abstract(Vec<u8>),
    /// None: a socket that was not bound, or one of a pair.
    Unnamed,
}

impl UnixAddress {
    /// An abstract name: no file, no permissions, gone with its socket.
    pub fn abstract_name(name: impl AsRef<[u8]>) -> UnixAddress {
        UnixAddress::Abstract(name.as_ref().to_vec())
    }

    /// The address that the kernel gave.
    pub(crate) fn of(address: &SockAddr) -> UnixAddress {
        if let Some(path) = address.as_pathname() {
            return UnixAddress::Path(path.to_path_buf());
        }
        let name = address.as_abstract_namespace();
        name.map_or(UnixAddress::Unnamed, |name| UnixAddress::Abstract(name.to_vec()))
    }

    /// The address as the kernel takes it.
    ///
    /// # Errors
    /// If it is empty or too long, or has a zero byte inside.
    pub(crate) fn encode(&self) -> io::Result<SockAddr> {
        let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        match self {
            UnixAddress::Path(path) if path.as_os_str().is_empty() => refuse("the path is empty"),
            UnixAddress::Path(path) if path.as_os_str().as_bytes().contains(&0) => {
                refuse("the path has a zero byte in it")
            }
            UnixAddress::Path(path) => {
                SockAddr::unix(path).or_else(|_| refuse("the path is longer than 107 bytes"))
            }
            UnixAddress::Abstract(name) => {
                let name = OsString::from_vec([&[0], &name[..]].concat());
                SockAddr::unix(name).or_else(|_| refuse("the name is longer than 107 bytes"))
            }
            UnixAddress::Unnamed => refuse("it has neither path nor name"),
        }
    }

    /// An error about this address; `what` completes the sentence "cannot ... /run/door".
    pub(crate) fn explain(&self, what: &str, error: &io::Error) -> io::Error {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse
                if error.raw_os_error().is_some() && matches!(self, UnixAddress::Path(_)) =>
            {
                "; if the server that made it is gone, remove the file, or bind with `replace_stale`"
            }
            io::ErrorKind::NotFound if what == "connect to" => "; is the server running?",
            io::ErrorKind::NotFound => "; its directory must exist",
            io::ErrorKind::ConnectionRefused => "; the server that made it is gone",
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot {what} {self}: {error}{remedy}"))
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnixAddress::Path(path) => write!(f, "{}", path.display()),
            UnixAddress::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
            UnixAddress::Unnamed => write!(f, "(unnamed)"),
        }
    }
}

impl From<StdAddress> for UnixAddress {
    fn from(address: StdAddress) -> UnixAddress {
        use std::os::linux::net::SocketAddrExt;
        match (address.as_pathname(), address.as_abstract_name()) {
            (Some(path), _) => path.into(),
            (None, Some(name)) => UnixAddress::abstract_name(name),
            (None, None) => UnixAddress::Unnamed,
        }
    }
}

impl From<PathBuf> for UnixAddress {
    fn from(path: PathBuf) -> UnixAddress {
        UnixAddress::Path(path)
    }
}

impl From<&PathBuf> for UnixAddress {
    fn from(path: &PathBuf) -> UnixAddress {
        path.as_path().into()
    }
}

impl From<&Path> for UnixAddress {
    fn from(path: &Path) -> UnixAddress {
        UnixAddress::Path(path.to_path_buf())
    }
}

impl From<&str> for UnixAddress {
    fn from(path: &str) -> UnixAddress {
        Path::new(path).into()
    }
}

impl From<String> for UnixAddress {
    fn from(path: String) -> UnixAddress {
        PathBuf::from(path).into()
    }
}

impl From<&UnixAddress> for UnixAddress {
    fn from(address: &UnixAddress) -> UnixAddress {
        address.clone()
    }
}

/// A Unix socket that waits for nothing.
pub(crate) fn unix_socket(kind: Type) -> io::Result<Socket> {
    Socket::new(Domain::UNIX, kind.nonblocking().cloexec(), None)
}

/// A new socket at `address`. With `replace_stale`, the file of a socket that nobody answers at is
/// removed first.
///
/// # Errors
/// What bind(2) reports, or if there is no loop on this thread. The message has the address in it, and what
/// may help.
pub(crate) fn bind_unix(kind: Type, address: &UnixAddress, replace_stale: bool) -> io::Result<Socket> {
    let bind = || {
        // Without a loop the socket could not be used, and its file would stay behind.
        try_current("bind")?;
        let encoded = address.encode()?;
        let socket = unix_socket(kind)?;
        match socket.bind(&encoded) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && replace_stale => {
                remove_stale(kind, address, &encoded)?;
                socket.bind(&encoded)?;
            }
            result => result?,
        }
        Ok(socket)
    };
    bind().map_err(|error| address.explain("listen at", &error))
}

/// Removes the socket file at `address` if nobody answers there.
///
/// # Errors
/// If it is another file, or somebody does.
fn remove_stale(kind: Type, address: &UnixAddress, encoded: &SockAddr) -> io::Result<()> {
    // Another's name; there is nothing to remove, and bind(2) says so again.
    let UnixAddress::Path(path) = address else { return Ok(()) };
    // Connecting to what is no socket is refused as well.
    let is_socket = path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket());
    let answer = unix_socket(kind)?.connect(encoded);
    let is_refused = answer.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if !(is_socket && is_refused) {
        let why = "somebody answers there, or it is not such a socket";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
    }
    log::info!("removing {address}, the socket of a server that is gone");
    std::fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_people_write_them() {
        assert_eq!(UnixAddress::from("/run/door").to_string(), "/run/door");
        assert_eq!(UnixAddress::abstract_name(b"do\0or\xff").to_string(), "@do\\x00or\\xff");
        assert_eq!(UnixAddress::Unnamed.to_string(), "(unnamed)");
    }

    #[test]
    fn addresses_go_to_the_kernel_and_come_back() {
        let long = "x".repeat(107);
        for address in [UnixAddress::from(long.as_str()), UnixAddress::abstract_name(&long)] {
            assert_eq!(UnixAddress::of(&address.encode().unwrap()), address);
        }
        let refused = |address: UnixAddress| address.encode().unwrap_err().to_string();
        assert_eq!(refused("x".repeat(108).into()), "the path is longer than 107 bytes");
        assert_eq!(refused("".into()), "the path is empty");
        assert_eq!(refused("a\0b".into()), "the path has a zero byte in it");
        assert_eq!(refused(UnixAddress::Unnamed), "it has neither path nor name");
    }
}
