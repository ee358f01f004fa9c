//! Ten workers, one counter, one screen: what the programs have in common, `tasks.rs` and `threads.rs`.

pub mod tasks;
pub mod threads;

/// How to share a counter and a screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Each resource belongs to one owner, who is reached by a queue.
    Queues,
    /// Each resource has a lock.
    Locks,
    /// Not at all.
    Racy,
}

/// How many workers there are; each counts once.
pub const WORKERS: u32 = 10;

/// What is printed after each count.
pub const RULE: &str = "---------------";

/// What every run should print.
pub fn expected() -> String {
    let counts = (1..=WORKERS).map(|count| format!("{}\n{RULE}\n", count_line(count)));
    format!("Starting up\n{}Finishing up\n", counts.collect::<String>())
}

/// What a worker prints of the count.
pub fn count_line(count: u32) -> String {
    format!("The count is {count}")
}
