//! A terminal for a program to be tested on: a pseudoterminal, pty(7).

use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::null_mut;

/// Two ends: the person's, who types by writing and sees by reading, and the program's, to be its standard input.
pub fn pair() -> (File, OwnedFd) {
    let (mut person, mut program) = (-1, -1);
    // SAFETY: openpty(3) writes two descriptors to where it is told; the rest may be null.
    let opened = unsafe { libc::openpty(&mut person, &mut program, null_mut(), null_mut(), null_mut()) };
    assert_eq!(opened, 0, "a terminal: {}", std::io::Error::last_os_error());
    // SAFETY: both were just opened for us. FD_CLOEXEC keeps them out of all other children.
    unsafe {
        libc::fcntl(person, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(program, libc::F_SETFD, libc::FD_CLOEXEC);
        (File::from_raw_fd(person), OwnedFd::from_raw_fd(program))
    }
}
