//! What the tests of the core share: counters, destructors, wakers, the log, and a watchdog.
//!
//! Nothing here waits by the clock to get things into an order; the watchdog alone knows a time,
//! so that a lost wake is a failure with a name instead of a test that hangs.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once, mpsc};
use std::task::{Wake, Waker};
use std::time::Duration;

use greenroom::{Runtime, Turn};

/// How long the watchdog lets a test run; generous, because valgrind slows it thirtyfold.
const PATIENCE: Duration = Duration::from_secs(100);

/// A number that clones share, on all threads.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<AtomicUsize>);

impl Tally {
    pub fn new() -> Tally {
        Tally::default()
    }

    /// Counts one more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A value whose drop counts.
    pub fn token(&self) -> Token {
        Token(self.clone())
    }
}

/// Counts its drop.
#[derive(Debug)]
pub struct Token(Tally);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// Runs a closure when dropped.
pub struct OnDrop<F: FnOnce()>(Option<F>);

pub fn on_drop<F: FnOnce()>(f: F) -> OnDrop<F> {
    OnDrop(Some(f))
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// A value whose drop panics, unless a panic is under way.
pub struct Bomb(pub &'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

/// A waker that is not the runtime's: it calls `on_wake`, and drops whatever else it owns.
struct ForeignWaker<D: Send + Sync>(Box<dyn Fn() + Send + Sync>, #[allow(unused)] D);

impl<D: Send + Sync + 'static> Wake for ForeignWaker<D> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// A waker that calls `on_wake`.
pub fn waker(on_wake: impl Fn() + Send + Sync + 'static) -> Waker {
    waker_with(on_wake, ())
}

/// The same, which drops `cargo` with its last clone.
pub fn waker_with(on_wake: impl Fn() + Send + Sync + 'static, cargo: impl Send + Sync + 'static) -> Waker {
    Arc::new(ForeignWaker(Box::new(on_wake), cargo)).into()
}

/// A waker that counts.
pub fn counting_waker(tally: &Tally) -> Waker {
    let tally = tally.clone();
    waker(move || tally.add())
}

/// What a panic said.
pub fn panic_text(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().map_or("no text", |text| text).to_string(),
    }
}

/// Runs `f`, which must panic, and gives what it said.
pub fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("nothing panicked"),
        Err(payload) => panic_text(payload),
    }
}

/// Runs `f` on a thread of its own and fails if it does not come back.
#[track_caller]
pub fn within_patience(f: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _done = done;
        f();
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = is_done.recv_timeout(PATIENCE) {
        panic!("still not done after {PATIENCE:?}: a wake was lost, or the loop waits for nothing");
    }
    if let Err(payload) = thread.join() {
        resume_unwind(payload);
    }
}

/// A turn as a tuple: ran, fired, events, messages, stalled.
pub fn numbers(turn: Turn) -> (usize, usize, usize, usize, bool) {
    (turn.ran, turn.fired, turn.events, turn.messages, turn.stalled)
}

/// A runtime whose time jumps.
pub fn virtual_runtime() -> Runtime {
    Runtime::builder().virtual_clock(true).build().unwrap()
}

/// Shows that the loop is whole: tasks, timers, callbacks and wakes from outside still work.
#[track_caller]
pub fn assert_whole(runtime: &Runtime) {
    let handle = runtime.handle();
    let remote = std::thread::spawn(move || handle.spawn(async { 5 })).join().unwrap();
    let sum = runtime.block_on(async {
        let (sender, receiver) = futures::channel::oneshot::channel();
        greenroom::call_soon(move || sender.send(1).unwrap());
        let task = greenroom::spawn(async {
            greenroom::sleep(Duration::from_millis(1)).await;
            greenroom::yield_now().await;
            3
        });
        receiver.await.unwrap() + task.await.unwrap() + remote.await.unwrap()
    });
    assert_eq!(sum, 9);
}

thread_local! {
    /// What was logged on this thread.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what is logged, thread by thread: tests run side by side, a loop has one thread.
struct LineLogger;

impl log::Log for LineLogger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Debug
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{}: {}", record.level(), record.args());
        // A thread that is being torn down keeps nothing.
        let _ = LINES.try_with(|lines| lines.borrow_mut().push(line));
    }

    fn flush(&self) {}
}

/// Starts to keep what is logged. Tests that read the log call it first.
pub fn keep_log() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_boxed_logger(Box::new(LineLogger)).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
    });
    LINES.take();
}

/// Takes what was logged on this thread.
pub fn logged() -> Vec<String> {
    LINES.take()
}

/// How many descriptors this process has open.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Two ends of a TCP connection over the loopback device.
pub fn tcp_pair() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// A number from the environment, or `default`.
pub fn number_from_env(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: not a number")),
        Err(_) => default,
    }
}
