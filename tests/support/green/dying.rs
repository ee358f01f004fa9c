//! Tests that end their process, in one of their own.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// The variable that tells a child which test it is.
const CHILD: &str = "GREENROOM_TEST_TO_DIE";

/// How a process ended, and what it said on standard error.
#[allow(dead_code, reason = "not every test looks at all of it")]
#[derive(Debug)]
pub struct Death {
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its exit code.
    pub code: Option<i32>,
    /// What it said.
    pub said: String,
}

/// Runs `body` as the test `name` in a child process, and tells how that ended.
///
/// The child is this test program again with this one test, so `name` must be the test's own name. In it, this
/// never returns: a child whose `body` does ends with code 0, within a minute.
pub fn death_of(name: &str, body: impl FnOnce()) -> Death {
    if std::env::var_os(CHILD).is_some_and(|child| child == name) {
        no_core_and_no_hanging();
        body();
        std::process::exit(0);
    }
    let program = std::env::current_exe().expect("a test knows its program");
    let output = Command::new(program)
        .args([name, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .expect("a test can start its program again");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Death { signal: output.status.signal(), code: output.status.code(), said }
}

/// No file for a death on purpose, and an end in any case.
fn no_core_and_no_hanging() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads the two numbers; and alarm(2) takes one: its SIGALRM ends a child that hangs.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        libc::alarm(60);
    }
}
