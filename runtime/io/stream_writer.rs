//! Writing without waiting, and waiting for room only: asyncio's `StreamWriter`.
//!
//! ```text
//!   write ──► queue ──► carrier (a task that owns the stream) ──► stream
//!     │         ▲
//!   drain ──────┘  once the queue was above the high-water mark: waits until it is at the low one
//! ```
//!
//! The carrier is what makes `write` return at once and the bytes leave all the same. It is an ordinary task, so it
//! is in the task list, and says there what it waits for.
//!
//! Invariant: every byte is in the queue or in the carrier's hands until the stream has taken it, and `unsent`
//! counts both. However the carrier ends, it leaves word how, and wakes who waits.
//!
//! Read next: `duplex.rs`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_io::AsyncWrite;

use super::copy::poll_write_some;
use crate::executor::spawn::spawn_named;
use crate::id::WaitReason;
use crate::task::join::JoinHandle;
use crate::waiters::WaitList;

/// The high-water mark of a new writer; the low one is a quarter, as in asyncio.
const HIGH_WATER_BYTES: usize = 64 * 1024;

/// Queues bytes for a stream; a task of its own carries them there, in order.
///
/// Several tasks may share it, and write and drain by turns. Dropping it closes it: what is queued is still sent,
/// by and by, as long as the loop runs; to be sure of that, await [`wait_closed`](StreamWriter::wait_closed). To give
/// it up, [`abort`](StreamWriter::abort).
///
/// ```
/// use greenroom::io::{StreamReader, StreamWriter, duplex};
///
/// greenroom::Runtime::new()?.block_on(async {
///     let (near, far) = duplex(4);
///     let writer = StreamWriter::new(near);
///     writer.write(b"hello, ");
///     writer.write(b"world");
///     writer.close();
///     let all = StreamReader::new(far).read_to_end(100).await?;
///     assert_eq!(all, b"hello, world");
///     writer.wait_closed().await
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct StreamWriter {
    /// What is to be sent.
    queue: Rc<SendQueue>,
    /// The task that sends it.
    carrier: JoinHandle<()>,
}

/// What a writer and its carrier share.
#[derive(Debug)]
struct SendQueue {
    /// What the carrier has not taken yet.
    bytes: RefCell<Vec<u8>>,
    /// How many bytes the stream has not taken yet, here and in the carrier's hands.
    unsent: Cell<usize>,
    /// Above so many unsent bytes `drain` begins to wait.
    high_water: Cell<usize>,
    /// At so many it ends to.
    low_water: Cell<usize>,
    /// Whether `drain` has to wait.
    paused: Cell<bool>,
    /// Whether nothing more will be queued.
    closing: Cell<bool>,
    /// How the carrier ended, once it has.
    ended: RefCell<Option<Result<(), Arc<io::Error>>>>,
    /// Where the carrier waits for bytes.
    carrier_waits: WaitList,
    /// Who waits for the carrier.
    writer_waits: WaitList,
}

impl StreamWriter {
    /// Writes to `stream`, which moves into a task of this thread's loop.
    ///
    /// # Panics
    /// If there is no loop on this thread.
    #[track_caller]
    pub fn new(stream: impl AsyncWrite + Unpin + 'static) -> StreamWriter {
        let queue = Rc::new(SendQueue {
            bytes: RefCell::default(),
            unsent: Cell::new(0),
            high_water: Cell::new(HIGH_WATER_BYTES),
            low_water: Cell::new(HIGH_WATER_BYTES / 4),
            paused: Cell::new(false),
            closing: Cell::new(false),
            ended: RefCell::new(None),
            carrier_waits: WaitList::new(),
            writer_waits: WaitList::new(),
        });
        let carrier = spawn_named("stream writer", Carrier { queue: queue.clone() }.carry(stream));
        StreamWriter { queue, carrier }
    }

    /// Sets the two marks, in bytes: [`drain`](StreamWriter::drain) waits once more than `high` are unsent, until at
    /// most `low` are. A `low` above `high` counts as `high`. The default is 16 KiB and 64 KiB.
    pub fn water_marks(self, low: usize, high: usize) -> StreamWriter {
        self.queue.high_water.set(high);
        self.queue.low_water.set(low.min(high));
        self.queue.look_at_the_marks();
        self
    }

    /// Queues `bytes` and returns at once. Whoever writes much without [`drain`](StreamWriter::drain) fills the
    /// memory. After an error, or after `close`, they are dropped: `drain` and `wait_closed` tell.
    pub fn write(&self, bytes: &[u8]) {
        let queue = &self.queue;
        if bytes.is_empty() || queue.closing.get() || queue.ended.borrow().is_some() {
            return;
        }
        queue.bytes.borrow_mut().extend_from_slice(bytes);
        queue.unsent.set(queue.unsent.get() + bytes.len());
        queue.look_at_the_marks();
        queue.carrier_waits.grant_all(());
    }

