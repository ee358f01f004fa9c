//! Going from one stack to another, on x86-64 (System V ABI).
//!
//! ```text
//!   link ──► ┌ stack pointer of the side that does not run ┐        a stack that waits:
//!            ├ the function to begin with ─────────────────┤        ├ rbx            │ higher
//!            └─────────────────────────────────────────────┘        ├ rbp            │ addresses
//!                                                                    ├ x87 CW │ MXCSR │
//!   a stack that has not begun: ┌ start ┐ ◄── stack pointer,        ├ return address ┤ ◄── stack
//!                               └───────┘     16-aligned + 8         └────────────────┘     pointer
//! ```
//!
//! To go, a side pushes what the other must not lose, exchanges its stack pointer with the one in the link, and
//! jumps. The ABI's other callee-saved registers (r12 to r15) are named as clobbered, so that the compiler saves
//! those that it uses, and no others. Of MXCSR the control bits are callee-saved, as is the x87 control word
//! (psABI 3.2.3); to compare costs little, to load much, so they are loaded where they differ only.
//!
//! A processor predicts where a `ret` goes from the calls before it. So the way in is a `call`, the way out is
//! the `ret` that belongs to it, and both are inlined: as functions of their own they would leave that prediction
//! wrong for every `ret` that follows, which costs more than all the rest (see "Numbers" in NOTES.md).
//!
//! Read next: `switch_aarch64.rs`.

use std::arch::{asm, naked_asm};

/// What a side does when it is back: `rdi` is the link, `rsp` its own frame. If the control bits that the other
/// side left with (in its frame, above the return address) are not its own, it loads its own.
macro_rules! arrive {
    () => {
        "mov rcx, [rdi]
         mov eax, [rcx + 8]
         xor eax, [rsp]
         and eax, 0xffc0
         movzx edx, word ptr [rcx + 12]
         xor dx, [rsp + 4]
         or eax, edx
         jz 4f
         ldmxcsr [rsp]
         fldcw [rsp + 4]
      4: add rsp, 8
         pop rbp
         pop rbx"
    };
}

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
            "sub rsp, 8",
            "stmxcsr [rsp]",
            "fnstcw [rsp + 4]",
            "call 2f",
            "jmp 3f",
         "2: mov rax, [rdi]",
            "mov [rdi], rsp",
            "mov rsp, rax",
            "pop rax",
            "jmp rax",
         "3:",
            arrive!(),
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
            "sub rsp, 8",
            "stmxcsr [rsp]",
            "fnstcw [rsp + 4]",
            "lea rax, [rip + 3f]",
            "push rax",
            "mov rax, [rdi]",
            "mov [rdi], rsp",
            "mov rsp, rax",
            "ret",
         "3:",
            arrive!(),
            inout("rdi") link => _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("C"),
        );
    }
}

/// Makes the stack that ends at `high` one that has not begun; gives its stack pointer.
///
/// # Safety
/// There are two words below `high` to write to, which is a multiple of 16.
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
