//! Models of what crosses threads, for loom, which plays every interleaving of a few threads and
//! every value that a relaxed load may see.
//!
//! Part of the library's own tests, since it looks inside:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --lib loom_models --target-dir target/loom -- --nocapture
//! ```
//!
//! Each model comes with at least one test in which a deliberate fault of `runtime/fault.rs` is
//! on and the model must fail, and fail in the way that the fault makes likely. A model that fails
//! does so each time at the same execution: run the test again by its name to replay it.
//!
//! Bound: an execution switches away from a thread that could go on at most as often as the model
//! says ([`check::holds`]), two or three times; switches at waiting places are not counted.
//!
//! Limit: loom sees races only on its own types. Plain memory of the runtime (a task's stage, the
//! home-only fields of its header) is watched through tracked cells in futures and outputs.

mod check;
mod home;

mod channel;
mod dropping;
mod handles;
mod inbox;
mod joining;
mod pool;
mod remote;
mod waking;
