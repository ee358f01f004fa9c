//! `websocket`: clients of the same library, blocking, in order and in crowds; and those who break the rules.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use socket2::{Domain, Socket as RawSocket, Type};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::{Error, Message, WebSocket};

use crate::running::{Ended, LONG, Running, becomes_true, command, ended, run, well};

const WELCOME: &str = "<welcome: starting in upper case mode>";

/// A connection that does not wait for ever.
fn dial(server: &Running) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The same, with little room for what it does not read.
fn dial_with_little_room(server: &Running) -> TcpStream {
    let stream = RawSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    stream.set_recv_buffer_size(4096).unwrap();
    let address: std::net::SocketAddr = ([127, 0, 0, 1], server.port).into();
    stream.connect(&address.into()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.into()
}

/// A client that was welcomed.
fn connect(server: &Running) -> WebSocket<TcpStream> {
    welcomed(dial(server))
}

fn welcomed(stream: TcpStream) -> WebSocket<TcpStream> {
    let (mut socket, _) = tungstenite::client("ws://localhost/", stream).unwrap();
    assert_eq!(hear(&mut socket), WELCOME);
    socket
}

/// The next message.
#[track_caller]
fn hear(socket: &mut WebSocket<TcpStream>) -> String {
    socket.read().unwrap().into_text().unwrap().to_string()
}

/// What is answered to this line.
#[track_caller]
fn ask(socket: &mut WebSocket<TcpStream>, line: &str) -> String {
    socket.send(Message::text(line)).unwrap();
    hear(socket)
}

/// How the server closes, which it must do next and in good order.
#[track_caller]
fn closing(socket: &mut WebSocket<TcpStream>) -> (CloseCode, String) {
    let words = match socket.read().unwrap() {
        Message::Close(Some(words)) => (words.code, words.reason.to_string()),
        other => panic!("{other:?} is no closing"),
    };
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
    words
}

/// All that a raw connection gives, to its end.
fn rest_of(mut stream: TcpStream) -> String {
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8_lossy(&heard).into_owned(),
    }
}

