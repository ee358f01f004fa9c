//! The memory of stacks: many to a mapping, each with a guard page below it.
//!
//! ```text
//!   a slab: one mmap(2), committed page by page as it is touched
//!   ┌───────┬──────────────┬───────┬──────────────┬─ ─ ─
//!   │ guard │ ◄──── stack  │ guard │ ◄──── stack  │
//!   └───────┴──────────────┴───────┴──────────────┴─ ─ ─
//!           low           high     low           high       stacks grow down, to the left
//! ```
//!
//! Facts: Linux allows 65,530 mappings (`vm.max_map_count`), and a guard page made with mprotect(2) splits a
//! mapping in three: stacks end at about 32,000. `MADV_GUARD_INSTALL` (Linux 6.13, madvise(2)) makes a page
//! that faults and leaves the mapping whole. The kernel touches no page before the program does, so a stack
//! costs what was used of it. Huge pages would commit 2 MiB at the first touch, so they are declined.
//!
//! Invariants: `low` and `high` are page-aligned; the page below `low` faults; nobody but the stack's owner
//! touches what is between. A slab is unmapped with its last stack.
//!
//! Read next: `stack_pool.rs`.

use std::io;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::LazyLock;

use super::checkers;

/// The size of a page, in bytes.
pub(super) static PAGE_BYTES: LazyLock<usize> = LazyLock::new(|| {
    // SAFETY: sysconf(3) only reads a constant.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
});

/// How a guard page is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Guard {
    /// By a mark in the page table: any number of them in one mapping.
    Install,
    /// By a mapping of its own, without access.
    Protect,
}

/// One mapping with room for several stacks of one size.
#[derive(Debug)]
pub(super) struct Slab {
    /// Where it begins.
    start: NonNull<u8>,
    /// How many stacks there is room for.
    pub(super) stacks: usize,
    /// How many bytes of each can be used.
    stack_bytes: usize,
}

impl Slab {
    /// Maps room for so many stacks; `stack_bytes` is a multiple of the page size.
    ///
    /// # Errors
    /// What mmap(2) reports.
    pub(super) fn map(stacks: usize, stack_bytes: usize) -> io::Result<Slab> {
        let bytes = (stack_bytes + *PAGE_BYTES)
            .checked_mul(stacks)
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of anybody's.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Advice: where the kernel knows no huge pages there are none to decline.
        // SAFETY: the range is the mapping just made.
        unsafe { libc::madvise(start, bytes, libc::MADV_NOHUGEPAGE) };
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap gave address 0"))?;
        Ok(Slab { start, stacks, stack_bytes })
    }

    /// How many bytes it has.
    fn bytes(&self) -> usize {
        (self.stack_bytes + *PAGE_BYTES) * self.stacks
    }

    /// Makes stack number `index`, which nobody else has made of this slab.
    ///
    /// # Errors
    /// If there is no room for its guard page; the message says why and what helps.
    pub(super) fn stack(self: &Rc<Slab>, index: usize, guard: Guard) -> io::Result<Stack> {
        assert!(index < self.stacks);
        // SAFETY: the index is within the slab, and so is the guard with the stack above it.
        let guard_page = unsafe { self.start.add((self.stack_bytes + *PAGE_BYTES) * index) };
        make_guard(guard_page, guard)?;
        // SAFETY: as above.
        let low = unsafe { guard_page.add(*PAGE_BYTES) };
        let registered = checkers::register_stack(low, self.stack_bytes);
        Ok(Stack { low, bytes: self.stack_bytes, _slab: self.clone(), registered })
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: every stack keeps its slab, so nobody has a part of this mapping any more. Tested by
        // `tests/green_stacks.rs`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes()) };
    }
}

/// Makes the page at `page` one that faults.
fn make_guard(page: NonNull<u8>, guard: Guard) -> io::Result<()> {
    let page = page.as_ptr().cast();
    // SAFETY: the page is part of a slab, and of no stack in it. Tested by `tests/green_overflow.rs`.
    let result = unsafe {
        match guard {
            Guard::Install => libc::madvise(page, *PAGE_BYTES, MADV_GUARD_INSTALL),
            Guard::Protect => libc::mprotect(page, *PAGE_BYTES, libc::PROT_NONE),
        }
    };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if guard == Guard::Protect && error.kind() == io::ErrorKind::OutOfMemory {
        return Err(io::Error::new(
            io::ErrorKind::OutOfMemory,
            "no mapping left for the guard page of another green thread's stack: this kernel is older than \
             Linux 6.13, so each takes two of those that vm.max_map_count allows (65,530 allow about 32,000 \
             green threads); raise it with sysctl(8), or have fewer green threads at a time",
        ));
    }
    Err(error)
}

/// madvise(2); libc does not name it yet for every target.
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// One stack. Dropping it gives its part of the slab up, for good: see `stack_pool.rs` for reuse.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Its lowest byte; below is the guard.
    low: NonNull<u8>,
    /// How many bytes can be used.
    bytes: usize,
    /// The mapping that it is a part of.
    _slab: Rc<Slab>,
    /// What a memory checker knows it by.
    registered: checkers::Registered,
}

impl Stack {
    /// Its lowest address.
    pub(crate) fn low(&self) -> NonNull<u8> {
        self.low
    }

    /// The address after its highest, where it begins to grow down from.
    pub(crate) fn high(&self) -> NonNull<u8> {
        // SAFETY: the end of the stack is within its slab, or its end.
        unsafe { self.low.add(self.bytes) }
    }

    /// How many bytes can be used.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives all pages back to the kernel, except the highest ones, `keep_bytes` of them; they will be zero.
    pub(super) fn discard(&mut self, keep_bytes: usize) {
        let bytes = self.bytes.saturating_sub(keep_bytes);
        // Advice, which fails only for pages that are locked in memory.
        // SAFETY: nobody uses the stack now, or its owner would not have it in hand. Tested by
        // `tests/green_stacks.rs`.
        unsafe { libc::madvise(self.low.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
        checkers::forget_contents(self.low, self.bytes);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        checkers::unregister_stack(&mut self.registered);
    }
}

/// How many bytes of the stack that begins at `low` were touched since its pages were discarded, in whole
/// pages.
pub(super) fn touched_bytes(low: NonNull<u8>, bytes: usize) -> usize {
    let mut resident = vec![0_u8; bytes / *PAGE_BYTES];
    // SAFETY: the range is a mapped stack, and there is a byte for each of its pages. Tested by
    // `tests/green_stacks.rs`.
    let result = unsafe { libc::mincore(low.as_ptr().cast(), bytes, resident.as_mut_ptr()) };
    assert_eq!(result, 0, "mincore of a stack: {}", io::Error::last_os_error());
    let untouched = resident.iter().take_while(|page| **page & 1 == 0).count();
    bytes - untouched * *PAGE_BYTES
}
