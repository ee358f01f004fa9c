//! `dns`: what it answers to questions and to nonsense, in raw datagrams, and its files of names.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use greenroom::Rng;

use crate::running::{Ended, LONG, Running, closed_pipe, command, ended, run, signal, well};

/// Type A, AAAA, and one that nobody has named.
const A: u16 = 1;
const AAAA: u16 = 28;
const UNNAMED: u16 = 65_280;

/// Class IN and CH.
const IN: u16 = 1;
const CH: u16 = 3;

const NOERROR: u8 = 0;
const FORMERR: u8 = 1;
const NOTIMP: u8 = 4;

/// A server that knows so many names.
fn start(options: &[&str], names: usize) -> Running {
    let dns = Running::start("dns", options);
    assert_eq!(dns.first_line, format!("dns at 127.0.0.1:{} knows {names} names\n", dns.port));
    dns
}

/// Somebody who asks.
struct Client(UdpSocket);

impl Client {
    fn of(dns: &Running) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", dns.port)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        Client(socket)
    }

    fn send(&self, bytes: &[u8]) {
        self.0.send(bytes).unwrap();
    }

    fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 70_000];
        let count = self.0.recv(&mut buffer).expect("an answer");
        buffer[..count].to_vec()
    }

    fn ask(&self, question: &[u8]) -> Vec<u8> {
        self.send(question);
        self.receive()
    }

    /// The address that the server gives a name.
    fn address(&self, name: &str) -> Ipv4Addr {
        let question = question(7, name, A, IN);
        let answer = self.ask(&question);
        assert_eq!(answer[..2], question[..2], "the id");
        assert_eq!(answer[2], 0b1000_0001, "an answer; recursion was desired");
        assert_eq!(answer[3] & 15, NOERROR);
        assert_eq!(answer[4..12], [0, 1, 0, 1, 0, 0, 0, 0], "one question, one answer");
        assert_eq!(answer[12..question.len()], question[12..], "the question as it was asked");
        let record = &answer[question.len()..];
        let (name, rest) = match name {
            "" => record.split_at(1),
            _ => record.split_at(2),
        };
        assert!(name == [0] || name == [0xc0, 12], "the name of the question: {name:?}");
        assert_eq!(rest[..10], [0, 1, 0, 1, 0, 0, 0, 60, 0, 4], "type A, class IN, 60 s, 4 bytes");
        Ipv4Addr::new(rest[10], rest[11], rest[12], rest[13])
    }

    /// The response code to a message, and how many questions are repeated and how many answers given.
    fn outcome(&self, message: &[u8]) -> (u8, u8, u8) {
        let answer = self.ask(message);
        assert_eq!(answer[..2], message[..2], "the id");
        assert_eq!(answer[2] & 0x80, 0x80, "an answer");
        (answer[3] & 15, answer[5], answer[7])
    }
}

/// A question as a client sends it (RFC 1035 section 4).
fn question(id: u16, name: &str, of_type: u16, class: u16) -> Vec<u8> {
    let mut message = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&of_type.to_be_bytes());
    message.extend_from_slice(&class.to_be_bytes());
    message
}

#[test]
fn names_have_the_addresses_of_the_table_and_all_others_are_here() {
    let dns = start(&[], 1);
    let client = Client::of(&dns);
    let facebook = Ipv4Addr::new(173, 252, 120, 6);
    for name in ["facebook.com", "FaceBook.COM"] {
        assert_eq!(client.address(name), facebook);
    }
    let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    for name in ["www.facebook.com", "nobody.invalid", "", long.as_str(), "\u{1}\u{7f} .x"] {
        assert_eq!(client.address(name), Ipv4Addr::LOCALHOST, "{name:?}");
    }
    for (of_type, class) in [(AAAA, IN), (UNNAMED, IN), (A, CH), (255, 255)] {
        let question = question(9, "facebook.com", of_type, class);
        assert_eq!(client.outcome(&question), (NOERROR, 1, 0), "type {of_type}, class {class}");
    }
    // With an additional record, as clients with EDNS send it (RFC 6891).
    let mut with_edns = question(9, "facebook.com", A, IN);
    with_edns[11] = 1;
    with_edns.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    assert_eq!(client.outcome(&with_edns), (NOERROR, 1, 1));
    assert_eq!(dns.interrupt(), well("12 answers sent\n"));
}

