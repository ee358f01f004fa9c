//! `echo`: bytes come back, to each client its own.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::running::{Ended, LONG, Running, run, well};

#[test]
fn what_is_sent_comes_back_to_the_end() {
    let server = Running::start("echo", &[]);
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    };
    let (mut one, mut other) = (connect(), connect());
    let text = "x".repeat(10_000);
    one.write_all(text.as_bytes()).unwrap();
    one.shutdown(Shutdown::Write).unwrap();
    other.write_all(b"hello\n").unwrap();
    other.read_exact(&mut [0; 6]).unwrap();
    let mut heard = String::new();
    one.read_to_string(&mut heard).unwrap();
    assert!(heard == text);
    let Ended { code, err, .. } = run("echo", &["--port", &server.port.to_string()]);
    assert!(code == Some(1) && err.contains("choose another --port"), "{err}");
    drop(other);
    assert_eq!(server.interrupt(), well("2 connections served, 0 cut off at the end\n"));
}
