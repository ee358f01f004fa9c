//! A child process: wait for it, send it signals, talk with it.
//!
//! Read next: `command.rs`.

use std::future::poll_fn;
use std::io;
use std::process::{self, ExitStatus, Output};
use std::task::Poll;

use super::end::Process;
use super::pipes::{self, ChildStderr, ChildStdin, ChildStdout, Collecting};

/// A process that a [`Command`](super::Command) has started.
///
/// Dropping it leaves the process running, unless [`kill_on_drop`](super::Command::kill_on_drop) was asked for. Either
/// way no zombie stays while the loop lives: the loop asks how the process ended when it is over. It does not
/// wait for that: an abandoned child keeps neither [`Runtime::run`](crate::Runtime::run) from returning nor a
/// stalled loop from saying so.
#[derive(Debug)]
pub struct Child {
    /// The child's standard input, if it is a pipe. Until it is closed, a child that reads all of it waits.
    pub stdin: Option<ChildStdin>,
    /// The child's standard output, if it is a pipe. A child that prints more than fits in, 64 KiB (pipe(7)),
    /// waits until it is read.
    pub stdout: Option<ChildStdout>,
    /// The child's standard error, if it is a pipe. It holds as much.
    pub stderr: Option<ChildStderr>,
    /// The process; `None` once the child is being dropped.
    process: Option<Process>,
    /// Whether the process shall not outlive this.
    kill_on_drop: bool,
}

impl Child {
    /// Takes over a process that was just started.
    pub(super) fn new(mut started: process::Child, kill_on_drop: bool) -> io::Result<Child> {
        let (stdin, stdout, stderr) = (started.stdin.take(), started.stdout.take(), started.stderr.take());
        // From here on dropping it kills it, until nothing can fail any more.
        let process = Some(Process::watch(started)?);
        let mut child = Child { stdin: None, stdout: None, stderr: None, process, kill_on_drop: true };
        child.stdin = stdin.map(pipes::writer).transpose()?;
        child.stdout = stdout.map(pipes::reader).transpose()?;
        child.stderr = stderr.map(pipes::reader).transpose()?;
        child.kill_on_drop = kill_on_drop;
        Ok(child)
    }

    /// The process, which is there until the child is dropped.
    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a child has its process until it is dropped")
    }

    /// The number of the process. Once it was waited for, the number may be another's.
    pub fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::id)
    }

    /// Waits until the process is over, and says how it ended; again and again, if asked. Its standard input, if
    /// it is still here, is closed first: a child that reads all of it would wait for us.
    ///
    /// # Errors
    /// If other code of this program has waited for the process already, or `SIGCHLD` is ignored (`ECHILD`, see
    /// waitpid(2)); or outside of the loop that the child belongs to.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: the next call says how the process ended.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.process().wait().await
    }

    /// How the process ended, if it is over. Does not wait, and closes nothing.
    ///
    /// # Errors
    /// As [`wait`](Child::wait), but on any thread.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process().try_wait()
    }

    /// Ends the process with `SIGKILL`, which it cannot refuse. It may take a moment to be over: await
    /// [`wait`](Child::wait). One that is over already is left in peace.
    ///
    /// # Errors
    /// As [`send_signal`](Child::send_signal).
    pub fn kill(&mut self) -> io::Result<()> {
        self.send_signal(libc::SIGKILL)
    }

    /// Sends signal `number` (signal(7)) to the process, for instance
    /// [`TERMINATE`](crate::signal::TERMINATE). One that is over is left in peace: nobody else gets the signal.
    ///
    /// # Errors
    /// What pidfd_send_signal(2) reports: `EINVAL` for a number that is no signal, `EPERM` for a process that has
    /// become another user's.
    pub fn send_signal(&mut self, number: i32) -> io::Result<()> {
        self.process().send_signal(number)
    }

    /// Waits until the process is over and the pipes of its standard output and standard error, if any, are at
    /// their end. Both are read at once, so that neither fills up meanwhile. They end when nobody has the other
    /// end any more: a grandchild that lives on may hold it.
    ///
    /// # Errors
    /// As [`wait`](Child::wait), or what reading reports.
    ///
    /// # Cancel safety
    /// Dropping it drops the child, with what was read so far.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let mut stdout = Collecting { pipe: self.stdout.take(), bytes: Vec::new() };
        let mut stderr = Collecting { pipe: self.stderr.take(), bytes: Vec::new() };
        poll_fn(|context| match (stdout.poll_all(context)?, stderr.poll_all(context)?) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(io::Result::Ok(())),
            _ => Poll::Pending,
        })
        .await?;
        let status = self.wait().await?;
        Ok(Output { status, stdout: stdout.bytes, stderr: stderr.bytes })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        if self.kill_on_drop
            && let Err(error) = process.send_signal(libc::SIGKILL)
        {
            log::error!("process {} lives on, for it cannot be killed: {error}", process.id());
        }
        process.abandon();
    }
}