#[test]
fn each_message_is_answered_in_its_mode_until_quit() {
    let server = Running::start("websocket", &[]);
    let mut socket = connect(&server);
    assert_eq!(ask(&mut socket, "hello"), "Upper-cased: 'HELLO'");
    assert_eq!(ask(&mut socket, "title"), "<switching to title case mode>");
    assert_eq!(ask(&mut socket, "they're ok\n"), "Title-cased: \"They'Re Ok\"");
    assert_eq!(ask(&mut socket, ""), "Title-cased: ''");
    assert_eq!(ask(&mut socket, "a\nb"), "Title-cased: 'A'\r\nTitle-cased: 'B'");
    socket.send(Message::Ping("are you there?".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("are you there?".into()));
    for (piece, is_last) in [("stra", false), ("sse", true)] {
        let kind = if is_last { Data::Continue } else { Data::Text };
        socket.write(Message::Frame(Frame::message(piece, OpCode::Data(kind), is_last))).unwrap();
    }
    socket.flush().unwrap();
    assert_eq!(hear(&mut socket), "Title-cased: 'Strasse'");
    assert_eq!(ask(&mut socket, "quit"), "quit");
    assert_eq!(closing(&mut socket), (CloseCode::Normal, "quit".to_string()));
    let mut other = connect(&server);
    other.close(None).unwrap();
    assert_eq!(other.read().unwrap(), Message::Close(None));
    assert!(matches!(other.read(), Err(Error::ConnectionClosed)));
    assert_eq!(server.interrupt(), well("2 connections served, 0 cut off at the end\n"));
}

#[test]
fn its_own_client_sends_lines_and_prints_answers() {
    let server = Running::start("websocket", &["--idle-timeout", "20"]);
    let port = server.port.to_string();
    let talk = |input: &str| {
        let mut child = command("websocket", &["--connect", "--port", &port]);
        let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        ended(child)
    };
    let answers = format!("{WELCOME}\nUpper-cased: 'ONE'\nUpper-cased: 'NO END'\n");
    assert_eq!(talk("one\nno end"), well(&answers));
    assert_eq!(talk("quit\n"), well(&format!("{WELCOME}\nquit\nclosed: quit (1000)\n")));
    assert_eq!(talk(""), well(&format!("{WELCOME}\n")));
    // Standard input stays open: it must hear the server go.
    let mut waiting = command("websocket", &["--connect", "--port", &port]);
    let mut waiting = waiting.stdin(Stdio::piped()).spawn().unwrap();
    let mut heard = [0; WELCOME.len()];
    waiting.stdout.as_mut().unwrap().read_exact(&mut heard).unwrap();
    let input = waiting.stdin.take();
    assert_eq!(server.interrupt(), well("4 connections served, 0 cut off at the end\n"));
    assert_eq!(ended(waiting), well("\nclosed: the server is going away (1001)\n"));
    drop(input);
    let Ended { code, err, .. } = run("websocket", &["--connect", "--port", &port]);
    assert!(code == Some(1) && err.contains("is the server running there?"), "{err}");
    let echo = Running::start("echo", &[]);
    let Ended { code, err, .. } = run("websocket", &["--connect", "--port", &echo.port.to_string()]);
    assert!(code == Some(1) && err.contains("is that a server for WebSockets?"), "{err}");
}

#[test]
fn who_breaks_a_rule_is_told_which() {
    let server = Running::start("websocket", &["--max-message", "1000"]);
    let after = |bytes: &[u8]| {
        let mut socket = connect(&server);
        socket.get_mut().write_all(bytes).unwrap();
        closing(&mut socket)
    };
    let text = |opcode: u8, len: u8| [[opcode, 0x80 | len].as_slice(), &[0; 4]].concat();
    assert_eq!(after(&[text(0x82, 3), vec![1; 3]].concat()).0, CloseCode::Unsupported);
    assert_eq!(after(&[text(0x81, 2), vec![0xff; 2]].concat()).0, CloseCode::Invalid);
    let (code, reason) = after(b"\x81\x05hello");
    assert_eq!((code, reason.contains("unmasked")), (CloseCode::Protocol, true), "{reason}");
    assert_eq!(after(&text(0xf1, 0)).0, CloseCode::Protocol);
    assert_eq!(after(&text(0x80, 0)).0, CloseCode::Protocol, "nothing to continue");
    // Too long by what is announced, by what comes, and in pieces.
    assert_eq!(after(b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0").0, CloseCode::Size);
    let mut socket = connect(&server);
    assert_eq!(ask(&mut socket, &"x".repeat(1000)).len(), 1000 + "Upper-cased: ''".len());
    socket.send(Message::text("x".repeat(1001))).unwrap();
    assert_eq!(closing(&mut socket).0, CloseCode::Size);
    // The words arrive though most of the message is never looked at.
    let mut socket = connect(&server);
    socket.send(Message::text("x".repeat(500_000))).unwrap();
    assert_eq!(closing(&mut socket).0, CloseCode::Size);
    let mut pieces = vec![0x01, 0x80 | 126, 0x02, 0x58, 0, 0, 0, 0];
    pieces.extend([b'x'; 600]);
    let second = [&[0x00], &pieces[1..]].concat();
    assert_eq!(after(&[pieces, second].concat()).0, CloseCode::Size);
    assert_eq!(ask(&mut connect(&server), "still there"), "Upper-cased: 'STILL THERE'");
    let Ended { code, err, .. } = server.interrupt();
    assert!(code == Some(0) && !err.contains("panicked"), "{err}");
    // There was a client that left without a word.
    let complaints = err.lines().filter(|line| !line.contains("without closing handshake"));
    assert_eq!(complaints.count(), 8, "a word about each but for the one of bytes: {err}");
}

#[test]
fn who_asks_for_something_else_gets_an_answer_in_http() {
    let server = Running::start("websocket", &[]);
    for request in ["GET / HTTP/1.1\r\nHost: here\r\n\r\n", "what is this?\r\n\r\n", "\0\u{1}\u{2}\r\n\r\n"] {
        let mut stream = dial(&server);
        stream.write_all(request.as_bytes()).unwrap();
        let answer = rest_of(stream);
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{request:?}: {answer}");
        assert!(answer.contains("This is a server for WebSockets."), "{answer}");
    }
    let mut endless = dial(&server);
    // It is refused before all of it is sent.
    let _ = endless.write_all(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(1 << 20)).as_bytes());
    assert!(!rest_of(endless).contains("101"), "no end of the request, no connection");
    assert_eq!(ask(&mut connect(&server), "x"), "Upper-cased: 'X'");
}

#[test]
fn the_slow_the_silent_and_the_lost_are_sent_away_and_hold_up_nobody() {
    let server = Running::start("websocket", &["--idle-timeout", "0.3"]);
    let mut half = dial(&server);
    half.write_all(b"GET / HTTP/1.1\r\nHost:").unwrap();
    let mut silent = connect(&server);
    let mut slow = connect(&server);
    let lost = connect(&server);
    socket2::SockRef::from(lost.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(lost);
    let mut gone = connect(&server);
    gone.get_mut().shutdown(Shutdown::Both).unwrap();
    // Never silent for long, but its message of a thousand bytes never ends. This client takes its time.
    slow.get_mut().write_all(&[0x81, 0x80 | 126, 0x03, 0xe8, 0, 0, 0, 0]).unwrap();
    let is_cut_off = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(ask(&mut connect(&server), "x"), "Upper-cased: 'X'");
        slow.get_mut().write_all(b"x").is_err()
    });
    assert!(is_cut_off);
    assert_eq!(closing(&mut silent), (CloseCode::Away, "nothing was said for too long".to_string()));
    assert_eq!(rest_of(half), "");
    let Ended { code, err, .. } = server.interrupt();
    assert_eq!(code, Some(0), "{err}");
    let count = |what| err.matches(what).count();
    assert!(count("nothing was said for too long") >= 3 && count("without closing handshake") >= 1, "{err}");
}

#[test]
fn who_does_not_read_holds_up_nobody_and_is_cut_off() {
    let server = Running::start("websocket", &["--idle-timeout", "0.5"]);
    let mut deaf = welcomed(dial_with_little_room(&server));
    deaf.get_mut().set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let line = "x".repeat(60_000);
    let mut polite = connect(&server);
    let full = (0..1000).find(|_| {
        assert_eq!(ask(&mut polite, "x"), "Upper-cased: 'X'");
        deaf.send(Message::text(&line)).is_err()
    });
    assert!(full.is_some(), "the server reads no more of what it cannot answer");
    // It goes on being asked until the other one is gone.
    let is_gone = becomes_true(LONG, || {
        assert_eq!(ask(&mut polite, "y"), "Upper-cased: 'Y'");
        deaf.get_mut().write_all(&[0]).is_err_and(|error| error.kind() != ErrorKind::WouldBlock)
    });
    assert!(is_gone);
    let Ended { code, err, .. } = server.interrupt();
    assert!(code == Some(0) && err.contains("not done within 500ms"), "{err}");
}

#[test]
fn who_reads_for_longer_than_one_may_be_silent_can_speak_again() {
    let server = Running::start("websocket", &["--idle-timeout", "0.5"]);
    let mut slow = welcomed(dial_with_little_room(&server));
    // Nine times as many bytes come back, more than is under way unread.
    slow.send(Message::text("\u{390}".repeat(32_000))).unwrap();
    let stream = slow.get_mut();
    let mut head = [0; 10];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[..2], [0x81, 127], "a long message");
    let mut rest = vec![0; u64::from_be_bytes(head[2..].try_into().unwrap()) as usize];
    for piece in rest.chunks_mut(20_000) {
        // This client takes its time.
        std::thread::sleep(Duration::from_millis(40));
        stream.read_exact(piece).unwrap();
    }
    assert_eq!(ask(&mut slow, "x"), "Upper-cased: 'X'");
}

