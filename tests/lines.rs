//! The line reader over streams that give their bytes in any pieces, against a simple reference.
//! A failure of the random test prints its seed; put that in place of the loop's to replay it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::io::AsyncRead;
use futures::{FutureExt, StreamExt};
use greenroom::io::{LineReader, LineTooLong, Nonblocking, TooLong};
use greenroom::net::{TcpListener, TcpStream};
use greenroom::{Rng, Runtime, spawn};

/// What one poll of a [`Script`] does.
#[derive(Clone, Debug)]
enum Step {
    /// Gives these bytes.
    Bytes(Vec<u8>),
    /// Is not ready yet.
    Wait,
    /// Fails, this once.
    Fail,
}

/// A stream that does what it was told, one step a poll, and then is at its end.
struct Script {
    /// What is still to come.
    steps: VecDeque<Step>,
    /// How many polls came after the end.
    polled_at_end: usize,
}

impl Script {
    fn new(steps: impl IntoIterator<Item = Step>) -> Script {
        Script { steps: steps.into_iter().collect(), polled_at_end: 0 }
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.steps.pop_front() {
            None => {
                self.polled_at_end += 1;
                Poll::Ready(Ok(0))
            }
            Some(Step::Fail) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Step::Wait) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Bytes(mut bytes)) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                if count < bytes.len() {
                    let rest = bytes.split_off(count);
                    self.steps.push_front(Step::Bytes(rest));
                }
                Poll::Ready(Ok(count))
            }
        }
    }
}

/// A line, or that one was too long.
type Line = Result<Vec<u8>, LineTooLong>;

/// What one call of `next_line` gave, with the too long ones as such.
fn line_of(result: io::Result<Vec<u8>>) -> Line {
    result.map_err(|error| {
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        *error.get_ref().unwrap().downcast_ref::<LineTooLong>().unwrap()
    })
}

/// All lines of `steps`; a call of `next_line` that has to wait is dropped and made again.
fn read_all(steps: impl IntoIterator<Item = Step>, limit: usize, too_long: TooLong) -> Vec<Line> {
    let mut reader = LineReader::new(Script::new(steps), limit).too_long(too_long);
    let mut lines = Vec::new();
    loop {
        match reader.next_line().now_or_never() {
            None => {}
            Some(Ok(None)) => break,
            Some(result) => lines.push(line_of(result.map(Option::unwrap))),
        }
    }
    assert!(reader.next_line().now_or_never().unwrap().unwrap().is_none(), "the end stays the end");
    let good = lines.iter().filter(|line| line.is_ok()).count();
    assert_eq!(reader.lines(), good as u64);
    assert!(reader.get_mut().polled_at_end <= 1, "a stream that has ended is left alone");
    lines
}

/// The same rules, written down as simply as can be, for input that is all there.
fn reference(input: &[u8], limit: usize, too_long: TooLong) -> Vec<Line> {
    let mut lines = vec![Vec::new()];
    let mut rest = input;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\r' | b'\n' => {
                if byte == b'\r' && rest.first() == Some(&b'\n') {
                    rest = &rest[1..];
                }
                lines.push(Vec::new());
            }
            _ => lines.last_mut().unwrap().push(byte),
        }
    }
    if lines.last().unwrap().is_empty() {
        lines.pop();
    }
    let check = |line: Vec<u8>| if line.len() <= limit { Ok(line) } else { Err(LineTooLong { limit }) };
    let mut lines: Vec<Line> = lines.into_iter().map(check).collect();
    if let (TooLong::Close, Some(first)) = (too_long, lines.iter().position(Result::is_err)) {
        lines.truncate(first + 1);
    }
    lines
}

/// Inputs with every kind of line end in every kind of neighbourhood.
const INPUTS: [&[u8]; 6] = [
    b"alpha\nbeta\rgamma\r\ndelta",
    b"\r\n\r\n\n\r\r\r\n",
    b"a\n\rb\r\r\nc\x0b\x0c\x1c\xc2\x85\xe2\x80\xa8\x00\xff\r\n",
    b"exactly8\nnine byte\nshort\rexactly8\r\nmore than nine bytes",
    b"no end at all",
    b"",
];

#[test]
fn every_split_at_every_byte_gives_the_same_lines() {
    for input in INPUTS {
        for (limit, too_long) in [(99, TooLong::Error), (8, TooLong::Error), (8, TooLong::Close)] {
            let expected = reference(input, limit, too_long);
            for first in 0..=input.len() {
                for second in first..=input.len() {
                    let pieces = [&input[..first], &input[first..second], &input[second..]];
                    let mut steps = Vec::new();
                    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
                        steps.extend([Step::Bytes(piece.to_vec()), Step::Wait]);
                    }
                    let lines = read_all(steps, limit, too_long);
                    assert_eq!(lines, expected, "{pieces:?}, at most {limit}");
                }
            }
            let one_by_one = input.iter().flat_map(|&byte| [Step::Wait, Step::Bytes(vec![byte])]);
            assert_eq!(read_all(one_by_one, limit, too_long), expected, "one byte at a time");
        }
    }
}

