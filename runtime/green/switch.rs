//! Going from one stack to another, on the machine that this is compiled for.
//!
//! Read next: `coroutine.rs`.

#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
compile_error!(
    "green threads know the registers of x86-64 and AArch64 only: write a `switch_….rs` for this processor"
);

#[cfg(target_arch = "aarch64")]
pub(super) use super::switch_aarch64::{FloatControl, interrupted_stack_pointer, prepare, resume, suspend};
#[cfg(target_arch = "x86_64")]
pub(super) use super::switch_x86_64::{FloatControl, interrupted_stack_pointer, prepare, resume, suspend};
