//! Chapter 5: look whether anything was asked for, and if not, go to sleep until the bell rings.
//!
//! Two threads, std alone. The home looks at a list of wakes and sleeps on a condition variable; the
//! other thread adds a wake and rings. Each of them does the right things in the right order, and all
//! the same a wake is lost when it falls between the look and the sleep. The operating system may stop
//! a thread there at any time; here a channel does it each time, so that you need not wait for it.

use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long the home sleeps before we say that nobody will ever wake it.
const FOR_EVER: Duration = Duration::from_millis(500);

/// What the two threads share.
#[derive(Default)]
struct Home {
    /// Who was woken and has not run yet.
    woken: Mutex<Vec<&'static str>>,
    /// Rings whoever sleeps at this moment; it remembers nothing.
    bell: Condvar,
}

impl Home {
    /// From another thread: leaves the name and rings.
    fn wake(&self, task: &'static str) {
        self.woken.lock().unwrap().push(task);
        self.bell.notify_one();
    }

    /// At home: looks, and sleeps if there is nothing. `between` is what others do meanwhile.
    fn look_then_sleep(&self, between: impl FnOnce()) {
        let nothing = self.woken.lock().unwrap().is_empty();
        between();
        if nothing {
            let woken = self.woken.lock().unwrap();
            drop(self.bell.wait_timeout(woken, FOR_EVER).unwrap());
        }
    }

    /// The same with one lock held from the look to the sleep, which `wait_timeout` gives up only once
    /// the thread is asleep. Nobody can get in between, so `before` is the nearest that others get.
    fn look_and_sleep_as_one(&self, before: impl FnOnce()) {
        before();
        let woken = self.woken.lock().unwrap();
        if woken.is_empty() {
            drop(self.bell.wait_timeout(woken, FOR_EVER).unwrap());
        }
    }
}

/// Runs one round of the game; says what came of it.
fn play(what: &str, sleep: impl FnOnce(&Home, &dyn Fn())) {
    let home = Arc::new(Home::default());
    let (go, may_go) = channel();
    let (done, is_done) = channel();
    let abroad = home.clone();
    let waker = std::thread::spawn(move || {
        may_go.recv().unwrap();
        abroad.wake("task 1");
        done.send(()).unwrap();
    });
    let start = Instant::now();
    sleep(&home, &|| {
        go.send(()).unwrap();
        is_done.recv().unwrap();
    });
    waker.join().unwrap();
    let overslept = start.elapsed() >= FOR_EVER;
    let woken = home.woken.lock().unwrap();
    let slept = if overslept { "slept until we gave up" } else { "did not sleep" };
    println!("{what}: {woken:?} was woken, and the home {slept}");
}

/// Plays both ways.
pub fn run() {
    play("look, then sleep     ", |home, others| home.look_then_sleep(others));
    play("look and sleep as one", |home, others| home.look_and_sleep_as_one(others));
    println!(
        "\nThe bell rang between the look and the sleep, when nobody was asleep to hear it. What should\n\
         have happened is the second line: a wake is heard by the look or by the sleep, with no gap\n\
         between them (runtime/inbox.rs: park)."
    );
}
