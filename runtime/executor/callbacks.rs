//! Plain callbacks on the loop, the style before coroutines: `call_soon`, `call_later`,
//! `call_at`, `call_periodic`, `add_reader`, `add_writer`.
//!
//! A callback runs on the loop's thread, one at a time, and must not block. A panic in one is
//! logged with the place where it was registered, and ends neither the loop nor a periodic one.
//!
//! Facts about watching: epoll reports edges, but a callback that reads once and returns expects
//! to be called again while there is more. So after each run the descriptor is armed anew, one
//! epoll_ctl(2), upon which epoll reports what is ready *now*.
//!
//! Read next: `stall.rs`.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;
use std::time::{Duration, Instant};

use super::callback::{Callback, Closure, Schedule, Watch};
use super::local_loop::{LocalLoop, Target, current_if, expect_current, try_current};
use crate::atomic::Arc;
use crate::clock::Moment;
use crate::observer::Event;
use crate::reactor::Direction;
use crate::table::Key;
use crate::task::header::{Home, Mail};
use crate::task::here::Ready;
use crate::task::waker::guard;

/// A registered callback: cancel it, or ask when it runs. Dropping the handle changes nothing.
#[derive(Clone, Debug)]
pub struct CallHandle {
    /// The loop it is registered at.
    home: Arc<Home>,
    /// Which one it is.
    pub(crate) key: Key,
}

impl CallHandle {
    /// Makes sure that the callback does not run (again). From the loop's thread that is certain
    /// at once, also inside of the callback itself; from elsewhere it is a message.
    pub fn cancel(&self) {
        let key = self.key;
        match current_if(&self.home) {
            Some(current) => drop(current.remove_callback(key)),
            None => {
                let cancel = move || drop(expect_current("cancel").remove_callback(key));
                drop(self.home.post(Mail::Run(Box::new(cancel))));
            }
        }
    }

    /// When it runs next; `None` if it has run, was cancelled, or waits for no time. While it runs, the next
    /// beat of a periodic one is not set yet.
    ///
    /// # Panics
    /// On a thread that is not inside of the callback's loop.
    #[track_caller]
    pub fn when(&self) -> Option<Instant> {
        self.look(|current, callback| callback.timer.map(|_| current.clock().to_instant(callback.deadline)))
            .flatten()
    }

    /// How many beats of a periodic callback were skipped because their time had passed.
    ///
    /// # Panics
    /// On a thread that is not inside of the callback's loop.
    #[track_caller]
    pub fn missed(&self) -> u64 {
        self.look(|_, callback| callback.missed).unwrap_or(0)
    }

    /// Whether it will run (again).
    ///
    /// # Panics
    /// On a thread that is not inside of the callback's loop.
    #[track_caller]
    pub fn is_pending(&self) -> bool {
        self.look(|_, _| ()).is_some()
    }

    /// Reads the callback's record.
    #[track_caller]
    fn look<R>(&self, read: impl FnOnce(&LocalLoop, &Callback) -> R) -> Option<R> {
        let Some(current) = current_if(&self.home) else {
            panic!("a CallHandle can be asked only inside of the loop that the callback belongs to");
        };
        let callbacks = current.callbacks.borrow();
        callbacks.get(self.key).map(|callback| read(&current, callback))
    }
}

/// Runs `f` in the loop's next turn, after what is ready already.
///
/// # Panics
/// If there is no loop on this thread.
#[track_caller]
pub fn call_soon(f: impl FnOnce() + 'static) -> CallHandle {
    let current = expect_current("call_soon");
    let closure = Closure::Once(Box::new(f));
    current.register(closure, Schedule::Soon, Moment::NEVER, Location::caller())
}

/// Runs `f` once, `delay` from now; `Duration::MAX` is never.
///
/// # Panics
/// If there is no loop on this thread.
#[track_caller]
pub fn call_later(delay: Duration, f: impl FnOnce() + 'static) -> CallHandle {
    let current = expect_current("call_later");
    let deadline = current.clock().read().after(delay);
    current.register(Closure::Once(Box::new(f)), Schedule::At, deadline, Location::caller())
}

/// Runs `f` once, at `when` on the loop's clock (see [`now`](crate::now)); a time that has passed
/// is as soon as possible.
///
/// # Panics
/// If there is no loop on this thread.
#[track_caller]
pub fn call_at(when: Instant, f: impl FnOnce() + 'static) -> CallHandle {
    let current = expect_current("call_at");
    let deadline = current.clock().to_moment(when);
    current.register(Closure::Once(Box::new(f)), Schedule::At, deadline, Location::caller())
}

/// Runs `f` first `delay` from now and then every `interval`, at a fixed rate: beat n is due at
/// `delay + n * interval`, however long `f` takes. Beats whose time has passed when the loop gets
/// to them are skipped and counted ([`CallHandle::missed`]). A panic is logged; the next beat comes.
///
/// # Panics
/// If there is no loop on this thread, or `interval` is zero.
#[track_caller]
pub fn call_periodic(delay: Duration, interval: Duration, f: impl FnMut() + 'static) -> CallHandle {
    assert!(!interval.is_zero(), "call_periodic: the interval is zero; for every turn, call_soon again");
    let current = expect_current("call_periodic");
    let deadline = current.clock().read().after(delay);
    let closure = Closure::Many(Box::new(f));
    current.register(closure, Schedule::Every(interval), deadline, Location::caller())
}

