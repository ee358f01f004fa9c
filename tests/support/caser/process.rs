//! What a process uses, from /proc (see proc(5)).

use std::fs;
use std::time::Duration;

/// Memory of the process that is in use, in bytes.
pub fn resident_bytes(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).expect("a running process");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * system_number(libc::_SC_PAGESIZE)
}

/// How many descriptors the process has open.
pub fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("a running process").count()
}

/// Processor time that the process has used so far.
pub fn processor_time(pid: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    // The name, in parentheses, may contain blanks; what follows does not.
    let (_, fields) = text.rsplit_once(") ").expect("a name in parentheses");
    let ticks =
        |index: usize| fields.split(' ').nth(index).and_then(|n| n.parse::<u64>().ok()).expect("ticks");
    let (user, system) = (ticks(11), ticks(12));
    Duration::from_secs(user + system) / system_number(libc::_SC_CLK_TCK) as u32
}

/// Raises this process's limit of open files as far as it goes; returns the limit.
#[allow(dead_code, reason = "not every test that measures needs many descriptors")]
pub fn raise_descriptor_limit() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit of open files")
}

fn system_number(name: i32) -> u64 {
    // SAFETY: sysconf(3) only takes and gives numbers.
    let number = unsafe { libc::sysconf(name) };
    number.try_into().expect("a number that Linux knows")
}
