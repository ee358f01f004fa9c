//! An overflow in a forked process, between two other stacks whose contents are checked after the fault.
//!
//! ```text
//!   below ┌ guard │ stack full of a pattern │ guard │ stack that overflows │ guard │ stack full of a pattern ┐ above
//! ```
//!
//! The handler that is installed here, *after* that of the library, calls that one and then looks at the
//! neighbours, as the process is still there: the signal ends it when the instruction faults again.

use std::io::{PipeReader, Read};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use greenroom::{JoinHandle, Runtime, green};

use super::faults::{handle_faults, overflow, say};

/// How large each stack is.
const STACK_BYTES: usize = 64 * 1024;

/// How much of it a neighbour fills.
const FILLED: usize = STACK_BYTES - 12 * 1024;

/// What the library had installed.
static LIBRARY: OnceLock<libc::sigaction> = OnceLock::new();

/// Where the patterns begin.
static FILLINGS: [AtomicPtr<u8>; 2] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 2];

/// Makes each round's pattern another one.
static ROUND: AtomicUsize = AtomicUsize::new(0);

/// The pattern's byte at a place.
fn byte(place: usize) -> u8 {
    (place * 7 + ROUND.load(Ordering::Relaxed)) as u8 | 1
}

/// One overflow in a process of its own, of this kind of frames; panics if anything is not as it should be.
pub fn run(round: usize) {
    let (mut from_child, to_parent) = std::io::pipe().unwrap();
    // SAFETY: the test's main thread waits for this one and holds no lock; the C library puts its own in order.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        // SAFETY: takes two numbers.
        unsafe { libc::dup2(to_parent.as_raw_fd(), libc::STDERR_FILENO) };
        overflow_between_neighbours(round);
    }
    drop(to_parent);
    let said = read_all(&mut from_child);
    let mut status = 0;
    // SAFETY: our own child, which nobody else waits for.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSEGV, "{status:x}: {said}");
    let expected =
        format!("a green thread, task 2 \"digger\", has overflowed its stack of {STACK_BYTES} bytes;");
    assert!(said.contains(&expected), "round {round}: {said:?}");
    assert!(said.ends_with("\nthe neighbours are as they were\n"), "round {round}: {said:?}");
}

fn read_all(from: &mut PipeReader) -> String {
    let mut said = String::new();
    from.read_to_string(&mut said).unwrap();
    said
}

fn overflow_between_neighbours(round: usize) -> ! {
    ROUND.store(round, Ordering::Relaxed);
    let runtime = Runtime::builder().green_stack_bytes(STACK_BYTES).build().unwrap();
    runtime.block_on(async {
        let _below = neighbour(0);
        let digger = green::spawn_named("digger", move || {
            let kind = [
                overflow::<16>,
                overflow::<1000>,
                overflow::<5000>,
                overflow::<40_000>,
                overflow::<1_000_000>,
            ];
            green::yield_now();
            kind[round % kind.len()](0)
        });
        let _above = neighbour(1);
        LIBRARY.get_or_init(|| handle_faults(look_at_neighbours));
        digger.await.unwrap();
    });
    say("it is still there\n");
    // SAFETY: ends this process without the destructors of the other.
    unsafe { libc::_exit(1) }
}

/// Fills its stack with the pattern and waits for ever.
fn neighbour(index: usize) -> JoinHandle<()> {
    green::spawn(move || {
        let mut filling = [0_u8; FILLED];
        for (place, cell) in filling.iter_mut().enumerate() {
            *cell = byte(place);
        }
        FILLINGS[index].store(filling.as_mut_ptr(), Ordering::Relaxed);
        green::wait(std::future::pending::<()>());
        std::hint::black_box(&filling);
    })
}

extern "C" fn look_at_neighbours(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let library = LIBRARY.get().expect("set before the fault").sa_sigaction;
    // SAFETY: it is a handler of this kind, and these are its arguments.
    unsafe {
        let library = std::mem::transmute::<usize, super::faults::Handler>(library);
        library(signal, info, context);
    }
    let [below, above] = FILLINGS.each_ref().map(|filling| filling.load(Ordering::Relaxed));
    // SAFETY: the kernel's record.
    let fault = unsafe { (*info).si_addr() }.addr();
    let next_to_it = (below.addr()..below.addr() + 2 * STACK_BYTES).contains(&fault)
        && (fault..fault + 3 * STACK_BYTES).contains(&above.addr());
    let whole = |filling: *mut u8| {
        // SAFETY: these green threads wait and will never go on.
        (0..FILLED).all(|place| unsafe { filling.add(place).read() } == byte(place))
    };
    say(match (next_to_it, whole(below) && whole(above)) {
        (true, true) => "the neighbours are as they were\n",
        (true, false) => "a neighbour was written to\n",
        (false, _) => "these are no neighbours\n",
    });
}
