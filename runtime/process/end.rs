//! The end of a child process: how it is noticed, and who sees to it when nobody waits.
//!
//! Facts, then what they force on us:
//! * A process that has ended stays in the process table, as a zombie, until its parent asks how it ended
//!   (wait(2)). So every child must be asked about, also one that nobody is interested in.
//! * `SIGCHLD` tells that *some* child has ended. There is one handler of it per process, signals merge, and
//!   asking about any child (waitpid(-1)) takes other people's children away. So it is not used: a pidfd
//!   (pidfd_open(2), Linux 5.3) becomes readable when its process is over, and only that one is asked about.
//! * A number may be another process's as soon as its owner was reaped. Until then it is ours, so opening
//!   the pidfd right after the start hits no stranger, and signals are sent through it. Where others reap our
//!   children (`SIGCHLD` ignored, waitpid(-1)) it may be gone by then: an error, and nothing is sent.
//!
//! ```text
//!   Child dropped ──► killed, if asked for ──► over? ──yes──► reaped
//!                                               │ no
//!                                               ▼
//!                     a callback in the loop that reaps it when its pidfd is ready;
//!                     the loop ends first: one last look, and a moment's wait if it was killed
//! ```
//!
//! Read next: `pipes.rs`.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::Location;
use std::process::{self, ExitStatus};
use std::time::Duration;

use crate::clock::Moment;
use crate::executor::callback::{Closure, Schedule};
use crate::executor::local_loop::{LocalLoop, Target, current_if};
use crate::id::WaitReason;
use crate::io::nonblocking::Nonblocking;
use crate::io::readable_now::is_readable_within;
use crate::reactor::Direction;
use crate::task::header::Mail;

/// How long the end of a loop waits for a process that was killed, which needs next to no time unless the
/// kernel holds on to it.
const DYING_TIME: Duration = Duration::from_secs(1);

/// A process that we started.
#[derive(Debug)]
pub(super) struct Process {
    /// The process as the standard library knows it; without its pipes.
    child: process::Child,
    /// Readable when it is over.
    pidfd: Nonblocking<OwnedFd>,
    /// Whether it was sent `SIGKILL`, so that it will be over in a moment.
    killed: bool,
}

impl Process {
    /// Watches for the end of `child`, in the loop of this thread.
    ///
    /// # Errors
    /// If it cannot be watched; then it was killed, since nobody could wait for it. If it is over and reaped.
    pub(super) fn watch(mut child: process::Child) -> io::Result<Process> {
        match pidfd_open(child.id()).and_then(Nonblocking::of_nonblocking) {
            Ok(pidfd) => Ok(Process { child, pidfd, killed: false }),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                // To kill it would be to kill whoever has the number next.
                let message = format!(
                    "process {} is over, and how it ended is lost: other code of this program has waited for it, \
                     or SIGCHLD is ignored",
                    child.id()
                );
                Err(io::Error::new(error.kind(), message))
            }
            Err(error) => {
                // If these fail, it is over, and was reaped by somebody else.
                let _ = child.kill().and_then(|()| child.wait());
                let message = format!("process {} cannot be watched and was killed: {error}", child.id());
                Err(io::Error::new(error.kind(), message))
            }
        }
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it is over; then it is reaped.
    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        try_wait(&mut self.child)
    }

    /// Waits until it is over; then it is reaped.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let reason = WaitReason::Process(self.id());
        let mut wait = self.pidfd.registration().wait(Direction::Read).because(reason);
        let mut ask = || try_wait(&mut self.child)?.ok_or(ErrorKind::WouldBlock.into());
        poll_fn(|context| wait.poll_call(context, &mut ask)).await
    }

    /// Sends it a signal, if it is not over.
    pub(super) fn send_signal(&mut self, number: i32) -> io::Result<()> {
        let fd = self.pidfd.get_ref().as_raw_fd();
        let no_details = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: pidfd_send_signal(2) takes a descriptor, which is open, two numbers, and a pointer that may
        // be null. Tested by `tests/process.rs`.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, number, no_details, 0) };
        if sent == 0 {
            self.killed |= number == libc::SIGKILL;
            return Ok(());
        }
        match io::Error::last_os_error() {
            over if over.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            error => Err(error),
        }
    }

    /// Nobody will wait for it: the loop reaps it when it is over.
    pub(super) fn abandon(mut self) {
        if !matches!(self.try_wait(), Ok(None)) {
            return;
        }
        let home = self.pidfd.registration().home().clone();
        match current_if(&home) {
            Some(current) => Abandoned::leave_to(&current, self),
            None => {
                // There it is asked about again: the loop may have seen the end, which is told once, before it
                // reads this.
                drop(home.post(Mail::Run(Box::new(|| self.abandon()))));
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.killed && matches!(self.try_wait(), Ok(None)) {
            // Only where a loop ends: else the callback below has waited.
            let _ = is_readable_within(self.pidfd.get_ref(), DYING_TIME);
        }
        // One that is not over becomes a zombie, and is reaped when its parent, our process, is gone.
        let _ = self.try_wait();
    }
}

/// A process that nobody waits for, held by the callback that is called when it is over.
struct Abandoned(Process);

impl Abandoned {
    /// Lets the loop reap the process when it is over. Until then it does not keep the loop going.
    fn leave_to(current: &LocalLoop, process: Process) {
        let source = process.pidfd.registration().key();
        let schedule = Schedule::Watch(process.pidfd.get_ref().as_raw_fd(), Direction::Read);
        current.abandoned.set(current.abandoned.get() + 1);
        let abandoned = Abandoned(process);
        let reap = Closure::Once(Box::new(move || drop(abandoned)));
        let callback = current.register(reap, schedule, Moment::NEVER, Location::caller());
        let target = Target::Callback(callback.key);
        let not_needed = current.reactor.borrow_mut().wait_for(source, Direction::Read, target, None);
        drop(not_needed);
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(current) = current_if(self.0.pidfd.registration().home()) {
            current.abandoned.set(current.abandoned.get() - 1);
        }
    }
}

/// How `child` ended, if it is over.
fn try_wait(child: &mut process::Child) -> io::Result<Option<ExitStatus>> {
    child.try_wait().map_err(|error| match error.raw_os_error() {
        Some(libc::ECHILD) => {
            let id = child.id();
            let message = format!(
                "nobody knows how process {id} ended: other code of this program has waited for it, or \
                 SIGCHLD is ignored: {error}"
            );
            io::Error::new(error.kind(), message)
        }
        _ => error,
    })
}

/// A descriptor for the process `id`, which must be a child that was not reaped yet.
fn pidfd_open(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two numbers. Tested by `tests/process.rs`.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id, 0) };
    if let Ok(fd @ 0..) = i32::try_from(fd) {
        // SAFETY: the kernel has just given us this descriptor, and nobody else knows of it.
        return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSYS) => Err(io::Error::new(error.kind(), "pidfd_open(2) needs Linux 5.3 or newer")),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_others_have_reaped_is_not_killed_by_its_number() {
        let child = process::Command::new("true").spawn().unwrap();
        let id = child.id();
        // SAFETY: waitpid(2) may be told of no place for the status.
        let reaped = unsafe { libc::waitpid(id.cast_signed(), std::ptr::null_mut(), 0) };
        assert_eq!(reaped, id.cast_signed());
        let error = Process::watch(child).unwrap_err().to_string();
        assert!(error.starts_with(&format!("process {id} is over, and how it ended is lost: ")), "{error}");
    }
}
