//! The examples as the programs they are: found, built, started, watched and ended.
//!
//! Every wait has a deadline and watches for what it waits for; nothing is put in order by sleeping.
#![allow(dead_code, reason = "each test program uses its part of this")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, PipeWriter, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long anything may take that is not about time. Only a failing test takes so long.
pub const LONG: Duration = Duration::from_secs(20);

/// The program of an example, built as the tests themselves are.
pub fn program(example: &str) -> PathBuf {
    static BUILT: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.ancestors().nth(2).expect("the folder of the profile, above deps/");
    let mut built = BUILT.lock().unwrap_or_else(|_| panic!("an example could not be built"));
    if built.insert(example.to_string()) {
        build(example, folder);
    }
    let path = folder.join("examples").join(example);
    assert!(path.exists(), "{} is not built; run: cargo build --examples", path.display());
    path
}

/// Makes sure that the example is that of the present sources: `cargo test --test caser` alone does
/// not build it. Without cargo, what is there has to do.
fn build(example: &str, profile_folder: &Path) {
    let Some(cargo) = std::env::var_os("CARGO") else { return };
    let profile = match profile_folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--example", example, "--profile", profile]);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.arg("--target-dir").arg(profile_folder.parent().expect("the target folder"));
    assert!(build.status().expect("cargo starts").success(), "the example {example} cannot be built");
}

/// The command line of an example: without input, its output for us, and no inherited choice of what is logged.
pub fn command(example: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program(example));
    command.env_remove("RUST_LOG").args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
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

/// How a program ends that has printed this and had nothing to complain about.
pub fn well(out: &str) -> Ended {
    Ended { code: Some(0), out: out.to_string(), err: String::new() }
}

/// Runs an example that is expected to end by itself.
#[track_caller]
pub fn run(example: &str, arguments: &[&str]) -> Ended {
    ended(command(example, arguments).spawn().expect("the example starts"))
}

/// Runs an example that is expected to end well and without complaints; what it printed.
#[track_caller]
pub fn run_well(example: &str, arguments: &[&str]) -> String {
    let ended = run(example, arguments);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{example} {arguments:?}: {}", ended.out);
    ended.out
}

/// Runs an example that nobody listens to: its standard output is closed from the beginning.
#[track_caller]
pub fn run_unheard(example: &str, arguments: &[&str]) -> Ended {
    ended(command(example, arguments).stdout(closed_pipe()).spawn().expect("the example starts"))
}

/// An output that nobody reads.
pub fn closed_pipe() -> PipeWriter {
    std::io::pipe().expect("a pipe").1
}

/// Reads all that a program has to say, until it ends by itself.
#[track_caller]
pub fn ended(mut child: Child) -> Ended {
    let out = child.stdout.take().map(read_all);
    let err = child.stderr.take().map(read_all);
    let status = ends_within(&mut child, LONG);
    Ended { code: status.code(), out: text(out), err: text(err) }
}

/// How a program ends by itself, which must be within `limit`.
#[track_caller]
pub fn ends_within(child: &mut Child, limit: Duration) -> ExitStatus {
    let mut status = None;
    let ended = becomes_true(limit, || {
        status = child.try_wait().expect("its status");
        status.is_some()
    });
    if !ended {
        child.kill().expect("it runs");
        panic!("the program did not end by itself within {limit:?}");
    }
    status.expect("it has ended")
}

/// Reads to the end, on a thread of its own, so that no pipe fills up.
fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).expect("text");
        text
    })
}

/// What was read, if anything was.
fn text(reading: Option<JoinHandle<String>>) -> String {
    reading.map_or(String::new(), |reading| reading.join().expect("text"))
}

/// Asks again and again until the answer is yes; false if it was not within `limit`.
pub fn becomes_true(limit: Duration, mut ask: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !ask() {
        if Instant::now() > end {
            return false;
        }
        // No order depends on this pause: it leaves the processor to whom we wait for.
        thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Sends a signal to a program that was not waited for yet, so that its id is still its own.
pub fn signal(id: u32, number: i32) {
    // SAFETY: kill(2) only takes numbers.
    assert_eq!(unsafe { libc::kill(id as i32, number) }, 0, "the process is there");
}

/// A server that runs, ended when dropped.
pub struct Running {
    /// The process.
    child: Option<Child>,
    /// What it says after its first line, once it has ended.
    out: Option<JoinHandle<String>>,
    /// Its first line.
    pub first_line: String,
    /// Where it listens.
    pub port: u16,
}

impl Running {
    /// Starts an example at any free port, and waits until its first line says where: the first port there.
    #[track_caller]
    pub fn start(example: &str, arguments: &[&str]) -> Running {
        // A port among the arguments counts, being the last one.
        let mut child =
            command(example, &["--port", "0"]).args(arguments).spawn().expect("the example starts");
        let (first, rest) = read_first_line(child.stdout.take().expect("a pipe"));
        let mut running = Running { child: Some(child), out: Some(rest), first_line: String::new(), port: 0 };
        running.first_line = first.recv_timeout(LONG).expect("a line that says where it listens");
        let words = running.first_line.split_whitespace();
        let mut ports = words.filter_map(|word| word.rsplit_once(':')?.1.parse().ok());
        running.port = ports.next().unwrap_or_else(|| panic!("no port in {:?}", running.first_line));
        running
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs until it is dropped").id()
    }

    /// Ends it as Ctrl-C does; what it has said since its first line.
    #[track_caller]
    pub fn interrupt(mut self) -> Ended {
        let child = self.child.take().expect("it runs until it is dropped");
        signal(child.id(), libc::SIGINT);
        let ended = ended(child);
        Ended { out: text(self.out.take()), ..ended }
    }
}

/// Sends the first line of an output, and reads the rest.
fn read_first_line(output: ChildStdout) -> (mpsc::Receiver<String>, JoinHandle<String>) {
    let (sender, receiver) = mpsc::channel();
    let reading = thread::spawn(move || {
        let (mut output, mut line, mut rest) = (BufReader::new(output), String::new(), String::new());
        output.read_line(&mut line).expect("text");
        // The test may have ended meanwhile.
        let _ = sender.send(line);
        output.read_to_string(&mut rest).expect("text");
        rest
    });
    (receiver, reading)
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself, which is not an error.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
