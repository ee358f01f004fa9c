//! One question to the kernel: would a read of this descriptor give something without waiting?
//!
//! Used where a descriptor must not be made non-blocking (standard input), and where a loop that ends
//! has no reactor to wait with any more.
//!
//! Read next: `stdin.rs`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Whether a read would not block: bytes, the end of file or an error are there, or come within `limit`,
/// which is cut to whole milliseconds and to some days. poll(2).
///
/// # Errors
/// What poll(2) reports: `EINTR` if a signal came meanwhile, `ENOMEM`.
pub(crate) fn is_readable_within(fd: impl AsFd, limit: Duration) -> io::Result<bool> {
    let milliseconds = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    let mut asked = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: poll(2) reads and writes the one structure that it is told of, which outlives the call.
    // Tested by `tests/stdin.rs`.
    match unsafe { libc::poll(&raw mut asked, 1, milliseconds) } {
        -1 => Err(io::Error::last_os_error()),
        count => Ok(count > 0),
    }
}
