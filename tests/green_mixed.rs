//! Green threads together with all else: every kind of future waited for, `green::future` in every place where a
//! future may stand, tasks and threads that share locks and channels.
//!
//! Run one with `cargo test --test green_mixed name`.

#[path = "support/core/mod.rs"]
mod support;

#[path = "support/green/as_future.rs"]
mod as_future;

use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use greenroom::io::LineReader;
use greenroom::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use greenroom::process::Command;
use greenroom::signal::Signal;
use greenroom::sync::{
    Barrier, Condition, Event, Mutex, Queue, RLock, RwLock, Semaphore, broadcast, oneshot, watch,
};
use greenroom::{
    CancellationToken, Either, Runtime, channel, green, join, join_all, now, race, scope, select, sleep,
    spawn, spawn_blocking, timeout, try_join_all, yield_now,
};
use support::{virtual_runtime, within_patience};

const SECOND: Duration = Duration::from_secs(1);

/// Runs `body` as a green thread of a virtual clock.
fn on_green<T: 'static>(body: impl FnOnce() -> T + 'static) -> T {
    virtual_runtime().block_on(green::future(body))
}

#[test]
fn they_wait_for_sockets() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(green::future(|| {
        let listener = green::wait(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let server = green::spawn(move || {
            let (stream, _) = green::wait(listener.accept()).unwrap();
            let mut lines = LineReader::new(stream, 100);
            let mut lengths = Vec::new();
            while let Some(line) = green::wait(lines.next_line()).unwrap() {
                lengths.push(line.len());
            }
            lengths
        });
        let stream = green::wait(TcpStream::connect(address)).unwrap();
        for text in ["one\n", "t", "hree\nfive\n"] {
            green::wait(stream.write_all(text.as_bytes())).unwrap();
            green::yield_now();
        }
        drop(stream);
        assert_eq!(green::join(server).unwrap(), [3, 5, 4]);

        let (mut near, mut far) = UnixStream::pair().unwrap();
        let reader = spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all.len()
        });
        green::wait(near.write_all(&vec![7; 1 << 20])).unwrap();
        green::wait(near.close()).unwrap();
        drop(near);
        assert_eq!(green::join(reader).unwrap(), 1 << 20);

        let first = green::wait(UdpSocket::bind("127.0.0.1:0")).unwrap();
        let second = green::wait(UdpSocket::bind("127.0.0.1:0")).unwrap();
        green::wait(first.send_to(b"datagram", second.local_addr().unwrap())).unwrap();
        let mut buffer = [0; 16];
        let (count, from) = green::wait(second.recv_from(&mut buffer)).unwrap();
        assert_eq!((&buffer[..count], from), (&b"datagram"[..], first.local_addr().unwrap()));
    }));
}

#[test]
fn they_wait_for_other_threads_processes_and_signals() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(green::future(|| {
            let id = std::thread::current().id();
            let other = green::wait(spawn_blocking(|| std::thread::current().id())).unwrap();
            assert_ne!(id, other);
            let output = green::wait(Command::new("echo").arg("hello").output()).unwrap();
            assert_eq!(output.stdout, b"hello\n");
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            drop(child.stdin.take());
            assert!(green::wait(child.wait()).unwrap().success());
            let mut signal = Signal::new(libc::SIGUSR2).unwrap();
            // SAFETY: raise(3) takes a number, and the signal has a listener.
            assert_eq!(unsafe { libc::raise(libc::SIGUSR2) }, 0);
            green::wait(signal.recv()).unwrap();
        }));
    });
}

#[test]
fn they_wait_for_futures_of_futures() {
    on_green(|| {
        let start = now();
        let after = |seconds: u32| async move {
            sleep(seconds * SECOND).await;
            seconds
        };
        assert_eq!(green::wait(ready(1)), 1);
        assert_eq!(green::wait(race([after(3), after(1), after(2)])), 1);
        assert_eq!(now() - start, SECOND);
        assert!(matches!(green::wait(select(after(1), after(2))), Either::First(1)));
        assert_eq!(green::wait(join(after(2), after(1))), (2, 1));
        assert_eq!(green::wait(join_all([after(1), after(2)])), [1, 2]);
        assert_eq!(green::wait(try_join_all([ready(Ok(1)), ready(Err("no"))])), Err("no"));
        assert!(green::wait(timeout(SECOND, after(2))).is_err());
        assert_eq!(green::wait(timeout(2 * SECOND, after(1))), Ok(1));
        assert_eq!(now() - start, 8 * SECOND);
        // A scope's children borrow from the stack.
        let numbers = [1, 2, 3];
        let sum = Cell::new(0);
        green::wait(scope(async |scope| {
            for number in &numbers {
                let sum = &sum;
                scope.spawn(async move {
                    sleep(*number * SECOND).await;
                    sum.set(sum.get() + number);
                });
            }
        }));
        assert_eq!((sum.get(), now() - start), (6, 11 * SECOND));
        let token = CancellationToken::new();
        let cancels = token.clone();
        green::spawn(move || {
            green::sleep(SECOND);
            cancels.cancel();
        })
        .detach();
        assert_eq!(green::wait(token.run_until_cancelled(pending::<()>())), None);
    });
}

