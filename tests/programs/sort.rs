//! `sort_server` and `remote_sort`, which talk to each other and to strangers.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use greenroom::Rng;

use crate::running::{Ended, LONG, Running, command, ended, run, run_well};

/// A connection that does not wait for ever.
fn connect(server: &Running) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A request as it is sent.
fn request(json: &[u8]) -> Vec<u8> {
    [&(json.len() as u64).to_be_bytes(), json].concat()
}

/// All that comes, to the end.
fn hear(stream: &mut TcpStream) -> String {
    let mut heard = String::new();
    match stream.read_to_string(&mut heard) {
        Ok(_) => heard,
        // What was sent and not read resets the connection.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => heard,
        Err(error) => panic!("{error}, after {heard:?}"),
    }
}

/// What a server answers to a message.
fn answer(server: &Running, message: &[u8]) -> String {
    let mut stream = connect(server);
    stream.write_all(message).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    hear(&mut stream)
}

#[test]
fn lists_come_back_as_python_sorts_and_prints_them() {
    let server = Running::start("sort_server", &[]);
    // Each answer is what Python 3 gives: json.dumps(sorted(json.loads(request))).
    for (list, sorted) in [
        ("[]", "[]"),
        ("[3,1,  2]", "[1, 2, 3]"),
        ("[5, 1, 5, 1.0, 1, true, false, -0]", "[false, 0, 1, 1.0, 1, true, 5, 5]"),
        (
            "[18446744073709551616, 9223372036854775808, -1180591620717411303424, 1]",
            "[-1180591620717411303424, 1, 9223372036854775808, 18446744073709551616]",
        ),
        ("[2.5, 1, 10.25, -0.5, 2]", "[-0.5, 1, 2, 2.5, 10.25]"),
        (
            "[1e16, 1e15, 1E400, -1e400, 1e-5, 0.0001, 123456789012345680000, 1.5e300, 2e-7, -0.0, 100.0, 0.1]",
            "[-Infinity, -0.0, 2e-07, 1e-05, 0.0001, 0.1, 100.0, 1000000000000000.0, 1e+16, \
             123456789012345680000, 1.5e+300, Infinity]",
        ),
        // Two decimals are equally near to these floats: Python prints the one with the even last digit.
        ("[2103483288468093.25, -1911320149631812.25]", "[-1911320149631812.2, 2103483288468093.2]"),
        // A float of 2^53 against its neighbours, which are no floats; a float beyond 64 bits against whole numbers.
        (
            "[9007199254740993, 9007199254740992.0, 9007199254740991, 36893488147419103233, 3.6893488147419103232e19]",
            "[9007199254740991, 9007199254740992.0, 9007199254740993, 3.6893488147419103e+19, 36893488147419103233]",
        ),
        (
            "[-3, -2.5, -2, -36893488147419103233, -3.6893488147419103232e19]",
            "[-36893488147419103233, -3.6893488147419103e+19, -3, -2.5, -2]",
        ),
        (
            r#"["b", "a", "é", "Z", "", "\ud83d\ude00", "\"\\\/\b\f\n\r\t\u0001\u007f"]"#,
            r#"["", "\"\\/\b\f\n\r\t\u0001\u007f", "Z", "a", "b", "\u00e9", "\ud83d\ude00"]"#,
        ),
        ("[[2, 1], [1, \"a\"], [1], [], [2, 0.5]]", "[[], [1], [1, \"a\"], [2, 0.5], [2, 1]]"),
        ("[[null, 2], [null, 1.5]]", "[[null, 1.5], [null, 2]]"),
        (r#"[{"b": 1, "a": [true, null]}]"#, r#"[{"b": 1, "a": [true, null]}]"#),
        ("[null]", "[null]"),
    ] {
        assert_eq!(answer(&server, &request(list.as_bytes())), sorted, "{list}");
    }
}

#[test]
fn bad_requests_get_no_answer_and_stop_nobody() {
    let server = Running::start("sort_server", &["--max-bytes", "1000"]);
    let lists: [&[u8]; 10] = [
        b"hello",
        b"12",
        b"{}",
        b"\"text\"",
        b"[1, 2",
        b"[1, 2] x",
        b"[1, \"a\"]",
        b"[null, null]",
        b"[{}, {\"a\": 1}, {}]",
        b"[\"\xff\"]",
    ];
    for list in lists {
        assert_eq!(answer(&server, &request(list)), "", "{}", String::from_utf8_lossy(list));
    }
    let deep = [[b'['; 400], [b']'; 400]].concat();
    for message in [
        &b""[..],
        b"\0\0\0",
        b"\0\0\0\0\0\0\0\x64[1, 2",
        b"\xff\xff\xff\xff\xff\xff\xff\xffx",
        &request(&deep),
    ] {
        assert_eq!(answer(&server, message), "");
    }
    let one_too_many = format!("[{}]", " ".repeat(999));
    assert_eq!(answer(&server, &request(one_too_many.as_bytes())), "");
    let just_right = format!("[{}]", " ".repeat(998));
    assert_eq!(answer(&server, &request(just_right.as_bytes())), "[]");
    let Ended { code, err, .. } = server.interrupt();
    assert_eq!(code, Some(0));
    assert!(err.contains("the stream ended after 3 of 8 bytes"), "{err}");
    assert!(err.contains("a list that cannot be ordered: ") && err.contains("--max-bytes"), "{err}");
    assert!(!err.contains("panicked"), "{err}");
}

#[test]
fn a_request_may_come_in_any_pieces_while_others_are_served() {
    let server = Running::start("sort_server", &[]);
    let message = request(b"[3, 1, 2]");
    let (mut slow, mut half) = (connect(&server), connect(&server));
    half.write_all(&message[..12]).unwrap();
    for byte in &message {
        slow.write_all(std::slice::from_ref(byte)).unwrap();
        assert_eq!(answer(&server, &request(b"[2, 1]")), "[1, 2]");
    }
    assert_eq!(hear(&mut slow), "[1, 2, 3]");
    half.write_all(&message[12..]).unwrap();
    assert_eq!(hear(&mut half), "[1, 2, 3]");
}

#[test]
fn a_long_list_delays_nobody_else() {
    let server = Running::start("sort_server", &[]);
    let mut rng = Rng::new(1);
    let mut numbers: Vec<usize> = (0..300_000).map(|_| rng.below(1_000_000)).collect();
    let mut long = connect(&server);
    long.write_all(&request(format!("{numbers:?}").as_bytes())).unwrap();
    for _ in 0..3 {
        assert_eq!(answer(&server, &request(b"[2, 1]")), "[1, 2]");
    }
    long.set_nonblocking(true).unwrap();
    assert_eq!(long.peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "it is still being sorted");
    long.set_nonblocking(false).unwrap();
    numbers.sort();
    assert!(hear(&mut long) == format!("{numbers:?}"));
}

#[test]
fn many_are_served_at_once() {
    let server = Running::start("sort_server", &[]);
    let mut clients: Vec<_> = (0..50_u64).map(|seed| (seed, connect(&server))).collect();
    let list = |seed| {
        let mut rng = Rng::new(seed);
        (0..500).map(|_| rng.below(10_000)).collect::<Vec<_>>()
    };
    for (seed, stream) in &mut clients {
        stream.write_all(&request(format!("{:?}", list(*seed)).as_bytes())).unwrap();
    }
    for (seed, stream) in &mut clients {
        let mut sorted = list(*seed);
        sorted.sort();
        assert_eq!(hear(stream), format!("{sorted:?}"));
    }
}

#[test]
fn a_client_that_takes_too_long_is_sent_away() {
    let server = Running::start("sort_server", &["--timeout", "0.1"]);
    let mut silent = connect(&server);
    silent.write_all(b"\0\0").unwrap();
    assert_eq!(hear(&mut silent), "");
    let Ended { err, .. } = server.interrupt();
    assert!(err.contains("not done within 100ms"), "{err}");
}

/// The numbers that `remote_sort` printed, with everything around them checked.
fn printed_numbers(out: &str) -> Vec<usize> {
    let said =
        "Generating random list...\nList Generated, Sending data\nWaiting for data...\nReceived data\n[";
    let rest = out.strip_prefix(said).unwrap_or_else(|| panic!("{out}"));
    let list = rest.strip_suffix("]\n\n\n").unwrap_or_else(|| panic!("{out}"));
    list.split(", ").map(|number| number.parse().unwrap()).collect()
}

#[test]
fn the_client_has_its_numbers_sorted() {
    let server = Running::start("sort_server", &[]);
    let out = run_well("remote_sort", &["--port", &server.port.to_string()]);
    let numbers = printed_numbers(&out);
    assert_eq!(numbers.len(), 10_000);
    assert!(numbers.is_sorted() && numbers[0] < 100 && numbers[9999] > 9900 && numbers[9999] < 10_000);
    let Ended { out: again, .. } = run("remote_sort", &["--port", &server.port.to_string()]);
    assert!(again != out, "other numbers each time");
}

/// A server of another make: answers one request with what `answer` makes of its bytes.
fn stranger(answer: fn(Vec<u8>) -> Vec<u8>) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut length = [0; 8];
        stream.read_exact(&mut length).unwrap();
        let mut data = vec![0; u64::from_be_bytes(length) as usize];
        stream.read_exact(&mut data).unwrap();
        for byte in answer(data) {
            stream.write_all(&[byte]).unwrap();
        }
    };
    (port, thread::spawn(serve))
}

