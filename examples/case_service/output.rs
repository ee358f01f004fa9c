//! What the case servers print: their log on standard output, which never makes them wait.
//!
//! Used by their `main` (`init`, `finish`) and through the `log` macros everywhere else.
//!
//! ```text
//!   info!(..) -> env_logger (filter, format) -> QUEUE (about 1 MiB) -> writer thread -> standard output
//! ```
//!
//! Without RUST_LOG in the environment, messages of level info appear bare, one line each; warnings and
//! errors tell their level and place. With RUST_LOG, its filter and the usual format of `env_logger` apply.
//!
//! Invariants:
//! 1. Only the writer thread ever writes, so a terminal that was stopped, or a full pipe that nobody
//!    reads, holds up nothing but the log. A closed one is no error.
//! 2. When the queue is full lines are lost, whole ones, and a line in their place tells how many.
//! 3. The lines keep their order, and are written at once if the output takes them.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use env_logger::{Builder, Target};
use log::{Level, LevelFilter};

/// How many bytes may wait before lines are lost; the line that reaches this is still taken, of any length.
const CAPACITY: usize = 1 << 20;

/// How long `finish` waits for an output that does not take what is waiting.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// How long to wait before trying again on an output in non-blocking mode that is full.
const RETRY_AFTER: Duration = Duration::from_millis(10);

static QUEUE: LineQueue = LineQueue::new();

/// Starts logging. To be called once, first thing; if it cannot, it says so on standard error, and the
/// program goes on without a log.
pub fn init() {
    // The first look at the local time searches the disk for time zones: not while clients wait.
    let _ = now_as_ctime();
    let output = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let started = output.and_then(|output| {
        let writer = thread::Builder::new().name("log writer".to_string());
        writer.spawn(move || QUEUE.write_to(output))
    });
    if let Err(error) = started {
        let _ = writeln!(io::stderr(), "no log, the thread that writes it cannot start: {error}");
        return;
    }
    let mut builder = match std::env::var_os("RUST_LOG") {
        Some(filter) if !filter.is_empty() => Builder::from_default_env(),
        _ => bare(),
    };
    // Fails if a logger is there already, which then goes on.
    let _ = builder.target(Target::Pipe(Box::new(&QUEUE))).try_init();
}

/// Waits until everything logged so far is written, but not for long.
pub fn finish() {
    QUEUE.wait_until_written(FINISH_WITHIN);
}

/// The local time, as in `Sat Nov 21 23:06:39 2026`.
pub fn now_as_ctime() -> String {
    jiff::Zoned::now().strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// The filter and the format for an environment without RUST_LOG.
fn bare() -> Builder {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Info);
    builder.filter_module("greenroom", LevelFilter::Warn);
    builder.format(|line, record| match record.level() {
        Level::Info => writeln!(line, "{}", record.args()),
        level => writeln!(line, "{level} {}: {}", record.target(), record.args()),
    });
    builder
}

/// The lines on their way to the writer thread.
struct LineQueue {
    /// Held for no longer than it takes to copy a line, never while writing.
    state: Mutex<QueueState>,
    /// The state has changed: there is something to write, or the last of it was written.
    changed: Condvar,
}

/// What a `LineQueue` guards.
struct QueueState {
    /// Whole lines that wait to be written.
    waiting: Vec<u8>,
    /// How many lines came after those in `waiting` and were lost, for want of room.
    lost: u64,
    /// The writer has taken lines out and is not done with them.
    writing: bool,
}

impl LineQueue {
    const fn new() -> Self {
        let state = QueueState { waiting: Vec::new(), lost: 0, writing: false };
        LineQueue { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The state is consistent at every point where it is unlocked, also by a panic.
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one line, or counts it as lost. Once a line is lost so are those that follow, until the writer
    /// comes for the queue: the loss is then one gap, and is told in its place.
    fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lost > 0 || state.waiting.len() >= CAPACITY {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        drop(state);
        self.changed.notify_all();
    }

    /// The writer thread: takes all that waits, writes it, and so on for ever.
    fn write_to(&self, mut output: impl Write) {
        loop {
            let mut state = self.lock();
            state.writing = false;
            self.changed.notify_all();
            while state.waiting.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.writing = true;
            let mut lines = std::mem::take(&mut state.waiting);
            let lost = std::mem::take(&mut state.lost);
            drop(state);
            if lost > 0 {
                let noun = if lost == 1 { "line was" } else { "lines were" };
                lines.extend(format!("({lost} {noun} lost here, the output was too slow)\n").bytes());
            }
            // An output that is closed stays so, and nobody is there to be told.
            let _ = write_patiently(&mut output, &lines);
        }
    }

    /// Waits until nothing is waiting or being written, or `limit` is over; true if all is written.
    fn wait_until_written(&self, limit: Duration) -> bool {
        let unwritten = |state: &mut QueueState| state.writing || !state.waiting.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), limit, unwritten);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Each call is one line: `env_logger` hands over whole records.
impl Write for &'static LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Like `write_all`, also for an output that somebody else has set to non-blocking mode.
fn write_patiently(output: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_AFTER),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read};

    /// A queue whose writer thread writes into the returned pipe.
    fn piped_queue() -> (&'static LineQueue, io::PipeReader) {
        let (reader, writer) = io::pipe().expect("a pipe");
        let queue: &'static LineQueue = Box::leak(Box::new(LineQueue::new()));
        thread::spawn(move || queue.write_to(writer));
        (queue, reader)
    }

    #[test]
    fn lines_come_out_in_order_and_at_once() {
        let (queue, reader) = piped_queue();
        let mut lines = BufReader::new(reader).lines();
        for round in 0..100 {
            queue.add(format!("line {round}\n").as_bytes());
            assert_eq!(lines.next().unwrap().unwrap(), format!("line {round}"));
        }
        assert!(queue.wait_until_written(FINISH_WITHIN));
    }

    #[test]
    fn a_full_pipe_holds_up_nobody_and_the_loss_is_told() {
        let (queue, reader) = piped_queue();
        let line = [vec![b'x'; 999], vec![b'\n']].concat();
        for _ in 0..3000 {
            queue.add(&line);
        }
        assert!(!queue.wait_until_written(Duration::from_millis(1)));
        // Every line is either there or told to be lost, perhaps in several gaps.
        let (mut accounted_for, mut gaps) = (0, 0);
        let mut lines = BufReader::new(reader).lines();
        while accounted_for < 3000 {
            let line = lines.next().unwrap().unwrap();
            accounted_for += match line.strip_prefix('(') {
                None => 1,
                Some(notice) => {
                    gaps += 1;
                    let (lost, rest) = notice.split_once(' ').unwrap();
                    assert!(rest.ends_with("lost here, the output was too slow)"));
                    lost.parse::<usize>().unwrap()
                }
            };
        }
        assert!(gaps > 0 && accounted_for == 3000);
        queue.add(b"later\n");
        assert_eq!(lines.next().unwrap().unwrap(), "later");
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let (queue, mut reader) = piped_queue();
        queue.add(b"read\n");
        reader.read_exact(&mut [0; 5]).expect("the line");
        drop(reader);
        for _ in 0..10 {
            queue.add(b"nobody reads this\n");
            assert!(queue.wait_until_written(FINISH_WITHIN));
        }
    }

    #[test]
    fn the_time_has_the_form_of_ctime() {
        let now = now_as_ctime();
        assert_eq!(now.len(), "Sat Nov 21 23:06:39 2026".len());
        assert!(now.split(':').count() == 3 && !now.contains(", "));
    }
}
