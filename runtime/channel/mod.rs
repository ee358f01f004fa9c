//! Messages to one receiver, from any thread: `books.rs` (what the two ends share), `parked.rs` (how a plain
//! thread waits), `sender.rs`, `receiver.rs`.
//!
//! Whatever must not be shared (a counter, a file, the screen) belongs to *one* task or thread, and
//! the others send it messages. Each end may be in a loop, in another executor, or on a plain
//! thread, which uses the `_blocking` functions:
//!
//! ```
//! let (sender, mut receiver) = greenroom::channel::bounded(10);
//! let owner = std::thread::spawn(move || {
//!     let mut total = 0; // touched by this thread alone
//!     while let Some(number) = receiver.recv_blocking() {
//!         total += number;
//!     }
//!     total
//! });
//! greenroom::Runtime::new()?.block_on(async {
//!     for number in 1..=4 {
//!         sender.send(number).await.expect("the owner receives as long as there are senders");
//!     }
//! });
//! drop(sender);
//! assert_eq!(owner.join().unwrap(), 10);
//! # std::io::Result::Ok(())
//! ```
//!
//! The messages of one sender arrive in the order in which they were sent. Senders that wait for room
//! get it in the order in which they came.
//!
//! A loop cannot see whether the other end is still used somewhere else: while a task waits for a
//! channel, its loop is never called stalled, not even if both ends belong to that loop and everybody waits.
//! (For tasks of one loop there are the primitives of `sync`, which a loop does see through.) Once
//! the last sender is gone nothing needs to be guessed: the receiver is told. A virtual clock does not wait for
//! other threads to send: it jumps to the next deadline, if there is one.

mod books;
mod parked;
mod receiver;
mod sender;

#[cfg(all(test, loom))]
pub(crate) use parked::wait_for;
pub use receiver::{Receiver, Receiving, TryRecvError};
pub use sender::{Closed, SendError, Sender, Sending, TrySendError, WeakSender};

use crate::atomic::Arc;

/// A channel with room for `capacity` messages, at least one: sending waits for room.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(books::Channel::new(capacity.max(1)));
    (Sender::first(channel.clone()), Receiver::new(channel))
}

/// A channel with room for any number of messages: sending never waits, and memory is the limit.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}
