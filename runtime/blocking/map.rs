//! One function over many inputs: results in the order of the inputs, or in the order of their coming.
//!
//! ```text
//!   inputs ──► at most `limit` jobs begun and not yet given out ──► results
//! ```
//!
//! Back-pressure is the limit: an input is asked for only when there is room, so one of a million items, or
//! without an end, is not swallowed; and whoever is slow to take results slows the jobs.
//!
//! Invariant: as many results as inputs were taken, each once; a job that fails is a result like any other.
//!
//! Read next: `io/registration.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::iter::Fuse;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;

use super::error::JobError;
use super::job::JobHandle;
use super::pool::Pool;
use crate::executor::local_loop::current;
use crate::future::give_way;
use crate::id::WaitReason;
use crate::task::here;

/// The results of [`Pool::imap`] and [`Pool::imap_unordered`], one by one: by [`next`](Imap::next), as a
/// [`Stream`], or on a plain thread by [`blocking`](Imap::blocking).
///
/// Nothing begins before the first result is asked for. Each input that was taken gives one result; one that
/// fails or panics does not stop the rest. If the iterator of the inputs panics, so does whoever asks for a
/// result; the next call goes on.
///
/// Dropping it takes back the jobs that have not begun; those under way go on to their end, and their results
/// are dropped.
#[must_use = "nothing begins before the first result is asked for"]
pub struct Imap<I: Iterator, F, T> {
    /// Where the jobs are done.
    pool: Pool,
    /// What is not begun.
    inputs: Fuse<I>,
    /// What is done with each input.
    f: Arc<F>,
    /// How many jobs there may be whose result was not given out.
    limit: usize,
    /// Whether results come in the order of the inputs.
    ordered: bool,
    /// The jobs whose results were not given out, by the number of the input.
    jobs: BTreeMap<u64, JobHandle<T>>,
    /// The number of the next input.
    next: u64,
    /// Which jobs are over, if the order is theirs.
    finished: Arc<Finished>,
    /// Where the pool was asked.
    location: &'static Location<'static>,
}

/// The jobs of an unordered map that are over, in the order in which they ended.
#[derive(Default)]
struct Finished {
    /// Their numbers, and who waits for one.
    list: Mutex<(VecDeque<u64>, Option<Waker>)>,
    /// Wakes the thread that waits for one.
    more: Condvar,
}

impl Finished {
    /// The lock, which no user code can poison: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, (VecDeque<u64>, Option<Waker>)> {
        self.list.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// The next one; none keeps the waker.
    fn poll(&self, context: &Context<'_>) -> Poll<u64> {
        let waker = context.waker().clone();
        let mut list = self.lock();
        let (next, old) = match list.0.pop_front() {
            Some(number) => (Poll::Ready(number), Some(waker)),
            None => (Poll::Pending, list.1.replace(waker)),
        };
        drop(list);
        drop(old);
        next
    }

    /// Blocks this thread until there is one.
    fn wait(&self) -> u64 {
        let mut list = self.lock();
        loop {
            if let Some(number) = list.0.pop_front() {
                return number;
            }
            list = self.more.wait(list).unwrap_or_else(|poison| poison.into_inner());
        }
    }
}

/// Puts the number of a job into the list when that is over.
struct Finish {
    /// The job's number.
    number: u64,
    /// The list.
    finished: Arc<Finished>,
}

impl Wake for Finish {
    fn wake(self: Arc<Self>) {
        let mut list = self.finished.lock();
        list.0.push_back(self.number);
        let waker = list.1.take();
        drop(list);
        self.finished.more.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Pool {
    /// Does `f` with every input, and gives the results in the order of the inputs. All inputs are read at
    /// once, when the future is first polled; for many, or for results as they come, see
    /// [`imap`](Pool::imap). On a plain thread: `pool.imap(inputs, f).blocking().collect()`.
    ///
    /// # Cancel safety
    /// Dropping it loses the results; jobs that have not begun are taken back.
    #[track_caller]
    pub fn map<I, F, T>(
        &self,
        inputs: I,
        f: F,
    ) -> impl Future<Output = Vec<Result<T, JobError>>> + use<I, F, T>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let mut imap = self.imap(inputs, f).limit(usize::MAX);
        async move {
            let mut results = Vec::new();
            while let Some(result) = imap.next().await {
                results.push(result);
            }
            results
        }
    }

    /// Does `f` with every input, and gives the results one by one in the order of the inputs: one that is
    /// slow holds up those after it. At most twice as many jobs as the pool may have threads are ahead of
    /// what was given out; see [`limit`](Imap::limit).
    #[track_caller]
    pub fn imap<I, F, T>(&self, inputs: I, f: F) -> Imap<I::IntoIter, F, T>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        Imap {
            pool: self.clone(),
            inputs: inputs.into_iter().fuse(),
            f: Arc::new(f),
            limit: self.max_threads().saturating_mul(2),
            ordered: true,
            jobs: BTreeMap::new(),
            next: 0,
            finished: Arc::default(),
            location: Location::caller(),
        }
    }

