//! "A deadline is now plus the delay; it is due when now has reached it." But which now?
//!
//! ```text
//! cargo run --example obvious -- 3
//! ```
//!
//! The first scheduler takes the time of day to make a deadline and the monotonic clock to compare: both
//! are numbers of milliseconds, so it compiles. The second one uses the time of day for both, and the
//! clock is set back by an hour (simulated) while it waits. The third has one monotonic clock.

use std::thread::yield_now;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The delays of the timers, in milliseconds.
const DELAYS: [u64; 3] = [10, 60, 110];

/// For how long each scheduler is run, in milliseconds.
const RUN_FOR: u64 = 200;

/// Milliseconds since 1970: what the wall clock says. Anybody may set it.
fn time_of_day() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Sets a timer for each delay with one clock, and fires what is due by the other; says how many fired.
fn schedule(clock_to_make: impl Fn() -> u64, clock_to_compare: impl Fn() -> u64) -> (usize, u64) {
    let mut deadlines = DELAYS.map(|delay| clock_to_make() + delay).to_vec();
    let end = Instant::now() + Duration::from_millis(RUN_FOR);
    while Instant::now() < end && !deadlines.is_empty() {
        let now = clock_to_compare();
        deadlines.retain(|deadline| *deadline > now);
        yield_now();
    }
    let wait = deadlines.first().map_or(0, |deadline| deadline.saturating_sub(clock_to_compare()));
    (DELAYS.len() - deadlines.len(), wait)
}

/// The three schedulers.
pub fn run() {
    let start = Instant::now();
    let monotonic = || start.elapsed().as_millis() as u64;
    println!("timers for {DELAYS:?} ms, each scheduler runs for {RUN_FOR} ms\n");

    let (fired, wait) = schedule(time_of_day, monotonic);
    let years = wait / (365 * 24 * 3600 * 1000);
    println!("made with the time of day, compared with the monotonic clock:");
    println!("  {fired} of 3 fired; the next one is due in about {years} years");

    let set_back = Instant::now() + Duration::from_millis(40);
    let wall = || if Instant::now() < set_back { time_of_day() } else { time_of_day() - 3_600_000 };
    let (fired, wait) = schedule(wall, wall);
    println!("made and compared with the time of day, which is set back by an hour after 40 ms:");
    println!("  {fired} of 3 fired; the next one is due in about {} minutes", wait.div_ceil(60_000));

    let (fired, _) = schedule(monotonic, monotonic);
    println!("made and compared with one monotonic clock (this is how it should be):");
    println!("  {fired} of 3 fired");
}
