//! What to start: [`std::process::Command`], with a child that can be awaited.
//!
//! Read next: `runtime.rs`.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{self, ExitStatus, Output, Stdio};

use super::child::Child;
use crate::executor::local_loop::try_current;

/// A program to start, with its arguments and surroundings.
///
/// The methods are those of [`std::process::Command`], and do the same; for those that are missing here
/// (process groups, `pre_exec`) there is [`as_std_mut`](Command::as_std_mut).
#[derive(Debug)]
pub struct Command {
    /// The program and all the rest.
    std: process::Command,
    /// Whether its children shall not outlive their [`Child`].
    kill_on_drop: bool,
}

impl Command {
    /// To start `program`, which is looked for in `PATH` if it has no slash.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        process::Command::new(program).into()
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Command {
        self.std.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = S>) -> &mut Command {
        self.std.args(arguments);
        self
    }

    /// Sets a variable of the child's environment, which is else a copy of ours.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.std.env(name, value);
        self
    }

    /// Takes a variable out of the child's environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.std.env_remove(name);
        self
    }

    /// The folder to start the child in.
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Command {
        self.std.current_dir(folder);
        self
    }

    /// What its standard input is: ours, if nothing is said.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Command {
        self.std.stdin(stdin);
        self
    }

    /// What its standard output is: ours, if nothing is said.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Command {
        self.std.stdout(stdout);
        self
    }

    /// What its standard error is: ours, if nothing is said.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Command {
        self.std.stderr(stderr);
        self
    }

    /// Whether a process is killed (`SIGKILL`) when its [`Child`] is dropped, also with the task that has it, and at
    /// the end of the loop. Without it, it lives on. Should *our* process be killed, it lives on as well.
    pub fn kill_on_drop(&mut self, kill_on_drop: bool) -> &mut Command {
        self.kill_on_drop = kill_on_drop;
        self
    }

    /// The same as the standard library has it.
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.std
    }

    /// Starts a process. This takes a fraction of a millisecond, for which the loop waits.
    ///
    /// # Errors
    /// If there is no loop on this thread; if the program cannot be started: not found, not executable, too many
    /// processes; if no descriptor is left or the kernel is older than Linux 5.3, and then the child was killed;
    /// if it was over at once and somebody else has waited for it, or `SIGCHLD` is ignored.
    pub fn spawn(&mut self) -> io::Result<Child> {
        let mut run = || {
            try_current("Command::spawn")?;
            Child::new(self.std.spawn()?, self.kill_on_drop)
        };
        run().map_err(|error: io::Error| {
            let program = self.std.get_program();
            io::Error::new(error.kind(), format!("cannot start {program:?}: {error}"))
        })
    }

    /// Starts a process and waits until it is over.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait`]. That the process failed is no error here: see its status.
    ///
    /// # Cancel safety
    /// Dropping it drops the child, which lives on without [`kill_on_drop`](Command::kill_on_drop).
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait().await
    }

    /// Starts a process, waits until it is over, and keeps all that it prints on standard output and standard
    /// error; these become pipes, whatever they were to be. Its standard input is the one chosen, else ours.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait_with_output`].
    ///
    /// # Cancel safety
    /// As [`status`](Command::status); what was read is lost.
    pub async fn output(&mut self) -> io::Result<Output> {
        self.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?.wait_with_output().await
    }
}

impl From<process::Command> for Command {
    fn from(std: process::Command) -> Command {
        Command { std, kill_on_drop: false }
    }
}
