//! Why a task has no value: it panicked, or it was cancelled.
//!
//! Read next: `cell.rs`.

use std::any::Any;
use std::fmt;
use std::sync::Mutex;

use super::header::Payload;
use super::waker::panic_message;
use crate::id::TaskId;

/// Why a task ended without a value.
pub struct JoinError {
    /// The task; `None` if the loop was gone before there was one.
    task: Option<TaskId>,
    /// What it panicked with; `None` means that it was cancelled. In a lock that nobody ever waits
    /// for: it makes the error `Sync`, as error types should be.
    payload: Option<Mutex<Payload>>,
}

impl JoinError {
    /// The task was asked to stop before it had finished.
    pub(crate) fn cancelled(task: TaskId) -> JoinError {
        JoinError { task: Some(task), payload: None }
    }

    /// The loop was gone before the task was made.
    pub(crate) fn loop_gone() -> JoinError {
        JoinError { task: None, payload: None }
    }

    /// The task's future, or its destructor, panicked; whose it was may not be known.
    pub(crate) fn panicked(task: impl Into<Option<TaskId>>, payload: Payload) -> JoinError {
        JoinError { task: task.into(), payload: Some(Mutex::new(payload)) }
    }

    /// The task that ended; `None` if the loop was gone before the task was made.
    pub fn task(&self) -> Option<TaskId> {
        self.task
    }

    /// Whether it was cancelled: by [`cancel`](crate::JoinHandle::cancel), or because its loop ended.
    pub fn is_cancelled(&self) -> bool {
        self.payload.is_none()
    }

    /// Whether it panicked.
    pub fn is_panic(&self) -> bool {
        self.payload.is_some()
    }

    /// What it panicked with, ready for [`std::panic::resume_unwind`]; the error itself if it was
    /// cancelled.
    ///
    /// # Errors
    /// Gives `self` back if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        let JoinError { task, payload } = self;
        match payload {
            Some(payload) => Ok(payload.into_inner().unwrap_or_else(|poison| poison.into_inner())),
            None => Err(JoinError { task, payload: None }),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(payload) = &self.payload else {
            return match self.task {
                Some(task) => write!(f, "{task} was cancelled"),
                None => write!(f, "the loop was gone before the task was made"),
            };
        };
        match self.task {
            Some(task) => write!(f, "{task}")?,
            None => write!(f, "a task")?,
        }
        let payload = payload.lock().unwrap_or_else(|poison| poison.into_inner());
        write!(f, " panicked: {}", panic_message(&**payload))
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}
