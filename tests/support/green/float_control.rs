//! How a processor rounds and what it traps, where green threads end and errors are made.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::registers::FloatControl;
use super::{poll, polled};

#[test]
fn who_polls_after_the_end_rounds_as_before() {
    let usual = FloatControl::now();
    // SAFETY: nothing is calculated until it is over.
    let mut thread = polled(move || unsafe { usual.rounding(2).set() });
    assert!(poll(&mut thread).is_ready());
    catch_unwind(AssertUnwindSafe(|| poll(&mut thread))).unwrap_err();
    assert_eq!(FloatControl::now(), usual);
}

/// The x87 traps late: when it is next used after something was marked, or after traps are wanted.
#[cfg(target_arch = "x86_64")]
#[test]
fn what_one_side_has_calculated_does_not_trap_on_the_other() {
    use std::arch::asm;
    let mut thread = polled(|| {
        let mut control = 0_u16;
        // SAFETY: rounds as before; only that divisions by zero trap.
        unsafe {
            asm!("fnstcw [{0}]", "and word ptr [{0}], -5", "fldcw [{0}]", in(reg) &raw mut control, options(nostack));
        }
        super::leave();
        // SAFETY: traps, or does nothing.
        unsafe { asm!("fwait", options(nomem, nostack)) };
    });
    assert!(poll(&mut thread).is_pending());
    // SAFETY: divides by zero, and leaves the x87's own stack empty.
    unsafe {
        asm!("fldz", "fld1", "fdivrp st(1), st", "fstp st(0)", clobber_abi("C"), options(nomem, nostack))
    };
    assert!(poll(&mut thread).is_ready());
}
