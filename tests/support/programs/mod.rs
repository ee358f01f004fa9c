//! The example programs as their users run them: built, started, watched, ended.
//!
//! Every wait has a deadline and watches for what it waits for.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that is not about time. Only a failing test takes so long.
pub const LONG: Duration = Duration::from_secs(20);

/// The program of an example, built as the tests themselves are. `cargo test --test NAME` alone does
/// not build examples; without cargo, what is there has to do.
pub fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.ancestors().nth(2).expect("the folder of the profile, above deps/");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--example", example, "--profile", profile]);
        build.arg("--target-dir").arg(folder.parent().expect("the target folder"));
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo starts");
        assert!(status.success(), "{example} cannot be built");
    }
    let path = folder.join("examples").join(example);
    assert!(path.exists(), "{} is not built; run: cargo build --examples", path.display());
    path
}

/// How a program ended, and what it said.
#[derive(Debug, PartialEq)]
pub struct Ended {
    /// Its exit code; `None` if a signal has ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Runs a program that is expected to end by itself.
#[track_caller]
pub fn run(program: &PathBuf, arguments: &[&str]) -> Ended {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let out = read_all(child.stdout.take().expect("a pipe"));
    let err = read_all(child.stderr.take().expect("a pipe"));
    let end = Instant::now() + LONG;
    let status = loop {
        if let Some(status) = child.try_wait().expect("its status") {
            break status;
        }
        if Instant::now() > end {
            child.kill().expect("it runs");
            panic!("{} {arguments:?} did not end by itself", program.display());
        }
        // No order depends on this pause: it leaves the processor to the program.
        thread::sleep(Duration::from_millis(2));
    };
    Ended { code: status.code(), out: out.join().expect("text"), err: err.join().expect("text") }
}

/// Reads to the end, on a thread of its own, so that no pipe fills up.
fn read_all(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).expect("text");
        text
    })
}

/// A server that runs, ended when dropped.
pub struct Running {
    /// The process.
    pub child: Child,
    /// Where it listens.
    pub port: u16,
    /// What it says after its first line.
    pub out: BufReader<ChildStdout>,
}

impl Running {
    /// A server at any free port, as its first line tells: the port is the line's last number.
    #[track_caller]
    pub fn start(program: &PathBuf, arguments: &[&str]) -> Running {
        let mut command = Command::new(program);
        command.args(["--port", "0"]).args(arguments).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the server starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut first = String::new();
        out.read_line(&mut first).expect("text");
        let port = first.trim_end().rsplit(|c: char| !c.is_ascii_digit()).next();
        let port = port.and_then(|port| port.parse().ok());
        Running { child, port: port.unwrap_or_else(|| panic!("no port in {first:?}")), out }
    }

    /// Ends it as Ctrl-C does; gives its exit code and what else it said.
    #[track_caller]
    pub fn interrupt(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().try_into().expect("a process id");
        // SAFETY: kill(2) only takes numbers. The process was not waited for yet, so its id is its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0, "the process is there");
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("its status").code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is not an error.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
