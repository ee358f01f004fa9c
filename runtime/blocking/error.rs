//! Why a job has no result: it panicked, it was taken back, or nobody could begin it.
//!
//! Read next: `queue.rs`.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Mutex;

use crate::task::header::Payload;
use crate::task::waker::panic_message;

/// Why a job ended without a result.
pub struct JobError(Cause);

/// The three ways to have no result.
enum Cause {
    /// It panicked, with this; the lock, for which nobody ever waits, makes the error `Sync`.
    Panicked(Mutex<Payload>),
    /// It was taken back before it began.
    Cancelled,
    /// It never began.
    NotStarted(NotStarted),
}

impl JobError {
    /// The job panicked.
    pub(crate) fn panicked(payload: Payload) -> JobError {
        JobError(Cause::Panicked(Mutex::new(payload)))
    }

    /// The job was taken back.
    pub(crate) fn cancelled() -> JobError {
        JobError(Cause::Cancelled)
    }

    /// The job will not be done.
    pub(crate) fn not_started(why: NotStarted) -> JobError {
        JobError(Cause::NotStarted(why))
    }

    /// Whether the job panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Cause::Panicked(_))
    }

    /// Whether it was taken back with [`cancel`](crate::blocking::JobHandle::cancel).
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Cause::Cancelled)
    }

    /// Why it never began, if it was neither taken back nor begun: the pool has ended, or there is no
    /// thread for it.
    pub fn not_started_because(&self) -> Option<&NotStarted> {
        match &self.0 {
            Cause::NotStarted(why) => Some(why),
            _ => None,
        }
    }

    /// What it panicked with, ready for [`std::panic::resume_unwind`].
    ///
    /// # Errors
    /// Gives `self` back if the job did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JobError> {
        match self.0 {
            Cause::Panicked(payload) => Ok(payload.into_inner().unwrap_or_else(|poison| poison.into_inner())),
            cause => Err(JobError(cause)),
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Panicked(payload) => {
                let payload = payload.lock().unwrap_or_else(|poison| poison.into_inner());
                write!(f, "a job panicked: {}", panic_message(&**payload))
            }
            Cause::Cancelled => write!(f, "the job was cancelled before it began"),
            Cause::NotStarted(why) => write!(f, "the job was never begun: {why}"),
        }
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobError({self})")
    }
}

impl std::error::Error for JobError {}

impl From<JobError> for io::Error {
    fn from(error: JobError) -> io::Error {
        match error.0 {
            Cause::NotStarted(NotStarted::NoThread(error)) => error,
            _ => io::Error::other(error),
        }
    }
}

/// Why a pool does not begin a job.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotStarted {
    /// The pool was shut down.
    PoolClosed,
    /// The pool has no thread, and the operating system gives it none; the error says why.
    NoThread(io::Error),
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotStarted::PoolClosed => write!(f, "the pool was shut down"),
            NotStarted::NoThread(error) => write!(
                f,
                "the pool has no thread and cannot make one: {error}; raise the limits of processes and of \
                 memory (ulimit -u, ulimit -v), or ask for a smaller stack"
            ),
        }
    }
}

impl std::error::Error for NotStarted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NotStarted::PoolClosed => None,
            NotStarted::NoThread(error) => Some(error),
        }
    }
}

/// A job that a pool did not take, and why: nothing of it was done, and nothing is lost.
#[non_exhaustive]
pub struct Refused<F> {
    /// The closure, as it was handed in.
    pub job: F,
    /// Why it was not taken.
    pub reason: NotStarted,
}

impl<F> fmt::Display for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<F> fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({:?})", self.reason)
    }
}

impl<F> std::error::Error for Refused<F> {}
