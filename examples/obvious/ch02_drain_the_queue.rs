//! "Run whatever is ready, until nothing is; then look at the timers and the sockets."
//!
//! ```text
//! cargo run --example obvious -- 2
//! ```
//!
//! One job that always has a next step puts itself back into the queue. The queue is never empty, so the
//! loop never gets to the timer that is due, nor to the socket with bytes in it. The second loop runs
//! only what was ready when its turn began. Time is a counter, one tick per step, so that the output is
//! the same each time.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// How many steps the busy job has.
const STEPS: u32 = 1000;

/// When the timer is due, in steps.
const TIMER_DUE: u32 = 5;

/// A loop with a queue, one timer and one socket.
struct Loop {
    /// What is ready: each entry is one more step of the busy job.
    ready: VecDeque<u32>,
    /// How many steps were run: the clock of this program.
    clock: u32,
    /// When the timer fired.
    fired: Option<u32>,
    /// A socket that has bytes in it from the start.
    socket: UnixStream,
    /// When the bytes were read.
    heard: Option<u32>,
}

impl Loop {
    /// A loop whose busy job is about to begin.
    fn new() -> std::io::Result<Loop> {
        let (mut peer, socket) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        peer.write_all(b"hello")?;
        Ok(Loop { ready: VecDeque::from([0]), clock: 0, fired: None, socket, heard: None })
    }

    /// One step of the busy job; the next one is ready at once.
    fn run_one(&mut self) {
        let Some(step) = self.ready.pop_front() else { return };
        self.clock += 1;
        if step + 1 < STEPS {
            self.ready.push_back(step + 1);
        }
    }

    /// The timer and the socket.
    fn look(&mut self) {
        if self.clock >= TIMER_DUE {
            self.fired.get_or_insert(self.clock);
        }
        if self.heard.is_none() && self.socket.read(&mut [0; 16]).is_ok() {
            self.heard = Some(self.clock);
        }
    }

    /// Says what became of the timer and the socket.
    fn report(&self, name: &str) {
        let at = |when: Option<u32>| when.map_or("never".into(), |step| format!("after step {step}"));
        println!("{name}:");
        println!("  the timer for step {TIMER_DUE} fired {}", at(self.fired));
        println!("  the bytes that were there from the start were read {}", at(self.heard));
    }
}

/// The obvious loop, and one that takes turns.
pub fn run() {
    if let Err(error) = run_both() {
        println!("this needs a pair of sockets: {error}");
    }
}

fn run_both() -> std::io::Result<()> {
    let mut obvious = Loop::new()?;
    while !obvious.ready.is_empty() {
        while !obvious.ready.is_empty() {
            obvious.run_one();
        }
        obvious.look();
    }
    obvious.report("run until nothing is ready");
    println!("  a job without an end would hold both up for ever\n");

    let mut fair = Loop::new()?;
    while !fair.ready.is_empty() {
        for _ in 0..fair.ready.len() {
            fair.run_one();
        }
        fair.look();
    }
    fair.report("run what was ready when the turn began (this is how it should be)");
    Ok(())
}
