//! The obvious answers of NOTES.md, and how each of them fails. One chapter at a time:
//!
//! ```text
//! cargo run --example obvious -- 3          the obvious timers of chapter 3, and what goes wrong
//! ```
//!
//! `RUST_LOG=greenroom=trace` shows what the loop does meanwhile, where there is one.
//!
//! Each file is a small program of its own that uses nothing of the runtime, or misuses it on purpose. It
//! ends by itself, and says what should have happened.

mod ch01_one_after_the_other;
mod ch02_drain_the_queue;
mod ch03_two_clocks;
mod ch04_one_read_per_edge;
mod ch05_check_then_park;
mod ch06_future_in_a_refcell;
mod ch07_one_line_per_packet;
mod ch08_last_in_first_out;
mod ch09_a_flag_to_stop;
mod ch09b_one_handle_after_the_other;
mod ch10_wake_the_first;
mod ch11_a_thread_each;
mod ch11b_a_lock_across_a_wait;
mod ch12_call_it_in_the_task;
mod ch12b_lock_each_access;
mod ch15_exit_the_process;

use std::process::ExitCode;

/// A chapter: its number, its question, and its program.
type Chapter = (&'static str, &'static str, fn());

const CHAPTERS: [Chapter; 16] = [
    ("1", "read from one client until it has nothing more to say", ch01_one_after_the_other::run),
    ("2", "run whatever is ready until nothing is", ch02_drain_the_queue::run),
    ("3", "sleep with one clock, compare with another", ch03_two_clocks::run),
    ("4", "read once for each event", ch04_one_read_per_edge::run),
    ("5", "check the flag, then go to sleep", ch05_check_then_park::run),
    ("6", "keep the future in a RefCell and poll it when woken", ch06_future_in_a_refcell::run),
    ("7", "one packet is one line", ch07_one_line_per_packet::run),
    ("8", "run the task that was woken last", ch08_last_in_first_out::run),
    ("9", "stop a task with a flag that it looks at", ch09_a_flag_to_stop::run),
    ("9b", "keep the handles and await one after the other", ch09b_one_handle_after_the_other::run),
    ("10", "wake the first waiter and let it look again", ch10_wake_the_first::run),
    ("11", "give each that waits a thread of the system", ch11_a_thread_each::run),
    ("11b", "hold a lock while a green thread waits", ch11b_a_lock_across_a_wait::run),
    ("12", "call a blocking function in the task that needs its result", ch12_call_it_in_the_task::run),
    ("12b", "share the state, and lock it whenever it is touched", ch12b_lock_each_access::run),
    ("15", "end the process to end the loop", ch15_exit_the_process::run),
];

fn main() -> ExitCode {
    env_logger::init();
    let asked = std::env::args().nth(1).unwrap_or("--help".to_string());
    if let Some((number, question, run)) = CHAPTERS.iter().find(|(number, ..)| *number == asked) {
        println!("chapter {number}, the obvious answer: {question}\n");
        run();
        return ExitCode::SUCCESS;
    }
    if asked != "--help" {
        eprintln!("obvious: there is no chapter {asked:?}; see obvious --help");
        return ExitCode::from(2);
    }
    println!("usage: cargo run --example obvious -- CHAPTER");
    for (number, question, _) in CHAPTERS {
        println!("  {number:>3}  {question}");
    }
    ExitCode::SUCCESS
}
