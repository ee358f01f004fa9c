//! One question to the kernel: would a read of this descriptor give something without waiting?
//!
//! Used where a descriptor must not be made non-blocking (standard input), and where a loop that ends
//! has no reactor to wait with any more.
//!
//! Read next: `stdin.rs`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// Whether a read would not block: bytes, the end of file or an error are there, or come within `limit`,
/// which is cut to whole milliseconds and to some days. A signal that comes meanwhile ends nothing. poll(2).
///
/// # Errors
/// What poll(2) reports: `ENOMEM`.
pub(crate) fn is_readable_within(fd: impl AsFd, limit: Duration) -> io::Result<bool> {
    let start = Instant::now();
    loop {
        let left = limit.saturating_sub(start.elapsed());
        let milliseconds = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        let mut asked = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: poll(2) reads and writes the one structure that it is told of, which outlives the call.
        // Tested by `tests/stdin.rs`.
        match unsafe { libc::poll(&raw mut asked, 1, milliseconds) } {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            count => return Ok(count > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_signal_does_not_end_the_wait() {
        static CAME: AtomicUsize = AtomicUsize::new(0);
        let count = || {
            CAME.fetch_add(1, Ordering::Relaxed);
        };
        // SAFETY: to count up is all that the handler does.
        unsafe { signal_hook_registry::register(libc::SIGUSR2, count) }.unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        // SAFETY: this asks for the number of this thread.
        let waits = unsafe { libc::pthread_self() };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while CAME.load(Ordering::Relaxed) < 10 {
                    // SAFETY: the scope outlives this thread, and the one that waits outlives the scope.
                    unsafe { libc::pthread_kill(waits, libc::SIGUSR2) };
                    std::thread::yield_now();
                }
                writer.write_all(b"x").unwrap();
            });
            assert!(is_readable_within(&reader, Duration::from_secs(100)).unwrap());
        });
        assert!(CAME.load(Ordering::Relaxed) >= 10);
    }
}
