//! Why a group of tasks has no value.
//!
//! Read next: `members.rs`.

use std::error::Error;
use std::fmt;

use crate::task::error::JoinError;

/// How one of a group failed, or why the whole was left early.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<E> {
    /// A child, or the body, gave this error.
    Error(E),
    /// A child panicked; the error carries what it panicked with.
    Panic(JoinError),
    /// The group was cancelled while its body was still at work.
    Cancelled,
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Error(error) => error.fmt(f),
            Failure::Panic(error) => error.fmt(f),
            Failure::Cancelled => write!(f, "the group was cancelled"),
        }
    }
}

/// Why a [`task_group`](crate::task_group) has no value.
#[derive(Debug)]
pub struct GroupError<E> {
    /// What came first, and ended the group.
    pub cause: Failure<E>,
    /// What failed after that: panics of the destructors of those that were cancelled. Never
    /// [`Failure::Cancelled`].
    pub others: Vec<Failure<E>>,
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        match self.others.len() {
            0 => Ok(()),
            others => write!(f, " (and {others} more)"),
        }
    }
}

impl<E: Error + 'static> Error for GroupError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Failure::Error(error) => Some(error),
            Failure::Panic(error) => Some(error),
            Failure::Cancelled => None,
        }
    }
}
