//! The unit of work: a future, what is known about it, and the ways to reach it.
//!
//! In reading order: `state.rs` (the life of a task as pure functions), `header.rs` (the common
//! part of its memory), `here.rs` (the loop as its tasks see it), `waker.rs`, `error.rs`,
//! `cell.rs` (the part that knows the future's type), `run.rs` (one turn of a task), `join.rs`.

pub(crate) mod cell;
pub(crate) mod error;
pub(crate) mod header;
pub(crate) mod here;
pub(crate) mod join;
pub(crate) mod run;
pub(crate) mod state;
pub(crate) mod waker;
