//! The loop: what one thread's tasks and callbacks share, and one turn of it.
//!
//! In reading order: `callback.rs` (what a callback is), `local_loop.rs` (the parts of a loop),
//! `callbacks.rs` (`call_soon` and its kin), `stall.rs` (can anything ever happen again?),
//! `turn.rs` (the loop itself, on one screen), `spawn.rs`, `block_on.rs`, `packet.rs` (how
//! a result crosses threads), `remote.rs` (from other threads), `shutdown.rs`.

pub(crate) mod block_on;
pub(crate) mod callback;
pub(crate) mod callbacks;
pub(crate) mod local_loop;
pub(crate) mod packet;
pub(crate) mod remote;
pub(crate) mod shutdown;
pub(crate) mod spawn;
pub(crate) mod stall;
pub(crate) mod turn;
