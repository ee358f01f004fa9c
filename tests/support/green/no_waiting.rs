//! Where `StdIo` cannot wait: then each call is an error, and nothing aborts.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use greenroom::green::{self, CannotWait, StdIo};
use greenroom::io::{Duplex, StreamReader, duplex};
use greenroom::{Runtime, spawn};

use super::child::in_child;
use super::{SECOND, run, run_virtual};

/// What is inside of an error.
fn why<T: std::fmt::Debug>(result: io::Result<T>) -> Option<CannotWait> {
    result.unwrap_err().downcast::<CannotWait>().ok()
}

/// Every call of a stream, with time limits and without, fails for this reason.
fn all_fail(reason: CannotWait) {
    for limit in [None, Some(SECOND)] {
        let mut stream = StdIo::new(duplex(9).0);
        stream.set_read_timeout(limit);
        stream.set_write_timeout(limit);
        assert_eq!(why(stream.read(&mut [0; 9])), Some(reason));
        assert_eq!(why(stream.write(b"x")), Some(reason));
        assert_eq!(why(stream.flush()), Some(reason));
        let mut stream = StdIo::new(StreamReader::new(stream.into_inner()));
        stream.set_read_timeout(limit);
        assert_eq!(why(stream.fill_buf().map(<[u8]>::len)), Some(reason));
    }
}

#[test]
fn outside_of_a_green_thread_it_is_an_error() {
    all_fail(CannotWait::NoGreenThread);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        all_fail(CannotWait::NoGreenThread);
        spawn(async { all_fail(CannotWait::NoGreenThread) }).await.unwrap();
        let listener = greenroom::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(why(green::incoming(&listener).next().unwrap()), Some(CannotWait::NoGreenThread));
    });
}

#[test]
fn inside_of_a_future_it_is_an_error() {
    run(|| {
        green::wait(poll_fn(|_| {
            all_fail(CannotWait::InsideFuture);
            Poll::Ready(())
        }));
    });
}

/// Writes when it is dropped, and remembers the outcome.
struct LastWords {
    /// Where to.
    writer: BufWriter<StdIo<Duplex>>,
    /// What came of it.
    outcome: Rc<RefCell<Vec<Option<CannotWait>>>>,
}

impl Drop for LastWords {
    fn drop(&mut self) {
        self.outcome.borrow_mut().push(why(self.writer.flush()));
    }
}

/// A green thread's body that waits, with bytes in a buffer; and where it tells what became of them.
fn body_with_last_words() -> (impl FnOnce(), Rc<RefCell<Vec<Option<CannotWait>>>>) {
    let outcome = Rc::default();
    let mut stream = StdIo::new(duplex(64).0);
    stream.set_write_timeout(Some(SECOND));
    let words = LastWords { writer: BufWriter::new(stream), outcome: Rc::clone(&outcome) };
    let body = move || {
        let mut words = words;
        write!(words.writer, "never sent").unwrap();
        green::sleep(5 * SECOND);
        panic!("as it was told to");
    };
    (body, outcome)
}

#[test]
fn what_was_buffered_is_lost_when_a_green_thread_is_cancelled_or_panics() {
    run_virtual(|| {
        for is_cancelled in [true, false] {
            let (body, outcome) = body_with_last_words();
            let mut thread = green::spawn(body);
            green::sleep(SECOND);
            match is_cancelled {
                true => assert!(green::wait(thread.cancel()).is_none()),
                false => assert!(green::join(thread).unwrap_err().to_string().contains("as it was told to")),
            }
            assert_eq!(*outcome.borrow(), [Some(CannotWait::Unwinding)]);
        }
    });
}

#[test]
fn nothing_aborts_when_the_loop_goes_first() {
    let (body, outcome) = body_with_last_words();
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    runtime.block_on(async {
        green::spawn(body).detach();
        greenroom::yield_now().await;
    });
    drop(runtime);
    assert_eq!(*outcome.borrow(), [Some(CannotWait::Unwinding)]);
}

#[test]
fn nothing_aborts_when_the_task_around_it_panics() {
    in_child("no_waiting::nothing_aborts_when_the_task_around_it_panics", || {
        let (body, outcome) = body_with_last_words();
        let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut thread = std::pin::pin!(green::future(body));
                assert!(futures::poll!(thread.as_mut()).is_pending());
                panic!("while a green thread waits");
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(*outcome.borrow(), [Some(CannotWait::Unwinding)]);
    });
}
