//! What a callback is: a closure, when it runs, and whether it runs again.
//!
//! Read next: `local_loop.rs`.

use std::fmt;
use std::os::fd::RawFd;
use std::panic::Location;
use std::time::Duration;

use crate::clock::Moment;
use crate::reactor::Direction;
use crate::table::Key;

/// The closure of a callback.
pub(crate) enum Closure {
    /// Runs once.
    Once(Box<dyn FnOnce()>),
    /// Runs again and again.
    Many(Box<dyn FnMut()>),
}

/// When a callback runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Schedule {
    /// In the next turn.
    Soon,
    /// At its deadline.
    At,
    /// At its deadline and then at this interval.
    Every(Duration),
    /// Whenever this descriptor is ready in this direction.
    Watch(RawFd, Direction),
}

/// A registered callback.
pub(crate) struct Callback {
    /// What to run; absent while it runs.
    pub(crate) closure: Option<Closure>,
    /// When to run it.
    pub(crate) schedule: Schedule,
    /// The next deadline, where the schedule has one.
    pub(crate) deadline: Moment,
    /// The timer of that deadline.
    pub(crate) timer: Option<Key>,
    /// How many beats were skipped because their time had passed.
    pub(crate) missed: u64,
    /// Where it was registered.
    pub(crate) location: &'static Location<'static>,
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callback({:?} from {})", self.schedule, self.location)
    }
}

/// A descriptor that callbacks watch.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Its registration in the reactor.
    pub(crate) source: Key,
    /// The callback for readiness to read.
    pub(crate) reader: Option<Key>,
    /// The callback for readiness to write.
    pub(crate) writer: Option<Key>,
}

impl Watch {
    /// The callback of one direction.
    pub(crate) fn side(&mut self, direction: Direction) -> &mut Option<Key> {
        match direction {
            Direction::Read => &mut self.reader,
            Direction::Write => &mut self.writer,
        }
    }
}
