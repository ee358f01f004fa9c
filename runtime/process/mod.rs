//! Child processes: `end.rs` (how the end of one is noticed, and who sees to it), `pipes.rs` (its standard streams),
//! `child.rs` (a child), `command.rs` (what to start).
//!
//! ```
//! use greenroom::process::Command;
//!
//! let runtime = greenroom::Runtime::new()?;
//! let output = runtime.block_on(Command::new("echo").arg("from a child").output())?;
//! assert!(output.status.success());
//! assert_eq!(output.stdout, b"from a child\n");
//! # std::io::Result::Ok(())
//! ```
//!
//! A child gets our standard streams, if it is given no others, and no other descriptor: all of the loop's, of its
//! sockets and of its pipes are close-on-exec, as are those of the standard library. So a child that lives on holds
//! no connection and no port of ours open.
//!
//! A child is part of the world outside: while somebody waits for one the loop is not stalled, and virtual time
//! does not wait for it (see [`Builder::virtual_clock`](crate::Builder::virtual_clock)): with no timer set the
//! loop waits for the child, else time jumps to the first.

mod child;
mod command;
mod end;
mod pipes;

pub use child::Child;
pub use command::Command;
pub use pipes::{ChildStderr, ChildStdin, ChildStdout};
