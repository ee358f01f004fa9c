//! A set of branches: futures polled inside of one future, each when it was woken.
//!
//! A poll takes the branches that were woken before it began, in that order, and polls each once.
//! What is woken meanwhile waits for the next poll, as in a turn of the loop, and each one polled
//! costs the task a unit of its share, so neither many branches nor a busy one keep the loop to
//! themselves. Why each branch waits is remembered, since a report wants to know it of those, too,
//! that were not polled again.
//!
//! A branch that panics, while it is polled or dropped, is gone; the set is whole. The panic goes
//! on to whoever polls.
//!
//! Read next: `join_all.rs`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::branch::{Branch, KeptWaker, Woken};
use crate::future::give_way;
use crate::id::WaitReason;
use crate::task::header::{Payload, TaskBranch};
use crate::task::here::{self, Reasons, RunningBranch};
use crate::task::waker::{drop_payload, guard, panic_message};

/// A set of futures, named by numbers that count up from 0.
pub(crate) struct Branches<F> {
    /// Which were woken.
    woken: Arc<Woken>,
    /// Those that are not finished, in the order in which they came.
    members: BTreeMap<u64, Member<F>>,
    /// The number of the next.
    next: u64,
    /// How many things they wait for, all together.
    reasons: usize,
}

/// One of the futures.
struct Member<F> {
    /// As its wakers know it.
    branch: Arc<Branch>,
    /// Its waker. Before the future, so that a loan ends first.
    waker: KeptWaker,
    /// Why it waits.
    reasons: Reasons,
    /// The future.
    future: F,
}

/// How many branches a poll of the task still polls; at its beginning, all that were woken.
#[derive(Default)]
pub(crate) struct Batch(Option<usize>);

impl<F: Future + Unpin> Branches<F> {
    /// An empty set.
    pub(crate) fn new() -> Branches<F> {
        Branches { woken: Woken::new(), members: BTreeMap::new(), next: 0, reasons: 0 }
    }

    /// Takes one more in, to be polled at the next poll; from within one, or before the first.
    pub(crate) fn push(&mut self, future: F) -> u64 {
        let id = self.next;
        self.next += 1;
        // Until its first poll it waits for that.
        let reasons = Reasons { first: WaitReason::Turn, count: 1 };
        let branch = Branch::new(id, &self.woken);
        self.members.insert(id, Member { branch, waker: KeptWaker::default(), reasons, future });
        self.reasons += 1;
        id
    }

    /// Polls what was woken until one has finished: its number and its value, or `None` if no one is left.
    /// One poll of the task may call it several times with the same `batch`.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        batch: &mut Batch,
    ) -> Poll<Option<(u64, F::Output)>> {
        if self.members.is_empty() {
            return Poll::Ready(None);
        }
        let woken = self.woken.clone();
        let polling = woken.poll(context);
        if polling.has_moved {
            // What waits where the set was before must say so here.
            self.members.values().for_each(|member| member.branch.queue_again());
        }
        let left = batch.0.get_or_insert_with(|| woken.len());
        while *left > 0 {
            if !here::spend_share() {
                // The others stay in the queue, and their turn is the next.
                give_way(context);
                *left = 0;
                break;
            }
            *left -= 1;
            if let Some(finished) = woken.pop().and_then(|id| self.poll_one(id, polling.is_named)) {
                return Poll::Ready(Some(finished));
            }
        }
        match self.members.first_key_value() {
            None => Poll::Ready(None),
            Some((_, Member { reasons: Reasons { first, .. }, .. })) => {
                let count = self.reasons.try_into().unwrap_or(u16::MAX);
                here::waits_like(Reasons { first: *first, count });
                Poll::Pending
            }
        }
    }

    /// Polls one branch, if it is still there; gives its value if it has finished.
    fn poll_one(&mut self, id: u64, is_named: bool) -> Option<(u64, F::Output)> {
        let member = self.members.get_mut(&id)?;
        member.branch.unqueue();
        let kept = member.waker.take(&member.branch);
        let waker = Waker::from(kept.clone());
        let running = is_named.then(|| {
            let branch: Arc<dyn TaskBranch> = member.branch.clone();
            RunningBranch::new(Arc::downgrade(&branch), &waker)
        });
        let future = &mut member.future;
        let (polled, reasons) = here::poll_branch(running, || {
            catch_unwind(AssertUnwindSafe(|| Pin::new(future).poll(&mut Context::from_waker(&waker))))
        });
        drop(waker);
        member.waker.keep(kept);
        self.reasons -= usize::from(member.reasons.count);
        match polled {
            Ok(Poll::Pending) => {
                // A future of others that gave no reason waits all the same.
                member.reasons = Reasons { count: reasons.count.max(1), ..reasons };
                self.reasons += usize::from(member.reasons.count);
                None
            }
            Ok(Poll::Ready(value)) => {
                let member = self.members.remove(&id);
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(member))) {
                    guard("the value of a branch", || drop(value));
                    resume_unwind(payload);
                }
                Some((id, value))
            }
            Err(payload) => {
                let member = self.members.remove(&id);
                guard("dropping a branch", || drop(member));
                resume_unwind(payload)
            }
        }
    }
}

impl<F> Drop for Branches<F> {
    /// In order; a panic of one keeps the others from nothing.
    fn drop(&mut self) {
        let mut first: Option<Payload> = None;
        while let Some((_, member)) = self.members.pop_first() {
            let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(member))) else { continue };
            if first.is_some() || std::thread::panicking() {
                log::error!("dropping a branch panicked: {}", panic_message(&*payload));
                drop_payload(payload);
            } else {
                first = Some(payload);
            }
        }
        if let Some(payload) = first {
            resume_unwind(payload);
        }
    }
}
