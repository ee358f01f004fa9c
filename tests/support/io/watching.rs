//! Callbacks that watch descriptors: level-triggered, replaced, removed, closed too early, on every
//! kind of descriptor.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use greenroom::{Runtime, add_reader, add_writer, call_later, call_soon, remove_reader, remove_writer, stop};
use log::LevelFilter;

use super::logs::logged;
use super::{Duration, Story};

/// Turns the loop until it has nothing to do.
fn settle(runtime: &Runtime) {
    loop {
        let turn = runtime.turn_now();
        if turn.ran + turn.fired + turn.events + turn.messages == 0 {
            return;
        }
    }
}

/// A connected pair, both non-blocking.
fn pair() -> (Rc<UnixStream>, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (Rc::new(one), other)
}

/// A callback that reads one byte and tells it.
fn read_one(stream: &Rc<UnixStream>, story: &Story) -> impl FnMut() + use<> {
    let (stream, story) = (stream.clone(), story.clone());
    move || {
        let mut byte = [0];
        match (&*stream).read(&mut byte) {
            Ok(0) => {
                story.tell("end")();
                remove_reader(&*stream);
            }
            Ok(_) => story.tell(char::from(byte[0]))(),
            Err(error) => story.tell(error)(),
        }
    }
}

#[test]
fn a_reader_is_called_again_while_there_is_more_and_not_after() {
    let (runtime, story) = (Runtime::new().unwrap(), Story::default());
    let (near, mut far) = pair();
    far.write_all(b"abcde").unwrap();
    runtime.enter(|| add_reader(&*near, read_one(&near, &story)).unwrap());
    settle(&runtime);
    assert_eq!(story.so_far(), "a b c d e");
    far.write_all(b"f").unwrap();
    settle(&runtime);
    assert_eq!(story.so_far(), "f");
    far.write_all(b"g").unwrap();
    drop(far);
    settle(&runtime);
    assert_eq!(story.so_far(), "g end");
    assert!(runtime.turn().stalled, "nothing is watched any more");
}

#[test]
fn a_second_reader_replaces_the_first_also_from_inside() {
    let (runtime, story) = (Runtime::new().unwrap(), Story::default());
    let (near, mut far) = pair();
    runtime.enter(|| {
        let mut told = story.tell("replaced");
        let held = near.clone();
        add_reader(&*near, move || {
            let _held = &held;
            told();
        })
        .unwrap();
        assert_eq!(Rc::strong_count(&near), 2);
        let (stream, next, mut told) = (near.clone(), story.clone(), story.tell("first"));
        add_reader(&*near, move || {
            told();
            add_reader(&*stream, read_one(&stream, &next)).unwrap();
        })
        .unwrap();
        assert_eq!(Rc::strong_count(&near), 2, "the first one is gone, with what it held");
    });
    far.write_all(b"xy").unwrap();
    settle(&runtime);
    assert_eq!(story.so_far(), "first x y");
}

#[test]
fn a_watcher_may_remove_itself_and_be_added_again() {
    let (runtime, story) = (Runtime::new().unwrap(), Story::default());
    let (near, mut far) = pair();
    far.write_all(b"ab").unwrap();
    for _ in 0..3 {
        runtime.enter(|| {
            let (stream, mut told) = (near.clone(), story.tell("once"));
            add_reader(&*near, move || {
                told();
                assert!(remove_reader(&*stream));
                assert!(!remove_reader(&*stream), "it was there only once");
            })
            .unwrap();
        });
        settle(&runtime);
        assert_eq!(story.so_far(), "once");
        assert_eq!(Rc::strong_count(&near), 1);
    }
    assert!(!runtime.enter(|| remove_reader(&*near) || remove_writer(&*near)));
}

#[test]
fn both_directions_of_one_descriptor_are_watched_apart() {
    let (runtime, story) = (Runtime::new().unwrap(), Story::default());
    let (near, mut far) = pair();
    let writes = Rc::new(Cell::new(0));
    runtime.enter(|| {
        add_reader(&*near, read_one(&near, &story)).unwrap();
        let (stream, count) = (near.clone(), writes.clone());
        // Writes until nothing fits: from then on it is not called.
        add_writer(&*near, move || {
            count.set(count.get() + (&*stream).write(&[b'.'; 1000]).unwrap());
        })
        .unwrap();
    });
    settle(&runtime);
    let filled = writes.get();
    assert!(filled > 10_000, "{filled}");
    far.write_all(b"r").unwrap();
    settle(&runtime);
    assert_eq!((story.so_far().as_str(), writes.get()), ("r", filled), "full is not writable");
    let mut buffer = vec![0; filled];
    far.read_exact(&mut buffer).unwrap();
    settle(&runtime);
    assert!(writes.get() > filled, "there is room again");
    assert!(runtime.enter(|| remove_writer(&*near)));
    far.write_all(b"s").unwrap();
    settle(&runtime);
    assert_eq!(story.so_far(), "s");
    assert!(runtime.enter(|| remove_reader(&*near)));
    assert!(runtime.turn().stalled);
}

/// Lets `number` be `file` from now on; what it was before is closed.
fn exchange(number: RawFd, file: &impl AsRawFd) {
    // SAFETY: dup2(2) takes two numbers; the test owns both descriptors, and goes on to own them.
    assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
}

