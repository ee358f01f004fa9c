//! Child processes where signals, limits and descriptors are the whole process's: each test in a process of its
//! own.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::Stdio;

use futures::{AsyncReadExt, AsyncWriteExt};
use greenroom::net::{TcpListener, TcpStream};
use greenroom::process::{Child, Command};
use greenroom::signal::Signal;
use greenroom::{Runtime, spawn, yield_now};

use super::child::{in_child, open_descriptors};
use super::proc_files::{descriptors, is_there};
use super::{SECOND, cat, run, sleep};

/// The descriptors of a child that the standard library has started, before anything of ours is open.
fn inherited_anyway() -> Vec<i32> {
    let mut command = std::process::Command::new("cat");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.as_ref().unwrap().write_all(b"x").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let all = descriptors(child.id());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    all
}

/// The descriptors of `cat`, once it has answered: before its program begins it has copies of ours for a moment,
/// also after the call that starts it is over (vfork(2), execve(2)).
async fn descriptors_of(child: &mut Child) -> Vec<i32> {
    child.stdin.as_mut().unwrap().write_all(b"x").await.unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).await.unwrap();
    descriptors(child.id())
}

#[test]
fn a_child_gets_nothing_of_ours() {
    in_child("surroundings::a_child_gets_nothing_of_ours", || {
        let anyway = inherited_anyway();
        assert_eq!(anyway[..3], [0, 1, 2]);
        let before = open_descriptors();
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = TcpStream::connect(address).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            let signal = Signal::new(libc::SIGUSR1).unwrap();
            let stdin = greenroom::io::stdin().unwrap();
            let timer = spawn(sleep(1000 * SECOND));
            yield_now().await;
            let others: Vec<_> = (0..3).map(|_| cat()).collect();
            // Epoll and its double, eventfd, listener, client, server, the signal's two, and three a child.
            assert!(open_descriptors() >= before + 17, "these are open: {}", open_descriptors() - before);
            let mut child = cat();
            assert_eq!(descriptors_of(&mut child).await, anyway);
            for mut other in others {
                assert_eq!(descriptors_of(&mut other).await, anyway);
            }
            child.wait().await.unwrap();
            drop((listener, client, server, signal, stdin));
            drop(timer);
        });
    });
}

#[test]
fn children_give_their_descriptors_back() {
    in_child("surroundings::children_give_their_descriptors_back", || {
        run(async {
            let before = open_descriptors();
            for _ in 0..20 {
                let mut child = cat();
                assert!(open_descriptors() > before, "this counts descriptors");
                child.wait().await.unwrap();
                drop(child);
                Command::new("true").output().await.unwrap();
                drop(Command::new("true").spawn().unwrap());
            }
            super::until("the last ones are reaped", || open_descriptors() == before).await;
        });
    });
}

#[test]
fn a_child_that_cannot_be_watched_is_killed() {
    in_child("surroundings::a_child_that_cannot_be_watched_is_killed", || {
        run(async {
            // With our streams a start needs no descriptor but the pidfd.
            let free = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
            let limit = libc::rlimit { rlim_cur: free as u64, rlim_max: 20_000 };
            // SAFETY: setrlimit(2) reads the struct it is given.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
            let error = Command::new("sleep").arg("30").spawn().unwrap_err().to_string();
            assert!(error.starts_with("cannot start \"sleep\": process "), "{error}");
            assert!(error.contains(" cannot be watched and was killed: Too many open files"), "{error}");
            let id: u32 = error.split(' ').find_map(|word| word.parse().ok()).unwrap();
            assert!(!is_there(id), "killed and reaped");
        });
    });
}

#[test]
fn with_ends_ignored_nobody_knows_how_it_ended() {
    in_child("surroundings::with_ends_ignored_nobody_knows_how_it_ended", || {
        run(async {
            // SAFETY: to ignore a signal needs no handler.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            let mut child = cat();
            let id = child.id();
            let error = child.wait().await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("nobody knows how process {id} ended: ")), "{error}");
            assert!(error.contains("SIGCHLD is ignored"), "{error}");
            assert!(!is_there(id));
            drop(child);
            assert!(Runtime::new().is_ok());
        });
    });
}

#[test]
fn other_peoples_children_are_left_alone() {
    in_child("surroundings::other_peoples_children_are_left_alone", || {
        run(async {
            let mut other = std::process::Command::new("false").spawn().unwrap();
            for _ in 0..3 {
                Command::new("true").status().await.unwrap();
                drop(Command::new("true").spawn().unwrap());
            }
            yield_now().await;
            assert_eq!(other.wait().unwrap().code(), Some(1));
        });
    });
}
