//! Starting a case server, reading its log, and ending it.

use std::io::{BufRead, BufReader, PipeReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::running::{self, LONG, becomes_true, ends_within};

/// A running server, ended when dropped.
pub struct Caser {
    /// The process.
    child: Child,
    /// Where it listens.
    pub port: u16,
    /// What it has printed so far.
    log: Arc<Log>,
}

/// The lines of a server's standard output.
#[derive(Default)]
struct Log {
    /// Those that have come, and whether the output is closed.
    lines: Mutex<(Vec<String>, bool)>,
    /// There are more.
    more: Condvar,
}

/// A server's command line, at any free port, without an inherited choice of what is logged.
pub fn command(example: &str, options: &[&str]) -> Command {
    let mut command = running::command(example, &["--port", "0"]);
    // What a server complains about belongs to what the test prints.
    command.args(options).stderr(Stdio::inherit());
    command
}

/// Runs a server that is expected to end by itself.
pub fn run_to_end(example: &str, options: &[&str]) -> Output {
    let mut child = command(example, options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    ends_within(&mut child, LONG);
    child.wait_with_output().expect("its output")
}

impl Caser {
    /// A server with these options.
    pub fn start(example: &str, options: &[&str]) -> Caser {
        Caser::spawn(&mut command(example, options))
    }

    /// A server with a prepared command line, whose log is read all the time.
    pub fn spawn(command: &mut Command) -> Caser {
        let (mut caser, output) = Caser::spawn_unread(command);
        caser.read_log(output);
        caser
    }

    /// A server whose log is read up to the line that says where it listens; the rest is up to
    /// the caller.
    pub fn spawn_unread(command: &mut Command) -> (Caser, BufReader<PipeReader>) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let child = command.stdout(writer).spawn().expect("the server starts");
        // The command keeps a copy of the pipe's end, which would keep the pipe open.
        command.stdout(Stdio::null());
        let mut caser = Caser { child, port: 0, log: Arc::default() };
        let mut output = BufReader::new(reader);
        while caser.port == 0 {
            let mut line = String::new();
            let count = output.read_line(&mut line).expect("the log is text");
            assert!(count > 0, "the server ended before it was up");
            if line.contains("Server up, running, and waiting for call on 127.0.0.1 ") {
                caser.port =
                    line.trim_end().rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
            }
            caser.log.lines.lock().expect("not poisoned").0.push(line.trim_end_matches('\n').to_string());
        }
        (caser, output)
    }

    /// Reads the log from now on, on a thread that ends with the server.
    pub fn read_log(&mut self, output: impl Read + Send + 'static) {
        let log = self.log.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let line = line.expect("the log is text");
                log.lines.lock().expect("not poisoned").0.push(line);
                log.more.notify_all();
            }
            log.lines.lock().expect("not poisoned").1 = true;
            log.more.notify_all();
        });
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        self.child.id().try_into().expect("a process id")
    }

    /// The log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines.lock().expect("not poisoned").0.clone()
    }

    /// The log so far, once `enough` is true of it.
    #[track_caller]
    pub fn log_when(&self, what: &str, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let lines = self.log.lines.lock().expect("not poisoned");
        let not_yet = |lines: &mut (Vec<String>, bool)| !enough(&lines.0) && !lines.1;
        let (lines, _) = self.log.more.wait_timeout_while(lines, LONG, not_yet).expect("not poisoned");
        let last = &lines.0[lines.0.len().saturating_sub(30)..];
        assert!(enough(&lines.0), "the log does not show {what}; it ends:\n{}", last.join("\n"));
        lines.0.clone()
    }

    /// The lines about one client, once the one about its end is there.
    #[track_caller]
    pub fn log_of(&self, client: &str) -> Vec<String> {
        let end = format!("{client} quit");
        let lines = self.log_when(&end, |lines| lines.contains(&end));
        lines.into_iter().filter(|line| line.contains(client)).collect()
    }

    /// Waits until the output is closed, then gives the whole log.
    pub fn whole_log(&self) -> Vec<String> {
        assert!(becomes_true(LONG, || self.log.lines.lock().expect("not poisoned").1), "the log goes on");
        self.log()
    }

    /// Sends a signal.
    pub fn signal(&self, number: i32) {
        running::signal(self.child.id(), number);
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    /// How the process ends by itself, which must be within `limit`.
    #[track_caller]
    pub fn ends_within(&mut self, limit: Duration) -> ExitStatus {
        ends_within(&mut self.child, limit)
    }

    /// Asks the server to end and checks that it does so in good order.
    #[track_caller]
    pub fn end(mut self) -> Vec<String> {
        self.signal(libc::SIGTERM);
        let status = self.ends_within(LONG);
        assert_eq!((status.code(), status.signal()), (Some(0), None), "how the server ended");
        self.whole_log()
    }
}

impl Drop for Caser {
    fn drop(&mut self) {
        // It may have ended by itself, which is not an error.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
