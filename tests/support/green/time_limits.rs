//! Time limits of `StdIo`: when they strike, and that nothing is lost by it.

use std::cell::Cell;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use greenroom::green::{self, StdIo};
use greenroom::io::{StreamReader, duplex};
use greenroom::now;

use super::{SECOND, run_virtual, tcp_pair};

#[test]
fn a_read_that_is_out_of_time_says_so_and_the_next_one_gets_the_bytes() {
    run_virtual(|| {
        let (near, far) = duplex(64);
        let mut far = StdIo::new(far);
        far.set_read_timeout(Some(3 * SECOND));
        let start = now();
        let writer = green::spawn(move || {
            let mut near = StdIo::new(near);
            // At the very moment when the second read is out of time: then the bytes count.
            for pause in [6, 4, 1] {
                green::sleep(pause * SECOND);
                near.write_all(b"hello").unwrap();
            }
            green::sleep(10 * SECOND);
        });
        let mut buffer = [0; 9];
        let mut read = || far.read(&mut buffer).map_err(|error| error.kind());
        let seen: Vec<_> = (0..6).map(|_| (read(), (now() - start).as_secs())).collect();
        let late = Err(ErrorKind::TimedOut);
        assert_eq!(seen, [(late, 3), (Ok(5), 6), (late, 9), (Ok(5), 10), (Ok(5), 11), (late, 14)]);
        green::join(writer).unwrap();
    });
}

#[test]
fn a_write_that_is_out_of_time_has_written_nothing() {
    run_virtual(|| {
        let (near, far) = duplex(4);
        let (mut near, mut far) = (StdIo::new(near), StdIo::new(far));
        near.set_write_timeout(Some(SECOND));
        assert_eq!(near.write(b"abcdef").unwrap(), 4);
        let start = now();
        for _ in 0..3 {
            assert_eq!(near.write(b"ef").unwrap_err().kind(), ErrorKind::TimedOut);
        }
        assert_eq!(now() - start, 3 * SECOND);
        far.read_exact(&mut [0; 3]).unwrap();
        near.write_all(b"ef").unwrap();
        drop(near);
        let mut rest = String::new();
        far.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "def");
    });
}

#[test]
fn no_time_at_all_takes_what_is_there() {
    run_virtual(|| {
        let (near, far) = tcp_pair();
        let (mut near, mut far) = (StdIo::new(near), BufReader::new(StdIo::new(far)));
        far.get_mut().set_read_timeout(Some(Duration::ZERO));
        let start = now();
        for _ in 0..500 {
            assert_eq!(far.fill_buf().unwrap_err().kind(), ErrorKind::TimedOut);
        }
        near.write_all(b"one\ntwo").unwrap();
        // It is there when the loop has been told.
        green::wait(far.get_ref().get_ref().readable()).unwrap();
        let mut line = String::new();
        assert_eq!(far.read_line(&mut line).unwrap(), 4);
        assert_eq!(far.read_line(&mut line).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(line, "one\ntwo", "std keeps in the string what came");
        assert_eq!(now(), start);
        far.get_mut().set_read_timeout(Some(Duration::MAX));
        near.write_all(b"\n").unwrap();
        assert_eq!(far.read_line(&mut line).unwrap(), 1);
        near.set_write_timeout(Some(Duration::ZERO));
        near.write_all(b"more").unwrap();
        near.flush().unwrap();
    });
}

#[test]
fn a_buffer_of_the_stream_is_waited_for_as_long() {
    run_virtual(|| {
        let (near, far) = duplex(64);
        let mut far = StdIo::new(StreamReader::new(far));
        far.set_read_timeout(Some(SECOND));
        let start = now();
        assert_eq!(far.fill_buf().unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(now() - start, SECOND);
        StdIo::new(near).write_all(b"late\n").unwrap();
        assert_eq!(far.lines().next().unwrap().unwrap(), "late");
    });
}

#[test]
fn what_a_cancelled_call_had_read_is_gone_and_the_rest_is_there() {
    run_virtual(|| {
        let (near, far) = tcp_pair();
        let (far, has_begun) = (Rc::new(far), Rc::new(Cell::new(false)));
        let (stream, begins) = (far.clone(), has_begun.clone());
        let mut reader = green::spawn(move || {
            let mut stream = StdIo::new(&*stream);
            stream.read_exact(&mut [0]).unwrap();
            begins.set(true);
            stream.read_exact(&mut [0; 8]).unwrap();
        });
        StdIo::new(&near).write_all(b"0123").unwrap();
        while !has_begun.get() {
            green::yield_now();
        }
        green::sleep(SECOND);
        assert!(green::wait(reader.cancel()).is_none());
        StdIo::new(&near).write_all(b"4567").unwrap();
        drop(near);
        let mut rest = String::new();
        StdIo::new(&*far).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "4567", "the four that had come were the cancelled reader's");
    });
}
