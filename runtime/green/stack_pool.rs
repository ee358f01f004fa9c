//! Stacks to have and to give back: a thread's own store of them, by size.
//!
//! A stack that comes back gives up the pages that few use, and is the next to go out, with its first pages
//! still in the cache. A store that has many such keeps nothing of the rest but their addresses.
//!
//! Invariant: a stack in the store is in nobody else's hands. It goes when its thread ends.
//!
//! Read next: `switch_x86_64.rs`.

use std::cell::RefCell;
use std::io;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::stack::{Guard, PAGE_BYTES, Slab, Stack};

/// How much of the top of a stack stays committed when it comes back, in whole pages: most green threads use no more.
pub(super) const KEPT_BYTES: usize = 8 * 1024;

/// How many such stacks a store has at most, of all sizes together, so that a burst of green threads does not hold
/// memory for ever.
const WARM_STACKS: usize = 1024;

/// How many stacks the first mapping of a size has room for; each has twice as many as the one before.
const FIRST_SLAB_STACKS: usize = 16;

/// And the last.
const LAST_SLAB_STACKS: usize = 1024;

/// How much of the address space must be left when stacks are mapped. They could have it to the last page, but then
/// the next allocation of whoever has one would fail, and that ends the process.
const SPARE_BYTES: usize = 16 << 20;

/// The smallest stack: less would not do for one call into std.
const LEAST_BYTES: usize = 8 * 1024;

thread_local! {
    /// The store of this thread.
    static STORE: RefCell<Store> = const { RefCell::new(Store::new()) };
}

/// The stacks of a thread that nobody uses now.
struct Store {
    /// By size; programs have one or two.
    sizes: Vec<SizeClass>,
    /// How many of them are warm.
    warm: usize,
    /// How guards are made on this kernel.
    guard: Guard,
}

/// All stacks of one size.
struct SizeClass {
    /// The size, in bytes.
    stack_bytes: usize,
    /// Those that were used before and kept their top; the last one back goes out first.
    warm: Vec<Stack>,
    /// Those that kept nothing.
    cold: Vec<Stack>,
    /// The mapping that new ones are made in.
    slab: Option<Rc<Slab>>,
    /// How many were made in it.
    made: usize,
}

/// A stack that goes back to the store when it is dropped.
#[derive(Debug)]
pub(crate) struct PooledStack(ManuallyDrop<Stack>);

impl PooledStack {
    /// A stack of at least so many bytes, rounded up to whole pages.
    ///
    /// # Errors
    /// If there is no memory or no room for a guard page; the message says what helps.
    pub(crate) fn of(stack_bytes: usize) -> io::Result<PooledStack> {
        let stack_bytes = stack_bytes
            .max(LEAST_BYTES)
            .checked_next_multiple_of(*PAGE_BYTES)
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory));
        let stack = stack_bytes
            .and_then(|stack_bytes| {
                STORE
                    .try_with(|store| store.borrow_mut().take(stack_bytes))
                    // At the end of the thread the store may be gone.
                    .unwrap_or_else(|_| Store::new().take(stack_bytes))
            })
            .map_err(no_stack)?;
        Ok(PooledStack(ManuallyDrop::new(stack)))
    }
}

impl std::ops::Deref for PooledStack {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.0
    }
}

impl Drop for PooledStack {
    fn drop(&mut self) {
        // SAFETY: the field is not touched again.
        let stack = unsafe { ManuallyDrop::take(&mut self.0) };
        let mut stack = Some(stack);
        // At the end of the thread the store may be gone; then the stack goes too.
        let _ = STORE.try_with(|store| store.borrow_mut().put(stack.take()));
    }
}

impl Store {
    /// Nothing in it yet.
    const fn new() -> Store {
        Store { sizes: Vec::new(), warm: 0, guard: Guard::Install }
    }

    /// A stack of exactly so many bytes.
    fn take(&mut self, stack_bytes: usize) -> io::Result<Stack> {
        let guard = &mut self.guard;
        let index = match self.sizes.iter().position(|size| size.stack_bytes == stack_bytes) {
            Some(index) => index,
            None => {
                self.sizes.push(SizeClass::new(stack_bytes));
                self.sizes.len() - 1
            }
        };
        let size = &mut self.sizes[index];
        if let Some(stack) = size.warm.pop() {
            self.warm -= 1;
            return Ok(stack);
        }
        size.cold.pop().map_or_else(|| size.make(guard), Ok)
    }

    /// Takes a stack back.
    fn put(&mut self, stack: Option<Stack>) {
        let Some(mut stack) = stack else { return };
        let Some(size) = self.sizes.iter_mut().find(|size| size.stack_bytes == stack.bytes()) else { return };
        if self.warm < WARM_STACKS {
            self.warm += 1;
            stack.discard(KEPT_BYTES.next_multiple_of(*PAGE_BYTES));
            size.warm.push(stack);
        } else {
            stack.discard(0);
            size.cold.push(stack);
        }
    }
}

impl SizeClass {
    /// None of them yet.
    fn new(stack_bytes: usize) -> SizeClass {
        SizeClass { stack_bytes, warm: Vec::new(), cold: Vec::new(), slab: None, made: 0 }
    }

    /// Makes one more.
    fn make(&mut self, guard: &mut Guard) -> io::Result<Stack> {
        let slab = match &self.slab {
            Some(slab) if self.made < slab.stacks => slab.clone(),
            full => {
                let stacks = full.as_ref().map_or(FIRST_SLAB_STACKS, |slab| slab.stacks * 2);
                // Held while the new one is made, and then left to others.
                let _spare = Slab::map(1, SPARE_BYTES)?;
                let slab = Rc::new(map_some(stacks.min(LAST_SLAB_STACKS), self.stack_bytes)?);
                self.slab = Some(slab.clone());
                self.made = 0;
                slab
            }
        };
        let mut stack = slab.stack(self.made, *guard);
        if *guard == Guard::Install && stack.is_err() {
            // The kernel, or what stands in for one, does not know it.
            *guard = Guard::Protect;
            stack = slab.stack(self.made, *guard);
        }
        self.made += usize::from(stack.is_ok());
        stack
    }
}

/// Maps room for so many stacks, or for as many as there is room for.
fn map_some(stacks: usize, stack_bytes: usize) -> io::Result<Slab> {
    match Slab::map(stacks, stack_bytes) {
        Err(_) if stacks > 1 => map_some(stacks / 2, stack_bytes),
        result => result,
    }
}

/// Why there is no stack, and what helps.
fn no_stack(error: io::Error) -> io::Error {
    let kind = error.kind();
    let text = format!(
        "no stack for another green thread: {error}; have fewer at a time, give them smaller stacks, or allow \
         the process more memory (ulimit -v, vm.overcommit_memory)"
    );
    io::Error::new(kind, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_kept_warm_of_all_sizes_together() {
        let mut store = Store::new();
        let sizes = [2 * *PAGE_BYTES, 3 * *PAGE_BYTES];
        for _ in 0..2 {
            let mut take = |count| -> Vec<Stack> {
                (0..count).map(|index| store.take(sizes[index % 2]).unwrap()).collect()
            };
            let stacks = take(WARM_STACKS + 100);
            stacks.into_iter().for_each(|stack| store.put(Some(stack)));
            let counts = |of: fn(&SizeClass) -> usize| store.sizes.iter().map(of).sum::<usize>();
            assert_eq!(counts(|size| size.warm.len()), WARM_STACKS);
            assert_eq!(counts(|size| size.cold.len()), 100);
            assert_eq!(store.warm, WARM_STACKS);
        }
    }
}