#[test]
fn five_hundred_talk_at_once_with_one_thread() {
    let server = Running::start("websocket", &[]);
    let mut clients: Vec<_> = (0..500).map(|_| connect(&server)).collect();
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    assert!(status.contains("\nThreads:\t1\n"), "{status}");
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(Message::text(format!("client {number}, {round}"))).unwrap();
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(hear(client), format!("Upper-cased: 'CLIENT {number}, {round}'"));
        }
    }
    // All of them are said goodbye to at once, and all answer.
    let interrupted = std::thread::spawn(move || server.interrupt());
    for client in &mut clients {
        assert_eq!(closing(client), (CloseCode::Away, "the server is going away".to_string()));
    }
    assert_eq!(interrupted.join().unwrap(), well("500 connections served, 0 cut off at the end\n"));
}

#[test]
fn at_the_end_nobody_is_waited_for_very_long() {
    let server = Running::start("websocket", &[]);
    // Accepted first, so it is there.
    let half = dial(&server);
    let (mut polite, mut mute) = (connect(&server), connect(&server));
    let interrupted = std::thread::spawn(move || server.interrupt());
    assert_eq!(closing(&mut polite).0, CloseCode::Away);
    // This one hears the words, and does not answer.
    let mut frame = [0; 2];
    mute.get_mut().read_exact(&mut frame).unwrap();
    assert_eq!(frame[0], 0x88, "a closing frame");
    assert!(rest_of(mute.into_inner()).ends_with("the server is going away"));
    assert_eq!(rest_of(half), "");
    let Ended { code, out, err } = interrupted.join().unwrap();
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, "3 connections served, 0 cut off at the end\n");
}
