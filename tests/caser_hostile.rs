//! What clients of the case servers can do to each other and to the server: nothing.
//!
//! Everything is tested on `caser` (`tasks::...`), on `caser_callbacks` (`callbacks::...`) and on
//! `caser_green` (`green_threads::...`), one test at a time, for some of them measure. Random moments
//! come from seeds that failures name.

#[path = "support/caser/mod.rs"]
mod support;

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use greenroom::Rng;
use support::client::{Client, WELCOME};
use support::process::{descriptors, processor_time, raise_descriptor_limit, resident_bytes};
use support::server::{Caser, command};
use support::{LONG, becomes_true, on_every_caser};

on_every_caser![
    clients_do_not_see_each_others_mode,
    half_a_line_delays_nobody,
    a_flood_lets_others_in_between,
    a_client_that_never_listens_costs_little,
    resets_at_any_moment_end_one_visit_each,
    a_thousand_half_lines_delay_nobody,
    with_few_descriptors_everyone_is_served_in_the_end,
    running_out_of_descriptors_is_survived,
    five_thousand_may_come_at_once,
];

/// For whoever measures, or needs thousands of descriptors.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed has left nothing behind that matters to the next.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the server has one descriptor for each of these clients, besides those of before. It
/// may have another for a moment, to look up the time zone for example.
#[track_caller]
fn holds(server: &Caser, base: usize, clients: usize) {
    let holds = becomes_true(LONG, || descriptors(server.pid()) == base + clients);
    assert!(holds, "{} descriptors for {clients} clients, {base} before", descriptors(server.pid()));
}

/// Waits until the server has no more descriptors than at a time before.
#[track_caller]
fn returns_to(server: &Caser, base: usize) {
    let returned = becomes_true(LONG, || descriptors(server.pid()) <= base);
    assert!(returned, "{} descriptors are left, {base} were there before", descriptors(server.pid()));
}

fn clients_do_not_see_each_others_mode(caser: &str) {
    let _alone = alone();
    let server = Caser::start(caser, &[]);
    let (mut upper, mut title) = (Client::welcomed(&server), Client::welcomed(&server));
    title.says("title\n");
    title.hears("<switching to title case mode>\r\n");
    for _ in 0..20 {
        upper.says("they're here\n");
        title.says("they're here\n");
        title.hears("Title-cased: \"They'Re Here\"\r\n");
        upper.hears("Upper-cased: \"THEY'RE HERE\"\r\n");
    }
    title.says("quit\n");
    title.hears("quit\r\n");
    title.hears_the_end();
    upper.is_answered();
}

fn half_a_line_delays_nobody(caser: &str) {
    let _alone = alone();
    let server = Caser::start(caser, &[]);
    let (mut slow, mut other) = (Client::welcomed(&server), Client::welcomed(&server));
    for part in ["half ", "of it, ", "and "] {
        slow.says(part);
        other.is_answered();
    }
    slow.says("half\n");
    slow.hears("Upper-cased: 'HALF OF IT, AND HALF'\r\n");
}

fn a_flood_lets_others_in_between(caser: &str) {
    let _alone = alone();
    let server = Caser::start(caser, &[]);
    let (mut flood, mut other) = (Client::welcomed(&server), Client::welcomed(&server));
    // See proc_pid_stat(5).
    let stat = format!("/proc/{}/stat", server.pid());
    let becomes =
        |state| becomes_true(LONG, || std::fs::read_to_string(&stat).expect("it is there").contains(state));
    assert!(becomes(") S "), "it waits for both");
    server.signal(libc::SIGSTOP);
    assert!(becomes(") T "), "it is stopped: all of it is there when it goes on");
    // Each line is as long as what is read at once, and is almost only a telnet command that does nothing, so that
    // no answer has to wait for room.
    let line = [&b"flood"[..], &b"\xff\xf1".repeat(8189), b"\n"].concat();
    flood.says(line.repeat(8));
    other.says("ping\n");
    server.signal(libc::SIGCONT);
    other.hears("Upper-cased: 'PING'\r\n");
    flood.hears("Upper-cased: 'FLOOD'\r\n".repeat(8));
    let said = |line: &&String| line.contains(" --> ");
    let log = server.log_when("all lines", |log| log.iter().filter(said).count() == 9);
    let before = log.iter().filter(said).position(|line| line.ends_with("ping")).expect("it was answered");
    assert!(before <= 2, "{before} lines of a flood were answered first");
}

