//! What valgrind is told of stacks, with `--cfg valgrind` (see `.ci/memcheck`).
//!
//! Facts (valgrind.h and memcheck.h, and "The client request mechanism" in valgrind's manual): a program talks to
//! valgrind by four rotations that leave `rdi` as it was, followed by an exchange of `rbx` with itself, which do
//! nothing on a processor. `rax` points to six words, the request and its arguments; `rdx` has the answer. When
//! the stack pointer enters a registered stack, valgrind takes it for a change of stacks; otherwise a jump of less
//! than 2 MB is a huge frame to it, all of which becomes undefined, or all of which is over.
//!
//! Read next: `checkers.rs`.

use std::arch::asm;
use std::ptr::NonNull;

/// `VG_USERREQ__STACK_REGISTER` in valgrind.h: the lowest and the highest address; gives the stack's number.
const STACK_REGISTER: usize = 0x1501;

/// `VG_USERREQ__STACK_DEREGISTER` in valgrind.h: the stack's number.
const STACK_DEREGISTER: usize = 0x1502;

/// `VG_USERREQ__MAKE_MEM_UNDEFINED` in memcheck.h, the second request of the tool "MC": an address and a number of
/// bytes, which may be written to, and then be read.
const MAKE_MEM_UNDEFINED: usize = (b'M' as usize) << 24 | (b'C' as usize) << 16 | 1;

/// The number that valgrind knows a stack by.
#[derive(Debug)]
pub(crate) struct Registered(usize);

/// This memory will be a stack.
pub(crate) fn register_stack(low: NonNull<u8>, bytes: usize) -> Registered {
    let low = low.as_ptr().addr();
    Registered(request([STACK_REGISTER, low, low + bytes - 1, 0, 0, 0]))
}

/// It is none any more.
pub(crate) fn unregister_stack(registered: &mut Registered) {
    request([STACK_DEREGISTER, registered.0, 0, 0, 0, 0]);
}

/// What the stack held is over. Frames that returned are no place to write to any more, until the next one there
/// begins; but what stands at the top of a stack is not written as a frame.
pub(crate) fn forget_contents(low: NonNull<u8>, bytes: usize) {
    request([MAKE_MEM_UNDEFINED, low.as_ptr().addr(), bytes, 0, 0, 0]);
}

/// Asks valgrind; 0 without one.
fn request(words: [usize; 6]) -> usize {
    let answer;
    // SAFETY: changes no register and no memory of ours but the answer's.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &raw const words,
            inout("rdx") 0_usize => answer,
            options(nostack),
        );
    }
    answer
}