/// Runs `f` whenever `fd` is ready to read, until it is removed: level-triggered, so reading a
/// part is enough. A second reader of the same descriptor replaces the first.
///
/// The descriptor must stay open until [`remove_reader`]; it should be non-blocking.
///
/// # Errors
/// If there is no loop on this thread, or what epoll_ctl(2) reports: `EPERM` for a regular file
/// (which is always ready), `EEXIST` if a stream of this loop owns the descriptor already.
#[track_caller]
pub fn add_reader(fd: &impl AsRawFd, f: impl FnMut() + 'static) -> io::Result<()> {
    let current = try_current("add_reader")?;
    current.watch(fd.as_raw_fd(), Direction::Read, Box::new(f), Location::caller())
}

/// Like [`add_reader`], for readiness to write. A descriptor is nearly always ready to write: add
/// a writer only while there is something to be written.
///
/// # Errors
/// As [`add_reader`].
#[track_caller]
pub fn add_writer(fd: &impl AsRawFd, f: impl FnMut() + 'static) -> io::Result<()> {
    let current = try_current("add_writer")?;
    current.watch(fd.as_raw_fd(), Direction::Write, Box::new(f), Location::caller())
}

/// Takes the reader of `fd` away; says whether there was one.
pub fn remove_reader(fd: &impl AsRawFd) -> bool {
    try_current("remove_reader").is_ok_and(|current| current.unwatch(fd.as_raw_fd(), Direction::Read, true))
}

/// Takes the writer of `fd` away; says whether there was one.
pub fn remove_writer(fd: &impl AsRawFd) -> bool {
    try_current("remove_writer").is_ok_and(|current| current.unwatch(fd.as_raw_fd(), Direction::Write, true))
}

/// Ends [`Runtime::run`](crate::Runtime::run) after the turn that is under way.
///
/// # Panics
/// If there is no loop on this thread.
#[track_caller]
pub fn stop() {
    expect_current("stop").stopping.set(true);
}

impl LocalLoop {
    /// Takes a callback in.
    pub(crate) fn register(
        &self,
        closure: Closure,
        schedule: Schedule,
        deadline: Moment,
        location: &'static Location<'static>,
    ) -> CallHandle {
        let key = self.callbacks.borrow_mut().insert(Callback {
            closure: Some(closure),
            schedule,
            deadline,
            timer: None,
            missed: 0,
            location,
        });
        match schedule {
            Schedule::Soon => self.here.ready.borrow_mut().push_back(Ready::Callback(key)),
            Schedule::At | Schedule::Every(_) => self.set_timer(key, deadline),
            Schedule::Watch(..) => {}
        }
        let home = self.home().clone();
        CallHandle { home, key }
    }

    /// Lets the callback `key` run at `deadline`.
    fn set_timer(&self, key: Key, deadline: Moment) {
        let timer = self.timers.borrow_mut().insert(deadline, Target::Callback(key));
        if let Some(callback) = self.callbacks.borrow_mut().get_mut(key) {
            callback.timer = Some(timer);
            callback.deadline = deadline;
        }
    }

    /// Forgets a callback; gives it back so that its closure is dropped without a borrow.
    fn remove_callback(&self, key: Key) -> Option<Callback> {
        let callback = self.callbacks.borrow_mut().remove(key)?;
        if let Some(timer) = callback.timer {
            self.timers.borrow_mut().remove(timer);
        }
        Some(callback)
    }

    /// Runs a callback that is ready or due, if it was not cancelled.
    pub(crate) fn run_callback(&self, key: Key) {
        let taken = self.callbacks.borrow_mut().get_mut(key).map(|callback| {
            callback.timer = None;
            (callback.closure.take(), callback.schedule, callback.location)
        });
        let Some((Some(closure), schedule, location)) = taken else {
            return;
        };
        self.announce(|| Event::CallbackStarted { location });
        let what = format_args!("the callback from {location}");
        match closure {
            Closure::Once(f) => {
                drop(self.remove_callback(key));
                guard(what, f);
            }
            Closure::Many(mut f) => {
                guard(what, &mut f);
                self.put_back(key, f);
                self.schedule_again(key, schedule);
            }
        }
    }

    /// Returns the closure of a repeating callback, unless it cancelled itself.
    fn put_back(&self, key: Key, f: Box<dyn FnMut()>) {
        let mut f = Some(f);
        if let Some(callback) = self.callbacks.borrow_mut().get_mut(key) {
            callback.closure = f.take().map(Closure::Many);
        }
        guard("dropping a callback", || drop(f));
    }