    /// Does `f` with every input, for at most `limit` of them at a time (at least one), and gives each result
    /// as soon as it is there. An input counts from when it is taken until its result is given out. To know
    /// which input a result is of, let `f` say so.
    #[track_caller]
    pub fn imap_unordered<I, F, T>(&self, limit: usize, inputs: I, f: F) -> Imap<I::IntoIter, F, T>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        Imap { ordered: false, ..self.imap(inputs, f).limit(limit) }
    }
}

impl<I, F, T> Imap<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    /// How many inputs (at least one) may have been taken whose results were not given out.
    pub fn limit(mut self, limit: usize) -> Imap<I, F, T> {
        self.limit = limit.max(1);
        self
    }

    /// The next result; none when all inputs have given theirs.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call goes on.
    pub async fn next(&mut self) -> Option<Result<T, JobError>> {
        poll_fn(|context| self.poll_result(context)).await
    }

    /// The results as an iterator for a plain thread, which it blocks.
    pub fn blocking(self) -> Blocking<I, F, T> {
        Blocking(self)
    }

    /// Begins with as many inputs as there is room for.
    fn fill(&mut self) {
        while self.jobs.len() < self.limit
            && let Some(input) = self.inputs.next()
        {
            let f = self.f.clone();
            let job = self.pool.spawn_from(self.location, move || f(input));
            let number = self.next;
            self.next += 1;
            if !self.ordered {
                let finished = self.finished.clone();
                job.wake_when_over(Arc::new(Finish { number, finished }).into());
            }
            self.jobs.insert(number, job);
        }
    }

    /// What awaiting the next result does.
    fn poll_result(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, JobError>>> {
        if !here::spend_share() {
            give_way(context);
            return Poll::Pending;
        }
        self.fill();
        let Some(mut first) = self.jobs.first_entry() else {
            return Poll::Ready(None);
        };
        if self.ordered {
            let polled = Pin::new(first.get_mut()).poll(context);
            return polled.map(|result| {
                drop(first.remove());
                Some(result)
            });
        }
        match self.finished.poll(context) {
            Poll::Ready(number) => {
                let mut job = self.jobs.remove(&number).expect("a job is over once");
                Pin::new(&mut job).poll(&mut Context::from_waker(Waker::noop())).map(Some)
            }
            Poll::Pending => {
                // One of them is enough for the loop to know that word will come.
                first.get().count_here();
                here::waits_for(WaitReason::Job);
                Poll::Pending
            }
        }
    }
}

impl<I, F, T> Stream for Imap<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = Result<T, JobError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_result(context)
    }
}

// The inputs are asked for by reference alone, so nothing in it needs to stay where it is.
impl<I: Iterator, F, T> Unpin for Imap<I, F, T> {}

impl<I: Iterator, F, T> fmt::Debug for Imap<I, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Imap({} taken, {} not given out)", self.next, self.jobs.len())
    }
}

/// The results of an [`Imap`] for a plain thread.
///
/// # Panics
/// Asked for a result inside of a loop, which it would stop.
#[must_use = "nothing begins before the first result is asked for"]
pub struct Blocking<I: Iterator, F, T>(Imap<I, F, T>);

impl<I, F, T> Iterator for Blocking<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = Result<T, JobError>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        assert!(
            current().is_none(),
            "a blocking map would stop the loop of this thread; use Imap::next there, without `blocking`"
        );
        let imap = &mut self.0;
        imap.fill();
        let number = match imap.jobs.first_entry() {
            None => return None,
            Some(first) if imap.ordered => *first.key(),
            Some(_) => imap.finished.wait(),
        };
        imap.jobs.remove(&number).map(JobHandle::wait)
    }
}

impl<I: Iterator, F, T> fmt::Debug for Blocking<I, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blocking({:?})", self.0)
    }
}
