//! A read that fills less than its buffer says that a stream socket is drained, and the runtime saves
//! the next read. These are the cases in which more comes all the same, in every interleaving of what
//! the peer does, what the loop sees, and what the reader has tried before.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::time::Duration;

use futures::poll;
use greenroom::net::TcpStream;

use super::{run, settle, tcp_pair};

/// Sizes of buffers for ten bytes: all reads full, one exact, all short.
const BUFFERS: [usize; 5] = [1, 4, 5, 10, 100];

/// Reads until the end, or until an error.
async fn read_to_end(stream: &TcpStream, buffer_bytes: usize) -> (Vec<u8>, io::Result<()>) {
    let (mut all, mut buffer) = (Vec::new(), vec![0; buffer_bytes]);
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return (all, Ok(())),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) => return (all, Err(error)),
        }
    }
}

/// Whether bit `number` of a case is set.
fn chosen(case: u32, number: u32) -> bool {
    case & (1 << number) != 0
}

/// A pair whose near end may have tried to read already, so that it waits for an edge.
async fn pair(tried: bool) -> (TcpStream, TcpStream) {
    let (near, far) = tcp_pair().await;
    far.set_nodelay(true).unwrap();
    if tried {
        assert!(poll!(pin!(near.read(&mut [0; 9]))).is_pending());
        settle().await;
    }
    (near, far)
}

/// One byte past everything else (tcp(7), urgent data).
fn send_urgent(stream: &TcpStream, byte: u8) {
    // SAFETY: send(2) reads the one byte that it is given.
    let sent = unsafe { libc::send(stream.as_raw_fd(), (&raw const byte).cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
}

#[test]
fn the_end_is_seen_whether_it_comes_with_the_data_or_later() {
    run(async {
        for buffer in BUFFERS {
            for case in 0..16 {
                let (near, far) = pair(chosen(case, 0)).await;
                far.write_all(b"0123456789").await.unwrap();
                if chosen(case, 1) {
                    settle().await;
                }
                let mut first = vec![0; buffer];
                let read_before = if chosen(case, 2) { near.read(&mut first).await.unwrap() } else { 0 };
                drop(far);
                if chosen(case, 3) {
                    settle().await;
                }
                let (rest, end) = read_to_end(&near, buffer).await;
                end.unwrap();
                let all = [&first[..read_before], &rest].concat();
                assert_eq!(all, b"0123456789", "buffer {buffer}, case {case:b}");
                assert_eq!(near.read(&mut first).await.unwrap(), 0, "the end stays");
            }
        }
    });
}

#[test]
fn a_read_that_stops_at_urgent_data_is_not_the_last() {
    run(async {
        for buffer in BUFFERS {
            for case in 0..64 {
                let (near, far) = pair(chosen(case, 0)).await;
                far.write_all(b"0123").await.unwrap();
                if chosen(case, 1) {
                    settle().await;
                }
                send_urgent(&far, b'!');
                if chosen(case, 2) {
                    settle().await;
                }
                far.write_all(b"4567").await.unwrap();
                if chosen(case, 3) {
                    settle().await;
                }
                let (mut got, mut bytes) = (Vec::new(), vec![0; buffer]);
                while got.len() < 8 {
                    let count = near.read(&mut bytes).await.unwrap();
                    assert!(count > 0);
                    got.extend_from_slice(&bytes[..count]);
                    if chosen(case, 4) {
                        settle().await;
                    }
                }
                assert_eq!(got, b"01234567", "buffer {buffer}, case {case:b}");
                if chosen(case, 5) {
                    send_urgent(&far, b'?');
                }
                far.write_all(b"89").await.unwrap();
                drop(far);
                let (rest, end) = read_to_end(&near, buffer).await;
                end.unwrap();
                assert_eq!(rest, b"89", "buffer {buffer}, case {case:b}");
            }
        }
    });
}

#[test]
fn a_reset_ends_the_reading_with_an_error() {
    run(async {
        for buffer in BUFFERS {
            for case in 0..16 {
                let (near, far) = pair(chosen(case, 0)).await;
                far.write_all(b"0123456789").await.unwrap();
                if chosen(case, 1) {
                    settle().await;
                }
                if chosen(case, 2) {
                    near.read(&mut vec![0; buffer]).await.unwrap();
                }
                far.set_linger(Some(Duration::ZERO)).unwrap();
                drop(far);
                if chosen(case, 3) {
                    settle().await;
                }
                let (_, end) = read_to_end(&near, buffer).await;
                assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "case {case:b}");
            }
        }
    });
}

#[test]
fn bytes_that_come_one_by_one_arrive_one_by_one() {
    run(async {
        let (near, far) = pair(false).await;
        let mut buffer = [0; 4096];
        for number in 0..2000_u32 {
            let byte = (number % 251) as u8;
            far.write_all(&[byte]).await.unwrap();
            assert_eq!(near.read(&mut buffer).await.unwrap(), 1);
            assert_eq!(buffer[0], byte);
            if number % 3 == 0 {
                assert!(poll!(pin!(near.read(&mut buffer))).is_pending());
            }
        }
    });
}

#[test]
fn a_half_that_was_closed_leaves_the_other_open() {
    run(async {
        for case in 0..4 {
            let (near, far) = pair(chosen(case, 0)).await;
            near.shutdown(std::net::Shutdown::Write).unwrap();
            if chosen(case, 1) {
                settle().await;
            }
            assert_eq!(far.read(&mut [0; 9]).await.unwrap(), 0);
            for _ in 0..100 {
                far.write_all(b"still here").await.unwrap();
                let mut buffer = [0; 100];
                assert_eq!(near.read(&mut buffer).await.unwrap(), 10);
            }
            far.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(near.read(&mut [0; 9]).await.unwrap(), 0);
        }
    });
}