#[test]
fn random_pieces_of_random_text_agree_with_the_reference() {
    for seed in 0..800 {
        let mut rng = Rng::new(seed);
        let letters = b"abcdefgh\r\n\r\n";
        let input: Vec<u8> = (0..rng.below(200)).map(|_| letters[rng.below(letters.len())]).collect();
        let (limit, longest_piece) = (rng.below(12), 1 + rng.below(40));
        let too_long = if rng.below(2) == 0 { TooLong::Error } else { TooLong::Close };
        let (mut steps, mut rest) = (Vec::new(), &input[..]);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + rng.below(longest_piece)).min(rest.len()));
            steps.extend(vec![Step::Wait; rng.below(3)]);
            steps.push(Step::Bytes(piece.to_vec()));
            rest = after;
        }
        let lines = read_all(steps.clone(), limit, too_long);
        assert_eq!(lines, reference(&input, limit, too_long), "seed {seed}, limit {limit}, {steps:?}");
    }
}

#[test]
fn a_carriage_return_answers_at_once_and_its_line_feed_may_come_late() {
    let steps = [Step::Bytes(b"one\r".into()), Step::Wait, Step::Bytes(b"\ntwo\n".into())];
    let mut reader = LineReader::new(Script::new(steps), 9);
    assert_eq!(reader.next_line().now_or_never().unwrap().unwrap().unwrap(), b"one");
    assert_eq!((reader.lines(), reader.bytes()), (1, 4));
    assert!(reader.next_line().now_or_never().is_none());
    assert_eq!(reader.next_line().now_or_never().unwrap().unwrap().unwrap(), b"two");
    assert_eq!((reader.lines(), reader.bytes()), (2, 9));
}

#[test]
fn a_long_line_is_an_error_that_says_the_limit_and_by_default_the_end() {
    let steps = || [Step::Bytes(b"12345\nabc\n".into())];
    let mut reader = LineReader::new(Script::new(steps()), 4);
    let error = reader.next_line().now_or_never().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "a line is longer than 4 bytes");
    assert_eq!(read_all(steps(), 4, TooLong::default()), [Err(LineTooLong { limit: 4 })]);
    let going_on = [Err(LineTooLong { limit: 4 }), Ok(b"abc".to_vec())];
    assert_eq!(read_all(steps(), 4, TooLong::Error), going_on);
    // It is reported with its first byte above the limit, however much is still to come.
    let endless = std::iter::repeat_n(Step::Bytes(vec![b'x'; 10_000]), 100);
    assert_eq!(read_all(endless.clone(), 10_000, TooLong::Error), [Err(LineTooLong { limit: 10_000 })]);
    assert_eq!(read_all(endless, 1_000_000, TooLong::Error), [Ok(vec![b'x'; 1_000_000])]);
    assert_eq!(read_all([Step::Bytes(b"\n\n".into())], 0, TooLong::Close), [Ok(vec![]), Ok(vec![])]);
}

#[test]
fn an_error_of_the_stream_is_passed_on_and_loses_nothing() {
    let steps = [Step::Bytes(b"one\ntw".into()), Step::Fail, Step::Bytes(b"o\n".into())];
    let mut reader = LineReader::new(Script::new(steps), 9);
    assert_eq!(reader.next_line().now_or_never().unwrap().unwrap().unwrap(), b"one");
    let error = reader.next_line().now_or_never().unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(reader.next_line().now_or_never().unwrap().unwrap().unwrap(), b"two");
    assert_eq!(reader.next_line().now_or_never().unwrap().unwrap(), None);
}

#[test]
fn the_reader_is_a_stream_of_lines() {
    let steps = [Step::Bytes(b"a\nbbbbb\nc".into()), Step::Wait, Step::Bytes(b"d".into())];
    let reader = LineReader::new(Script::new(steps), 4).too_long(TooLong::Error);
    let lines: Vec<Line> = Runtime::new().unwrap().block_on(reader.map(line_of).collect());
    assert_eq!(lines, [Ok(b"a".to_vec()), Err(LineTooLong { limit: 4 }), Ok(b"cd".to_vec())]);
}

#[test]
fn lines_come_from_sockets_and_pipes_byte_by_byte() {
    Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let (from, to) = io::pipe().unwrap();
        let text: &[u8] = b"first\r\nsecond\rthird\n\nlast";
        let send = spawn(async move {
            let to = Nonblocking::new(to).unwrap();
            for byte in text {
                client.write_all(std::slice::from_ref(byte)).await.unwrap();
                to.write_with(|mut to| io::Write::write(&mut to, std::slice::from_ref(byte))).await.unwrap();
                greenroom::yield_now().await;
            }
        });
        let expected: Vec<Line> = reference(text, 99, TooLong::Close);
        let lines: Vec<Line> = LineReader::new(&server, 99).map(line_of).collect().await;
        assert_eq!(lines, expected);
        let from = Nonblocking::new(from).unwrap();
        assert_eq!(LineReader::new(from, 99).map(line_of).collect::<Vec<_>>().await, expected);
        send.await.unwrap();
    });
}
