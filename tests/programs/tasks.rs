//! The programs about tasks: `five_sleepers`, `request` and `background_requests`.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::running::{Ended, run, run_well};

/// A number that a program printed.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// The lines that five sleepers must print, from the delays that they tell.
fn sleepers_lines(out: &str) -> Vec<String> {
    let delays: Vec<(usize, &str)> = out
        .lines()
        .filter_map(|line| line.split_once(" sleeps for "))
        .map(|(i, d)| (i.parse().unwrap(), d))
        .collect();
    let mut later: Vec<(f64, String)> =
        delays.iter().map(|(i, d)| (number(d), format!("{i} awakens"))).collect();
    later.push((2.0, "Waking and waiting for five tasks".into()));
    later.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let start = ["creating five tasks", "Sleeping after starting five tasks"].map(String::from);
    let told = delays.iter().map(|(i, d)| format!("{i} sleeps for {d}"));
    let later = later.into_iter().map(|(_, line)| line);
    start.into_iter().chain(told).chain(later).chain(["Done five tasks".into()]).collect()
}

#[test]
fn five_sleepers_awake_in_the_order_of_their_delays_at_once() {
    let mut seen = Vec::new();
    for seed in 0..20 {
        let seed = seed.to_string();
        let begin = Instant::now();
        let out = run_well("five_sleepers", &["--virtual", "--seed", &seed]);
        assert_eq!(out.lines().collect::<Vec<_>>(), sleepers_lines(&out), "seed {seed}");
        assert_eq!(out.lines().count(), 14);
        let numbers: Vec<&str> = out.lines().skip(2).take(5).map(|line| &line[..1]).collect();
        assert_eq!(numbers, ["0", "1", "2", "3", "4"]);
        assert!(begin.elapsed() < Duration::from_secs(2), "virtual time took {:?}", begin.elapsed());
        assert_eq!(run_well("five_sleepers", &["--virtual", "--seed", &seed]), out, "the same seed");
        seen.push(out);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 20);
}

/// Serves `count` connections with the lines of a counter, and then no more; reads nothing.
fn counter(count: usize) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let thread = std::thread::spawn(move || {
        // All come before the first is answered: they are at work at the same time.
        let streams: Vec<_> = (0..count).map(|_| listener.accept().unwrap().0).collect();
        for (number, mut stream) in (1..).zip(streams) {
            writeln!(stream, "<{number}, took 0.5 ms>").unwrap();
        }
    });
    (port, thread)
}

/// The ways in which `request` asks: as tasks, and on green threads.
const WAYS: [&[&str]; 2] = [&[], &["--green"]];

#[test]
fn requests_are_made_at_once_and_each_gets_its_own_number() {
    for way in WAYS {
        let (port, server) = counter(20);
        let out = run_well("request", &[&["--port", &port, "--n", "20"], way].concat());
        let number = |line: &str| line.strip_prefix('<')?.strip_suffix(", took 0.5 ms>")?.parse::<u32>().ok();
        let mut numbers: Vec<u32> = out.lines().map(|line| number(line).unwrap()).collect();
        numbers.sort();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>(), "{way:?}");
        server.join().unwrap();
    }
}

#[test]
fn a_request_that_fails_says_so_and_the_others_do_not_mind() {
    for way in WAYS {
        let (port, server) = counter(3);
        let Ended { code, out, err } = run("request", &[&["--port", &port, "--bad"], way].concat());
        assert_eq!((code, out.lines().count()), (Some(1), 3), "{out}{err}");
        let lines: Vec<&str> = err.lines().collect();
        assert!(lines[0].starts_with("request: request to 127.0.0.1 port 1: "), "{err}");
        assert!(lines[0].contains("refused") && lines[0].contains("--port"), "{err}");
        assert_eq!(lines[1..], ["request: 1 of 4 requests failed"]);
        server.join().unwrap();
    }
}

#[test]
fn a_server_that_sends_without_end_is_an_error() {
    for way in WAYS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Until the client has had enough.
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        });
        let Ended { code, err, .. } = run("request", &[&["--port", &port, "--n", "1"], way].concat());
        assert!(code == Some(1) && err.contains("1024 bytes"), "{err}");
        server.join().unwrap();
    }
}

/// How long `background_requests` says that it took, and its answers, in both ways.
fn comparison(out: &str) -> [(f64, Vec<usize>); 2] {
    let lines: Vec<&str> = out.lines().collect();
    let [one, other] = lines[..] else { panic!("{out}") };
    [("sequential: ", one), ("concurrent: ", other)].map(|(how, line)| {
        let (head, answers) = line.strip_prefix(how).unwrap().split_once(" s: ").unwrap();
        let (_, seconds) = head.rsplit_once(' ').unwrap();
        let answers = answers.split(' ').map(|answer| answer.strip_prefix("->").unwrap().parse().unwrap());
        (number(seconds), answers.collect())
    })
}

#[test]
fn requests_in_the_background_take_the_time_of_one() {
    for seed in ["1", "2", "3"] {
        let out = run_well("background_requests", &["--virtual", "--n", "100", "--seed", seed]);
        let [(sequential, in_order), (concurrent, mut as_they_came)] = comparison(&out);
        assert!((13.0..17.0).contains(&sequential), "{out}");
        assert!((0.19..0.2).contains(&concurrent), "{out}");
        assert_eq!(in_order, (0..100).collect::<Vec<_>>());
        assert_ne!(as_they_came, in_order);
        as_they_came.sort();
        assert_eq!(as_they_came, in_order, "all distinct");
        assert_eq!(run_well("background_requests", &["--virtual", "--n", "100", "--seed", seed]), out);
    }
}

#[test]
fn requests_in_the_background_do_so_in_real_time_too() {
    let Ended { code, out, .. } = run("background_requests", &["--n", "5", "--seed", "4"]);
    let exact = run_well("background_requests", &["--n", "5", "--seed", "4", "--virtual"]);
    let [(sequential, _), (concurrent, _)] = comparison(&out);
    let [(least_sequential, _), (least_concurrent, _)] = comparison(&exact);
    assert_eq!(code, Some(0));
    // No less than the exact times, which are rounded; how much more depends on the machine.
    assert!(sequential >= least_sequential - 0.001 && concurrent >= least_concurrent - 0.001, "{out}{exact}");
}
