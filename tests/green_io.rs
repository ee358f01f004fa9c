//! `std::io` over our streams, on green threads: what code that was written for blocking streams may expect of them,
//! how waits end early, and where there is no waiting. To replay one: `cargo test --test green_io <name>`.

#[path = "support/io/child.rs"]
mod child;
#[path = "support/green/listeners.rs"]
mod listeners;
#[path = "support/green/no_waiting.rs"]
mod no_waiting;
#[path = "support/green/time_limits.rs"]
mod time_limits;

use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, IoSlice, LineWriter, Read, Write};
use std::net::Shutdown;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use futures::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use greenroom::green::{self, StdIo};
use greenroom::io::{Hostile, StreamReader, duplex, stdin};
use greenroom::net::{TcpListener, TcpStream, UnixStream};
use greenroom::process::Command;
use greenroom::{Runtime, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test on a green thread; it must not hang.
fn run<T: 'static>(test: impl FnOnce() -> T + 'static) -> T {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { timeout(20 * SECOND, green::future(test)).await.expect("nothing got stuck") })
}

/// The same where time jumps to what is waited for.
fn run_virtual<T: 'static>(test: impl FnOnce() -> T + 'static) -> T {
    Runtime::builder().virtual_clock(true).build().unwrap().block_on(green::future(test))
}

/// Both ends of a TCP connection.
fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = green::wait(TcpListener::bind("127.0.0.1:0")).unwrap();
    let near = green::wait(TcpStream::connect(listener.local_addr().unwrap())).unwrap();
    (near, green::wait(listener.accept()).unwrap().0)
}

/// So many bytes that do not repeat soon.
fn noise(count: u32) -> Vec<u8> {
    (0..count).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Sends much, closes its direction, and hears that it came; in small and in large pieces.
fn much_there_and_back<S: AsyncRead + AsyncWrite + Unpin + 'static>((near, far): (S, S)) {
    let answer = green::spawn(move || {
        let mut far = StdIo::new(far);
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).unwrap();
        assert_eq!(far.read(&mut [0; 9]).unwrap(), 0, "the end stays the end");
        heard.reverse();
        io::copy(&mut &heard[..], &mut far).unwrap();
    });
    let sent = noise(300_000);
    let mut near = StdIo::new(near);
    let mut writer = BufWriter::with_capacity(777, &mut near);
    for piece in sent.chunks(100) {
        writer.write_all(piece).unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    near.write_all(&sent).unwrap();
    green::wait(near.get_mut().close()).unwrap();
    let mut heard = Vec::new();
    io::copy(&mut BufReader::new(near), &mut heard).unwrap();
    heard.reverse();
    assert!(heard == [&sent[..], &sent[..]].concat());
    green::join(answer).unwrap();
}

#[test]
fn much_comes_through_every_stream_whole_and_in_order() {
    run(|| much_there_and_back(tcp_pair()));
    run(|| much_there_and_back(UnixStream::pair().unwrap()));
    run(|| much_there_and_back(duplex(1000)));
    run(|| {
        let (near, far) = duplex(1000);
        much_there_and_back((Hostile::new(near, 1), Hostile::new(far, 2)));
    });
}

/// Lines go one way, and come back numbered.
fn lines_there_and_back(
    reader: impl BufRead + 'static,
    writer: impl Write,
    far: impl BufRead + Write + 'static,
) {
    let answer = green::spawn(move || {
        let (mut far, mut line, mut count) = (far, String::new(), 0);
        while far.read_line(&mut line).unwrap() > 0 {
            count += 1;
            writeln!(far, "{count} {}", line.trim_end()).unwrap();
            line.clear();
        }
        drop(far);
        count
    });
    let mut writer = LineWriter::new(writer);
    let mut lines = reader.lines();
    for at in 1..=300 {
        writeln!(writer, "line {at}").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), format!("{at} line {at}"));
    }
    write!(writer, "no end").unwrap();
    drop(writer);
    assert_eq!(lines.next().unwrap().unwrap(), "301 no end");
    assert!(lines.next().is_none());
    assert_eq!(green::join(answer).unwrap(), 301);
}

/// Reads by way of one, writes past it.
struct BothWays<R: AsyncRead + Unpin>(StdIo<StreamReader<R>>);

impl<R: AsyncRead + Unpin> Read for BothWays<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: AsyncRead + Unpin> BufRead for BothWays<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

impl<R: AsyncRead + AsyncWrite + Unpin> Write for BothWays<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        StdIo::new(self.0.get_mut().get_mut()).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        StdIo::new(self.0.get_mut().get_mut()).flush()
    }
}

#[test]
fn lines_come_as_they_are_written_whoever_has_the_buffer() {
    run(|| {
        let (near, far) = tcp_pair();
        near.set_nodelay(true).unwrap();
        far.set_nodelay(true).unwrap();
        let (reader, writer) = near.into_split();
        lines_there_and_back(
            StdIo::new(StreamReader::new(reader)),
            StdIo::new(writer),
            BothWays(StdIo::new(StreamReader::new(far))),
        );
    });
    run(|| {
        let (near, far) = UnixStream::pair().unwrap();
        let (reader, writer) = near.into_split();
        let far = BothWays(StdIo::new(StreamReader::new(Hostile::new(far, 3))));
        lines_there_and_back(BufReader::new(StdIo::new(reader)), StdIo::new(writer), far);
    });
}

