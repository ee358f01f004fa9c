//! Going from one stack to another, on AArch64 (AAPCS64).
//!
//! ```text
//!   link ──► ┌ stack pointer of the side that does not run ┐         a stack that waits:
//!            ├ the function to begin with ─────────────────┤         ├ (nothing)      │ higher
//!            └─────────────────────────────────────────────┘         ├ return address │ addresses
//!   a stack that has not begun is one that waits, with the           ├ x29            │
//!   address of `start` to return to                                  ├ x19            ┤ ◄── stack pointer,
//!                                                                    └────────────────┘     16-aligned
//! ```
//!
//! As on x86-64: what the compiler cannot be told to save (x19 and x29) is pushed, and the other callee-saved
//! registers are named as clobbered: x20 to x28, and by `clobber_abi` v8 to v15, of which a call keeps the low
//! half. The way in is a `bl`, the way out the `ret` that belongs to it. The control register FPCR (AAPCS64 6.1)
//! is for `thread.rs`.
//!
//! Read next: `switch.rs`.

use std::arch::{asm, naked_asm};

/// Goes to the stack in the link; returns when that side suspends.
///
/// # Safety
/// `link` points to two words as drawn above: a stack that has not begun, or that waits in `suspend`; its memory
/// and all that it borrows must be there.
#[inline(always)]
pub(super) unsafe fn resume(link: *mut usize) {
    // SAFETY: the caller's promise. Every register that the other side may change is saved or named. Tested by
    // `.ci/aarch64`.
    unsafe {
        asm!(
            "stp x19, x29, [sp, #-32]!",
            "bl 2f",
            "b 3f",
            "2: str x30, [sp, #16]",
            "ldr x10, [x0]",
            "mov x11, sp",
            "str x11, [x0]",
            "mov sp, x10",
            "ldr x10, [sp, #16]",
            "br x10",
            "3: ldp x19, x29, [sp], #32",
            inout("x0") link => _,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _,
            out("x25") _, out("x26") _, out("x27") _, out("x28") _,
            clobber_abi("C"),
        );
    }
}

/// Goes back to the side that resumed this one; returns when it is resumed again.
///
/// # Safety
/// The caller runs on a stack that was entered by `resume` with this link.
#[inline(always)]
pub(super) unsafe fn suspend(link: *mut usize) {
    // SAFETY: as in `resume`.
    unsafe {
        asm!(
            "stp x19, x29, [sp, #-32]!",
            "adr x9, 2f",
            "str x9, [sp, #16]",
            "ldr x10, [x0]",
            "mov x11, sp",
            "str x11, [x0]",
            "mov sp, x10",
            "ldr x30, [sp, #16]",
            "ret",
            "2: ldp x19, x29, [sp], #32",
            inout("x0") link => _,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _,
            out("x25") _, out("x26") _, out("x27") _, out("x28") _,
            clobber_abi("C"),
        );
    }
}

/// Makes the stack that ends at `high` one that has not begun; gives its stack pointer.
///
/// # Safety
/// There are four words below `high` to write to, which is a multiple of 16.
pub(super) unsafe fn prepare(high: *mut usize) -> *mut usize {
    // SAFETY: the caller's promise.
    unsafe {
        let stack_pointer = high.sub(4);
        stack_pointer.add(2).write(start as *const () as usize);
        stack_pointer
    }
}

/// The lowest frame of every green thread: calls the function in the link, which never returns. Unwinders and
/// debuggers find the end of the stack here: no return address, and a frame pointer of 0.
#[unsafe(naked)]
unsafe extern "C" fn start() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined x30",
        "mov x29, xzr",
        "ldr x9, [x0, #8]",
        "blr x9",
        "brk #1",
        ".cfi_endproc",
    )
}

/// The stack pointer of what a signal has interrupted.
///
/// # Safety
/// `context` is the third argument of a handler (sigaction(2), `SA_SIGINFO`).
pub(super) unsafe fn interrupted_stack_pointer(context: *const libc::c_void) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.sp as usize }
}

/// How the processor rounds and what traps: the control register FPCR.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FloatControl {
    /// The register.
    fpcr: u64,
}

impl FloatControl {
    /// What is in force now.
    #[inline(always)]
    pub(super) fn read() -> FloatControl {
        let fpcr;
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack)) };
        FloatControl { fpcr }
    }

    /// Puts it in force.
    #[cold]
    pub(super) fn write(self) {
        // SAFETY: the value was read from the same register.
        unsafe { asm!("msr fpcr, {}", in(reg) self.fpcr, options(nostack)) };
    }
}
