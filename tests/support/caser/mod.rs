//! Real case servers for the tests to talk to: each a process of its own, at a port of its own.
//!
//! `server.rs` starts and ends them and reads their log, `client.rs` is somebody who talks to one,
//! `conversations.rs` plays written conversations, `process.rs` looks at what a process uses.
//!
//! Every wait has a deadline and watches for what it waits for; nothing is put in order by sleeping.
#![allow(dead_code, unused_imports, reason = "each test file uses its part of this")]

pub mod client;
pub mod conversations;
pub mod process;
#[path = "../running.rs"]
pub mod running;
pub mod server;

pub use running::{LONG, becomes_true};

/// Makes a test of each function, once for each of the case servers, whose name it is given.
macro_rules! on_every_caser {
    ($($test:ident),* $(,)?) => {
        mod tasks {
            $(#[test] fn $test() { super::$test("caser") })*
        }
        mod callbacks {
            $(#[test] fn $test() { super::$test("caser_callbacks") })*
        }
        mod green_threads {
            $(#[test] fn $test() { super::$test("caser_green") })*
        }
    };
}
pub(crate) use on_every_caser;
