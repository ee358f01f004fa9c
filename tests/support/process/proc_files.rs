//! Processes as /proc shows them, see proc(5).

use std::fs;
use std::time::{Duration, Instant};

/// Whether the process is in the process table, as a zombie at least.
pub fn is_there(id: u32) -> bool {
    fs::exists(format!("/proc/{id}")).unwrap()
}

/// Whether the process is over but not reaped.
pub fn is_zombie(id: u32) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
    // The name, in parentheses, may contain blanks.
    text.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('Z'))
}

/// The numbers of the descriptors that the process has open.
#[allow(dead_code, reason = "not every test that looks at processes looks at their descriptors")]
pub fn descriptors(id: u32) -> Vec<i32> {
    let entries = fs::read_dir(format!("/proc/{id}/fd")).unwrap();
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let mut all: Vec<i32> = entries.filter_map(|entry| number(entry.unwrap())).collect();
    all.sort_unstable();
    all
}

/// Asks again and again until the answer is yes; false if it was not within ten seconds.
#[allow(dead_code, reason = "not every test that looks at processes waits for them")]
pub fn becomes_true(ask: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while !ask() {
        if Instant::now() > end {
            return false;
        }
        // No order depends on this pause: it leaves the processor to whom we wait for.
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}
