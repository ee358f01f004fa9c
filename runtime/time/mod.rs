//! Waiting for time: `sleep.rs`, `timeout.rs`, `interval.rs`. For plain callbacks at a time, see
//! `executor/callbacks.rs`.

mod interval;
mod sleep;
mod timeout;

pub use interval::{Interval, MissedTicks, interval};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, timeout};
