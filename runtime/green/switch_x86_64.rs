//! Going from one stack to another, on x86-64 (System V ABI).
//!
//! ```text
//!   link ──► ┌ stack pointer of the side that does not run ┐         a stack that waits:
//!            ├ the function to begin with ─────────────────┤         ├ rbx            │ higher
//!            └─────────────────────────────────────────────┘         ├ rbp            │ addresses
//!   a stack that has not begun:                                      ├ return address ┤ ◄── stack
//!     `start` ◄── stack pointer, 8 below a multiple of 16            └────────────────┘     pointer
//! ```
//!
//! To go, a side pushes what the compiler cannot be told to save (rbx and rbp are its own), exchanges its stack
//! pointer with the one in the link, and jumps. The other callee-saved registers (r12 to r15) are named as
//! clobbered, so that the compiler saves those that it uses, and no others.
//!
//! A processor predicts where a `ret` goes from the calls before it. So the way in is a `call`, the way out is
//! the `ret` that belongs to it, and both are inlined: as functions of their own they would leave that prediction
//! wrong for every `ret` that follows, which costs more than all the rest (see "Numbers" in NOTES.md).
//!
//! The control bits of MXCSR and the x87 control word are callee-saved, too (psABI 3.2.1): rounding and what
//! traps. Reading them costs as much as all of the switch, so that is done once a visit, in `thread.rs`.
//!
//! Read next: `switch_aarch64.rs`.

use std::arch::{asm, naked_asm};

/// Goes to the stack in the link; returns when that side suspends.
///
/// # Safety
/// `link` points to two words as drawn above: a stack that has not begun, or that waits in `suspend`; its memory
/// and all that it borrows must be there.
#[inline(always)]
pub(super) unsafe fn resume(link: *mut usize) {
    // SAFETY: the caller's promise. Every register that the other side may change is saved or named. Tested by
    // `tests/green_switch.rs`.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "call 2f",
            "jmp 3f",
            "2: mov rax, [rdi]",
            "mov [rdi], rsp",
            "mov rsp, rax",
            "pop rax",
            "jmp rax",
            "3: pop rbp",
            "pop rbx",
            inout("rdi") link => _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
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
            "push rbx",
            "push rbp",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov rax, [rdi]",
            "mov [rdi], rsp",
            "mov rsp, rax",
            "ret",
            "2: pop rbp",
            "pop rbx",
            inout("rdi") link => _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("C"),
        );
    }
}

/// Makes the stack that ends at `high` one that has not begun; gives its stack pointer.
///
/// # Safety
/// There is a word below `high` to write to, which is a multiple of 16.
pub(super) unsafe fn prepare(high: *mut usize) -> *mut usize {
    // SAFETY: the caller's promise. `start` finds the stack aligned as before a call.
    unsafe {
        let stack_pointer = high.sub(1);
        stack_pointer.write(start as *const () as usize);
        stack_pointer
    }
}

/// The lowest frame of every green thread: calls the function in the link, which never returns. Unwinders and
/// debuggers find the end of the stack here: no return address, and a frame pointer of 0.
#[unsafe(naked)]
unsafe extern "C" fn start() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "xor ebp, ebp",
        "call [rdi + 8]",
        "ud2",
        ".cfi_endproc",
    )
}

/// The stack pointer of what a signal has interrupted.
///
/// # Safety
/// `context` is the third argument of a handler (sigaction(2), `SA_SIGINFO`).
pub(super) unsafe fn interrupted_stack_pointer(context: *const libc::c_void) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RSP as usize] as usize }
}

/// How the processor rounds and what traps: the control bits of MXCSR, and the x87 control word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FloatControl {
    /// MXCSR without its sticky flags, which are caller-saved.
    mxcsr: u32,
    /// The x87 control word.
    x87: u16,
}

impl FloatControl {
    /// What is in force now.
    #[inline(always)]
    pub(super) fn read() -> FloatControl {
        let (mut mxcsr, mut x87) = (0_u32, 0_u16);
        // SAFETY: stores four bytes and two where there is room for them. Tested by `tests/green_switch.rs`.
        unsafe {
            asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut x87, options(nostack));
        }
        FloatControl { mxcsr: mxcsr & 0xffc0, x87 }
    }

    /// Puts it in force; the sticky flags are cleared, or those of one side would trap on another that wants traps.
    #[cold]
    pub(super) fn write(self) {
        // SAFETY: the values were read from the same registers. Tested by `tests/green_switch.rs`.
        unsafe {
            asm!("ldmxcsr [{}]", "fnclex", "fldcw [{}]", in(reg) &raw const self.mxcsr, in(reg) &raw const self.x87,
                options(nostack, readonly));
        }
    }
}
