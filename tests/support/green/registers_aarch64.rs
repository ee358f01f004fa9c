//! What a processor of AArch64 has beside memory: the registers that a call must keep, the word that says how to
//! round, and where the stack and its frames are.

use std::arch::{asm, naked_asm};

/// x19 to x29, and the low halves of v8 to v15.
pub type Kept = [u64; 19];

/// What is left of the stack pointer, divided by 16, at the begin of a function.
pub const ENTRY: usize = 0;

/// How to round, and more: FPCR.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatControl(u64);

impl FloatControl {
    /// That of this thread now.
    pub fn now() -> FloatControl {
        let fpcr;
        // SAFETY: only reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) fpcr, options(nostack)) };
        FloatControl(fpcr)
    }

    /// Makes it that of this thread.
    ///
    /// # Safety
    /// Until it is as before, nothing is calculated that counts on rounding as Rust does.
    pub unsafe fn set(self) {
        // SAFETY: the caller's promise.
        unsafe { asm!("msr fpcr, {}", in(reg) self.0, options(nostack)) };
    }

    /// The same, but rounding `how`: 0 to the nearest, 1 down, 2 up, 3 towards zero.
    pub fn rounding(self, how: u16) -> FloatControl {
        // Here up is 1, and down 2.
        let mode = [0, 2, 1, 3][usize::from(how)];
        FloatControl(self.0 & !(3 << 22) | mode << 22)
    }

    /// Some that differ from it: in how it rounds, in what becomes of numbers near zero, and of what is none.
    pub fn others(self) -> [FloatControl; 3] {
        [self.rounding(2), FloatControl(self.0 ^ 1 << 24), FloatControl(self.0 ^ 1 << 25)]
    }
}

/// The bits of 1/3 and of -1/3, of single numbers and of vectors, as this thread rounds now.
pub fn thirds() -> [u64; 4] {
    let (ones, threes) = ([1.0_f64, -1.0], [3.0_f64; 2]);
    let mut thirds = [0_u64; 4];
    // SAFETY: reads `ones` and `threes`, and writes to `thirds`.
    unsafe {
        asm!(
            "ldr q0, [{ones}]",
            "ldr q1, [{threes}]",
            "fdiv v2.2d, v0.2d, v1.2d",
            "fdiv d3, d0, d1",
            "fneg d0, d0",
            "fdiv d4, d0, d1",
            "stp d3, d4, [{to}]",
            "str q2, [{to}, #16]",
            ones = in(reg) ones.as_ptr(), threes = in(reg) threes.as_ptr(), to = in(reg) thirds.as_mut_ptr(),
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _,
            options(nostack),
        );
    }
    thirds
}

/// Runs `f` with these values in the registers that every call must keep; gives what is in them then.
pub fn kept_by<F: FnMut()>(values: Kept, f: &mut F) -> Kept {
    let mut found = [0; 19];
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
        "stp x29, x30, [sp, #-176]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "str x1, [sp, #160]",
        "ldp x19, x20, [x0]",
        "ldp x21, x22, [x0, #16]",
        "ldp x23, x24, [x0, #32]",
        "ldp x25, x26, [x0, #48]",
        "ldp x27, x28, [x0, #64]",
        "ldr x29, [x0, #80]",
        "ldp d8, d9, [x0, #88]",
        "ldp d10, d11, [x0, #104]",
        "ldp d12, d13, [x0, #120]",
        "ldp d14, d15, [x0, #136]",
        "mov x0, x3",
        "blr x2",
        "ldr x1, [sp, #160]",
        "stp x19, x20, [x1]",
        "stp x21, x22, [x1, #16]",
        "stp x23, x24, [x1, #32]",
        "stp x25, x26, [x1, #48]",
        "stp x27, x28, [x1, #64]",
        "str x29, [x1, #80]",
        "stp d8, d9, [x1, #88]",
        "stp d10, d11, [x1, #104]",
        "stp d12, d13, [x1, #120]",
        "stp d14, d15, [x1, #136]",
        "ldp x19, x20, [sp, #16]",
        "ldp x21, x22, [sp, #32]",
        "ldp x23, x24, [sp, #48]",
        "ldp x25, x26, [sp, #64]",
        "ldp x27, x28, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "ldp x29, x30, [sp], #176",
        "ret",
    )
}

/// Loads sixteen bytes; only the stack pointer itself must be aligned here.
pub fn load_aligned(place: &[u8; 16]) {
    // SAFETY: reads the sixteen bytes.
    unsafe { asm!("ldr {:q}, [{}]", out(vreg) _, in(reg) place.as_ptr(), options(nostack)) };
}

/// Where the stack pointer is at the begin of a function.
#[unsafe(naked)]
pub extern "C" fn stack_pointer_at_entry() -> usize {
    naked_asm!("mov x0, sp", "ret")
}

/// The frame pointer.
#[inline(always)]
pub fn frame_pointer() -> usize {
    let frame_pointer;
    // SAFETY: only reads a register.
    unsafe { asm!("mov {}, x29", out(reg) frame_pointer, options(nomem, nostack, preserves_flags)) };
    frame_pointer
}
