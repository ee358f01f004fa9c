//! `five_ways`: one echo server written five ways, all of which do the same.
//!
//! Each test asks all five, each as a process of its own.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::figures::{descriptors, processor_time, resident_bytes};
use crate::running::{LONG, Running, becomes_true, command, ended, signal, well};

/// The ways.
const WAYS: [&str; 5] = ["mio", "callbacks", "tasks", "green", "threads"];

/// Runs `test` with a server of each way, at the same time; then ends it in good order.
fn each_way(test: fn(&Running)) {
    each_way_ends(|server| {
        test(&server);
        assert_eq!(server.interrupt(), well(""));
    });
}

/// Runs `test` with a server of each way, on threads that have their names.
fn each_way_ends(test: impl Fn(Running) + Copy + Send) {
    thread::scope(|scope| {
        for way in WAYS {
            let ask = move || test(Running::start("five_ways", &[way]));
            thread::Builder::new().name(way.to_string()).spawn_scoped(scope, ask).expect("a thread");
        }
    });
}

/// Somebody who has come in.
fn client(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server takes clients");
    stream.set_read_timeout(Some(LONG)).expect("an option");
    stream
}

/// Bytes of which no two neighbouring pieces are alike.
fn pattern(length: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..65_521).map(|at| (at * 31 + at / 251) as u8).collect();
    let mut bytes = block.repeat(length.div_ceil(block.len()));
    bytes.truncate(length);
    bytes
}

/// Says something and hears the same.
#[track_caller]
fn is_echoed(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).expect("the server reads");
    hears(stream, text);
}

/// Hears this next.
#[track_caller]
fn hears(stream: &mut TcpStream, text: &[u8]) {
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).expect("all that was sent");
    assert!(heard == text, "{} other bytes came back", text.len());
}

