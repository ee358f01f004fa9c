//! One monotonic clock for everything that waits.
//!
//! A clock is real, or virtual: virtual time stands still while anything can run and jumps to the
//! next deadline when nothing else can happen, so that a test of an hour takes a millisecond and
//! comes out the same each time. The loop reads the clock once or twice a turn and keeps what it read
//! ([`Clock::cached`]); whoever makes a timer reads it afresh, so that no sleep is too short.
//!
//! Inside the runtime a time is a [`Moment`]: nanoseconds since the loop started, one machine
//! word to compare, 584 years of range. Arithmetic saturates at [`Moment::NEVER`].
//!
//! Read next: `observer.rs`.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A point in time: nanoseconds since the loop's clock was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u64);

impl Moment {
    /// The deadline that is never reached.
    pub(crate) const NEVER: Moment = Moment(u64::MAX);

    /// This much later; too late to count means never.
    pub(crate) fn after(self, delay: Duration) -> Moment {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_add(nanos))
    }

    /// The time from `earlier` to here, zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same as a duration since the loop's start, with never as [`Duration::MAX`].
    pub(crate) fn since_start(self) -> Duration {
        match self {
            Moment::NEVER => Duration::MAX,
            Moment(nanos) => Duration::from_nanos(nanos),
        }
    }
}

/// The loop's clock.
#[derive(Debug)]
pub(crate) struct Clock {
    /// What the operating system's clock said at moment zero.
    start: Instant,
    /// Whether time jumps instead of passing.
    is_virtual: bool,
    /// The last reading; on a virtual clock it is the time.
    cached: Cell<Moment>,
}

impl Clock {
    /// A clock at moment zero.
    pub(crate) fn new(is_virtual: bool) -> Clock {
        Clock { start: Instant::now(), is_virtual, cached: Cell::new(Moment(0)) }
    }

    /// Whether time jumps instead of passing.
    pub(crate) fn is_virtual(&self) -> bool {
        self.is_virtual
    }

    /// The time now, read from the operating system (some 20 ns) and remembered.
    pub(crate) fn read(&self) -> Moment {
        if !self.is_virtual {
            self.cached.set(Moment(0).after(self.start.elapsed()));
        }
        self.cached.get()
    }

    /// The last reading, for free.
    pub(crate) fn cached(&self) -> Moment {
        self.cached.get()
    }

    /// Lets virtual time jump ahead to `moment`; it never goes back, and never jumps to never.
    pub(crate) fn jump_to(&self, moment: Moment) {
        assert!(self.is_virtual, "only virtual time jumps");
        if moment != Moment::NEVER && moment > self.cached.get() {
            self.cached.set(moment);
        }
    }

    /// `moment` as users see it.
    pub(crate) fn to_instant(&self, moment: Moment) -> Instant {
        // Past the range of `Instant` any far time will do: it is as good as never.
        let far = Duration::from_secs(30 * 365 * 24 * 3600);
        let since_start = Duration::from_nanos(moment.0);
        self.start.checked_add(since_start).unwrap_or(self.start + far)
    }

    /// What a user's `instant` is here; times before the start are moment zero.
    pub(crate) fn to_moment(&self, instant: Instant) -> Moment {
        Moment(0).after(instant.saturating_duration_since(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_moves_only_by_jumps() {
        let clock = Clock::new(true);
        assert_eq!(clock.read(), Moment(0));
        clock.jump_to(Moment(5));
        clock.jump_to(Moment(3));
        clock.jump_to(Moment::NEVER);
        assert_eq!(clock.read(), Moment(5));
    }

    #[test]
    fn real_time_never_goes_back_and_is_cached() {
        let clock = Clock::new(false);
        let first = clock.read();
        assert_eq!(clock.cached(), first);
        assert!(clock.read() >= first);
    }

    #[test]
    fn arithmetic_saturates_at_never() {
        assert_eq!(Moment(7).after(Duration::MAX), Moment::NEVER);
        assert_eq!(Moment(3).since(Moment(9)), Duration::ZERO);
        let clock = Clock::new(true);
        let instant = clock.to_instant(Moment(12));
        assert_eq!(clock.to_moment(instant), Moment(12));
        assert!(clock.to_instant(Moment::NEVER) > instant);
        assert_eq!(clock.to_moment(clock.start - Duration::from_secs(1)), Moment(0));
    }
}
