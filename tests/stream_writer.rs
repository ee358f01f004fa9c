//! Writing that does not wait: marks, errors, closing, giving up. To replay one: `cargo test --test stream_writer
//! <name>`.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::AsyncReadExt;
use futures::io::AsyncWrite;
use greenroom::io::{Hostile, StreamReader, StreamWriter, duplex};
use greenroom::net::{TcpListener, TcpStream};
use greenroom::{BlockOnError, Order, Rng, Runtime, WaitReason, spawn_named, tasks, yield_now};

fn virtual_runtime() -> Runtime {
    Runtime::builder().virtual_clock(true).build().unwrap()
}

/// Lets everyone run.
async fn settle() {
    for _ in 0..5 {
        yield_now().await;
    }
}

/// Whether `future` is ready at its first poll; then it is dropped.
async fn is_ready<F: Future>(future: F) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

#[test]
fn what_is_written_leaves_by_itself_and_in_order() {
    for seed in 0..300 {
        let runtime = Runtime::builder().virtual_clock(true).order(Order::Shuffled(seed)).build().unwrap();
        runtime.block_on(async {
            let mut rng = Rng::new(seed);
            let (near, far) = duplex(1 + rng.below(30));
            let writer = StreamWriter::new(Hostile::new(near, seed)).water_marks(10, 40);
            let said: Vec<u8> = (0..rng.below(400)).map(|_| rng.below(256) as u8).collect();
            let mut reader = StreamReader::new(far);
            let hear = spawn_named("hear", async move { reader.read_to_end(1000).await.unwrap() });
            let mut rest = &said[..];
            while !rest.is_empty() {
                let (part, after) = rest.split_at((1 + rng.below(50)).min(rest.len()));
                writer.write(part);
                rest = after;
                match rng.below(3) {
                    0 => writer.drain().await.unwrap(),
                    // A drain that is dropped while it waits loses nothing.
                    1 => drop(is_ready(writer.drain()).await),
                    _ => {}
                }
            }
            match seed % 2 {
                0 => writer.wait_closed().await.unwrap(),
                _ => drop(writer),
            }
            assert_eq!(hear.await.unwrap(), said, "seed {seed}");
        });
    }
}

#[test]
fn drain_waits_above_the_high_mark_until_the_low_one() {
    virtual_runtime().block_on(async {
        let (near, mut far) = duplex(10);
        let writer = StreamWriter::new(near).water_marks(20, 50);
        writer.write(&[0; 60]);
        assert_eq!(writer.unsent(), 60, "it was queued only");
        settle().await;
        assert_eq!(writer.unsent(), 50);
        assert!(!is_ready(writer.drain()).await, "it was above the mark and is not yet low enough");
        let mut seen = Vec::new();
        for _ in 0..5 {
            assert_eq!(far.read(&mut [0; 10]).await.unwrap(), 10);
            settle().await;
            seen.push((writer.unsent(), is_ready(writer.drain()).await));
        }
        assert_eq!(seen, [(40, false), (30, false), (20, true), (10, true), (0, true)]);
        writer.write(&[0; 50]);
        assert!(is_ready(writer.drain()).await, "at the mark is not above it");
        writer.write(&[0; 1]);
        assert!(!is_ready(writer.drain()).await);
    });
}

#[test]
fn a_drain_that_waits_is_woken_and_says_what_it_waits_for() {
    let runtime = virtual_runtime();
    let (near, mut far) = duplex(10);
    let reasons = runtime.block_on(async {
        let drained = spawn_named("drains", async move {
            let writer = StreamWriter::new(near).water_marks(0, 0);
            writer.write(&[7; 25]);
            writer.drain().await.unwrap();
            writer.wait_closed().await.unwrap();
        });
        settle().await;
        let seen: Vec<_> = tasks().into_iter().map(|task| (task.name.unwrap(), task.reason)).collect();
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [7; 25]);
        drained.await.unwrap();
        seen
    });
    let expected = [("drains", WaitReason::Pipe), ("stream writer", WaitReason::Pipe)];
    for (name, reason) in expected {
        assert!(reasons.contains(&(name.to_string(), reason)), "{reasons:?}");
    }
}