/// Sends until the server takes no more, which has to be soon; gives how many bytes that were.
#[track_caller]
fn fill(stream: &mut TcpStream) -> usize {
    const TOO_MUCH: usize = 64 << 20;
    let (bytes, mut sent) = (pattern(TOO_MUCH), 0);
    // What is full for so long stays full: the server waits for us.
    stream.set_write_timeout(Some(Duration::from_millis(400))).expect("an option");
    while sent < TOO_MUCH {
        match stream.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return sent,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{TOO_MUCH} bytes were taken from somebody who reads nothing")
}

/// Lets the server have so many descriptors more than it has.
fn allow_descriptors(server: &Running, more: usize) {
    let limit = (descriptors(server.id() as i32) + more) as u64;
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    let (id, previous) = (server.id() as i32, std::ptr::null_mut());
    // SAFETY: prlimit(2) reads the new limits from a place that outlives the call, and is given none to write
    // the old ones to.
    assert_eq!(unsafe { libc::prlimit(id, libc::RLIMIT_NOFILE, &limit, previous) }, 0);
}

#[test]
fn it_says_in_which_way_it_serves_and_where() {
    each_way(|server| {
        let way = thread::current().name().expect("the way").to_string();
        assert_eq!(server.first_line, format!("{way} at 127.0.0.1:{}\n", server.port));
    });
}

#[test]
fn bytes_come_back_in_whatever_pieces_they_come() {
    each_way(|server| {
        let mut stream = client(server.port);
        stream.set_nodelay(true).expect("an option");
        is_echoed(&mut stream, b"all of it in one packet\r\n\0\xff");
        for byte in *b"byte by byte" {
            is_echoed(&mut stream, &[byte]);
        }
        for byte in *b"and more bytes" {
            stream.write_all(&[byte]).expect("the server reads");
        }
        hears(&mut stream, b"and more bytes");
    });
}

#[test]
fn a_mebibyte_comes_back_to_a_client_that_reads_late_and_after_its_end() {
    each_way(|server| {
        let mut stream = client(server.port);
        // So that it does not fit into the sockets, and the server has to wait.
        SockRef::from(&stream).set_recv_buffer_size(64 << 10).expect("an option");
        let bytes = pattern(1 << 20);
        let mut writer = stream.try_clone().expect("a second descriptor");
        thread::scope(|scope| {
            let sending = scope.spawn(|| {
                writer.write_all(&bytes).expect("the server reads in the end");
                writer.shutdown(Shutdown::Write).expect("the server has not hung up");
            });
            // The other one is served meanwhile, which takes long enough for a jam.
            let mut other = client(server.port);
            for _ in 0..100 {
                is_echoed(&mut other, &bytes[..100]);
            }
            hears(&mut stream, &bytes);
            sending.join().expect("all is sent");
            assert_eq!(stream.read(&mut [0; 9]).expect("the end"), 0);
        });
    });
}

#[test]
fn who_does_not_read_is_not_read_from() {
    each_way(|server| {
        let before = resident_bytes(server.id() as i32);
        let (mut deaf, mut other) = (client(server.port), client(server.port));
        let sent = fill(&mut deaf);
        is_echoed(&mut other, b"the others are served");
        let more = resident_bytes(server.id() as i32).saturating_sub(before);
        assert!(more < 1 << 20, "{more} bytes more for {sent} that nobody takes");
        deaf.shutdown(Shutdown::Write).expect("the server has not hung up");
        let mut back = Vec::new();
        deaf.read_to_end(&mut back).expect("all of it, and the end");
        assert!(back == pattern(sent), "{} bytes of {sent} came back, or others", back.len());
    });
}

#[test]
fn two_hundred_come_at_once_and_each_hears_its_own() {
    each_way(|server| {
        let mut clients: Vec<TcpStream> = (0..200).map(|_| client(server.port)).collect();
        let text = |number: usize| format!("number {number}").into_bytes();
        for round in [0, 200] {
            for (number, stream) in clients.iter_mut().enumerate() {
                stream.write_all(&text(number + round)).expect("the server reads");
            }
            for (number, stream) in clients.iter_mut().enumerate().rev() {
                hears(stream, &text(number + round));
            }
        }
    });
}

#[test]
fn a_client_that_breaks_off_harms_nobody() {
    each_way(|server| {
        let mut other = client(server.port);
        is_echoed(&mut other, b"before");
        let held = descriptors(server.id() as i32);
        for is_deaf in [false, true] {
            let mut stream = client(server.port);
            is_echoed(&mut stream, b"hello");
            if is_deaf {
                fill(&mut stream);
            }
            // So that closing it is a reset.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option");
            drop(stream);
            is_echoed(&mut other, b"after");
        }
        assert!(becomes_true(LONG, || descriptors(server.id() as i32) == held), "what is broken is closed");
        is_echoed(&mut other, b"still there");
    });
}

#[test]
fn without_descriptors_it_waits_for_some_and_does_not_spin() {
    each_way_ends(|server| {
        let mut first = client(server.port);
        is_echoed(&mut first, b"early");
        allow_descriptors(&server, 10);
        let mut clients: Vec<TcpStream> = (0..30).map(|_| client(server.port)).collect();
        for stream in &mut clients[..10] {
            is_echoed(stream, b"there is room");
        }
        let (before, start) = (processor_time(server.id() as i32), Instant::now());
        // Not to put anything in order: this is the time over which is measured.
        thread::sleep(Duration::from_millis(1200));
        let used = processor_time(server.id() as i32) - before;
        assert!(used * 10 < start.elapsed(), "{used:?} of processor time in {:?}", start.elapsed());
        is_echoed(&mut first, b"nobody who is in notices");
        clients.drain(..10);
        for mut stream in clients.drain(..10) {
            is_echoed(&mut stream, b"there is room again");
        }
        for mut stream in clients {
            is_echoed(&mut stream, b"and again");
        }
        let ended = server.interrupt();
        assert_eq!(ended.code, Some(0));
        let complaints = ended.err.lines().filter(|line| line.contains("Too many open files")).count();
        let most = start.elapsed().as_secs() as usize + 2;
        assert!((1..=most).contains(&complaints) && ended.err.lines().count() == complaints, "{}", ended.err);
    });
}

#[test]
fn it_ends_in_good_order_though_clients_are_there() {
    each_way_ends(|server| {
        let mut silent = client(server.port);
        let mut deaf = client(server.port);
        is_echoed(&mut silent, b"hello");
        fill(&mut deaf);
        let port = server.port;
        assert_eq!(server.interrupt(), well(""));
        assert_eq!(silent.read(&mut [0; 9]).expect("the end"), 0);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    });
}

#[test]
fn all_five_serve_in_one_process() {
    let mut child = command("five_ways", &["--port", "0", "all"]).spawn().expect("the example starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for way in WAYS {
        let line = lines.next().expect("a line for each").expect("text");
        let port = line.strip_prefix(&format!("{way} at 127.0.0.1:")).unwrap_or_else(|| panic!("{line}"));
        is_echoed(&mut client(port.parse().expect("a port")), way.as_bytes());
    }
    signal(child.id(), libc::SIGINT);
    assert_eq!(ended(child), well(""));
}
