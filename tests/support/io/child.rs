//! A test that needs a process of its own: for its signals, its descriptors, its limits.

use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// The variable that tells a child which test it is.
const CHILD: &str = "GREENROOM_TEST_IN_CHILD";

/// Held by those who count on a descriptor being closed when they have closed it: a child that is
/// being started has all of its parent's for a moment.
static STARTING: RwLock<()> = RwLock::new(());

/// Keeps others from starting a child until it is dropped.
#[allow(dead_code, reason = "not every program that starts children has such tests")]
pub fn no_child_meanwhile() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `body` as the test `name` in a child process, and fails if that fails or takes a minute.
///
/// The child is this test program again with this one test, so `name` must be the test's own name.
pub fn in_child(name: &str, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some_and(|child| child == name) {
        // SAFETY: alarm(2) takes a number; its SIGALRM ends a child that hangs.
        unsafe { libc::alarm(60) };
        return body();
    }
    let program = std::env::current_exe().expect("a test knows its program");
    let alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    let child = Command::new(program)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a test can start its program again");
    drop(alone);
    let output = child.wait_with_output().expect("a child can be waited for");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} in a child: {}\n{said}\n{complained}", output.status);
    assert!(said.contains("1 passed"), "no test {name:?} in the child:\n{said}");
}

/// How many descriptors this process has open.
#[allow(dead_code, reason = "not every test that has a child counts its descriptors")]
pub fn open_descriptors() -> usize {
    // The listing itself is one of those it lists.
    std::fs::read_dir("/proc/self/fd").expect("Linux lists descriptors").count() - 1
}
