//! In which order a queue gives its items out.
//!
//! Read next: `queue.rs`.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

/// A collection that knows which item is next; a queue is made around an empty one.
///
/// None of its functions may use the queue that it is the store of; nor may what they call, an
/// item's `Ord` for instance. For a green thread there is no waiting in them.
pub trait Store: Default {
    /// What it holds.
    type Item;

    /// Puts an item in.
    fn push(&mut self, item: Self::Item);

    /// Takes the next item out.
    fn pop(&mut self) -> Option<Self::Item>;

    /// How many items there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// First in, first out.
#[derive(Debug)]
pub struct Fifo<T>(VecDeque<T>);

/// Last in, first out.
#[derive(Debug)]
pub struct Lifo<T>(Vec<T>);

/// The least first; of equal ones, the one that came first.
#[derive(Debug)]
pub struct Least<T: Ord> {
    /// The items, the next one on top.
    heap: BinaryHeap<Reverse<Numbered<T>>>,
    /// How many items there were so far.
    count: u64,
}

/// An item and when it came; ordered by both.
#[derive(Debug)]
struct Numbered<T> {
    /// The item.
    item: T,
    /// How many came before it.
    number: u64,
}

impl<T: Ord> Ord for Numbered<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.item.cmp(&other.item).then(self.number.cmp(&other.number))
    }
}

impl<T: Ord> PartialOrd for Numbered<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Numbered<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Ord> Eq for Numbered<T> {}

impl<T> Default for Fifo<T> {
    fn default() -> Fifo<T> {
        Fifo(VecDeque::new())
    }
}

impl<T> Default for Lifo<T> {
    fn default() -> Lifo<T> {
        Lifo(Vec::new())
    }
}

impl<T: Ord> Default for Least<T> {
    fn default() -> Least<T> {
        Least { heap: BinaryHeap::new(), count: 0 }
    }
}

impl<T> Store for Fifo<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.0.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Store for Lifo<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.0.push(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T: Ord> Store for Least<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.heap.push(Reverse(Numbered { item, number: self.count }));
        self.count += 1;
    }

    fn pop(&mut self) -> Option<T> {
        self.heap.pop().map(|Reverse(numbered)| numbered.item)
    }

    fn len(&self) -> usize {
        self.heap.len()
    }
}