    /// How many bytes the stream has not taken yet.
    pub fn unsent(&self) -> usize {
        self.queue.unsent.get()
    }

    /// Waits, if too much is unsent, until little enough is; else it is over at once. It does not wait for all
    /// to be sent: that is `wait_closed`.
    ///
    /// # Errors
    /// What the stream has reported, again each time; `BrokenPipe` if this writer is closed.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: what is queued is sent all the same.
    pub async fn drain(&self) -> io::Result<()> {
        let queue = &self.queue;
        let is_over = || !queue.paused.get() || queue.ended.borrow().is_some();
        if !queue.closing.get() {
            queue.writer_waits.wait_until(WaitReason::Pipe, is_over).await;
        }
        match &*queue.ended.borrow() {
            Some(Err(error)) => Err(again(error)),
            _ if queue.closing.get() => {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "drain: this writer is closed"))
            }
            _ => Ok(()),
        }
    }

    /// Takes no more bytes; the stream is closed once the queued ones are sent. Returns at once.
    pub fn close(&self) {
        self.queue.closing.set(true);
        self.queue.carrier_waits.grant_all(());
    }

    /// Closes, if that was not done yet, and waits until all is sent and the stream is closed.
    ///
    /// # Errors
    /// What the stream has reported, again each time: then not all was sent.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: closing goes on.
    pub async fn wait_closed(&self) -> io::Result<()> {
        self.close();
        let (queue, reason) = (&self.queue, WaitReason::Join(self.carrier.id()));
        // Those who drain are let go by the same word.
        while queue.ended.borrow().is_none() {
            queue.writer_waits.wait_until(reason, || queue.ended.borrow().is_some()).await;
        }
        let ended = queue.ended.borrow();
        ended.as_ref().map_or(Ok(()), |ended| ended.as_ref().map(|&()| ()).map_err(again))
    }

    /// Throws the queue away and drops the stream as it is, at the carrier's next turn.
    pub fn abort(mut self) {
        self.carrier.cancel();
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.close();
    }
}

/// The carrier's error once more: an error can be told several times, but not cloned.
fn again(error: &Arc<io::Error>) -> io::Error {
    io::Error::new(error.kind(), error.clone())
}

impl SendQueue {
    /// Keeps `paused` as the marks want it, and wakes who may go on.
    fn look_at_the_marks(&self) {
        let unsent = self.unsent.get();
        if unsent > self.high_water.get() {
            self.paused.set(true);
        } else if unsent <= self.low_water.get() && self.paused.replace(false) {
            self.writer_waits.grant_all(());
        }
    }

    /// The carrier has ended.
    fn end(&self, result: io::Result<()>) {
        if self.ended.borrow().is_none() {
            *self.ended.borrow_mut() = Some(result.map_err(Arc::new));
        }
        // What is left will not be sent: its memory is not kept for a writer that may stay.
        drop(self.bytes.take());
        self.writer_waits.grant_all(());
    }

    /// The next bytes; none if it is time to close.
    async fn next(&self) -> Option<Vec<u8>> {
        loop {
            let bytes = self.bytes.take();
            if !bytes.is_empty() {
                return Some(bytes);
            }
            if self.closing.get() {
                return None;
            }
            let has_work = || !self.bytes.borrow().is_empty() || self.closing.get();
            self.carrier_waits.wait_until(WaitReason::Pipe, has_work).await;
        }
    }
}

/// The carrier's half of the queue.
struct Carrier {
    /// The queue.
    queue: Rc<SendQueue>,
}

impl Carrier {
    /// Carries bytes to `stream` until it is closed or fails, and tells how it ended.
    async fn carry(self, mut stream: impl AsyncWrite + Unpin) {
        let result = self.carry_all(&mut stream).await;
        // First the stream, then the word that it is closed.
        drop(stream);
        self.queue.end(result);
    }

    /// Carries bytes to `stream`, and closes it.
    async fn carry_all(&self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let queue = &self.queue;
        while let Some(bytes) = queue.next().await {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let count = poll_fn(|context| poll_write_some(stream, context, rest)).await?;
                rest = &rest[count..];
                queue.unsent.set(queue.unsent.get() - count);
                queue.look_at_the_marks();
            }
            if queue.unsent.get() == 0 {
                poll_fn(|context| Pin::new(&mut *stream).poll_flush(context)).await?;
            }
        }
        poll_fn(|context| Pin::new(&mut *stream).poll_close(context)).await
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let cut_off = "the writer was aborted, its stream panicked, or the loop ended, before all was sent";
        self.queue.end(Err(io::Error::new(io::ErrorKind::ConnectionAborted, cut_off)));
    }
}
