//! What memory this process has, as /proc/self tells (proc(5)).
#![allow(dead_code, reason = "each test program looks at its part of this")]

/// How many mappings there are. Neighbours of one kind are one.
pub fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

/// How many bytes are mapped.
pub fn mapped_bytes() -> usize {
    bytes("VmSize:")
}

/// How many bytes of that are in memory.
pub fn resident_bytes() -> usize {
    bytes("VmRSS:")
}

/// A line of the status, which is in KiB.
fn bytes(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let number = status.lines().find_map(|text| text.strip_prefix(line)).expect("a line of the status");
    number.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
