//! Handlers of SIGSEGV of a test's own, and deep calls.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;

/// A handler that is told where the fault was.
pub type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Installs it; gives the one before.
pub fn handle_faults(handler: Handler) -> libc::sigaction {
    install(handler as *const () as usize, libc::SA_SIGINFO | libc::SA_ONSTACK)
}

/// Installs an address, or a constant, as the handler of SIGSEGV; gives the one before.
pub fn install(handler: usize, flags: libc::c_int) -> libc::sigaction {
    let mut before = MaybeUninit::uninit();
    // SAFETY: an action of zeros is one without flags and with an empty mask; the place is there, and is filled.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        (action.sa_sigaction, action.sa_flags) = (handler, flags);
        assert_eq!(libc::sigaction(libc::SIGSEGV, &raw const action, before.as_mut_ptr()), 0);
        before.assume_init()
    }
}

/// Says so on standard error, as a handler may.
pub fn say(text: &str) {
    // SAFETY: the bytes are there.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

/// Uses more stack than there is: frames of about `BYTES` each, until it faults.
#[inline(never)]
pub fn overflow<const BYTES: usize>(depth: u64) -> u64 {
    let mut frame = MaybeUninit::<[u8; BYTES]>::uninit();
    black_box(&mut frame);
    if black_box(depth) == u64::MAX {
        0
    } else {
        overflow::<BYTES>(depth + 1) + u64::from(black_box(&frame).as_ptr().addr() == 0)
    }
}

/// Reads at address 16.
pub fn read_at_16() {
    // SAFETY: none; it faults, on purpose.
    black_box(unsafe { ptr::without_provenance::<u8>(16).read_volatile() });
}
