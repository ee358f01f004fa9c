//! `site_sizes`, which asks servers of every kind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use crate::running::{Ended, command, ended, run, well};
use crate::terminal;

/// Serves every connection with `answer`, which is given the path and the head of the request; returns the host and
/// port. The threads end with the test program.
fn serve(answer: impl Fn(&str, &str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || {
                let mut head = String::new();
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap_or(0) > 0 {}
                let path = head.split(' ').nth(1).unwrap_or_default().to_string();
                answer(&path, &head, &mut stream);
            });
        }
    });
    host
}

/// Says it, also to somebody who has left.
fn say(stream: &mut TcpStream, what: impl AsRef<[u8]>) {
    let _ = stream.write_all(what.as_ref());
}

/// Every kind of page there is.
fn pages(path: &str, head: &str, stream: &mut TcpStream) {
    assert!(head.contains("\r\nHost: 127.0.0.1:") && head.contains("\r\nConnection: close\r\n"), "{head}");
    let ok = "HTTP/1.1 200 OK\r\n";
    match path.split('?').next().unwrap() {
        "/length" => say(stream, format!("{ok}Content-Length: 1000\r\n\r\n{}and more", "x".repeat(1000))),
        "/none" => say(stream, format!("{ok}content-length: 0\r\n\r\n")),
        "/close" => say(stream, format!("HTTP/1.0 200 OK\r\n\r\n{}", "x".repeat(70_000))),
        "/chunked" => {
            say(stream, format!("{ok}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"));
            say(stream, "5;name=value\r\nhello\r\n1");
            say(stream, "0\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n");
        }
        "/slowly" => format!("{ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
            .bytes()
            .for_each(|byte| say(stream, [byte])),
        "/no-content" => say(stream, "HTTP/1.1 204 No Content\r\n\r\n"),
        "/continue" => say(stream, format!("HTTP/1.1 100 Continue\r\n\r\n{ok}Content-Length: 2\r\n\r\nok")),
        "/moved/away" => say(stream, "HTTP/1.1 301 Moved\r\nLocation: ../length?again\r\n\r\n"),
        "/../length" | "/moved/../length" => say(stream, "HTTP/1.1 302 Found\r\nLocation: /length\r\n\r\n"),
        "/round" => say(stream, "HTTP/1.1 307 Again\r\nLocation: /round\r\n\r\n"),
        "/secure" => say(stream, "HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/\r\n\r\n"),
        "/gone" => say(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nbye"),
        "/short" => say(stream, format!("{ok}Content-Length: 1000\r\n\r\nabc")),
        "/two" => say(stream, format!("{ok}Content-Length: 5\r\nContent-Length: 3\r\n\r\nhello")),
        "/plus" => say(stream, format!("{ok}Content-Length: +3\r\n\r\nabc")),
        "/cut" => say(stream, format!("{ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")),
        "/odd" => say(stream, format!("{ok}Transfer-Encoding: chunked\r\n\r\nhello\r\n")),
        "/too-long" => say(stream, format!("{ok}Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n")),
        "/not-http" => say(stream, "220 mail.example.com ESMTP\r\n\r\n"),
        "/endless" => (0..2000).for_each(|_| say(stream, format!("X: {}\r\n", "y".repeat(100)))),
        "/silent" => drop(stream.read(&mut [0])),
        _ => {}
    }
}

#[test]
fn each_way_to_end_a_body_gives_its_size_and_each_failure_its_reason() {
    let host = serve(pages);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let good = [
        ("/length", 1000),
        ("/length?it's", 1000),
        ("/length#part", 1000),
        ("/none", 0),
        ("/close", 70_000),
        ("/chunked", 21),
        ("/slowly", 3),
        ("/no-content", 0),
        ("/continue", 2),
        ("/moved/away", 1000),
    ];
    let refused = format!("http://{nobody}/");
    let bad = [
        (format!("http://{host}/gone"), "the server says 404 Not Found"),
        (format!("http://{host}/short"), "the connection ended after 3 of 1000 bytes"),
        (format!("http://{host}/two"), "a Content-Length of \"5, 3\""),
        (format!("http://{host}/plus"), "a Content-Length of \"+3\""),
        (format!("http://{host}/cut"), "the connection ended before the last chunk"),
        (format!("http://{host}/odd"), "a chunk that begins with \"hello\\r\\n\""),
        (format!("http://{host}/too-long"), "a chunk that is longer than it said"),
        (format!("http://{host}/not-http"), "the answer is not HTTP"),
        (format!("http://{host}/endless"), "bytes came, and still no end"),
        (format!("http://{host}/hang-up"), "the server hung up without an answer"),
        (format!("http://{host}/round"), "redirected more than 10 times"),
        (format!("http://{host}/secure"), "redirected to \"https://127.0.0.1/\", no URL with http://"),
        (refused, "cannot connect to"),
        ("https://example.com".to_string(), "not a URL that this program understands"),
        ("http://a b/".to_string(), "not a URL"),
        ("http:///path".to_string(), "not a URL"),
    ];
    let good: Vec<_> = good.iter().map(|(path, size)| (format!("http://{host}{path}"), size)).collect();
    let urls = bad.iter().map(|(url, _)| url.as_str()).chain(good.iter().map(|(url, _)| url.as_str()));
    let Ended { code, out, err } = run("site_sizes", &urls.collect::<Vec<_>>());
    let mut expected: Vec<String> =
        good.iter()
            .map(|(url, size)| {
                if url.contains('\'') { format!("(\"{url}\", {size})") } else { format!("('{url}', {size})") }
            })
            .collect();
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
    assert_eq!((code, err.lines().count()), (Some(1), bad.len() + 1), "{err}");
    let last = format!("site_sizes: {} of {} pages failed", bad.len(), bad.len() + good.len());
    assert_eq!(err.lines().last(), Some(last.as_str()));
    for (url, reason) in bad {
        let said = format!("site_sizes: {url}: ");
        let line = err.lines().find(|line| line.starts_with(&said)).unwrap_or_else(|| panic!("{err}"));
        assert!(line[said.len()..].contains(reason), "{line}, not {reason}");
    }
}

#[test]
fn pages_are_printed_as_they_come_and_a_good_round_ends_well() {
    // Each page is sent when the line of the one before it was read.
    let (turns, sent): (Vec<_>, Vec<_>) = (0..5).map(|_| mpsc::channel::<()>()).unzip();
    let sent: Vec<_> = sent.into_iter().map(std::sync::Mutex::new).collect();
    let host = serve(move |path, _, stream| {
        let number: usize = path[1..].parse().unwrap();
        sent[number].lock().unwrap().recv().unwrap();
        say(stream, format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(number)));
    });
    let urls: Vec<String> = (0..5).map(|number| format!("http://{host}/{number}")).collect();
    let mut child =
        command("site_sizes", &urls.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in [3, 0, 4, 1, 2] {
        turns[number].send(()).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), format!("('{}', {number})", urls[number]));
    }
    assert!(lines.next().is_none());
    assert_eq!(ended(child), well(""));
}

