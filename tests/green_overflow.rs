//! When a green thread uses more stack than it has: how the process ends, what it says, and that nothing else is
//! touched; and that faults which are none of ours go to whoever handled them before.
//!
//! Each end is that of a child process, which is this program again (see `support/green/dying.rs`).

#[path = "support/green/dying.rs"]
mod dying;
#[path = "support/green/faults.rs"]
mod faults;
#[path = "support/green/own_memory.rs"]
mod own_memory;
#[path = "support/green/rounds.rs"]
mod rounds;

use std::cell::Cell;
use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use dying::{Death, death_of};
use faults::{handle_faults, install, overflow, read_at_16, say};
use greenroom::{Runtime, green};
use own_memory::{mapped_bytes, mappings};

/// Has a green thread, so that faults of this thread are watched.
fn watched() -> Runtime {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(green::future(green::yield_now));
    runtime
}

/// That a green thread's overflow has ended it, with this in the message and nothing beside it.
#[track_caller]
fn assert_explained(death: &Death, who: &str, stack_bytes: usize) {
    assert_eq!(death.signal, Some(libc::SIGSEGV), "{death:?}");
    let expected = format!(
        "\na green thread, {who}, has overflowed its stack of {stack_bytes} bytes; give it more with \
         `green::Builder::stack_bytes`, or all with `Runtime::builder().green_stack_bytes`\n"
    );
    assert_eq!(death.said, expected);
}

#[test]
fn an_overflow_names_the_green_thread_its_stack_and_what_helps() {
    let death = death_of("an_overflow_names_the_green_thread_its_stack_and_what_helps", || {
        watched().block_on(async {
            let digger = green::Builder::new().name("digger").stack_bytes(40_000);
            digger.spawn(|| overflow::<100>(0)).unwrap().await.unwrap();
        });
    });
    assert_explained(&death, "task 1 \"digger\"", 40_960);
}

#[test]
fn one_without_a_name_is_told_by_its_task() {
    let death = death_of("one_without_a_name_is_told_by_its_task", || {
        let runtime = Runtime::builder().green_stack_bytes(64 * 1024).build().unwrap();
        runtime.block_on(async { green::spawn(|| overflow::<100>(0)).await.unwrap() });
    });
    assert_explained(&death, "task 1", 64 * 1024);
}

#[test]
fn one_inside_of_another_overflows_its_own_stack() {
    let death = death_of("one_inside_of_another_overflows_its_own_stack", || {
        watched().block_on(async {
            let inner = green::Builder::new().stack_bytes(24 * 1024).future(|| {
                green::yield_now();
                overflow::<100>(0)
            });
            green::spawn_named("outer", || green::wait(inner.unwrap())).await.unwrap();
        });
    });
    assert_explained(&death, "task 1 \"outer\"", 24 * 1024);
}

#[test]
fn one_that_is_dropped_overflows_too() {
    struct Deep;
    impl Drop for Deep {
        fn drop(&mut self) {
            overflow::<100>(0);
        }
    }
    let death = death_of("one_that_is_dropped_overflows_too", || {
        watched().block_on(async {
            let mut waits = green::spawn_named("deep end", || {
                let _deep = Deep;
                green::wait(std::future::pending::<()>());
            });
            greenroom::yield_now().await;
            waits.cancel().await;
        });
    });
    assert_eq!(death.signal, Some(libc::SIGSEGV), "{death:?}");
    assert!(death.said.contains("has overflowed its stack of 262144 bytes"), "{death:?}");
}

extern "C" fn count_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// How many signals have come.
static SIGNALS: AtomicUsize = AtomicUsize::new(0);

/// Sends itself a signal whose handler runs on this stack, from ever deeper calls.
#[inline(never)]
fn signal_from(depth: usize) {
    let frame = black_box([depth; 8]);
    let before = SIGNALS.load(Ordering::Relaxed);
    // SAFETY: the handler only counts.
    unsafe { libc::raise(libc::SIGUSR1) };
    if SIGNALS.load(Ordering::Relaxed) == before {
        say("lost without a word\n");
        std::process::exit(1);
    }
    signal_from(depth + 1);
    black_box(frame);
}

#[test]
fn a_signal_for_which_there_is_no_room_is_an_overflow() {
    let death = death_of("a_signal_for_which_there_is_no_room_is_an_overflow", || {
        // SAFETY: an action of zeros is one without flags, so the handler runs on the current stack.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = count_signal as *const () as usize;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()), 0);
        }
        watched().block_on(async { green::spawn_named("busy", || signal_from(0)).await.unwrap() });
    });
    assert_explained(&death, "task 1 \"busy\"", 256 * 1024);
}

#[test]
fn a_thousand_overflows_leave_the_neighbours_as_they_were() {
    let death = death_of("a_thousand_overflows_leave_the_neighbours_as_they_were", || {
        for round in 0..1_000 {
            rounds::run(round);
        }
    });
    assert_eq!((death.code, death.signal, death.said.as_str()), (Some(0), None, ""));
}

extern "C" fn exit_42(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's record.
    let address = unsafe { (*info).si_addr() }.addr();
    say(if address == 16 { "a fault at 16\n" } else { "a fault elsewhere\n" });
    // SAFETY: ends the process.
    unsafe { libc::_exit(42) }
}

extern "C" fn exit_43(signal: libc::c_int) {
    say("a fault\n");
    // SAFETY: ends the process.
    unsafe { libc::_exit(if signal == libc::SIGSEGV { 43 } else { 1 }) }
}

