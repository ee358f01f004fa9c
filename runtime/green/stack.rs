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
        let bytes = stack_bytes
            .checked_add(*PAGE_BYTES)
            .and_then(|bytes| bytes.checked_mul(stacks))
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
    Err(no_guard(guard, io::Error::last_os_error()))
}

/// Why there is no guard page, and what helps.
fn no_guard(guard: Guard, error: io::Error) -> io::Error {
    if guard == Guard::Protect && error.kind() == io::ErrorKind::OutOfMemory {
        return io::Error::new(
            io::ErrorKind::OutOfMemory,
            "no mapping left for the guard page of another green thread's stack: this kernel is older than \
             Linux 6.13, so each takes two of those that vm.max_map_count allows (65,530 allow about 32,000 \
             green threads); raise it with sysctl(8), or have fewer green threads at a time",
        );
    }
    error
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    /// Whether the kernel can read the byte for us; it does not fault, but says EFAULT.
    fn is_readable(byte: *const u8) -> bool {
        let (_reader, writer) = io::pipe().unwrap();
        // SAFETY: only the kernel reads it, if it can.
        let written = unsafe { libc::write(writer.as_raw_fd(), byte.cast(), 1) };
        assert!(written == 1 || io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT));
        written == 1
    }

    #[test]
    fn guards_of_both_kinds_fault_and_what_is_between_them_does_not() {
        for guard in [Guard::Install, Guard::Protect] {
            let slab = Rc::new(Slab::map(3, 2 * *PAGE_BYTES).unwrap());
            let stacks: Vec<Stack> = match (0..3).map(|index| slab.stack(index, guard)).collect() {
                Ok(stacks) => stacks,
                // A kernel before 6.13, or what stands in for one.
                Err(error) if guard == Guard::Install && error.raw_os_error() == Some(libc::EINVAL) => {
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            for stack in &stacks {
                let low = stack.low().as_ptr();
                for offset in [0, stack.bytes() - 1] {
                    assert!(is_readable(low.wrapping_add(offset)), "{guard:?}, {offset}");
                }
                for offset in [1, *PAGE_BYTES] {
                    assert!(!is_readable(low.wrapping_sub(offset)), "{guard:?}, {offset} below");
                }
            }
            assert!(!is_readable(stacks[0].high().as_ptr()), "the next one's guard");
        }
    }

    #[test]
    fn discarded_pages_are_zero_and_kept_ones_are_not() {
        let slab = Rc::new(Slab::map(1, 4 * *PAGE_BYTES).unwrap());
        let mut stack = slab.stack(0, Guard::Protect).unwrap();
        let low = stack.low();
        // SAFETY: the stack's own memory, which nobody else has.
        let page = |index: usize| unsafe { low.add(*PAGE_BYTES * index) };
        // SAFETY: as above.
        (0..4).for_each(|index| unsafe { page(index).write(7) });
        assert_eq!(touched_bytes(low, stack.bytes()), 4 * *PAGE_BYTES);
        stack.discard(*PAGE_BYTES);
        assert_eq!(touched_bytes(low, stack.bytes()), *PAGE_BYTES);
        // SAFETY: as above.
        assert_eq!((0..4).map(|index| unsafe { page(index).read() }).collect::<Vec<_>>(), [0, 0, 0, 7]);
    }

    #[test]
    fn the_limit_of_mappings_is_told_with_what_helps() {
        let no_memory = || io::Error::from_raw_os_error(libc::ENOMEM);
        let text = no_guard(Guard::Protect, no_memory()).to_string();
        assert!(text.contains("vm.max_map_count") && text.contains("sysctl"), "{text}");
        assert!(!no_guard(Guard::Install, no_memory()).to_string().contains("max_map_count"));
        let other = no_guard(Guard::Protect, io::Error::from_raw_os_error(libc::EINVAL));
        assert_eq!(other.raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    #[ignore = "takes all mappings that a process may have, from tests beside it too"]
    fn guards_that_are_mappings_end_with_an_error_that_says_so() {
        let slab = Rc::new(Slab::map(40_000, 2 * *PAGE_BYTES).unwrap());
        let mut stacks = Vec::with_capacity(40_000);
        let error = (0..40_000).find_map(|index| match slab.stack(index, Guard::Protect) {
            Ok(stack) => {
                stacks.push(stack);
                None
            }
            Err(error) => Some(error),
        });
        let count = stacks.len();
        drop((stacks, slab));
        let text = error.expect("vm.max_map_count is as the kernel has it by default").to_string();
        assert!(text.contains("vm.max_map_count"), "after {count}: {text}");
        assert!((30_000..33_000).contains(&count), "{count}");
    }
}
