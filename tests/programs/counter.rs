//! `counter`: what its visitors get, on tasks, on green threads and on threads, with a lock and without.
//!
//! Visitors come at once because all of them are connected before the first is looked at.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;

use crate::running::{Ended, LONG, Running, becomes_true, ended, program, run};

/// The ways that never give a number twice.
const RIGHT: [&str; 3] = ["--tasks", "--green", "--threads-locked"];

/// How much work keeps a thread busy until others have come: some milliseconds.
const MUCH: &str = "3000000";

/// Somebody who has come in.
fn visitor(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server takes visitors");
    stream.set_read_timeout(Some(LONG)).expect("an option");
    stream
}

/// The number that a visitor is told: one line, and the end.
#[track_caller]
fn number(stream: &mut TcpStream) -> u64 {
    let mut line = String::new();
    stream.read_to_string(&mut line).expect("a line, and the end");
    let parts = line.strip_prefix('<').and_then(|line| line.strip_suffix(" ms>\n"));
    let (number, took) =
        parts.and_then(|line| line.split_once(", took ")).unwrap_or_else(|| panic!("{line:?}"));
    let (_, decimals) = took.split_once('.').unwrap_or_else(|| panic!("{line:?}"));
    assert!(decimals.len() == 1 && took.parse::<f64>().is_ok(), "{line:?}");
    number.parse().unwrap_or_else(|_| panic!("{line:?}"))
}

/// The sorted numbers of so many who come at once.
fn crowd(port: u16, size: usize) -> Vec<u64> {
    let start = Arc::new(Barrier::new(size));
    let come = |_| {
        let start = start.clone();
        thread::spawn(move || {
            start.wait();
            number(&mut visitor(port))
        })
    };
    let threads: Vec<_> = (0..size).map(come).collect();
    let mut numbers: Vec<u64> = threads.into_iter().map(|thread| thread.join().expect("a number")).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn nobody_gets_a_number_twice_and_none_is_left_out() {
    for way in RIGHT {
        let server = Running::start("counter", &[way, "--work", "100000"]);
        for expected in 1..=3 {
            assert_eq!(number(&mut visitor(server.port)), expected, "{way}");
        }
        assert!(crowd(server.port, 50).into_iter().eq(4..=53), "{way}");
    }
}

#[test]
fn without_a_lock_threads_give_numbers_twice() {
    let server = Running::start("counter", &["--threads-racy", "--work", MUCH]);
    assert_eq!(number(&mut visitor(server.port)), 1);
    // One crowd should do; a machine that runs one thread at a time may need another.
    let twice = (0..20).any(|_| crowd(server.port, 30).windows(2).any(|pair| pair[0] == pair[1]));
    assert!(twice, "no race in twenty crowds");
}

#[test]
fn whoever_leaves_early_or_talks_is_counted_and_disturbs_nobody() {
    for way in RIGHT {
        let server = Running::start("counter", &[way, "--work", "1000"]);
        drop(visitor(server.port));
        let mut talking = visitor(server.port);
        talking.write_all(&[b'x'; 50_000]).expect("somebody listens");
        let mut closing = visitor(server.port);
        closing.shutdown(Shutdown::Write).expect("it is open");
        let mut numbers = [number(&mut talking), number(&mut closing), number(&mut visitor(server.port))];
        numbers.sort_unstable();
        // The one who left may be counted late.
        assert!(numbers.iter().all(|number| (1..=4).contains(number)), "{way}: {numbers:?}");
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{way}: {numbers:?}");
    }
}

#[test]
fn who_gets_no_stack_is_told_so_on_either_side_and_the_others_are_served() {
    let server = Running::start("counter", &["--green", "--work", "1000"]);
    // SAFETY: prlimit(2) reads the new limits from a place that outlives the call, and writes none.
    let limited = unsafe {
        let limit = libc::rlimit { rlim_cur: 100 << 20, rlim_max: 100 << 20 };
        libc::prlimit(server.id() as i32, libc::RLIMIT_AS, &raw const limit, std::ptr::null_mut())
    };
    assert_eq!(limited, 0, "{}", std::io::Error::last_os_error());
    // They stay, with their stacks, while the server still listens to them.
    let visitors: Vec<_> = (0..500).map(|_| visitor(server.port)).collect();
    assert!(number(&mut visitors.into_iter().next().unwrap()) > 0);
    // They have left, and their stacks are free as soon as that is noticed.
    let is_served = || visitor(server.port).read_to_string(&mut String::new()).is_ok_and(|count| count > 0);
    assert!(becomes_true(LONG, is_served));
    let Ended { code, err, .. } = server.interrupt();
    assert!(code == Some(0) && !err.contains("panicked"), "{err}");
    assert!(err.contains(": no stack for another green thread: "), "{err}");

    let server = Running::start("counter", &["--work", "1000"]);
    let asking = format!(
        "ulimit -v 150000 && exec {} --green --n 800 --port {}",
        program("request").display(),
        server.port
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &asking]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ended { code, out, err } = ended(shell.spawn().unwrap());
    assert!(code == Some(1) && !err.contains("panicked"), "{err}");
    assert!(err.contains(&format!("port {}: no stack for another green thread: ", server.port)), "{err}");
    assert!(out.lines().count() > 50, "{out}");
}

#[test]
fn the_port_is_free_at_once_after_the_end_and_taken_before() {
    let server = Running::start("counter", &[]);
    number(&mut visitor(server.port));
    let port = server.port.to_string();
    for way in RIGHT {
        let second = run("counter", &["--port", &port, way]);
        assert_eq!(second.code, Some(1), "{second:?}");
        assert!(second.err.contains(&port) && second.err.contains("--port"), "{second:?}");
        assert_eq!(second.err.lines().count(), 1, "{second:?}");
    }
    assert_eq!(server.interrupt().out, "1 connections served, 0 cut off at the end\n");
    let again = Running::start("counter", &["--port", &port]);
    assert_eq!(again.port.to_string(), port);
    assert_eq!(number(&mut visitor(again.port)), 1);
}
