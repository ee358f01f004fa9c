//! Chapter 7: what one `read` gives is one line.
//!
//! A server that believes so, over a real connection of this machine. Typed at a keyboard it works, since
//! a person's line usually travels alone; then a program talks to it. After each write the client waits
//! until the server has read, so that here each write is one read, every time; a network cuts as it likes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use greenroom::io::LineSplitter;

/// What the client writes, write by write, and what a person would say these are.
const TALKS: [(&str, &[&str]); 4] = [
    ("one line", &["hello\n"]),
    ("two lines in one write", &["hello\nworld\n"]),
    ("one line in two writes", &["hel", "lo\n"]),
    ("CR LF cut in the middle", &["hello\r", "\nworld\r\n"]),
];

/// Each read, trimmed at its end, is a line.
fn a_line_per_read(packets: &[Vec<u8>]) -> Vec<String> {
    packets.iter().map(|packet| String::from_utf8_lossy(packet).trim_end().to_string()).collect()
}

/// The lines by the rules of the library, whatever the packets.
fn lines_of_the_stream(packets: &[Vec<u8>]) -> Vec<String> {
    let mut splitter = LineSplitter::new(1024);
    let mut lines = Vec::new();
    for packet in packets {
        let mut rest = &packet[..];
        while let Ok(Some(line)) = splitter.next_line(&mut rest) {
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
    }
    lines.extend(splitter.finish().map(|line| String::from_utf8_lossy(&line).into_owned()));
    lines
}

/// Keeps what each read of the connection gives, and sends word after each.
fn read_packets(mut stream: TcpStream, word: impl Fn()) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return packets,
            Ok(count) => packets.push(buffer[..count].to_vec()),
        }
        word();
    }
}

/// Writes, and waits after each piece until it was read.
fn talk(mut stream: TcpStream, pieces: &[&str], was_read: &Receiver<()>) {
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece.as_bytes()).unwrap();
        was_read.recv().unwrap();
    }
}

/// Says each thing to the server.
pub fn run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (what, pieces) in TALKS {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let (word, was_read) = channel();
        let server = std::thread::spawn(move || read_packets(stream, || word.send(()).unwrap()));
        talk(client, pieces, &was_read);
        let packets = server.join().unwrap();
        println!("{what}: {pieces:?}");
        println!("  a line per read:           {:?}", a_line_per_read(&packets));
        println!("  what should have happened: {:?}", lines_of_the_stream(&packets));
    }
}
