//! Child processes: how they end, what they say, and that nothing of them, and nothing of ours, stays behind.
//!
//! A child that shall run until it is told to end is `cat` on a pipe. What needs signals, limits or descriptors
//! for itself runs in a process of its own, `support/process/surroundings.rs`; children that are let go of are in
//! `support/process/dropped.rs`. To replay one: `cargo test --test process <name>`.

#[path = "support/io/child.rs"]
mod child;
#[path = "support/process/dropped.rs"]
mod dropped;
#[path = "support/process/proc_files.rs"]
mod proc_files;
#[path = "support/process/surroundings.rs"]
mod surroundings;

use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use futures::future::{join, join_all};
use futures::{AsyncReadExt, AsyncWriteExt};
use greenroom::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use greenroom::signal::TERMINATE;
use greenroom::{Runtime, WaitReason, sleep, spawn, tasks, timeout, yield_now};

use proc_files::is_there;

const SECOND: Duration = Duration::from_secs(1);
const MEGABYTE: usize = 1 << 20;

/// Runs a test on the real clock, with a limit that only a broken one meets.
fn run<F: Future>(test: F) -> F::Output {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { timeout(60 * SECOND, test).await.expect("the test came to an end") })
}

/// A shell with this script.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A child that runs until its input ends.
fn cat() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Turns the loop until `done`, on the real clock.
async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("{what}: not within 10 seconds");
}

#[test]
fn an_end_is_an_exit_code_or_a_signal() {
    run(async {
        for code in [0, 1, 7, 255] {
            let status = shell(&format!("exit {code}")).status().await.unwrap();
            assert_eq!((status.code(), status.signal()), (Some(code), None));
        }
        for number in [libc::SIGKILL, libc::SIGTERM, libc::SIGUSR1] {
            let status = shell(&format!("kill -{number} $$")).status().await.unwrap();
            assert_eq!((status.code(), status.signal()), (None, Some(number)));
        }
    });
}

#[test]
fn the_end_is_told_as_often_as_one_asks() {
    run(async {
        let mut child = cat();
        let id = child.id();
        assert_eq!(child.try_wait().unwrap(), None);
        for _ in 0..3 {
            assert!(timeout(Duration::ZERO, wait_open(&mut child)).await.is_err(), "its input is open");
        }
        assert_eq!(child.try_wait().unwrap(), None);
        // Waiting closes its input.
        assert!(child.wait().await.unwrap().success());
        assert!(child.wait().await.unwrap().success());
        assert!(child.try_wait().unwrap().unwrap().success());
        assert_eq!((child.id(), is_there(id)), (id, false));

        // The other way round: who has only looked may still wait.
        let mut child = cat();
        drop(child.stdin.take());
        let mut ended = None;
        while ended.is_none() {
            yield_now().await;
            ended = child.try_wait().unwrap();
        }
        assert_eq!(child.wait().await.unwrap(), ended.unwrap());
    });
}

/// Waits without closing the input.
async fn wait_open(child: &mut Child) {
    let stdin = child.stdin.take();
    let keep = Keep(stdin, child);
    keep.1.wait().await.unwrap();
}

/// Gives a child's input back when a wait for its end is dropped.
struct Keep<'a>(Option<ChildStdin>, &'a mut Child);

impl Drop for Keep<'_> {
    fn drop(&mut self) {
        self.1.stdin = self.0.take();
    }
}

#[test]
fn signals_arrive_and_one_that_is_over_is_left_in_peace() {
    run(async {
        let mut child = cat();
        child.send_signal(TERMINATE).unwrap();
        assert_eq!(wait_status(&mut child).await.signal(), Some(libc::SIGTERM));
        let mut child = cat();
        child.kill().unwrap();
        child.kill().unwrap();
        assert_eq!(wait_status(&mut child).await.signal(), Some(libc::SIGKILL));
        // Its number may be a stranger's by now.
        child.kill().unwrap();
        child.send_signal(libc::SIGUSR1).unwrap();
        let mut child = cat();
        let error = child.send_signal(9999).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    });
}

/// How a child ends whose input stays open.
async fn wait_status(child: &mut Child) -> std::process::ExitStatus {
    let _stdin = child.stdin.take();
    child.wait().await.unwrap()
}

#[test]
fn both_pipes_are_read_at_once() {
    run(async {
        // Each is far more than a pipe holds, and each is finished before the other begins.
        let script =
            format!("head -c {MEGABYTE} /dev/zero >&2; head -c {MEGABYTE} /dev/zero; echo end; exit 3");
        let output = shell(&script).output().await.unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stderr.len(), MEGABYTE);
        assert_eq!(output.stdout.len(), MEGABYTE + 4);
        assert!(output.stdout.ends_with(b"\0end\n"));
    });
}