#[test]
fn nonsense_is_called_that_and_answers_are_not_answered() {
    let dns = start(&[], 1);
    let client = Client::of(&dns);
    let good = question(9, "facebook.com", A, IN);
    let changed = |at: usize, byte: u8| {
        let mut message = good.clone();
        message[at] = byte;
        message
    };
    for (message, expected) in [
        (good[..12].to_vec(), (FORMERR, 0, 0)),
        (good[..20].to_vec(), (FORMERR, 0, 0)),
        // No question, two that are one, a label of 64 bytes, a pointer to itself, a pointer ahead.
        (changed(5, 0), (FORMERR, 0, 0)),
        (changed(5, 2), (FORMERR, 0, 0)),
        (changed(12, 64), (FORMERR, 0, 0)),
        ([&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat(), (FORMERR, 0, 0)),
        ([&good[..12], &[0xc0, 99, 0, 1, 0, 1]].concat(), (FORMERR, 0, 0)),
        // A notification (RFC 1996).
        (changed(2, 0b0010_0000), (NOTIMP, 0, 0)),
    ] {
        assert_eq!(client.outcome(&message), expected, "{message:?}");
    }
    // Nothing to answer: too short, or an answer. The next one answered is the question after them.
    for message in [&b""[..], b"x", &[0; 11], &changed(2, 0x81)] {
        client.send(message);
    }
    assert_eq!(client.address("facebook.com"), Ipv4Addr::new(173, 252, 120, 6));
}

#[test]
fn two_thousand_damaged_datagrams_do_not_stop_it() {
    let dns = start(&[], 1);
    let client = Client::of(&dns);
    let mut rng = Rng::new(5);
    for _ in 0..2000 {
        let mut message = question(1, "www.example.org", A, IN);
        for _ in 0..1 + rng.below(6) {
            let at = rng.below(message.len());
            match rng.below(3) {
                0 => message[at] = rng.next_u64() as u8,
                1 => message.truncate(at + 1),
                _ => message.insert(at, rng.next_u64() as u8),
            }
        }
        client.send(&message);
        // A question with an id of its own shows that it is alive, and keeps its buffer from filling.
        client.send(&question(0xbeef, "facebook.com", A, IN));
        while client.receive()[..2] != [0xbe, 0xef] {}
    }
}

/// A file with these lines, removed when dropped.
struct HostsFile(PathBuf);

impl HostsFile {
    fn new(test: &str, lines: &str) -> HostsFile {
        let path = std::env::temp_dir().join(format!("greenroom-hosts-{}-{test}", std::process::id()));
        std::fs::write(&path, lines).unwrap();
        HostsFile(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for HostsFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn a_hosts_file_adds_names() {
    let lines =
        "# comment\n\n10.0.0.1\tone ONE.example. # uno\n10.0.0.2 two one\n::1 six\n10.0.0.3 facebook.com";
    let file = HostsFile::new("good", lines);
    let dns = start(&["--hosts", file.path()], 4);
    let client = Client::of(&dns);
    for (name, last) in [("one", 1), ("one.example", 1), ("two", 2), ("facebook.com", 3)] {
        assert_eq!(client.address(name), Ipv4Addr::new(10, 0, 0, last), "{name}");
    }
    assert_eq!(client.address("six"), Ipv4Addr::LOCALHOST);
    let Ended { code, err, .. } = run("dns", &["--hosts", "/no/such/file"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("dns: cannot read --hosts /no/such/file: "), "{err}");
    let bad = HostsFile::new("bad", "10.0.0.1 one\nten two\n");
    let Ended { code, err, .. } = run("dns", &["--hosts", bad.path()]);
    let expected = format!("dns: {}:2: \"ten\" is not an address; write: 1.2.3.4 name\n", bad.path());
    assert_eq!((code, err), (Some(1), expected));
}

#[test]
fn a_taken_port_is_said_with_the_remedy() {
    let first = start(&[], 1);
    let Ended { code, err, .. } = run("dns", &["--port", &first.port.to_string()]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains(&format!("127.0.0.1:{}", first.port)) && err.contains("another --port"), "{err}");
}

#[test]
fn a_closed_output_stops_nothing() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = command("dns", &["--port", &port.to_string()]);
    let mut child = command.stdout(closed_pipe()).spawn().unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    // Until it is up, asking is refused, or met with silence.
    let asked = (0..400).any(|_| {
        let sent = client.send(&question(1, "facebook.com", A, IN));
        let answered = sent.is_ok() && client.recv(&mut [0; 512]).is_ok();
        if !answered {
            std::thread::sleep(Duration::from_millis(5));
        }
        answered
    });
    assert!(asked && child.try_wait().unwrap().is_none(), "it answers");
    signal(child.id(), libc::SIGINT);
    assert_eq!(ended(child), well(""));
}
