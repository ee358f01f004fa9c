//! Running the examples as the programs they are: built, started, watched, ended.
//!
//! Every wait has a deadline and watches for what it waits for; nothing is put in order by sleeping.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that is not about time. Only a failing test takes so long.
pub const LONG: Duration = Duration::from_secs(20);

/// The program of an example, built as the tests themselves are.
pub fn program(example: &'static str) -> PathBuf {
    static BUILT: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.ancestors().nth(2).expect("the folder of the profile, above deps/");
    let mut built = BUILT.lock().expect("not poisoned");
    // `cargo test --test programs_sort` alone does not build examples. Without cargo, what is there has to do.
    if !built.contains(&example)
        && let Some(cargo) = std::env::var_os("CARGO")
    {
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--example", example, "--profile", profile]);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        build.arg("--target-dir").arg(folder.parent().expect("the target folder"));
        assert!(build.status().expect("cargo starts").success(), "{example} cannot be built");
        built.push(example);
    }
    let path = folder.join("examples").join(example);
    assert!(path.exists(), "{} is not built; run: cargo build --examples", path.display());
    path
}

/// The command line of an example.
pub fn command(example: &'static str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program(example));
    command.env_remove("RUST_LOG").args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How a program ended: its exit code, what it printed, and its complaints.
pub type Ended = (Option<i32>, String, String);

/// Runs an example that is expected to end by itself.
pub fn run(example: &'static str, arguments: &[&str]) -> Ended {
    ended(command(example, arguments).spawn().expect("the example starts"))
}

/// Reads all that a program has to say, until it ends.
pub fn ended(mut child: Child) -> Ended {
    // Read meanwhile: a full pipe would hold the program up.
    let out = child.stdout.take().map(in_background);
    let complaints = child.stderr.take().map(in_background);
    let status = ends(&mut child);
    let text = |reading: Option<thread::JoinHandle<Vec<u8>>>| {
        let bytes = reading.map_or(Vec::new(), |reading| reading.join().expect("it can be read"));
        String::from_utf8(bytes).expect("text")
    };
    (status.code(), text(out), text(complaints))
}

/// Reads to the end on another thread.
fn in_background(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

/// How a program ends by itself.
pub fn ends(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(status) = child.try_wait().expect("its status") {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().expect("it runs");
            panic!("the program did not end by itself");
        }
        // No order depends on this pause: it leaves the processor to whom we wait for.
        thread::sleep(Duration::from_millis(2));
    }
}

/// A server that runs until this is dropped.
pub struct ServerProgram {
    /// The process.
    child: Option<Child>,
    /// What it goes on to print.
    output: Option<BufReader<ChildStdout>>,
    /// Where it listens.
    pub port: u16,
}

impl ServerProgram {
    /// Starts an example at any free port, and waits until it says where: at the end of its first line.
    pub fn start(example: &'static str, arguments: &[&str]) -> ServerProgram {
        let mut child =
            command(example, &["--port", "0"]).args(arguments).spawn().expect("the example starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("text");
        let port = line.trim_end().rsplit([':', ' ']).next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("no port at the end of {line:?}"));
        ServerProgram { child: Some(child), output: Some(output), port }
    }

    /// Sends Ctrl-C, and waits for the end.
    pub fn interrupt(mut self) -> Ended {
        let child = self.child.take().expect("it runs until it is dropped");
        // SAFETY: kill(2) takes numbers. The process was not waited for yet, so its id is still its own.
        assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
        ended(child)
    }
}

impl Drop for ServerProgram {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself, which is not an error.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
