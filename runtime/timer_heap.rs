//! What is due, and when: deadlines in a heap, each with a value to give back when its time comes.
//!
//! The loop keeps wakers and callbacks here (the heap does not know which: `T`). A 4-ary heap in
//! one `Vec`: the children of entry i are 4i+1 to 4i+4, and no entry is due before its parent.
//!
//! ```text
//!   heap    [ 3ms #0 slot 5 | 9ms #4 slot 0 | 3ms #2 slot 1 | ...    least deadline at index 0
//!   entries   slot 0: { at: 1, T }    slot 1: { at: 2, T }    slot 5: { at: 0, T }
//! ```
//!
//! Invariants: `entries[heap[i].key].at == i`; a parent is due no later than its children; equal
//! deadlines come out in the order they went in (the sequence number). Cancel is a real removal,
//! O(log n): a million timeouts made and dropped leave nothing behind.
//!
//! Read next: `reactor.rs`.

use crate::clock::Moment;
use crate::table::{Key, Table};

/// One deadline as it stands in the heap.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// When.
    deadline: Moment,
    /// The how-manieth timer this is; decides between equal deadlines.
    sequence: u64,
    /// Whose deadline it is.
    key: Key,
}

impl Due {
    /// What the heap orders by.
    fn rank(&self) -> (Moment, u64) {
        (self.deadline, self.sequence)
    }
}

/// What a key leads to.
#[derive(Debug)]
struct Entry<T> {
    /// Where this timer's `Due` stands in the heap now.
    at: usize,
    /// What to give back when it is due.
    value: T,
}

/// Deadlines with values, the earliest first.
#[derive(Debug)]
pub(crate) struct TimerHeap<T> {
    /// The deadlines in heap order.
    heap: Vec<Due>,
    /// The values, and where their deadlines stand.
    entries: Table<Entry<T>>,
    /// The sequence number of the next timer.
    next_sequence: u64,
}

/// How many children a heap entry has: four fit in two cache lines, and halve the depth.
const ARITY: usize = 4;

impl<T> TimerHeap<T> {
    /// A heap without timers.
    pub(crate) const fn new() -> TimerHeap<T> {
        TimerHeap { heap: Vec::new(), entries: Table::new(), next_sequence: 0 }
    }

