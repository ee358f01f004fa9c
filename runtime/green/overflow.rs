//! When a green thread uses more stack than it has: the end of the process, with a message that helps.
//!
//! ```text
//!   a frame reaches below the stack ─► the guard page faults ─► SIGSEGV, handled on a stack of its own
//!     the address is in the guard of the stack that runs now ─► the message, then the signal's default
//!     the kernel met it, with the frame of another signal    ─► the same
//!     any other fault                                        ─► whoever handled it before us
//! ```
//!
//! Facts: rustc makes every function that needs more than a page touch each page of it in turn, so it meets the
//! guard and does not jump over it. C that was built without `-fstack-clash-protection` may. The handler runs on
//! an alternate stack (sigaltstack(2)), because the one that faulted is full; it uses only what
//! signal-safety(7) allows: plain memory, write(2), sigaction(2) and raise(3). A handler of the program's that has
//! not asked for the alternate stack (`SA_ONSTACK`) runs on the current one, where the kernel writes up to some
//! thousand bytes of registers first. If they do not fit, that signal is lost, and there is a SIGSEGV instead, with
//! `SI_KERNEL` for a code and without an address.
//!
//! Read next: `thread.rs`.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;
use std::sync::OnceLock;

use super::stack::{Guard, PAGE_BYTES, Slab, Stack};
use super::{switch, visit};
use crate::task::here;

/// How large the alternate stack is: enough for the handler, and for the one before it.
const ALTERNATE_BYTES: usize = 64 * 1024;

/// Who handled SIGSEGV before us; set before our handler is.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

thread_local! {
    /// The alternate stack of this thread, once it has green threads.
    static ALTERNATE: RefCell<Option<Alternate>> = const { RefCell::new(None) };
}

/// Makes sure that an overflow on this thread is noticed and explained.
///
/// # Errors
/// If there is no memory for an alternate stack.
pub(super) fn watch_this_thread() -> io::Result<()> {
    ALTERNATE
        .try_with(|alternate| {
            if alternate.borrow().is_none() {
                handle_faults()?;
                *alternate.borrow_mut() = Some(Alternate::install()?);
            }
            Ok(())
        })
        // The thread is ending: what was there is good enough.
        .unwrap_or(Ok(()))
}

/// Takes SIGSEGV over, once for the process.
fn handle_faults() -> io::Result<()> {
    if BEFORE.get().is_some() {
        return Ok(());
    }
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only, and the place is large enough.
    if unsafe { libc::sigaction(libc::SIGSEGV, ptr::null(), before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the place is filled. Two threads that come here at once: one goes on.
    if BEFORE.set(unsafe { before.assume_init() }).is_err() {
        return Ok(());
    }
    // SAFETY: an action of zeros is one without flags and with an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler is of the kind that the flags say. Tested by `tests/green_overflow.rs`.
    match unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// An alternate stack in use.
struct Alternate {
    /// What was there before.
    before: libc::stack_t,
    /// Its memory.
    stack: Stack,
}

impl Alternate {
    /// Installs one for this thread.
    fn install() -> io::Result<Alternate> {
        let stack = Rc::new(Slab::map(1, ALTERNATE_BYTES)?).stack(0, Guard::Protect)?;
        let new = libc::stack_t { ss_sp: stack.low().as_ptr().cast(), ss_flags: 0, ss_size: ALTERNATE_BYTES };
        let mut before = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: the memory is ours until `drop` has taken it out of use again.
        match unsafe { libc::sigaltstack(&raw const new, &raw mut before) } {
            0 => Ok(Alternate { before, stack }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Alternate {
    fn drop(&mut self) {
        let mut now = self.before;
        // SAFETY: asks only.
        let asked = unsafe { libc::sigaltstack(ptr::null(), &raw mut now) };
        // Somebody else may have installed one since.
        if asked == 0 && now.ss_sp == self.stack.low().as_ptr().cast() {
            // SAFETY: what was there before us is its owner's to free, and that is std at the thread's very end.
            unsafe { libc::sigaltstack(&raw const self.before, ptr::null_mut()) };
        }
    }
}

/// The handler of SIGSEGV.
unsafe extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid record, and for SIGSEGV there is an address in it.
    let (address, of_kernel) = unsafe { ((*info).si_addr().addr(), (*info).si_code == libc::SI_KERNEL) };
    // SAFETY: the kernel gives that, too.
    let stack_pointer = of_kernel.then(|| unsafe { switch::interrupted_stack_pointer(context) });
    if explain(address, stack_pointer) {
        // SAFETY: an action of zeros is the default one, which is to end the process when the instruction faults
        // again; or at once, where it was none that has.
        unsafe {
            let default: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, &raw const default, ptr::null_mut());
            if of_kernel {
                libc::raise(signal);
            }
        }
        return;
    }
    // SAFETY: the arguments are those that the handler before us would have had.
    unsafe { pass_on(signal, info, context) };
}

/// If `address` is in the guard of the stack that runs now, or the stack pointer so near to it that a signal's frame
/// does not fit between them, says so.
fn explain(address: usize, stack_pointer: Option<usize>) -> bool {
    visit::with(|visit| {
        let low = visit.stack_low.as_ptr().addr();
        let is_full = match stack_pointer {
            None => (low - *PAGE_BYTES..low).contains(&address),
            Some(stack_pointer) => (low..low + signal_frame_bytes()).contains(&stack_pointer),
        };
        if is_full {
            let mut text = Text { bytes: [0; 512], len: 0 };
            // What does not fit is cut.
            let _ = write!(text, "\na green thread, ");
            let _ = here::running_name(|name| write!(text, "{name}, "));
            let _ = writeln!(
                text,
                "has overflowed its stack of {} bytes; give it more with `green::Builder::stack_bytes`, or all \
                 with `Runtime::builder().green_stack_bytes`",
                visit.stack_bytes
            );
            // SAFETY: the bytes are there. If standard error is closed there is nobody to tell.
            unsafe { libc::write(libc::STDERR_FILENO, text.bytes.as_ptr().cast(), text.len) };
        }
        is_full
    })
    .unwrap_or(false)
}

/// How much of a stack the kernel needs to call a handler.
fn signal_frame_bytes() -> usize {
    // SAFETY: reads what the process was started with; 0 from a kernel that does not tell (before Linux 5.14, on
    // x86-64): then it is less than a page, with AVX-512.
    let bytes = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) };
    usize::try_from(bytes).unwrap_or(0).max(4096)
}

/// Calls the handler that was there before.
///
/// # Safety
/// Called from a handler, with its arguments.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(before) = BEFORE.get() else { return };
    // SAFETY: what `sigaction` gave us is what it takes, and is called as its flags say.
    unsafe {
        if before.sa_sigaction == libc::SIG_DFL || before.sa_sigaction == libc::SIG_IGN {
            // The instruction faults again and the kernel does what it does then.
            libc::sigaction(signal, &raw const *before, ptr::null_mut());
        } else if before.sa_flags & libc::SA_SIGINFO != 0 {
            type Handler = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            std::mem::transmute::<usize, Handler>(before.sa_sigaction)(signal, info, context);
        } else {
            type Handler = unsafe extern "C" fn(libc::c_int);
            std::mem::transmute::<usize, Handler>(before.sa_sigaction)(signal);
        }
    }
}

/// Text in memory that is there already.
struct Text {
    /// The text, and room.
    bytes: [u8; 512],
    /// How long it is.
    len: usize,
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.len += count;
        Ok(())
    }
}