fn a_client_that_never_listens_costs_little(caser: &str) {
    let _alone = alone();
    let server = Caser::start(caser, &[]);
    let mut other = Client::welcomed(&server);
    other.is_answered();
    let (base, descriptors_before) = (resident_bytes(server.pid()), descriptors(server.pid()));
    let mut deaf = Client::welcomed(&server);
    // Each of these lines has an answer six times as long: 100 MB of answers, if it were for him.
    let line = [&[0xff; 8000][..], b"\n"].concat();
    let (wanted, mut sent) = (100_000_000 / 6, 0);
    while sent < wanted {
        let more = deaf.talks_without_listening(&line, wanted - sent);
        // If nothing goes through though the server answers others, it has had enough of him.
        other.is_answered();
        if more == 0 {
            break;
        }
        sent += more;
    }
    assert!(sent < wanted, "{sent} bytes were taken from a client that does not listen");
    let grown = resident_bytes(server.pid()).saturating_sub(base);
    assert!(grown < 64 << 20, "the server has grown by {grown} bytes");
    for _ in 0..50 {
        other.is_answered();
    }
    deaf.resets();
    returns_to(&server, descriptors_before);
    other.is_answered();
}

fn resets_at_any_moment_end_one_visit_each(caser: &str) {
    let _alone = alone();
    let server = Caser::start(caser, &[]);
    let mut witness = Client::welcomed(&server);
    let base = descriptors(server.pid());
    let talk = b"one\r\ntitle\r\nthey're here\r\n\xff\xfb\x01upper\r\nquit\r\nmore\r\n";
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut client = Client::connect(server.port);
        if rng.below(3) > 0 {
            client.hears(WELCOME);
        }
        if rng.below(4) > 0 {
            client.says(&talk[..rng.below(talk.len() + 1)]);
        }
        if rng.below(2) > 0 {
            // Otherwise the reset comes together with what was said, perhaps before the accept.
            witness.is_answered();
        }
        if rng.below(4) > 0 {
            client.resets();
        }
        if rng.below(8) == 0 {
            witness.is_answered();
        }
    }
    witness.is_answered();
    returns_to(&server, base);
    let log = server.end();
    let count = |end: &str| log.iter().filter(|line| line.ends_with(end)).count();
    let came = log.iter().filter(|line| line.starts_with("Received connection from ")).count();
    assert!(came > 150, "only {came} of 301 were accepted");
    assert_eq!(count(") quit"), came, "each one that came has gone once");
}

