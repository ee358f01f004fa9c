//! A test whose process ends by a signal: what it said before.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

/// The variable that tells a child which test it is.
const CHILD: &str = "GREENROOM_TEST_DIES";

/// Runs `body` as the test `name` in a child process, which must end by the signal `number`; gives what that
/// wrote to standard error. The child is this test program again with this one test.
pub fn death_of(name: &str, number: i32, body: impl FnOnce()) -> String {
    if std::env::var_os(CHILD).is_some_and(|child| child == name) {
        // SAFETY: alarm(2) and setrlimit(2) take numbers; SIGALRM ends a child that hangs, and no core is dumped.
        unsafe {
            libc::alarm(60);
            libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
        }
        body();
        std::process::exit(0);
    }
    let program = std::env::current_exe().expect("a test knows its program");
    let output = Command::new(program)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("a test can start its program again");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(number), "{name} in a child: {}\n{said}", output.status);
    said
}