#[test]
fn the_client_works_with_other_servers_and_says_what_is_wrong_with_them() {
    let (port, served) = stranger(|data| {
        let mut numbers: Vec<u64> = serde_json::from_slice(&data).unwrap();
        assert_eq!(data, format!("{numbers:?}").into_bytes(), "as Python prints a list");
        numbers.sort();
        format!("{numbers:?}").into_bytes()
    });
    let Ended { code, out, .. } = run("remote_sort", &["--port", &port, "--count", "100"]);
    assert_eq!((code, printed_numbers(&out).len()), (Some(0), 100));
    served.join().unwrap();

    let (port, served) = stranger(|_| b"[1, 2".to_vec());
    let Ended { code, out, err } = run("remote_sort", &["--port", &port, "--count", "100"]);
    assert_eq!((code, out.lines().last()), (Some(1), Some("Waiting for data...")));
    assert!(err.contains("ended after 5 of ") && err.contains("is that a sort server?"), "{err}");
    served.join().unwrap();

    let (port, served) = stranger(|data| vec![b'x'; data.len()]);
    let Ended { code, err, .. } = run("remote_sort", &["--port", &port]);
    assert!(code == Some(1) && err.contains("no list of numbers"), "{err}");
    served.join().unwrap();

    let (port, served) = stranger(|data| data);
    let Ended { code, err, .. } = run("remote_sort", &["--port", &port]);
    assert!(code == Some(1) && err.contains("is not our list in order"), "{err}");
    served.join().unwrap();

    let Ended { code, err, .. } = run("remote_sort", &["--port", &port]);
    assert!(code == Some(1) && err.contains("is the server running there?"), "{err}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let Ended { code, err, .. } = run("remote_sort", &["--port", &port, "--timeout", "0.1"]);
    assert!(code == Some(1) && err.contains("is that a sort server?"), "{err}");
}

#[test]
fn an_output_that_is_closed_is_no_panic() {
    let server = Running::start("sort_server", &[]);
    let mut child = command("remote_sort", &["--port", &server.port.to_string()]).spawn().unwrap();
    drop(child.stdout.take());
    let Ended { code, err, .. } = ended(child);
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[test]
fn a_taken_port_is_said_with_the_remedy() {
    let server = Running::start("sort_server", &[]);
    let Ended { code, err, .. } = run("sort_server", &["--port", &server.port.to_string()]);
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
    assert!(err.contains("choose another --port"), "{err}");
}