/// Fetches `count` pages `--at-once` so many, from a server that answers when so many have come; gives the most that
/// were there at once.
fn most_at_once(options: &[&str], at_once: usize, count: usize) -> usize {
    let (now, most, gate) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)), Barrier::new(at_once));
    let seen = most.clone();
    let host = serve(move |_, _, stream| {
        seen.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        gate.wait();
        now.fetch_sub(1, SeqCst);
        say(stream, "HTTP/1.1 200 OK\r\n\r\nx");
    });
    let url = format!("http://{host}/");
    let mut arguments = options.to_vec();
    arguments.resize(options.len() + count, &url);
    let Ended { code, out, err } = run("site_sizes", &arguments);
    assert_eq!((code, out.lines().count()), (Some(0), count), "{err}");
    most.load(SeqCst)
}

#[test]
fn ten_are_fetched_at_a_time_or_as_many_as_asked_for() {
    assert_eq!(most_at_once(&[], 10, 40), 10);
    assert_eq!(most_at_once(&["--at-once", "3"], 3, 12), 3);
}

#[test]
fn a_site_that_takes_too_long_fails_alone() {
    let host = serve(pages);
    let (slow, good) = (format!("http://{host}/silent"), format!("http://{host}/length"));
    let Ended { code, out, err } = run("site_sizes", &["--at-once", "1", "--timeout", "0.3", &slow, &good]);
    assert_eq!((code, out), (Some(1), format!("('{good}', 1000)\n")));
    assert_eq!(err, format!("site_sizes: {slow}: not done within 300ms\nsite_sizes: 1 of 2 pages failed\n"));
}

#[test]
fn a_terminal_shows_how_many_are_done() {
    let host = serve(pages);
    let (mut person, screen) = terminal::pair();
    let url = format!("http://{host}/length");
    let mut command = command("site_sizes", &[&url, &url]);
    let child = command.env("TERM", "xterm").stderr(screen).spawn().unwrap();
    drop(command);
    let Ended { code, out, .. } = ended(child);
    assert_eq!((code, out), (Some(0), format!("('{url}', 1000)\n").repeat(2)));
    let mut shown = Vec::new();
    // A terminal whose other end is closed gives an error at last (EIO).
    let _ = person.read_to_end(&mut shown);
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("2 of 2 pages"), "{shown:?}");
}

#[test]
fn an_output_that_is_closed_ends_it_without_a_panic() {
    let host = serve(pages);
    let url = format!("http://{host}/length");
    let mut child = command("site_sizes", &[url.as_str(); 30]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(ended(child), well(""));
}
