//! Reading messages from streams and copying streams: in any pieces, ended or broken anywhere, and dropped at every
//! await. A failure of a test with seeds prints its seed; put that in place of the loop's to replay it.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite, Cursor};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, join};
use greenroom::io::{
    BrokenCopy, Duplex, Hostile, IncompleteRead, LimitOverrun, StreamReader, copy, copy_bidirectional,
    duplex, write_all,
};
use greenroom::net::{TcpListener, TcpStream};
use greenroom::{Order, Rng, Runtime, spawn, yield_now};

fn virtual_runtime() -> Runtime {
    Runtime::builder().virtual_clock(true).build().unwrap()
}

/// Polls `future` once and drops it if it has to wait.
async fn at_most_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Makes the call that `$call` writes down again and again, dropped each time that it has to wait; gives its
/// result, and counts the drops.
macro_rules! dropped_at_each_wait {
    ($drops:ident, $call:expr) => {
        loop {
            match at_most_once($call).await {
                Some(result) => break result,
                None => $drops += 1,
            }
            yield_now().await;
        }
    };
}

/// A reader of exactly these bytes.
fn reader_of(bytes: &[u8]) -> StreamReader<Cursor<Vec<u8>>> {
    StreamReader::new(Cursor::new(bytes.to_vec()))
}

/// What an error has inside.
#[track_caller]
fn inside<E: std::error::Error + Send + Sync + 'static>(error: io::Error, kind: ErrorKind) -> E {
    assert_eq!(error.kind(), kind, "{error}");
    error.downcast::<E>().unwrap()
}

#[test]
fn so_many_bytes_are_read_or_the_error_has_those_that_came() {
    virtual_runtime().block_on(async {
        let mut reader = reader_of(b"0123456789");
        assert_eq!(reader.read_exactly(0).await.unwrap(), b"");
        assert_eq!(reader.read_exactly(4).await.unwrap(), b"0123");
        assert_eq!(reader.held(), b"456789");
        let error = reader.read_exactly(7).await.unwrap_err();
        assert_eq!(error.to_string(), "the stream ended after 6 of 7 bytes");
        let incomplete: IncompleteRead = inside(error, ErrorKind::UnexpectedEof);
        assert_eq!(incomplete, IncompleteRead { partial: b"456789".to_vec(), expected: Some(7) });
        assert_eq!(reader.read_exactly(0).await.unwrap(), b"");
        let error = reader.read_exactly(usize::MAX).await.unwrap_err();
        assert_eq!(inside::<IncompleteRead>(error, ErrorKind::UnexpectedEof).partial, b"");
    });
}

