//! What a processor of x86-64 has beside memory: the registers that a call must keep, the words that say how to
//! round, and where the stack and its frames are.

use std::arch::{asm, naked_asm};

/// rbx, rbp, and r12 to r15.
pub type Kept = [u64; 6];

/// What is left of the stack pointer, divided by 16, at the begin of a function.
pub const ENTRY: usize = 8;

/// How to round, and more: the control word of the x87, and MXCSR.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatControl {
    x87: u16,
    mxcsr: u32,
}

impl FloatControl {
    /// That of this thread now, without the marks that calculations leave in MXCSR.
    pub fn now() -> FloatControl {
        let (mut x87, mut mxcsr) = (0_u16, 0_u32);
        // SAFETY: writes to these two places only.
        unsafe {
            asm!("fnstcw [{}]", "stmxcsr [{}]", in(reg) &raw mut x87, in(reg) &raw mut mxcsr, options(nostack));
        }
        FloatControl { x87, mxcsr: mxcsr & !0x3f }
    }

    /// Makes it that of this thread.
    ///
    /// # Safety
    /// Until it is as before, nothing is calculated that counts on rounding as Rust does.
    pub unsafe fn set(self) {
        // SAFETY: reads these two places; for the rest, the caller's promise.
        unsafe {
            asm!(
                "fldcw [{}]", "ldmxcsr [{}]",
                in(reg) &raw const self.x87, in(reg) &raw const self.mxcsr, options(nostack),
            );
        }
    }

    /// The same, but rounding `how`: 0 to the nearest, 1 down, 2 up, 3 towards zero.
    pub fn rounding(self, how: u16) -> FloatControl {
        let (x87, mxcsr) = (self.x87 & !(3 << 10), self.mxcsr & !(3 << 13));
        FloatControl { x87: x87 | how << 10, mxcsr: mxcsr | u32::from(how) << 13 }
    }

    /// Some that differ from it, in all or in one thing: how either unit rounds, and how precisely the x87 does.
    pub fn others(self) -> [FloatControl; 4] {
        let both = self.rounding(2);
        let precise = FloatControl { x87: self.x87 & !(3 << 8), ..self };
        [both, FloatControl { x87: self.x87, ..both }, FloatControl { mxcsr: self.mxcsr, ..both }, precise]
    }
}

/// The bits of 1/3 and of -1/3, of SSE and of the x87, as this thread rounds now.
pub fn thirds() -> [u64; 4] {
    let (one, three) = (1.0_f64, 3.0_f64);
    let mut thirds = [0_u64; 4];
    // SAFETY: reads `one` and `three`, writes to `thirds`, and leaves the x87's own stack empty.
    unsafe {
        asm!(
            "movsd xmm0, [{one}]", "divsd xmm0, [{three}]", "movsd [{to}], xmm0",
            "xorpd xmm0, xmm0", "subsd xmm0, [{one}]", "divsd xmm0, [{three}]", "movsd [{to} + 8], xmm0",
            "fld qword ptr [{one}]", "fdiv qword ptr [{three}]", "fstp qword ptr [{to} + 16]",
            "fld qword ptr [{one}]", "fchs", "fdiv qword ptr [{three}]", "fstp qword ptr [{to} + 24]",
            one = in(reg) &raw const one, three = in(reg) &raw const three, to = in(reg) thirds.as_mut_ptr(),
            out("xmm0") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            options(nostack),
        );
    }
    thirds
}

/// Runs `f` with these values in rbx, rbp and r12 to r15, which every call must keep; gives what is in them then.
pub fn kept_by<F: FnMut()>(values: Kept, f: &mut F) -> Kept {
    let mut found = [0; 6];
    // SAFETY: the places are there, and `run` is called with what it takes. `f` does not unwind: if it did, that
    // would end the process.
    unsafe { call_with(&values, &mut found, run::<F>, std::ptr::from_mut(f).cast()) };
    found
}

/// Runs what `kept_by` was given.
extern "C" fn run<F: FnMut()>(f: *mut u8) {
    // SAFETY: that of `kept_by`, which waits for it.
    unsafe { (*f.cast::<F>())() }
}

/// Fills the registers, calls `run(argument)`, and writes them down.
#[unsafe(naked)]
unsafe extern "C" fn call_with(
    values: &Kept,
    found: &mut Kept,
    run: extern "C" fn(*mut u8),
    argument: *mut u8,
) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rsi",
        "mov rbx, [rdi]",
        "mov rbp, [rdi + 8]",
        "mov r12, [rdi + 16]",
        "mov r13, [rdi + 24]",
        "mov r14, [rdi + 32]",
        "mov r15, [rdi + 40]",
        "mov rdi, rcx",
        "call rdx",
        "pop rsi",
        "mov [rsi], rbx",
        "mov [rsi + 8], rbp",
        "mov [rsi + 16], r12",
        "mov [rsi + 24], r13",
        "mov [rsi + 32], r14",
        "mov [rsi + 40], r15",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// Loads sixteen bytes as compilers do where they count on the stack's alignment: faults without.
pub fn load_aligned(place: &[u8; 16]) {
    // SAFETY: reads the sixteen bytes.
    unsafe { asm!("movaps {}, [{}]", out(xmm_reg) _, in(reg) place.as_ptr(), options(nostack)) };
}

/// Where the stack pointer is at the begin of a function.
#[unsafe(naked)]
pub extern "C" fn stack_pointer_at_entry() -> usize {
    naked_asm!("mov rax, rsp", "ret")
}

/// The frame pointer.
#[inline(always)]
pub fn frame_pointer() -> usize {
    let frame_pointer;
    // SAFETY: only reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame_pointer, options(nomem, nostack, preserves_flags)) };
    frame_pointer
}