#[test]
fn the_pipes_are_streams() {
    run(async {
        let mut child = cat();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let sent: Vec<u8> = (0..MEGABYTE).map(|n| (n % 251) as u8).collect();
        let mut heard = Vec::new();
        let write = async {
            stdin.write_all(&sent).await.unwrap();
            stdin.close().await.unwrap();
            let error = stdin.write_all(b"more").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        };
        let (_, count) = join(write, stdout.read_to_end(&mut heard)).await;
        assert_eq!(count.unwrap(), MEGABYTE);
        assert!(heard == sent, "what comes back is what was sent");
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn one_child_can_write_to_another() {
    run(async {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut first = Command::new("echo").arg("pipes and pipes").stdout(writer).spawn().unwrap();
        let output = Command::new("wc").arg("-w").stdin(reader).output().await.unwrap();
        assert_eq!(output.stdout.trim_ascii(), b"3");
        assert!(first.wait().await.unwrap().success());
    });
}

#[test]
fn a_child_may_close_its_pipes_and_go_on() {
    run(async {
        let mut command = shell("exec 0<&- 1>&- ; read line <&2; exit 5");
        let (reader, writer) = std::io::pipe().unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(reader).spawn().unwrap();
        let mut all = Vec::new();
        assert_eq!(child.stdout.take().unwrap().read_to_end(&mut all).await.unwrap(), 0);
        let mut stdin = child.stdin.take().unwrap();
        let error = stdin.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(child.try_wait().unwrap(), None, "it goes on");
        drop(writer);
        assert_eq!(child.wait().await.unwrap().code(), Some(5));
    });
}

#[test]
fn two_hundred_children_at_once() {
    run(async {
        let children: Vec<Child> = (0..200).map(|_| cat()).collect();
        let ids: Vec<u32> = children.iter().map(Child::id).collect();
        assert!(ids.iter().all(|id| is_there(*id)));
        let talk = |(n, mut child): (usize, Child)| async move {
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(n.to_string().as_bytes()).await.unwrap();
            drop(stdin);
            let output = child.wait_with_output().await.unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        let said = join_all(children.into_iter().enumerate().map(talk)).await;
        assert!(said.iter().enumerate().all(|(n, text)| *text == n.to_string()));
        assert!(!ids.iter().any(|id| is_there(*id)), "all are reaped");
    });
}

#[test]
fn virtual_time_does_not_wait_for_a_child_but_the_loop_does() {
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    runtime.block_on(async {
        let mut child = cat();
        assert!(timeout(1000 * SECOND, wait_status(&mut child)).await.is_err());
        let mut child = shell("sleep 0.05; exit 9").spawn().unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(9));
    });
}

#[test]
fn who_waits_says_for_which_process() {
    run(async {
        let mut child = cat();
        let (id, stdin) = (child.id(), child.stdin.take());
        let waiting = spawn(async move { child.wait().await });
        yield_now().await;
        let reasons: Vec<WaitReason> = tasks().iter().map(|task| task.reason).collect();
        assert!(reasons.contains(&WaitReason::Process(id)), "{reasons:?}");
        assert_eq!(WaitReason::Process(7).to_string(), "process 7 to end");
        drop(stdin);
        assert!(waiting.await.unwrap().unwrap().success());
    });
}

#[test]
fn what_cannot_be_started_is_named() {
    run(async {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with("cannot start \"/no/such/program\": "), "{error}");
        let error = Command::new("/etc/passwd").status().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    });
    let error = Command::new("true").spawn().unwrap_err();
    assert!(error.to_string().contains("no loop on this thread"), "{error}");
}

#[test]
fn surroundings_are_passed_on() {
    run(async {
        let mut command = shell("echo $A; echo $B; pwd; read line; echo $line; cat /proc/$$/stat");
        command.env("A", "a").env("B", "b").env_remove("B").current_dir("/");
        std::os::unix::process::CommandExt::process_group(command.as_std_mut(), 0);
        let output = command.stdin(Stdio::null()).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with("a\n\n/\n\n"), "{text}");
        let stat: Vec<&str> = text.lines().last().unwrap().split(' ').collect();
        assert_eq!(stat[0], stat[4], "it leads a process group: {stat:?}");
    });
}

#[test]
fn children_may_travel() {
    fn travels<T: Send + Sync>() {}
    travels::<Command>();
    travels::<Child>();
    travels::<(ChildStdin, ChildStdout, ChildStderr)>();
    fn is_send(_: impl Send) {}
    let mut command = Command::new("true");
    is_send(command.status());
    is_send(command.output());
}