#[test]
fn at_its_end_a_buffer_is_empty_for_ever() {
    run(|| {
        let (near, far) = duplex(64);
        drop(near);
        // This one reads again each time that it is asked; more often than a green thread may in one go.
        let mut far = StdIo::new(futures::io::BufReader::new(far));
        for _ in 0..2000 {
            assert_eq!(far.read(&mut [0]).unwrap(), 0);
            assert_eq!(far.fill_buf().unwrap(), b"");
        }
    });
}

#[test]
fn what_is_left_in_a_buffer_is_read_in_any_way() {
    run(|| {
        let (near, far) = duplex(64);
        StdIo::new(near).write_all(b"one\ntwo\nthree\nfour").unwrap();
        let mut far = StdIo::new(StreamReader::new(far));
        let mut line = String::new();
        far.read_line(&mut line).unwrap();
        far.read_line(&mut line).unwrap();
        far.read_exact(&mut [0; 2]).unwrap();
        far.read_line(&mut line).unwrap();
        assert_eq!(line, "one\ntwo\nree\n");
        assert_eq!(far.get_ref().held(), b"four");
        far.consume(100);
        assert_eq!(far.fill_buf().unwrap(), b"");
    });
}

#[test]
fn two_green_threads_read_and_write_one_stream_at_once() {
    run(|| {
        let (near, far) = tcp_pair();
        let (near, far) = (Rc::new(near), Rc::new(far));
        let echo = green::spawn(move || {
            io::copy(&mut StdIo::new(&*far), &mut StdIo::new(&*far)).unwrap();
            far.shutdown(Shutdown::Write).unwrap();
        });
        let stream = near.clone();
        let sent = noise(2_000_000);
        let writer = green::spawn(move || {
            StdIo::new(&*stream).write_all(&noise(2_000_000)).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let mut heard = Vec::new();
        StdIo::new(&*near).read_to_end(&mut heard).unwrap();
        assert!(heard == sent);
        green::join_all([echo, writer]).into_iter().for_each(Result::unwrap);
    });
}

#[test]
fn a_reset_and_a_broken_pipe_are_the_errors_that_std_has() {
    run(|| {
        let (near, far) = tcp_pair();
        far.set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        let mut near = StdIo::new(near);
        assert_eq!(near.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(near.read(&mut [0; 9]).unwrap(), 0);
        let mut far = StdIo::new(Hostile::new(duplex(9).0, 5).reset_within(3));
        let error = far.write_all(b"more than that").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let (near, far) = tcp_pair();
        StdIo::new(near).write_all(b"half").unwrap();
        let error = StdIo::new(far).read_exact(&mut [0; 9]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn several_buffers_go_out_and_come_in_with_one_call() {
    run(|| {
        let (near, far) = tcp_pair();
        let (mut near, mut far) = (StdIo::new(near), StdIo::new(far));
        let count =
            near.write_vectored(&[IoSlice::new(b"hello"), IoSlice::new(b", "), IoSlice::new(b"world")]);
        assert_eq!(count.unwrap(), 12);
        let (mut one, mut two) = ([0; 5], [0; 9]);
        let mut slices = [io::IoSliceMut::new(&mut one), io::IoSliceMut::new(&mut two)];
        assert_eq!(far.read_vectored(&mut slices).unwrap(), 12);
        assert_eq!((&one, &two[..7]), (b"hello", &b", world"[..]));
    });
}

#[test]
fn processes_are_talked_to_through_their_pipes() {
    run(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut to = StdIo::new(child.stdin.take().unwrap());
        let from = StdIo::new(child.stdout.take().unwrap());
        let sent = noise(200_000);
        let writer = green::spawn(move || to.write_all(&noise(200_000)).unwrap());
        let mut heard = Vec::new();
        BufReader::new(from).read_to_end(&mut heard).unwrap();
        assert!(heard == sent);
        green::join(writer).unwrap();
        assert!(green::wait(child.wait()).unwrap().success());
    });
}

#[test]
fn standard_input_is_read_to_its_end() {
    // Of a child, which has none.
    child::in_child("standard_input_is_read_to_its_end", || {
        run(|| assert_eq!(StdIo::new(StreamReader::new(stdin().unwrap())).lines().count(), 0));
    });
}

#[test]
fn a_thousand_blocking_conversations_share_one_thread() {
    run(|| {
        let talks = (0..1000).map(|number| {
            let (near, far) = tcp_pair();
            let echo = green::spawn(move || {
                io::copy(&mut StdIo::new(&far), &mut StdIo::new(&far)).unwrap();
            });
            let talk = green::spawn(move || {
                let mut answers = BufReader::new(StdIo::new(&near)).lines();
                for line in 0..3 {
                    writeln!(StdIo::new(&near), "{number} says {line}").unwrap();
                    assert_eq!(answers.next().unwrap().unwrap(), format!("{number} says {line}"));
                }
                near.shutdown(Shutdown::Write).unwrap();
                assert!(answers.next().is_none());
            });
            [talk, echo]
        });
        let talks: Vec<_> = talks.collect();
        green::join_all(talks.into_iter().flatten()).into_iter().for_each(Result::unwrap);
    });
}
