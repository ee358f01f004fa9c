//! The example programs as their users run them: what each promises in its head, on its command line and on
//! the wire. To replay one: `cargo test --test programs <name>`.
//!
//! `every_one.rs` has what is asked of all of them, also of those that are yet to be written.

#[path = "../../examples/thread_counter/counting/mod.rs"]
mod counting;
#[path = "../support/caser/process.rs"]
mod figures;
#[path = "../support/process/proc_files.rs"]
mod proc_files;
#[path = "../support/running.rs"]
mod running;
#[path = "../../examples/scheduler/sched.rs"]
mod sched;
#[path = "../support/process/terminal.rs"]
mod terminal;

mod barriers;
mod counter;
mod dining_philosophers;
mod dns;
mod echo;
mod every_one;
mod five_ways;
mod input_reader;
mod pool;
mod process;
mod producer_consumer;
mod site_sizes;
mod sort;
mod tasks;
mod thread_counter;
mod websocket;
