//! Real case servers for the tests to talk to: each a process of its own, at a port of its own.
//!
//! `server.rs` starts and ends them and reads their log, `client.rs` is somebody who talks to one,
//! `conversations.rs` plays written conversations, `process.rs` looks at what a process uses.
//!
//! Every wait has a deadline and watches for what it waits for; nothing is put in order by sleeping.
#![allow(dead_code, reason = "each test file uses its part of this")]

pub mod client;
pub mod conversations;
#[path = "../example.rs"]
pub mod example;
pub mod process;
pub mod server;

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that is not about time. Only a failing test takes so long.
pub const LONG: Duration = Duration::from_secs(20);

/// Makes a test of each function, once for each of the two case servers, whose name it is given.
macro_rules! on_both_casers {
    ($($test:ident),* $(,)?) => {
        mod tasks {
            $(#[test] fn $test() { super::$test("caser") })*
        }
        mod callbacks {
            $(#[test] fn $test() { super::$test("caser_callbacks") })*
        }
    };
}
pub(crate) use on_both_casers;

/// Asks again and again until the answer is yes; false if it was not within `limit`.
pub fn becomes_true(limit: Duration, mut ask: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !ask() {
        if Instant::now() > end {
            return false;
        }
        // No order depends on this pause: it leaves the processor to whom we wait for.
        thread::sleep(Duration::from_millis(2));
    }
    true
}