#[test]
fn a_number_that_was_closed_while_watched_serves_its_next_owner() {
    for writer_first in [false, true] {
        let (runtime, story) = (Runtime::new().unwrap(), Story::default());
        let ((near, _far), (next, mut next_far)) = (pair(), pair());
        runtime.enter(|| match writer_first {
            true => add_writer(&*near, story.tell("stale")).unwrap(),
            false => add_reader(&*near, story.tell("stale")).unwrap(),
        });
        exchange(near.as_raw_fd(), &*next);
        runtime.enter(|| add_reader(&*near, read_one(&near, &story)).unwrap());
        next_far.write_all(b"ab").unwrap();
        settle(&runtime);
        assert_eq!(story.so_far(), "a b");
        assert!(runtime.enter(|| remove_reader(&*near) && !remove_writer(&*near)));
    }
}

#[test]
fn a_descriptor_that_its_own_watcher_closes_is_let_go_with_a_line_in_the_log() {
    let (runtime, story) = (Runtime::new().unwrap(), Story::default());
    let (near, mut far) = pair();
    let owner = RefCell::new(Some(OwnedFd::from(near.try_clone().unwrap())));
    far.write_all(b"x").unwrap();
    let ((), lines) = logged(LevelFilter::Error, || {
        runtime.enter(|| {
            let (number, mut told) = (owner.borrow().as_ref().unwrap().as_raw_fd(), story.tell("called"));
            drop(near);
            add_reader(&number, move || {
                told();
                owner.take();
            })
            .unwrap();
        });
        settle(&runtime);
    });
    assert_eq!(story.so_far(), "called");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("was closed while watched"), "{}", lines[0]);
    assert!(runtime.turn().stalled);
}

#[test]
fn what_cannot_be_watched_is_an_error_in_words() {
    let runtime = Runtime::new().unwrap();
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let error = runtime.enter(|| add_reader(&file, || ())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().starts_with(&format!("cannot watch fd {}: ", file.as_raw_fd())), "{error}");
    let error = runtime.enter(|| add_writer(&-1, || ())).unwrap_err();
    assert!(error.to_string().starts_with("cannot watch fd -1: "), "{error}");
    runtime.block_on(async {
        let listener = greenroom::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = add_reader(&listener, || ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
    });
    assert!(add_reader(&file, || ()).unwrap_err().to_string().contains("no loop on this thread"));
    assert!(!remove_reader(&file));
}

#[test]
fn pipes_eventfds_and_terminals_can_be_watched_and_a_hang_up_is_heard() {
    // SAFETY: eventfd(2) takes two numbers and gives a descriptor that is ours.
    let event = unsafe { OwnedFd::from_raw_fd(libc::eventfd(3, libc::EFD_NONBLOCK)) };
    let (pipe, to_pipe) = io::pipe().unwrap();
    let (mut master, mut slave) = (0, 0);
    let (name, settings, size) = (std::ptr::null_mut(), std::ptr::null(), std::ptr::null());
    // SAFETY: openpty(3) writes the two numbers; null means no name, settings or size.
    assert_eq!(unsafe { libc::openpty(&mut master, &mut slave, name, settings, size) }, 0);
    // SAFETY: both are open, and ours.
    let (master, slave) = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
    let (runtime, story) = (Runtime::new().unwrap(), Story::default());
    for (what, fd) in [("event", event), ("pipe", OwnedFd::from(pipe)), ("terminal", master)] {
        let (file, story) = (std::fs::File::from(fd), story.clone());
        let file = Rc::new(file);
        let watched = file.clone();
        let read = move || {
            let mut buffer = [0; 8];
            match (&*file).read(&mut buffer) {
                // A terminal whose other end is gone says EIO.
                Ok(0) | Err(_) => {
                    story.tell(format!("{what}-end"))();
                    remove_reader(&*file);
                }
                Ok(count) => story.tell(format!("{what}-{count}"))(),
            }
            if what == "event" {
                remove_reader(&*file);
            }
        };
        runtime.enter(|| add_reader(&*watched, read).unwrap());
    }
    settle(&runtime);
    assert_eq!(story.so_far(), "event-8");
    (&to_pipe).write_all(b"0123456789").unwrap();
    settle(&runtime);
    assert_eq!(story.so_far(), "pipe-8 pipe-2");
    std::fs::File::from(slave).write_all(b"tty").unwrap();
    drop(to_pipe);
    settle(&runtime);
    let told = story.so_far();
    assert!(told.contains("pipe-end") && told.contains("terminal-3"), "{told}");
    assert!(told.ends_with("terminal-end"), "the slave was closed: {told}");
}

#[test]
fn callbacks_without_pause_do_not_starve_sockets() {
    fn again(runs: Rc<Cell<u32>>, later: bool) {
        runs.set(runs.get() + 1);
        match later {
            true => call_later(Duration::ZERO, move || again(runs, later)),
            false => call_soon(move || again(runs, later)),
        };
    }
    for later in [false, true] {
        let (runtime, runs) = (Runtime::new().unwrap(), Rc::new(Cell::new(0)));
        let (near, mut far) = pair();
        far.write_all(b"x").unwrap();
        runtime.enter(|| {
            (0..10).for_each(|_| again(runs.clone(), later));
            let (stream, mut left) = (near.clone(), 100);
            add_reader(&*near, move || {
                assert_eq!((&*stream).read(&mut [0; 8]).unwrap(), 1);
                left -= 1;
                match left {
                    0 => stop(),
                    _ => far.write_all(b"x").unwrap(),
                }
            })
            .unwrap();
        });
        runtime.run().unwrap();
        assert!(runs.get() < 100 * 200, "{} runs for 100 bytes", runs.get());
    }
}