    /// Arranges for a repeating callback to run again, unless it cancelled itself.
    fn schedule_again(&self, key: Key, schedule: Schedule) {
        let Some(deadline) = self.callbacks.borrow().get(key).map(|callback| callback.deadline) else {
            return;
        };
        match schedule {
            Schedule::Soon | Schedule::At => {}
            Schedule::Every(interval) => {
                let (next, missed) = next_beat(deadline, interval, self.clock().read());
                if let Some(callback) = self.callbacks.borrow_mut().get_mut(key) {
                    callback.missed += missed;
                }
                self.set_timer(key, next);
            }
            Schedule::Watch(fd, direction) => {
                if let Err(error) = self.arm(fd, direction, key) {
                    log::error!("stopped watching fd {fd}, which was closed while watched: {error}");
                    guard("dropping a callback", || {
                        self.unwatch(fd, direction, false);
                    });
                }
            }
        }
    }

    /// Registers a callback for a descriptor, in place of the one that was there.
    fn watch(
        &self,
        fd: RawFd,
        direction: Direction,
        f: Box<dyn FnMut()>,
        location: &'static Location<'static>,
    ) -> io::Result<()> {
        self.forget_if_stale(fd);
        self.unwatch(fd, direction, true);
        if !self.watches.borrow().contains_key(&fd) {
            let source =
                self.reactor.borrow_mut().register(fd).map_err(|error| {
                    io::Error::new(error.kind(), format!("cannot watch fd {fd}: {error}"))
                })?;
            let watch = Watch { source, reader: None, writer: None };
            self.watches.borrow_mut().insert(fd, watch);
        }
        let schedule = Schedule::Watch(fd, direction);
        let handle = self.register(Closure::Many(f), schedule, Moment::NEVER, location);
        if let Some(watch) = self.watches.borrow_mut().get_mut(&fd) {
            *watch.side(direction) = Some(handle.key);
        }
        self.arm(fd, direction, handle.key).inspect_err(|_| {
            self.unwatch(fd, direction, false);
        })
    }

    /// A descriptor was registered anew: so a callback that still watches its number watches a file that its
    /// owner has closed.
    pub(crate) fn forget_watch(&self, fd: RawFd) {
        if self.watches.borrow().contains_key(&fd) {
            self.unwatch(fd, Direction::Read, false);
            self.unwatch(fd, Direction::Write, false);
        }
    }

    /// Forgets a watched descriptor that its owner closed meanwhile: the number is another file's.
    fn forget_if_stale(&self, fd: RawFd) {
        let source = self.watches.borrow().get(&fd).map(|watch| watch.source);
        if source.is_some_and(|source| self.reactor.borrow_mut().rearm(source).is_err()) {
            self.unwatch(fd, Direction::Read, false);
            self.unwatch(fd, Direction::Write, false);
        }
    }

    /// Lets `callback` run when the descriptor is ready, be it now or later.
    fn arm(&self, fd: RawFd, direction: Direction, callback: Key) -> io::Result<()> {
        let Some(source) = self.watches.borrow().get(&fd).map(|watch| watch.source) else {
            return Ok(());
        };
        let mut reactor = self.reactor.borrow_mut();
        drop(reactor.wait_for(source, direction, Target::Callback(callback), None));
        reactor.rearm(source)
    }

    /// Removes a descriptor's callback of one direction, and with its last one the descriptor, which
    /// epoll has forgotten if it is not open any more. Says whether there was such a callback.
    fn unwatch(&self, fd: RawFd, direction: Direction, is_open: bool) -> bool {
        let mut watches = self.watches.borrow_mut();
        let Some(watch) = watches.get_mut(&fd) else {
            return false;
        };
        let Some(key) = watch.side(direction).take() else {
            return false;
        };
        let source = watch.source;
        let is_unused = watch.reader.is_none() && watch.writer.is_none();
        if is_unused {
            watches.remove(&fd);
        }
        drop(watches);
        let mut reactor = self.reactor.borrow_mut();
        drop(reactor.stop_waking(source, direction, &Target::Callback(key)));
        match (is_unused, is_open) {
            (true, true) => drop(reactor.deregister(source)),
            (true, false) => drop(reactor.forget(source)),
            (false, _) => {}
        }
        drop(reactor);
        drop(self.remove_callback(key));
        true
    }
}

/// The first beat after `deadline` that is not over at `now`, and how many are skipped before it.
pub(crate) fn next_beat(deadline: Moment, interval: Duration, now: Moment) -> (Moment, u64) {
    let next = deadline.after(interval);
    if next >= now {
        return (next, 0);
    }
    let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    let missed = (now.0 - next.0).div_ceil(nanos);
    (Moment(next.0.saturating_add(missed.saturating_mul(nanos))), missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_keep_their_rate_and_count_what_they_miss() {
        let beat = |deadline, now| next_beat(Moment(deadline), Duration::from_nanos(10), Moment(now));
        assert_eq!(beat(100, 105), (Moment(110), 0));
        assert_eq!(beat(100, 110), (Moment(110), 0));
        assert_eq!(beat(100, 111), (Moment(120), 1));
        assert_eq!(beat(100, 139), (Moment(140), 3));
        assert_eq!(next_beat(Moment(5), Duration::MAX, Moment(9)).0, Moment::NEVER);
    }
}