#[test]
fn a_writer_that_nobody_reads_from_is_a_stall() {
    let runtime = virtual_runtime();
    let (near, _far) = duplex(10);
    let result = runtime.try_block_on(async {
        let writer = StreamWriter::new(near);
        writer.write(&[0; 11]);
        writer.wait_closed().await
    });
    let Err(BlockOnError::Stalled(report)) = result else { panic!("not stalled: {result:?}") };
    let carrier = report.tasks.iter().find(|task| task.name.as_deref() == Some("stream writer")).unwrap();
    let main = report.tasks.iter().find(|task| task.name.as_deref() == Some("main")).unwrap();
    assert_eq!((carrier.reason, main.reason), (WaitReason::Pipe, WaitReason::Join(carrier.id)));
}

#[test]
fn an_error_is_told_by_every_later_call_and_the_rest_is_dropped() {
    virtual_runtime().block_on(async {
        let (near, far) = duplex(10);
        let writer = StreamWriter::new(near).water_marks(5, 5);
        writer.write(&[0; 1000]);
        let gone = spawn_named("leaves", async move { drop(far) });
        for _ in 0..2 {
            let error = writer.drain().await.unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::BrokenPipe, "the other end is gone")
            );
        }
        writer.write(b"nobody hears this");
        assert_eq!(writer.wait_closed().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(writer.wait_closed().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        gone.await.unwrap();
    });
}

/// Tells what is done to it.
struct Told(Rc<RefCell<Vec<String>>>);

impl Told {
    fn tell(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }
}

impl AsyncWrite for Told {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        assert!(bytes != b"panic", "a stream that panics");
        self.tell(format!("write {}", bytes.len()));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tell("flush");
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tell("close");
        Poll::Ready(Ok(()))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.tell("drop");
    }
}

#[test]
fn a_stream_is_flushed_when_all_is_sent_and_closed_once() {
    virtual_runtime().block_on(async {
        let story = Rc::new(RefCell::new(Vec::new()));
        let writer = StreamWriter::new(Told(story.clone()));
        writer.write(b"");
        settle().await;
        assert!(story.borrow().is_empty(), "nothing was written: {story:?}");
        writer.write(b"abc");
        writer.write(b"def");
        settle().await;
        writer.write(b"ghi");
        writer.close();
        writer.write(b"too late");
        assert_eq!(writer.drain().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        writer.wait_closed().await.unwrap();
        writer.wait_closed().await.unwrap();
        let expected = ["write 6", "flush", "write 3", "flush", "close", "drop"];
        assert_eq!(*story.borrow(), expected);
    });
}

#[test]
fn giving_up_drops_the_stream_with_what_is_unsent() {
    virtual_runtime().block_on(async {
        let (near, mut far) = duplex(10);
        let writer = StreamWriter::new(near);
        writer.write(&[0; 1000]);
        settle().await;
        writer.abort();
        settle().await;
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard.len(), 10, "what the stream had taken is there, and nothing else");
    });
}

#[test]
fn a_stream_that_panics_is_an_error_of_the_writer() {
    virtual_runtime().block_on(async {
        let story = Rc::new(RefCell::new(Vec::new()));
        let writer = StreamWriter::new(Told(story.clone()));
        writer.write(b"panic");
        let error = writer.wait_closed().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
        assert_eq!(*story.borrow(), ["drop"]);
    });
}

#[test]
fn a_writer_outlives_its_loop() {
    let (near, _far) = duplex(1);
    let runtime = virtual_runtime();
    let writer = runtime.enter(|| StreamWriter::new(near));
    writer.write(b"never sent");
    drop(runtime);
    let other = virtual_runtime();
    assert_eq!(other.block_on(writer.drain()).unwrap_err().kind(), ErrorKind::ConnectionAborted);
    writer.close();
    drop(writer);
}

#[test]
fn half_of_a_socket_is_written_while_the_other_is_read() {
    Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let echo = spawn_named("echo", async move {
            let (mut from, mut to) = server.split();
            greenroom::io::copy(&mut from, &mut to).await.unwrap()
        });
        let (from, to) = client.into_split();
        let (mut reader, writer) = (StreamReader::new(from), StreamWriter::new(to));
        let message: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
        // The echo would be stuck if writing waited for it to be read.
        writer.write(&message);
        assert_eq!(reader.read_exactly(message.len()).await.unwrap(), message);
        writer.wait_closed().await.unwrap();
        assert_eq!(reader.read_to_end(0).await.unwrap(), b"", "closing the writer was passed on");
        assert_eq!(echo.await.unwrap(), 1_000_000);
    });
}