/// The median of the time that 200 answers take.
fn median_answer_time(client: &mut Client) -> Duration {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        client.is_answered();
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

fn a_thousand_half_lines_delay_nobody(caser: &str) {
    let _alone = alone();
    let limit = raise_descriptor_limit();
    assert!(limit > 1100, "needs more than 1100 descriptors, has {limit}: raise it with ulimit -n");
    let server = Caser::start(caser, &[]);
    let mut other = Client::welcomed(&server);
    other.is_answered();
    let (base, memory_before) = (descriptors(server.pid()), resident_bytes(server.pid()));
    let waiting: Vec<Client> = (0..1000)
        .map(|_| {
            let mut client = Client::welcomed(&server);
            client.says("x");
            client
        })
        .collect();
    holds(&server, base, waiting.len());
    // On a machine that is busy with other things, a good time is worth waiting for.
    let mut median = median_answer_time(&mut other);
    for _ in 1..3 {
        if median > Duration::from_millis(5) {
            median = median_answer_time(&mut other);
        }
    }
    assert!(median <= Duration::from_millis(5), "an answer takes {median:?} at the median");
    let grown = resident_bytes(server.pid()).saturating_sub(memory_before);
    assert!(grown < 16 << 20, "the server has grown by {grown} bytes for 1000 clients");
    drop(waiting);
    returns_to(&server, base);
    other.is_answered();
}

/// Checks that the server, which cannot accept whoever waits, does not use the processor either.
fn is_idle(server: &Caser) {
    let (start, before) = (Instant::now(), processor_time(server.pid()));
    // Not to put anything in order: this is the time over which is measured.
    thread::sleep(Duration::from_millis(1500));
    let used = processor_time(server.pid()) - before;
    assert!(used * 50 <= start.elapsed(), "{used:?} of processor time in {:?}", start.elapsed());
}

fn is_served_and_leaves(mut client: Client) {
    client.hears(WELCOME);
    client.is_answered();
    client.half_closes();
    client.hears_the_end();
}

fn with_few_descriptors_everyone_is_served_in_the_end(caser: &str) {
    let _alone = alone();
    let mut command = command(caser, &[]);
    // SAFETY: setrlimit(2) may be called between fork and exec; nothing is allocated.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
            match libc::setrlimit(libc::RLIMIT_NOFILE, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let server = Caser::spawn(&mut command);
    server.log_when("the limit", |log| {
        log.iter().any(|line| line.contains("at most") && line.contains("ulimit"))
    });
    let mut clients: Vec<Client> = (0..200).map(|_| Client::connect(server.port)).collect();
    clients[0].hears(WELCOME);
    clients[0].is_answered();
    assert!(descriptors(server.pid()) <= 64);
    is_idle(&server);
    clients[0].says("title\n");
    clients[0].hears("<switching to title case mode>\r\n");
    let patient = clients.split_off(1);
    drop(clients);
    // The kernel keeps those who wait in the order in which they came.
    patient.into_iter().for_each(is_served_and_leaves);
    is_served_and_leaves(Client::connect(server.port));
    server.end();
}

fn running_out_of_descriptors_is_survived(caser: &str) {
    let _alone = alone();
    let server = Caser::start(caser, &[]);
    let mut first = Client::welcomed(&server);
    // The server believes in a greater limit; from now on it has room for ten more clients.
    let limit = descriptors(server.pid()) as u64 + 10;
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: prlimit(2) reads the new limits from a place that outlives the call, and is given
    // none to write the old ones to.
    let result = unsafe { libc::prlimit(server.pid(), libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    let clients: Vec<Client> = (0..40).map(|_| Client::connect(server.port)).collect();
    server.log_when("what is the matter", |log| {
        log.iter().any(|line| line.contains("cannot accept connections"))
    });
    first.is_answered();
    is_idle(&server);
    let complaints = server.log().iter().filter(|line| line.contains("cannot accept")).count();
    assert!(complaints <= 10, "{complaints} complaints in two seconds");
    first.is_answered();
    clients.into_iter().for_each(is_served_and_leaves);
    is_served_and_leaves(Client::connect(server.port));
    server.end();
}

fn five_thousand_may_come_at_once(caser: &str) {
    const COUNT: usize = 5000;
    let _alone = alone();
    let limit = raise_descriptor_limit();
    if limit < COUNT as u64 + 100 {
        eprintln!("SKIPPED: needs {COUNT} descriptors and some, has {limit}; raise it with ulimit -n");
        return;
    }
    let server = Caser::start(caser, &[]);
    let mut witness = Client::welcomed(&server);
    let base = descriptors(server.pid());
    let connect = |_| TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("a connection");
    let streams: Vec<TcpStream> = (0..COUNT).map(connect).collect();
    let mut clients: Vec<Client> = streams.into_iter().map(|stream| Client { stream }).collect();
    clients.iter_mut().for_each(|client| client.hears(WELCOME));
    holds(&server, base, COUNT);
    for (number, client) in clients.iter_mut().enumerate() {
        client.says(format!("number {number}\n"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.hears(format!("Upper-cased: 'NUMBER {number}'\r\n"));
    }
    witness.is_answered();
    drop(clients);
    returns_to(&server, base);
    witness.is_answered();
}
