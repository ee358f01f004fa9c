//! Keys that never hit a stranger: the one way in which this runtime names a task, a timer, a
//! socket or a callback.
//!
//! A [`Key`] is a slot and the number of times that slot was used before. Whoever holds a key of
//! something that is gone finds nothing, even when the slot serves somebody else by now. A slot
//! whose generation can count no further is retired, so the promise has no expiry date.
//!
//! Invariant: `generations[slot]` is the generation of the value in `slots[slot]`, or of the next
//! value that will stand there.
//!
//! Read next: `id.rs`.

use slab::Slab;

/// Names one value of one [`Table`]: eight bytes, plain data, good for nothing once the value is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Where the value stands.
    pub(crate) slot: u32,
    /// How many values stood there before it.
    pub(crate) generation: u32,
}

impl Key {
    /// The key as one word, for places that carry a `u64` for us (an epoll token).
    pub(crate) fn to_bits(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.slot)
    }

    /// The inverse of [`Key::to_bits`].
    pub(crate) fn from_bits(bits: u64) -> Key {
        Key { slot: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// Values under generational keys.
#[derive(Debug)]
pub(crate) struct Table<T> {
    /// The values; `None` only in a slot that is retired.
    slots: Slab<Option<T>>,
    /// How often each slot was used before, by slot.
    generations: Vec<u32>,
    /// How many slots are retired.
    retired: usize,
}

impl<T> Table<T> {
    /// An empty table, without memory.
    pub(crate) const fn new() -> Table<T> {
        Table { slots: Slab::new(), generations: Vec::new(), retired: 0 }
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.retired
    }

    /// The key that the next [`insert`](Table::insert) will give.
    pub(crate) fn next_key(&self) -> Key {
        let slot = self.slots.vacant_key();
        Key {
            slot: u32::try_from(slot).expect("a table holds at most 4,294,967,295 values"),
            generation: self.generations.get(slot).copied().unwrap_or(0),
        }
    }

    /// Puts a value in and names it.
    pub(crate) fn insert(&mut self, value: T) -> Key {
        let key = self.next_key();
        let slot = self.slots.insert(Some(value));
        if slot == self.generations.len() {
            self.generations.push(0);
        }
        key
    }

    /// The value of `key`, if it is still there.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        if self.generations.get(key.slot as usize) != Some(&key.generation) {
            return None;
        }
        self.slots.get(key.slot as usize)?.as_ref()
    }

    /// The value of `key`, to change, if it is still there.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        if self.generations.get(key.slot as usize) != Some(&key.generation) {
            return None;
        }
        self.slots.get_mut(key.slot as usize)?.as_mut()
    }

    /// Takes the value of `key` out; the key is stale from now on.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let slot = key.slot as usize;
        if key.generation == u32::MAX {
            self.retired += 1;
            return self.slots[slot].take();
        }
        self.generations[slot] += 1;
        self.slots.remove(slot)
    }

    /// All keys in slot order.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.iter().map(|(key, _)| key).collect()
    }

    /// All values in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().filter_map(|(slot, value)| {
            let key = Key { slot: slot as u32, generation: self.generations[slot] };
            value.as_ref().map(|value| (key, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_misses_the_slots_next_tenant() {
        let mut table = Table::new();
        let first = table.insert('a');
        assert_eq!(table.remove(first), Some('a'));
        let second = table.insert('b');
        assert_eq!(second.slot, first.slot);
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&'b'));
        assert_eq!(Key::from_bits(second.to_bits()), second);
    }

    #[test]
    fn a_slot_at_its_last_generation_is_retired() {
        let mut table = Table::new();
        let key = table.insert(1);
        table.remove(key);
        table.generations[0] = u32::MAX;
        let last = table.insert(2);
        assert_eq!((last.slot, last.generation), (0, u32::MAX));
        assert_eq!(table.remove(last), Some(2));
        assert_eq!(table.get(last), None);
        assert_eq!(table.len(), 0);
        assert_eq!(table.insert(3).slot, 1, "slot 0 serves nobody any more");
        assert_eq!(table.iter().count(), 1);
    }
}