#[test]
fn other_faults_go_to_who_handled_them_before() {
    let death = death_of("other_faults_go_to_who_handled_them_before", || {
        handle_faults(exit_42);
        watched().block_on(async { green::spawn(read_at_16).await.unwrap() });
    });
    assert_eq!((death.code, death.said.as_str()), (Some(42), "a fault at 16\n"));
}

#[test]
fn a_handler_that_is_told_the_signal_only_is_called_as_such() {
    let death = death_of("a_handler_that_is_told_the_signal_only_is_called_as_such", || {
        install(exit_43 as *const () as usize, libc::SA_ONSTACK);
        watched();
        read_at_16();
    });
    assert_eq!((death.code, death.said.as_str()), (Some(43), "a fault\n"));
}

#[test]
fn a_fault_that_nobody_handles_ends_the_process_without_a_word_of_ours() {
    let name = "a_fault_that_nobody_handles_ends_the_process_without_a_word_of_ours";
    let death = death_of(name, || watched().block_on(async { green::spawn(read_at_16).await.unwrap() }));
    assert_eq!((death.signal, death.said.as_str()), (Some(libc::SIGSEGV), ""));
}

#[test]
fn without_any_handler_before_it_is_the_same() {
    let death = death_of("without_any_handler_before_it_is_the_same", || {
        install(libc::SIG_DFL, 0);
        watched().block_on(async { green::spawn(read_at_16).await.unwrap() });
    });
    assert_eq!((death.signal, death.said.as_str()), (Some(libc::SIGSEGV), ""));
}

#[test]
fn ignored_faults_end_the_process_all_the_same() {
    let death = death_of("ignored_faults_end_the_process_all_the_same", || {
        install(libc::SIG_IGN, 0);
        watched();
        read_at_16();
    });
    assert_eq!((death.signal, death.said.as_str()), (Some(libc::SIGSEGV), ""));
}

#[test]
fn an_overflow_of_a_thread_of_the_system_is_still_explained_by_std() {
    let death = death_of("an_overflow_of_a_thread_of_the_system_is_still_explained_by_std", || {
        let thread = std::thread::Builder::new().name("of std".to_string());
        let thread = thread.spawn(|| {
            watched();
            overflow::<1000>(0)
        });
        thread.unwrap().join().unwrap();
    });
    assert_eq!(death.signal, Some(libc::SIGABRT), "{death:?}");
    assert!(death.said.contains("thread 'of std'"), "{death:?}");
    assert!(death.said.contains("has overflowed its stack") && !death.said.contains("green"), "{death:?}");
}

#[test]
fn a_thread_without_green_threads_has_std_alone() {
    let death = death_of("a_thread_without_green_threads_has_std_alone", || {
        watched();
        std::thread::spawn(|| overflow::<1000>(0)).join().unwrap();
    });
    assert_eq!(death.signal, Some(libc::SIGABRT), "{death:?}");
    assert!(death.said.contains("has overflowed its stack"), "{death:?}");
}

#[test]
fn threads_come_and_go_and_leave_nothing_mapped() {
    let death = death_of("threads_come_and_go_and_leave_nothing_mapped", || {
        let come_and_go = |times| {
            for _ in 0..times {
                std::thread::spawn(|| drop(watched())).join().unwrap();
            }
        };
        come_and_go(10);
        let before = (mappings(), mapped_bytes());
        come_and_go(1_000);
        // The allocator may have some of its own, not one for each.
        let after = (mappings(), mapped_bytes());
        assert!(after.0 <= before.0 + 20 && after.1 <= before.1 + (8 << 20), "{before:?} became {after:?}");
    });
    assert_eq!(death.code, Some(0), "{death:?}");
}

/// The alternate stack of this thread, if it has one.
fn alternate() -> Option<usize> {
    let mut now = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: asks only, and the place is there.
    assert_eq!(unsafe { libc::sigaltstack(ptr::null(), &raw mut now) }, 0);
    (now.ss_flags & libc::SS_DISABLE == 0).then_some(now.ss_sp.addr())
}

thread_local! {
    /// The first of a thread's values to be made is the last to be dropped.
    static LAST: Last = const { Last(Cell::new(None)) };
}

/// Looks, when a thread ends, whether the alternate stack is that one again.
struct Last(Cell<Option<usize>>);

impl Drop for Last {
    fn drop(&mut self) {
        say(if self.0.get() == alternate() { "as before\n" } else { "another one\n" });
    }
}

/// Runs on a thread that std has not made, with an alternate stack of its own.
extern "C" fn thread_of_nobody(_: *mut libc::c_void) -> *mut libc::c_void {
    let memory = Box::leak(vec![0_u8; 64 * 1024].into_boxed_slice());
    let mine = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
    // SAFETY: the memory is there for ever.
    assert_eq!(unsafe { libc::sigaltstack(&raw const mine, ptr::null_mut()) }, 0);
    LAST.with(|last| last.0.set(alternate()));
    watched();
    say(if LAST.with(|last| last.0.get()) == alternate() { "not replaced\n" } else { "replaced, " });
    ptr::null_mut()
}

#[test]
fn the_alternate_stack_of_somebody_else_is_put_back() {
    let death = death_of("the_alternate_stack_of_somebody_else_is_put_back", || {
        // SAFETY: the function is one that a thread may run; the thread is waited for.
        unsafe {
            let mut thread = std::mem::zeroed();
            let created =
                libc::pthread_create(&raw mut thread, ptr::null(), thread_of_nobody, ptr::null_mut());
            assert_eq!(created, 0);
            assert_eq!(libc::pthread_join(thread, ptr::null_mut()), 0);
        }
    });
    assert_eq!((death.code, death.said.as_str()), (Some(0), "replaced, as before\n"));
}
