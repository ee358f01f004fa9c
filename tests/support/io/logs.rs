//! The log as tests see it: a thread that asks for it keeps the lines that it wrote itself, so tests
//! that run side by side do not read each other's.

use std::cell::RefCell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

thread_local! {
    /// What this thread keeps: up to which level, and the lines so far.
    static KEPT: RefCell<Option<(LevelFilter, Vec<String>)>> = const { RefCell::new(None) };
}

/// The one logger of the process.
struct ThreadLog;

impl Log for ThreadLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        KEPT.with_borrow(|kept| kept.as_ref().is_some_and(|(level, _)| metadata.level() <= *level))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}: {}", record.level(), record.target(), record.args());
            KEPT.with_borrow_mut(|kept| kept.iter_mut().for_each(|(_, lines)| lines.push(line.clone())));
        }
    }

    fn flush(&self) {}
}

/// Runs `f`; gives its value and the lines up to `level` that this thread logged meanwhile.
pub fn logged<R>(level: LevelFilter, f: impl FnOnce() -> R) -> (R, Vec<String>) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_logger(&ThreadLog).expect("this process has no other logger");
        log::set_max_level(LevelFilter::Trace);
    });
    KEPT.set(Some((level, Vec::new())));
    let value = f();
    let (_, lines) = KEPT.take().expect("it was set above");
    (value, lines)
}