#[test]
fn every_primitive_is_shared_with_tasks() {
    on_green(|| {
        let (event, semaphore, barrier) =
            (Rc::new(Event::new()), Rc::new(Semaphore::new(1)), Rc::new(Barrier::new(2)));
        let (mutex, condition) = (Rc::new(Mutex::new(0)), Rc::new(Condition::new()));
        let (rlock, rwlock) = (Rc::new(RLock::new()), Rc::new(RwLock::new(1)));
        let (queue, (send_one, one)) = (Rc::new(Queue::bounded(1)), oneshot());
        let ((set, mut latest), (send_all, mut every)) = (watch(0), broadcast(2));
        let (sender, mut receiver) = channel::bounded(1);
        let theirs = (event.clone(), semaphore.clone(), barrier.clone(), mutex.clone(), condition.clone());
        let (their_rlock, their_rwlock, their_queue) = (rlock.clone(), rwlock.clone(), queue.clone());
        let held = (green::wait(semaphore.acquire()), green::wait(rlock.lock()), green::wait(rwlock.write()));
        let task = spawn(async move {
            let (event, semaphore, barrier, mutex, condition) = theirs;
            yield_now().await;
            event.set();
            drop(semaphore.acquire().await);
            drop(their_rlock.lock().await);
            assert_eq!(*their_rwlock.read().await, 2);
            barrier.wait().await.unwrap();
            *mutex.lock().await = 7;
            condition.notify_all();
            for number in 0..3 {
                their_queue.put(number).await.unwrap();
            }
            their_queue.join().await;
            send_one.send(5).unwrap();
            yield_now().await;
            set.send(6);
            send_all.send(8).unwrap();
            for number in 0..3 {
                sender.send(number).await.unwrap();
            }
        });
        green::wait(event.wait());
        let (permit, guard, mut writing) = held;
        drop((permit, guard));
        *writing += 1;
        drop(writing);
        let waits = green::wait(mutex.lock());
        let barrier_waits = barrier.clone();
        let second = green::spawn(move || green::wait(barrier_waits.wait()).unwrap());
        assert_eq!(*green::wait(condition.wait_for(waits, |value| *value == 7)), 7);
        green::join(second).unwrap();
        for number in 0..3 {
            assert_eq!(green::wait(queue.get()), Ok(number));
            queue.task_done().unwrap();
        }
        assert_eq!(green::wait(one), Ok(5));
        assert_eq!(*green::wait(latest.changed()).unwrap(), 6);
        assert_eq!(green::wait(every.receive()), Ok(8));
        let all: Vec<i32> = std::iter::from_fn(|| green::wait(receiver.recv())).collect();
        assert_eq!(all, [0, 1, 2]);
        green::join(task).unwrap();
    });
}

#[test]
fn a_lock_goes_round_between_tasks_and_threads_in_the_order_of_asking() {
    let runtime = virtual_runtime();
    let diary: Rc<RefCell<Vec<u32>>> = Rc::default();
    runtime.block_on(async {
        let mutex = Rc::new(Mutex::new(()));
        let all: Vec<_> = (0..10)
            .map(|number| {
                let (mutex, diary) = (mutex.clone(), diary.clone());
                if number % 2 == 0 {
                    return spawn(async move {
                        let _guard = mutex.lock().await;
                        sleep(SECOND).await;
                        diary.borrow_mut().push(number);
                    });
                }
                green::spawn(move || {
                    let _guard = green::wait(mutex.lock());
                    green::sleep(SECOND);
                    diary.borrow_mut().push(number);
                })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
    });
    assert_eq!(diary.take(), Vec::from_iter(0..10));
}

/// Sleeps for so many seconds.
fn nap(seconds: u32) -> u32 {
    green::sleep(seconds * SECOND);
    seconds
}

#[test]
fn callbacks_start_them_and_they_start_callbacks() {
    let runtime = virtual_runtime();
    let done = Rc::new(Cell::new(0));
    let seen = done.clone();
    runtime.enter(|| {
        greenroom::call_later(SECOND, move || {
            let body = move || {
                let event = Rc::new(Event::new());
                let rings = event.clone();
                greenroom::call_later(SECOND, move || rings.set());
                green::wait(event.wait());
                seen.set(nap(3));
            };
            green::spawn(body).detach();
        });
    });
    let start = runtime.enter(now);
    runtime.run().unwrap();
    assert_eq!((done.get(), runtime.enter(now) - start), (3, 5 * SECOND));
}
