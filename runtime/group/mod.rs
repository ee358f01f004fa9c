//! Many at once: futures polled side by side in one task, and tasks that belong together.
//!
//! In reading order: `branch.rs` (a child that is woken by itself), `branches.rs` (a set of them
//! inside of one future), `join_all.rs`, `race.rs`, `as_completed.rs`, `bell.rs`, `promise.rs`,
//! `scope.rs` (children that borrow), all in the caller's own task; `token.rs` (cancellation that is
//! asked for); then `gather.rs`, `failure.rs`, `members.rs` and `task_group.rs`, whose children
//! are tasks.
//!
//! | you have | you want | use |
//! |---|---|---|
//! | futures | all values, in argument order | [`join_all`] |
//! | two futures of different types | both values | [`join`] |
//! | futures of `Result`s | all values, or the first error | [`try_join_all`] |
//! | futures | the first value | [`race`] |
//! | two futures of different types | the first value | [`select`] |
//! | futures | the values as they come | [`as_completed`] |
//! | futures that borrow, not all known yet | to wait for all of them | [`scope`] |
//! | futures | a task for each, their values or panics | [`gather`] |
//! | children, not all known yet | all of them to end, the rest stopped when one fails | [`task_group`] |
//! | work that others shall be able to stop | to ask it | [`CancellationToken`] |

pub(crate) mod branch;
pub(crate) mod branches;
pub(crate) mod join_all;
pub(crate) mod race;
pub(crate) mod as_completed;
pub(crate) mod bell;
pub(crate) mod promise;
pub(crate) mod scope;
pub(crate) mod token;
pub(crate) mod gather;
pub(crate) mod failure;
pub(crate) mod members;
pub(crate) mod task_group;

pub use as_completed::{AsCompleted, as_completed};
pub use failure::{Failure, GroupError};
pub use gather::{Gather, gather};
pub use join_all::{JoinAll, TryJoinAll, join, join_all, try_join_all};
pub use race::{Either, Race, race, select};
pub use scope::{Scope, Scoped, scope};
pub use task_group::{Child, NotReady, Ready, TaskGroup, task_group};
pub use token::{CancellationToken, Cancelled};
