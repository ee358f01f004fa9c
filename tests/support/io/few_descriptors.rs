//! The server helper where descriptors are counted or few: each test in a process of its own.

use std::net::TcpStream as StdStream;
use std::os::fd::AsRawFd;

use greenroom::net::TcpStream;
use greenroom::{Runtime, now, sleep, tasks};
use log::LevelFilter;

use super::child::{in_child, open_descriptors};
use super::logs::logged;
use super::{Counts, Running, SECOND, ask, echo, run, timeout_of};

#[test]
fn descriptors_and_tasks_return_to_where_they_were() {
    in_child("few_descriptors::descriptors_and_tasks_return_to_where_they_were", || {
        run(async {
            let before = open_descriptors();
            for _ in 0..3 {
                let server = Running::start(|server| server, echo).await;
                let mut clients = Vec::new();
                for _ in 0..50 {
                    clients.push(TcpStream::connect(server.address).await.unwrap());
                    assert!(ask(clients.last().unwrap()).await);
                }
                assert!(open_descriptors() >= before + 101, "this counts descriptors");
                drop(clients);
                assert_eq!(server.stop().await.cancelled, 0);
                assert_eq!(open_descriptors(), before);
                assert_eq!(tasks().len(), 1);
            }
        });
    });
}

/// Allows this process only descriptors below the next free number and `more`.
fn allow_descriptors(more: u64) {
    let next_free = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    let limit = libc::rlimit { rlim_cur: next_free as u64 + more, rlim_max: 20_000 };
    // SAFETY: setrlimit(2) reads the struct it is given.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

#[test]
fn out_of_descriptors_it_pauses_and_serves_everyone_in_the_end() {
    in_child("few_descriptors::out_of_descriptors_it_pauses_and_serves_everyone_in_the_end", || {
        let counts = Counts::default();
        let runtime = Runtime::builder().virtual_clock(true).observer(counts.clone()).build().unwrap();
        let test = timeout_of(async {
            let server = Running::start(|server| server, echo).await;
            // They wait in the backlog before the limit falls. Taking them into the loop costs none.
            let connect = |_| StdStream::connect(server.address).unwrap();
            let strangers: Vec<StdStream> = (0..60).map(connect).collect();
            allow_descriptors(8);
            let mut clients: Vec<TcpStream> =
                strangers.into_iter().map(|stream| TcpStream::from_std(stream).unwrap()).collect();
            for client in &clients[..8] {
                assert!(ask(client).await, "as many as there are descriptors are served");
            }
            let (waits, start) = (counts.0.1.get(), now());
            sleep(60 * SECOND).await;
            let waits = counts.0.1.get() - waits;
            assert!(waits < 300, "a minute without descriptors took {waits} looks at the world");
            // From here on each one that leaves makes room for the next.
            while !clients.is_empty() {
                assert!(ask(&clients.remove(0)).await);
            }
            (server.stop().await.accepted, (now() - start).as_secs() as usize)
        });
        let ((accepted, seconds), lines) = logged(LevelFilter::Warn, || runtime.block_on(test));
        assert_eq!(accepted, 60);
        let complaints = lines.iter().filter(|line| line.contains("cannot accept connections for now"));
        assert!((58..=seconds + 3).contains(&complaints.count()), "{} in {seconds} s", lines.len());
        assert!(lines[0].contains("Too many open files") && lines[0].contains("ulimit -n"), "{}", lines[0]);
    });
}