    /// How many timers are set.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.heap.first().map(|due| due.deadline)
    }

    /// Sets a timer.
    pub(crate) fn insert(&mut self, deadline: Moment, value: T) -> Key {
        let at = self.heap.len();
        let key = self.entries.insert(Entry { at, value });
        self.heap.push(Due { deadline, sequence: self.next_sequence, key });
        self.next_sequence += 1;
        self.sift_up(at);
        key
    }

    /// The value of a timer that is still set.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Unsets a timer and gives its value back; nothing if it has fired or was removed before.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.remove(key)?;
        self.heap.swap_remove(entry.at);
        if entry.at < self.heap.len() {
            self.entry_of(entry.at).at = entry.at;
            // The entry that fills the hole comes from another branch: it may have to go either way.
            let at = self.sift_up(entry.at);
            self.sift_down(at);
        }
        Some(entry.value)
    }

    /// Takes out the earliest timer if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<(Moment, T)> {
        let first = *self.heap.first()?;
        if first.deadline > now {
            return None;
        }
        self.remove(first.key).map(|value| (first.deadline, value))
    }

    /// Moves the entry at `at` towards the root until its parent is due no later; says where it is then.
    fn sift_up(&mut self, mut at: usize) -> usize {
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if self.heap[parent].rank() <= self.heap[at].rank() {
                break;
            }
            self.swap(parent, at);
            at = parent;
        }
        at
    }

    /// Moves the entry at `at` towards the leaves until no child is due earlier.
    fn sift_down(&mut self, mut at: usize) {
        loop {
            let children = (at * ARITY + 1)..(at * ARITY + 1 + ARITY).min(self.heap.len());
            let Some(least) = children.min_by_key(|&child| self.heap[child].rank()) else {
                return;
            };
            if self.heap[at].rank() <= self.heap[least].rank() {
                return;
            }
            self.swap(at, least);
            at = least;
        }
    }

    /// Exchanges two heap entries and keeps the way back to them true.
    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.entry_of(a).at = a;
        self.entry_of(b).at = b;
    }

    /// The entry whose deadline stands at `at`.
    fn entry_of(&mut self, at: usize) -> &mut Entry<T> {
        let key = self.heap[at].key;
        self.entries.get_mut(key).expect("a deadline has an entry")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    /// The same timers in a map that orders them by (deadline, order of making).
    type Model = BTreeMap<(Moment, u64), (Key, u64)>;

    fn assert_sound(heap: &TimerHeap<u64>) {
        for (at, due) in heap.heap.iter().enumerate() {
            assert_eq!(heap.entries.get(due.key).unwrap().at, at);
            assert!(at == 0 || heap.heap[(at - 1) / ARITY].rank() <= due.rank());
        }
        assert_eq!(heap.heap.len(), heap.entries.len());
    }

    /// One random operation on both; every answer must agree.
    fn step(rng: &mut Rng, heap: &mut TimerHeap<u64>, model: &mut Model, made: &mut Vec<(Moment, u64, Key)>) {
        let number = made.len() as u64;
        match rng.below(10) {
            0..5 => {
                let deadline = Moment(rng.below(64) as u64);
                let key = heap.insert(deadline, number);
                model.insert((deadline, number), (key, number));
                made.push((deadline, number, key));
            }
            5..8 if !made.is_empty() => {
                let (deadline, sequence, key) = made[rng.below(made.len())];
                let expected = model.remove(&(deadline, sequence)).map(|(_, value)| value);
                assert_eq!(heap.remove(key), expected);
            }
            _ => {
                let now = Moment(rng.below(64) as u64);
                let due = model.first_key_value().filter(|((deadline, _), _)| *deadline <= now);
                let expected = due.map(|((deadline, _), (_, value))| (*deadline, *value));
                assert_eq!(heap.pop_due(now), expected);
                if expected.is_some() {
                    model.pop_first();
                }
            }
        }
        let next = model.first_key_value().map(|((deadline, _), _)| *deadline);
        assert_eq!(heap.next_deadline(), next);
        assert_eq!(heap.len(), model.len());
    }

    #[test]
    fn agrees_with_a_btree_map_on_random_operations() {
        let asked = std::env::var("GREENROOM_SEED").map(|seed| seed.parse().expect("a number"));
        let seeds: Vec<u64> = asked.map_or((0..100).collect(), |seed| vec![seed]);
        for seed in seeds {
            let passed = std::panic::catch_unwind(|| {
                let mut rng = Rng::new(seed);
                let (mut heap, mut model, mut made) = (TimerHeap::new(), Model::new(), Vec::new());
                for _ in 0..1000 {
                    step(&mut rng, &mut heap, &mut model, &mut made);
                }
                assert_sound(&heap);
            });
            assert!(passed.is_ok(), "replay: GREENROOM_SEED={seed} cargo test --lib agrees_with_a_btree_map");
        }
    }

    #[test]
    fn a_million_live_timers_come_out_in_order_and_leave_nothing() {
        let mut rng = Rng::new(42);
        let mut heap = TimerHeap::new();
        let mut keys: Vec<Key> =
            (0..1_000_000).map(|n| heap.insert(Moment(rng.below(1 << 20) as u64), n)).collect();
        rng.shuffle(&mut keys);
        for key in keys.drain(..500_000) {
            assert!(heap.remove(key).is_some());
        }
        let mut last = (Moment(0), 0);
        for _ in 0..500_000 {
            let next = heap.pop_due(Moment::NEVER).expect("half are left");
            assert!(next > last || last == (Moment(0), 0), "{last:?} before {next:?}");
            last = next;
        }
        assert_eq!((heap.len(), heap.entries.len()), (0, 0));
    }

    #[test]
    fn a_fired_timers_key_is_stale() {
        let mut heap = TimerHeap::new();
        let key = heap.insert(Moment(1), 'a');
        assert_eq!(heap.pop_due(Moment(0)), None);
        assert_eq!(heap.pop_due(Moment(1)), Some((Moment(1), 'a')));
        heap.insert(Moment(2), 'b');
        assert_eq!(heap.remove(key), None);
        assert!(heap.get_mut(key).is_none());
    }
}
