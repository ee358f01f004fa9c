//! Any descriptor as something to await: pipes, socket pairs, eventfds; who waits, who gives up, and
//! whether every byte arrives. What a short read proves is in `support/io/short_reads.rs`. To replay
//! one: `cargo test --test io <name>`.

#[path = "support/io/short_reads.rs"]
mod short_reads;

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, join, poll};
use greenroom::io::Nonblocking;
use greenroom::net::{TcpListener, TcpStream};
use greenroom::{Runtime, WaitReason, spawn, tasks, timeout, yield_now};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test that must not hang.
fn run<F: Future>(test: F) -> F::Output {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { timeout(20 * SECOND, test).await.expect("nothing got stuck") })
}

/// Lets the loop look at the world several times.
async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

/// Both ends of a TCP connection.
async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    (near, far)
}

/// A pipe, both ends in the loop.
fn pipe() -> (Nonblocking<io::PipeReader>, Nonblocking<io::PipeWriter>) {
    let (from, to) = io::pipe().unwrap();
    (Nonblocking::new(from).unwrap(), Nonblocking::new(to).unwrap())
}

/// A megabyte that does not repeat soon.
fn megabyte() -> Vec<u8> {
    (0..1_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn a_megabyte_goes_through_pipes_and_socket_pairs() {
    run(async {
        let data = megabyte();
        let (mut from, mut to) = pipe();
        let send = async {
            to.write_all(&data).await.unwrap();
            to.close().await.unwrap();
            drop(to);
        };
        let mut received = Vec::new();
        let (_, result) = join!(send, from.read_to_end(&mut received));
        assert_eq!(result.unwrap(), data.len());
        assert!(received == data);
        let (one, other) = UnixStream::pair().unwrap();
        let (mut one, mut other) = (Nonblocking::new(one).unwrap(), Nonblocking::new(other).unwrap());
        let mut back = vec![0; data.len()];
        let there_and_back = async {
            let mut buffer = vec![0; 10_000];
            for _ in 0..100 {
                other.read_exact(&mut buffer).await.unwrap();
                other.write_all(&buffer).await.unwrap();
            }
        };
        let (mut read_half, mut write_half) = AsyncReadExt::split(&mut one);
        let (sent, received, ()) =
            join!(write_half.write_all(&data), read_half.read_exact(&mut back), there_and_back);
        sent.unwrap();
        received.unwrap();
        assert!(back == data);
    });
}

#[test]
fn of_several_tasks_that_wait_each_byte_goes_to_one() {
    run(async {
        let (from, to) = pipe();
        let (from, got) = (Rc::new(from), Rc::new(RefCell::new(Vec::new())));
        for number in 0..5 {
            let (from, got) = (from.clone(), got.clone());
            let wait = async move {
                let mut byte = [0];
                assert_eq!(from.read_with(|mut from| from.read(&mut byte)).await.unwrap(), 1);
                got.borrow_mut().push((number, byte[0]));
            };
            spawn(wait).detach();
        }
        settle().await;
        let fd = from.get_ref().as_raw_fd();
        let waiting = tasks().iter().filter(|task| task.reason == WaitReason::Read(fd)).count();
        assert_eq!(waiting, 5, "{:?}", tasks());
        for sent in 1..=5 {
            to.get_ref().write_all(&[sent]).unwrap();
            settle().await;
            assert_eq!(got.borrow().len(), sent as usize);
            assert_eq!(got.borrow().last().unwrap().1, sent);
        }
        let mut tasks: Vec<i32> = got.borrow().iter().map(|(number, _)| *number).collect();
        tasks.sort();
        assert_eq!(tasks, [0, 1, 2, 3, 4], "each task got one");
    });
}

#[test]
fn readable_waits_and_a_try_tells() {
    run(async {
        let (from, to) = pipe();
        let take = || from.try_read_with(|mut from| from.read(&mut [0; 3]));
        assert_eq!(take().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut readable = Box::pin(from.readable());
        assert!(poll!(&mut readable).is_pending());
        to.get_ref().write_all(b"12345").unwrap();
        readable.await.unwrap();
        assert_eq!(take().unwrap(), 3);
        from.readable().now_or_never().expect("there is more").unwrap();
        assert_eq!(take().unwrap(), 2);
        assert_eq!(take().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(poll!(pin!(from.readable())).is_pending());
        drop(to);
        from.readable().await.unwrap();
        assert_eq!(take().unwrap(), 0, "the end is readable");
    });
}

#[test]
fn a_full_pipe_is_not_writable_until_somebody_reads() {
    run(async {
        let (from, to) = pipe();
        let put = || to.try_write_with(|mut to| to.write(&[7; 4096]));
        let mut written = 0;
        while let Ok(count) = put() {
            written += count;
        }
        assert_eq!(put().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut writable = Box::pin(to.writable());
        assert!(poll!(&mut writable).is_pending());
        settle().await;
        assert!(poll!(&mut writable).is_pending());
        from.get_ref().read_exact(&mut vec![0; written]).unwrap();
        writable.await.unwrap();
        assert_eq!(put().unwrap(), 4096);
        drop(from);
        let broken = to.write_with(|mut to| to.write(b"x")).await.unwrap_err();
        assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn reads_that_are_dropped_while_they_wait_lose_no_byte() {
    run(async {
        let (near, far) = tcp_pair().await;
        let (from, to) = pipe();
        let data: Vec<u8> = megabyte()[..5000].into();
        let sent = data.clone();
        let send = spawn(async move {
            for byte in sent {
                far.write_all(&[byte]).await.unwrap();
                to.write_with(|mut to| to.write(&[byte])).await.unwrap();
                yield_now().await;
            }
        });
        let (mut by_tcp, mut by_pipe, mut given_up) = (Vec::new(), Vec::new(), 0);
        while by_tcp.len() < data.len() || by_pipe.len() < data.len() {
            let mut buffer = [0; 7];
            // Polled once and dropped, whether it is ready or not.
            let polled = poll!(pin!(near.read(&mut buffer)));
            match polled {
                Poll::Ready(count) => by_tcp.extend_from_slice(&buffer[..count.unwrap()]),
                Poll::Pending => given_up += 1,
            }
            let polled = poll!(pin!(from.read_with(|mut from| from.read(&mut buffer))));
            match polled {
                Poll::Ready(count) => by_pipe.extend_from_slice(&buffer[..count.unwrap()]),
                Poll::Pending => given_up += 1,
            }
            yield_now().await;
        }
        assert!(by_tcp == data && by_pipe == data);
        assert!(given_up > 100, "{given_up} reads were given up");
        send.await.unwrap();
    });
}

#[test]
fn a_wait_that_was_given_up_is_nothing_to_wait_for() {
    let runtime = Runtime::new().unwrap();
    let _kept_open = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ((near, far), (from, to)) = (tcp_pair().await, pipe());
        assert!(poll!(pin!(near.read(&mut [0]))).is_pending());
        assert!(poll!(pin!(listener.accept())).is_pending());
        assert!(from.try_read_with(|mut from| from.read(&mut [0])).is_err());
        assert!(poll!(pin!(from.readable())).is_pending());
        assert!(poll!(pin!(from.read_with(|mut from| from.read(&mut [0])))).is_pending());
        (listener, near, far, from, to)
    });
    assert!((0..10).any(|_| runtime.turn_now().stalled), "nobody waits for these descriptors");
}

#[test]
fn one_task_may_read_and_write_at_once() {
    run(async {
        let (near, far) = tcp_pair().await;
        let data = megabyte();
        let write = |stream: Rc<TcpStream>| {
            let data = data.clone();
            async move { stream.write_all(&data).await.unwrap() }
        };
        let read = |stream: Rc<TcpStream>| async move {
            let (mut all, mut buffer) = (Vec::new(), vec![0; 50_000]);
            while all.len() < 1_000_000 {
                let count = stream.read(&mut buffer).await.unwrap();
                all.extend_from_slice(&buffer[..count]);
            }
            all
        };
        let (near, far) = (Rc::new(near), Rc::new(far));
        // Neither side could write it all before the other reads.
        let ((), (), one, other) =
            join!(write(near.clone()), write(far.clone()), read(near.clone()), read(far.clone()));
        assert!(one == data && other == data);
    });
}

/// An eventfd that gives one at a time and is ready `times` times.
fn always_ready(times: u32) -> Nonblocking<std::fs::File> {
    // SAFETY: eventfd(2) takes two numbers and gives a descriptor that is ours.
    let fd = unsafe { OwnedFd::from_raw_fd(libc::eventfd(times, libc::EFD_SEMAPHORE)) };
    Nonblocking::new(std::fs::File::from(fd)).unwrap()
}

#[test]
fn a_descriptor_that_is_always_ready_does_not_keep_the_loop_to_itself() {
    run(async {
        let (turns, greedy) = (Rc::new(Cell::new(0)), always_ready(10_000));
        let count = turns.clone();
        let other = spawn(async move {
            loop {
                count.set(count.get() + 1);
                yield_now().await;
            }
        });
        for _ in 0..10_000 {
            greedy.read_with(|mut event| event.read(&mut [0; 8])).await.unwrap();
        }
        assert!(turns.get() >= 50, "the other had only {} turns", turns.get());
        assert!(turns.get() < 1000, "and giving way is rare: {} turns", turns.get());
        drop(other);
    });
}

#[test]
fn far_from_home_reading_is_an_error_that_says_so_and_dropping_is_fine() {
    let runtime = Runtime::new().unwrap();
    let (mut from, to) = runtime.enter(pipe);
    to.get_ref().write_all(b"there is something to read").unwrap();
    let fd = from.get_ref().as_raw_fd();
    let from = std::thread::spawn(move || {
        let complain = |result: Option<io::Result<usize>>| {
            let text = result.expect("it does not wait").unwrap_err().to_string();
            let start = format!("fd {fd} belongs to the loop of another thread");
            assert!(text.starts_with(&start), "{text}");
        };
        complain(from.read(&mut [0; 9]).now_or_never());
        complain(Some(from.try_read_with(|mut from| from.read(&mut [0; 9]))));
        complain(from.readable().now_or_never().map(|result| result.map(|()| 0)));
        // Another loop is not its home either.
        complain(Runtime::new().unwrap().block_on(async { from.read(&mut [0; 9]).now_or_never() }));
        drop(to);
        from
    })
    .join()
    .unwrap();
    let mut from = from;
    let mut text = String::new();
    runtime.block_on(from.read_to_string(&mut text)).unwrap();
    assert_eq!(text, "there is something to read");
    let error = Nonblocking::new(io::pipe().unwrap().0).unwrap_err();
    assert!(error.to_string().contains("no loop on this thread"), "{error}");
}

#[test]
fn what_was_taken_out_of_the_loop_can_be_put_in_again() {
    run(async {
        let (from, to) = pipe();
        let from = Nonblocking::new(from.into_inner()).unwrap();
        to.get_ref().write_all(b"1").unwrap();
        assert_eq!(from.read_with(|mut from| from.read(&mut [0; 9])).await.unwrap(), 1);
        // Taken out on another thread: the loop hears of it by mail, which it has to read first.
        let from = std::thread::spawn(move || from.into_inner()).join().unwrap();
        settle().await;
        let from = Nonblocking::new(from).expect("it is not in the loop any more");
        assert!(poll!(pin!(from.readable())).is_ready(), "nobody knows yet");
        let read = spawn(async move { from.read_with(|mut from| from.read(&mut [0; 9])).await });
        settle().await;
        to.get_ref().write_all(b"22").unwrap();
        assert_eq!(read.await.unwrap().unwrap(), 2);
    });
}

#[test]
fn a_regular_file_is_refused_by_number() {
    run(async {
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let fd = file.as_raw_fd();
        let error = Nonblocking::new(file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().starts_with(&format!("cannot wait for fd {fd}: ")), "{error}");
    });
}

#[test]
fn the_next_owner_of_a_number_does_not_get_the_events_of_the_last() {
    run(async {
        let mut numbers_used_again = 0;
        for _ in 0..200 {
            let (from, to) = pipe();
            let number = from.get_ref().as_raw_fd();
            let mut wait = Box::pin(from.readable());
            // The first look says yes, unasked; a try that fails makes it wait.
            assert!(from.try_read_with(|mut from| from.read(&mut [0])).is_err());
            assert!(poll!(&mut wait).is_pending());
            to.get_ref().write_all(b"for the last owner").unwrap();
            drop(wait);
            drop(from);
            let (from, to) = pipe();
            numbers_used_again += u32::from(from.get_ref().as_raw_fd() == number);
            assert!(from.try_read_with(|mut from| from.read(&mut [0])).is_err());
            settle().await;
            assert!(poll!(pin!(from.readable())).is_pending(), "nothing has come for this one");
            to.get_ref().write_all(b"!").unwrap();
            from.readable().await.unwrap();
        }
        assert!(numbers_used_again > 0, "no number was used again: this tested nothing");
    });
}
