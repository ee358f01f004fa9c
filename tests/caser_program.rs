//! The case servers as programs: options, signals, time limits, and outputs that nobody reads.
//!
//! Everything is tested on `caser` (`tasks::...`), on `caser_callbacks` (`callbacks::...`) and on
//! `caser_green` (`green_threads::...`).
//! Times are lower limits, which no slow machine can break, or far above what is expected.

#[path = "support/caser/mod.rs"]
mod support;

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::process::Output;
use std::time::{Duration, Instant};

use support::client::{Client, WELCOME};
use support::server::{Caser, command, run_to_end};
use support::{LONG, on_every_caser};

on_every_caser![
    a_wrong_option_gets_one_line_and_code_2,
    help_is_printed_and_the_program_ends_well,
    a_taken_port_is_said_with_the_remedy,
    signals_let_everyone_finish,
    a_second_signal_ends_it_at_once,
    a_closed_output_stops_nothing,
    an_output_that_nobody_reads_stops_nothing,
    the_trace_shows_the_turns,
    a_client_that_says_nothing_is_sent_away,
    a_client_that_falls_silent_is_sent_away,
    a_line_must_end_in_time_however_busy_it_is,
    a_client_that_goes_on_talking_may_stay,
    a_client_that_does_not_listen_is_sent_away,
    clients_above_the_limit_wait_for_a_place,
];