#[test]
fn a_delimiter_ends_a_read_and_stands_at_its_end() {
    virtual_runtime().block_on(async {
        let mut reader = reader_of(b"GET /\r\n\r\nbody\r\n\r");
        assert_eq!(reader.read_until(b"\r\n\r\n", 100).await.unwrap(), b"GET /\r\n\r\n");
        assert_eq!(reader.read_until(b"d", 2).await.unwrap(), b"bod", "so many bytes may stand before it");
        let error = reader.read_until(b"\r\n\r\n", 100).await.unwrap_err();
        assert_eq!(error.to_string(), "the stream ended after 4 bytes, without the delimiter");
        let incomplete: IncompleteRead = inside(error, ErrorKind::UnexpectedEof);
        assert_eq!(incomplete, IncompleteRead { partial: b"y\r\n\r".to_vec(), expected: None });
        let error = reader.read_until(b"\n", 100).await.unwrap_err();
        assert_eq!(inside::<IncompleteRead>(error, ErrorKind::UnexpectedEof).partial, b"");
        assert_eq!(reader.read_until(b"", 9).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_limit_is_kept_to_the_byte_and_loses_nothing() {
    virtual_runtime().block_on(async {
        let mut reader = reader_of(b"12345--rest");
        for limit in 0..5 {
            let error = reader.read_until(b"--", limit).await.unwrap_err();
            assert_eq!(error.to_string(), format!("more than {limit} bytes came, and still no end"));
            assert_eq!(inside::<LimitOverrun>(error, ErrorKind::InvalidData), LimitOverrun { limit });
        }
        assert_eq!(reader.read_until(b"--", 5).await.unwrap(), b"12345--");
        let error = reader.read_to_end(3).await.unwrap_err();
        assert_eq!(inside::<LimitOverrun>(error, ErrorKind::InvalidData), LimitOverrun { limit: 3 });
        assert_eq!(reader.read_to_end(4).await.unwrap(), b"rest");
        assert_eq!(reader.read_to_end(0).await.unwrap(), b"");
        // Endless input is refused as soon as it is above the limit.
        let mut endless = StreamReader::new(futures::io::repeat(b'x'));
        inside::<LimitOverrun>(endless.read_until(b"\n", 100_000).await.unwrap_err(), ErrorKind::InvalidData);
        assert!(endless.held().len() < 200_000);
        inside::<LimitOverrun>(endless.read_to_end(300_000).await.unwrap_err(), ErrorKind::InvalidData);
    });
}

#[test]
fn what_is_held_comes_first_in_a_plain_read_too() {
    virtual_runtime().block_on(async {
        let mut reader = reader_of(b"abcdef");
        assert_eq!(reader.read_exactly(2).await.unwrap(), b"ab");
        let mut buffer = [0; 3];
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(&buffer, b"cde");
        assert_eq!(reader.read(&mut []).await.unwrap(), 0);
        let (mut rest, held) = reader.into_parts();
        assert_eq!(held, b"f");
        assert_eq!(rest.read(&mut buffer).await.unwrap(), 0);
    });
}

/// Messages of the three kinds, as bytes and as what is to be read: by count (even) or up to a delimiter.
fn messages(rng: &mut Rng) -> Vec<Vec<u8>> {
    let message = |rng: &mut Rng, number: usize| {
        let mut bytes: Vec<u8> = (0..rng.below(60)).map(|_| b"ab-"[rng.below(3)]).collect();
        if number % 2 == 1 {
            // What looks like a delimiter is none before the end.
            while let Some(at) = bytes.windows(2).position(|pair| pair == b"--") {
                bytes[at] = b'a';
            }
            bytes.extend(if bytes.last() == Some(&b'-') { &b"-"[..] } else { b"--" });
        }
        bytes
    };
    (0..1 + rng.below(6)).map(|number| message(rng, number)).collect()
}

#[test]
fn no_byte_is_lost_by_a_read_that_was_dropped_at_any_await() {
    let mut drops = 0;
    for seed in 0..500 {
        let runtime = Runtime::builder().virtual_clock(true).order(Order::Shuffled(seed)).build().unwrap();
        runtime.block_on(async {
            let mut rng = Rng::new(seed);
            let messages = messages(&mut rng);
            let (mut near, far) = duplex(1 + rng.below(20));
            let (sent, tail) = (messages.concat(), b"tail");
            let send = spawn(async move {
                write_all(&mut near, &sent).await.unwrap();
                write_all(&mut near, tail).await.unwrap();
            });
            let mut reader = StreamReader::new(Hostile::new(far, seed));
            for (number, message) in messages.iter().enumerate() {
                let read = match number % 2 {
                    0 => dropped_at_each_wait!(drops, reader.read_exactly(message.len())),
                    _ => dropped_at_each_wait!(drops, reader.read_until(b"--", message.len() - 2)),
                };
                assert_eq!(read.unwrap(), *message, "seed {seed}, message {number}");
            }
            assert_eq!(dropped_at_each_wait!(drops, reader.read_to_end(99)).unwrap(), tail, "seed {seed}");
            send.await.unwrap();
        });
    }
    assert!(drops > 10_000, "only {drops} reads had to wait");
}

#[test]
fn a_reset_is_told_and_what_came_before_is_kept() {
    let mut resets = 0;
    for seed in 0..200 {
        virtual_runtime().block_on(async {
            let (mut near, far) = duplex(100);
            write_all(&mut near, b"0123456789").await.unwrap();
            let mut reader = StreamReader::new(Hostile::new(far, seed).reset_within(15));
            match reader.read_exactly(10).await {
                Ok(bytes) => assert_eq!(bytes, b"0123456789"),
                Err(error) => {
                    resets += 1;
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    assert!(b"0123456789".starts_with(reader.held()), "seed {seed}");
                }
            }
        });
    }
    assert!((100..190).contains(&resets), "{resets}");
}

/// Takes a byte at a time and counts its flushes.
#[derive(Default)]
struct Narrow {
    /// What was written.
    bytes: Vec<u8>,
    /// What was written when it was last flushed.
    flushed: usize,
    /// Whether it is closed.
    closed: bool,
}

impl AsyncWrite for Narrow {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.bytes.push(bytes[0]);
        Poll::Ready(Ok(1))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed = self.bytes.len();
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed = true;
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_copy_counts_flushes_and_does_not_close() {
    virtual_runtime().block_on(async {
        let (mut near, mut far) = duplex(1000);
        let mut to = Narrow::default();
        near.write_all(&[1; 700]).await.unwrap();
        {
            let mut copying = pin!(copy(&mut far, &mut to));
            for _ in 0..50 {
                assert!(at_most_once(copying.as_mut()).await.is_none());
                yield_now().await;
            }
            near.close().await.unwrap();
            assert_eq!(copying.await.unwrap(), 700);
        }
        assert_eq!((to.bytes.len(), to.flushed, to.closed), (700, 700, false));
        // While the reader has nothing, what was written is flushed.
        let (mut near, mut far) = duplex(1000);
        near.write_all(b"question").await.unwrap();
        let mut to = Narrow::default();
        assert!(at_most_once(copy(&mut far, &mut to)).await.is_none());
        assert_eq!(to.flushed, 8);
    });
}

#[test]
fn a_writer_that_takes_nothing_more_is_an_error() {
    virtual_runtime().block_on(async {
        let mut full = Cursor::new(vec![0; 3].into_boxed_slice());
        assert_eq!(write_all(&mut full, b"1234").await.unwrap_err().kind(), ErrorKind::WriteZero);
        let mut full = Cursor::new(vec![0; 3].into_boxed_slice());
        let error = copy(&mut Cursor::new(b"1234"), &mut full).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    });
}

#[test]
fn streams_that_are_always_ready_let_others_run() {
    virtual_runtime().block_on(async {
        let turns = std::rc::Rc::new(Cell::new(0));
        let (counted, mut sink) = (turns.clone(), futures::io::sink());
        let mut copying = spawn(async move { copy(&mut futures::io::repeat(0), &mut sink).await });
        let mut writing = spawn(async { write_all(&mut Narrow::default(), &[0; 100_000]).await });
        for _ in 0..100 {
            yield_now().await;
            counted.set(counted.get() + 1);
        }
        assert!(!copying.is_finished() && !writing.is_finished(), "they give way in between");
        copying.cancel().await;
        writing.cancel().await;
    });
}

/// A proxy between two pairs, and its result.
async fn proxied(
    client: impl AsyncFnOnce(Duplex),
    server: impl AsyncFnOnce(Duplex),
) -> io::Result<(u64, u64)> {
    let ((outer, mut one), (mut other, inner)) = (duplex(7), duplex(5));
    let proxy = async {
        let result = copy_bidirectional(&mut one, &mut other).await;
        drop((one, other));
        result
    };
    join!(proxy, client(outer), server(inner)).0
}

#[test]
fn a_proxy_passes_a_half_close_on_and_counts_both_ways() {
    virtual_runtime().block_on(async {
        let client = async |mut end: Duplex| {
            end.write_all(&[b'q'; 100]).await.unwrap();
            end.close().await.unwrap();
            let mut answer = Vec::new();
            end.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, [b'a'; 250]);
        };
        let server = async |mut end: Duplex| {
            let mut question = Vec::new();
            // The end of the question comes before any of the answer is sent.
            end.read_to_end(&mut question).await.unwrap();
            assert_eq!(question, [b'q'; 100]);
            end.write_all(&[b'a'; 250]).await.unwrap();
        };
        assert_eq!(proxied(client, server).await.unwrap(), (100, 250));
    });
}

#[test]
fn an_error_in_one_direction_ends_a_proxy_with_both_counts() {
    virtual_runtime().block_on(async {
        let client = async |mut end: Duplex| {
            // Until the server is gone.
            while end.write_all(b"more").await.is_ok() {}
        };
        let server = async |mut end: Duplex| {
            end.write_all(b"busy").await.unwrap();
            end.read_exact(&mut [0; 20]).await.unwrap();
        };
        let error = proxied(client, server).await.unwrap_err();
        let text = error.to_string();
        let broken: BrokenCopy = inside(error, ErrorKind::BrokenPipe);
        assert!((20..=30).contains(&broken.counts.0) && broken.counts.1 == 4, "{broken:?}");
        assert!(text.starts_with("the other end is gone (after 2"), "{text}");
        assert!(text.ends_with(" bytes there and 4 back)"), "{text}");
    });
}

#[test]
fn a_proxy_of_sockets_carries_a_megabyte_each_way() {
    Runtime::new().unwrap().block_on(async {
        let pair = async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            (near, listener.accept().await.unwrap().0)
        };
        let ((client, mut one), (mut other, server)) = (pair().await, pair().await);
        let proxy = spawn(async move { copy_bidirectional(&mut one, &mut other).await });
        let talk = async |stream: TcpStream, byte: u8| {
            let (from, mut to) = stream.into_split();
            let mut from = StreamReader::new(from);
            let said = vec![byte; 1 << 20];
            let say = async {
                to.write_all(&said).await.unwrap();
                to.close().await.unwrap();
            };
            join!(say, from.read_to_end(2 << 20)).1.unwrap()
        };
        let (to_client, to_server) = join!(talk(client, 1), talk(server, 2));
        assert!(to_client == vec![2; 1 << 20] && to_server == vec![1; 1 << 20]);
        assert_eq!(proxy.await.unwrap().unwrap(), (1 << 20, 1 << 20));
    });
}

/// A reader that must not be read any more.
struct Ended(bool);

impl AsyncRead for Ended {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        assert!(!std::mem::replace(&mut self.0, true), "read again after its end");
        Poll::Ready(Ok(0))
    }
}

#[test]
fn a_stream_that_has_ended_is_left_alone() {
    let mut reader = StreamReader::new(Ended(false));
    for _ in 0..3 {
        assert!(reader.read_exactly(1).now_or_never().unwrap().is_err());
        assert!(reader.read_until(b"x", 1).now_or_never().unwrap().is_err());
        assert_eq!(reader.read_to_end(1).now_or_never().unwrap().unwrap(), b"");
        assert_eq!(reader.read(&mut [0]).now_or_never().unwrap().unwrap(), 0);
    }
}