fn text(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn a_wrong_option_gets_one_line_and_code_2(caser: &str) {
    for wrong in [
        &["--port", "65536"][..],
        &["--port", "x\ny"],
        &["--host", ""],
        &["--max-line", "0"],
        &["--max-connections", "-1"],
        &["--idle-timeout", "0"],
        &["--idle-timeout", "soon"],
        &["--announce-every"],
        &["--verbose"],
        &["9600"],
    ] {
        let (code, out, err) = text(&run_to_end(caser, wrong));
        assert_eq!(code, Some(2), "{wrong:?}: {err}");
        assert_eq!(out, "", "{wrong:?}");
        assert!(err.ends_with('\n') && err.lines().count() == 1, "{wrong:?}: {err:?}");
        assert!(err.starts_with(&format!("{caser}: ")), "{wrong:?}: {err:?}");
    }
}

fn help_is_printed_and_the_program_ends_well(caser: &str) {
    let (code, out, err) = text(&run_to_end(caser, &["--help"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let options =
        ["--host", "--port", "--max-line", "--max-connections", "--idle-timeout", "--announce-every"];
    for word in options.into_iter().chain(["--help", caser]) {
        assert!(out.contains(word), "{word} is missing in:\n{out}");
    }
}

fn a_taken_port_is_said_with_the_remedy(caser: &str) {
    let first = Caser::start(caser, &[]);
    let (code, _, err) = text(&run_to_end(caser, &["--port", &first.port.to_string()]));
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains(&first.port.to_string()) && err.contains("--port"), "{err}");
    Client::welcomed(&first).is_answered();
    // After its end the port is free at once, though it was the server that closed connections.
    let port = first.port.to_string();
    let mut quitting = Client::welcomed(&first);
    quitting.says("quit\n");
    quitting.hears("quit\r\n");
    first.end();
    let again = Caser::start(caser, &["--port", &port]);
    assert_eq!(again.port.to_string(), port);
}

fn signals_let_everyone_finish(caser: &str) {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut server = Caser::start(caser, &[]);
        let mut clients: Vec<Client> = (0..3).map(|_| Client::welcomed(&server)).collect();
        clients[0].is_answered();
        clients[1].says("half a line");
        clients[2].is_answered();
        server.signal(signal);
        for client in &mut clients {
            client.hears_the_end();
        }
        let status = server.ends_within(Duration::from_secs(5));
        assert_eq!(status.code(), Some(0), "signal {signal}: {status}");
        let log = server.whole_log();
        for client in &clients {
            let quit = format!("{} quit", client.name());
            assert_eq!(log.iter().filter(|line| **line == quit).count(), 1, "{log:#?}");
        }
        let refused = TcpStream::connect(("127.0.0.1", server.port)).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

/// A line with an answer six times as long.
fn long_answers() -> Vec<u8> {
    [&[0xff; 4000][..], b"\n"].concat()
}

fn a_second_signal_ends_it_at_once(caser: &str) {
    let mut server = Caser::start(caser, &[]);
    let mut deaf = Client::welcomed_with_little_room(&server);
    let mut other = Client::welcomed(&server);
    // Until nothing goes through although the server is not busy otherwise: it waits for the deaf.
    while deaf.talks_without_listening(&long_answers(), usize::MAX) > 0 {
        other.is_answered();
    }
    let start = Instant::now();
    server.signal(libc::SIGINT);
    other.hears_the_end();
    // The one who does not listen has unread answers, for which the server waits.
    assert!(server.is_running());
    server.signal(libc::SIGTERM);
    let status = server.ends_within(LONG);
    assert_ne!(status.code(), Some(0), "{status}");
    assert!(start.elapsed() < Duration::from_secs(4), "the second signal was not heard");
}

fn a_closed_output_stops_nothing(caser: &str) {
    let (server, output) = Caser::spawn_unread(&mut command(caser, &[]));
    drop(output);
    for _ in 0..20 {
        let mut client = Client::welcomed(&server);
        client.is_answered();
        client.half_closes();
        client.hears_the_end();
    }
}

fn an_output_that_nobody_reads_stops_nothing(caser: &str) {
    let (mut server, output) = Caser::spawn_unread(&mut command(caser, &[]));
    let mut client = Client::welcomed(&server);
    // Far more than a pipe holds (64 KiB), and more than the server keeps for later.
    let line = "x".repeat(8000) + "\n";
    let answer = format!("Upper-cased: '{}'\r\n", "X".repeat(8000));
    for _ in 0..400 {
        client.says(&line);
        client.hears(&answer);
    }
    // Whoever reads at last finds whole lines, and how many are missing.
    server.read_log(output);
    client.says("quit\n");
    client.hears("quit\r\n");
    server.log_when("the loss", |lines| lines.iter().any(|line| line.contains("lost")));
}

fn the_trace_shows_the_turns(caser: &str) {
    let mut command = command(caser, &[]);
    let server = Caser::spawn(command.env("RUST_LOG", "info,greenroom=trace"));
    Client::welcomed(&server).is_answered();
    let log = server.log_when("a client's end", |lines| lines.iter().any(|line| line.ends_with(") quit")));
    for part in [" turn 1: ", " turn 2: ", "1 runs ", "1 ", " waits: ", "3 waits ", " events"] {
        assert!(log.iter().any(|line| line.contains(part)), "{part:?} is missing in:\n{}", log.join("\n"));
    }
    // The format of env_logger, with time, level and target.
    let turn = log.iter().find(|line| line.contains(" turn 1: ")).expect("looked for above");
    assert!(turn.contains("TRACE greenroom") && turn.starts_with("[2"), "{turn}");
}

/// The time until the server ends the connection.
fn time_to_the_end(client: &mut Client) -> Duration {
    let start = Instant::now();
    client.hears_the_end();
    start.elapsed()
}

fn a_client_that_says_nothing_is_sent_away(caser: &str) {
    let server = Caser::start(caser, &["--idle-timeout", "0.2"]);
    let connected = Instant::now();
    let mut client = Client::connect(server.port);
    client.hears(WELCOME);
    client.hears_the_end();
    assert!(connected.elapsed() >= Duration::from_millis(200), "{:?}", connected.elapsed());
    server.log_of(&client.name());
}

fn a_client_that_falls_silent_is_sent_away(caser: &str) {
    let server = Caser::start(caser, &["--idle-timeout", "0.3"]);
    for beginning in ["", "half a line"] {
        let mut client = Client::welcomed(&server);
        let start = Instant::now();
        client.says("ping\r\n");
        client.says(beginning);
        client.hears("Upper-cased: 'PING'\r\n");
        client.hears_the_end();
        assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    }
}

fn a_line_must_end_in_time_however_busy_it_is(caser: &str) {
    let server = Caser::start(caser, &["--idle-timeout", "0.4"]);
    let mut client = Client::welcomed(&server);
    client.stream.set_read_timeout(Some(Duration::from_millis(20))).expect("an option");
    let start = Instant::now();
    loop {
        client.says("x");
        match client.stream.read(&mut [0]) {
            Ok(0) => break,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < LONG, "each byte has bought more time");
    }
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
}

fn a_client_that_goes_on_talking_may_stay(caser: &str) {
    let server = Caser::start(caser, &["--idle-timeout", "0.4"]);
    let mut client = Client::welcomed(&server);
    let mut silent = Client::welcomed(&server);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1000) {
        client.is_answered();
    }
    // Had the talking one been sent away, it would have got no answer.
    assert!(time_to_the_end(&mut silent) < LONG);
}

fn a_client_that_does_not_listen_is_sent_away(caser: &str) {
    let server = Caser::start(caser, &["--idle-timeout", "0.5"]);
    let mut deaf = Client::welcomed_with_little_room(&server);
    let start = Instant::now();
    deaf.talks_without_listening(&long_answers(), usize::MAX);
    server.log_of(&deaf.name());
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
}

fn clients_above_the_limit_wait_for_a_place(caser: &str) {
    let server = Caser::start(caser, &["--max-connections", "2"]);
    let mut first = Client::welcomed(&server);
    let mut second = Client::welcomed(&server);
    let mut third = Client::connect(server.port);
    first.is_answered();
    second.is_answered();
    third.stream.set_nonblocking(true).expect("an option");
    let nothing = third.stream.read(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock, "the third has no place yet");
    third.stream.set_nonblocking(false).expect("an option");
    first.half_closes();
    first.hears_the_end();
    third.hears(WELCOME);
    third.is_answered();
    second.is_answered();
}
