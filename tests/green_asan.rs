//! AddressSanitizer finds on a green thread's stack what it finds on any, and nothing else. Only in its builds, see
//! `.ci/asan`.
#![cfg(asan)]

#[path = "support/green/dying.rs"]
mod dying;

use std::hint::black_box;

use std::panic::{catch_unwind, resume_unwind};
use std::task::{Context, Waker};

use dying::{Death, death_of};
use greenroom::{Runtime, green};

/// What the child `name` is told when a green thread runs `mistake` on a stack that was used and left before.
fn report(name: &str, mistake: fn()) -> String {
    let Death { code, said, .. } = death_of(name, || {
        Runtime::new().unwrap().block_on(async move {
            green::spawn(green::yield_now).await.unwrap();
            green::spawn(move || {
                green::yield_now();
                mistake();
            })
            .await
            .unwrap();
        });
    });
    assert!(code.is_some_and(|code| code != 0), "the child ended with {code:?} and said: {said}");
    said
}

#[test]
fn a_write_past_a_local_is_found() {
    let said = report("a_write_past_a_local_is_found", || {
        let mut local = [0_u8; 32];
        let place = black_box(local.as_mut_ptr());
        // SAFETY: none; that is what must be found.
        unsafe { place.add(black_box(32)).write(1) };
        black_box(local);
    });
    assert!(said.contains("AddressSanitizer: stack-buffer-overflow"), "{said}");
}

#[test]
fn a_use_after_a_scope_is_found() {
    let said = report("a_use_after_a_scope_is_found", || {
        let mut place = std::ptr::null();
        for round in 0..2 {
            let local = black_box([round; 32]);
            if round == 0 {
                place = black_box(local.as_ptr());
            }
        }
        // SAFETY: none; that is what must be found.
        black_box(unsafe { place.read() });
    });
    assert!(said.contains("AddressSanitizer: stack-use-after-scope"), "{said}");
}

#[test]
fn a_use_after_a_return_is_found() {
    #[inline(never)]
    fn local_of_nobody() -> *const u8 {
        let local = black_box([1_u8; 32]);
        black_box(local.as_ptr())
    }
    let said = report("a_use_after_a_return_is_found", || {
        let place = local_of_nobody();
        green::yield_now();
        // SAFETY: none; that is what must be found.
        black_box(unsafe { place.read() });
    });
    assert!(said.contains("AddressSanitizer: stack-use-after-return"), "{said}");
}

/// Unwinding asks the sanitizer to take away the marks of all frames of the stack that runs. If it takes another
/// one for that, it has to do so for more than it finds likely, and says so: this thread's stack is large.
#[test]
fn who_resumes_a_stack_may_change() {
    let Death { code, signal, said } = death_of("who_resumes_a_stack_may_change", || {
        let thread = std::thread::Builder::new().stack_size(1 << 30).spawn(poll_at_different_places);
        thread.unwrap().join().unwrap();
    });
    assert_eq!((code, signal, said.as_str()), (Some(0), None, ""));
}

/// Polls the same green thread on the thread's own stack and on that of another green thread.
fn poll_at_different_places() {
    fn unwind() {
        catch_unwind(|| resume_unwind(Box::new(black_box([0_u8; 100])))).unwrap_err();
    }
    let mut inner = Box::pin(green::future(|| {
        for _ in 0..4 {
            unwind();
            green::yield_now();
        }
        unwind();
    }));
    let mut poll_inner = move || {
        let answer = inner.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        unwind();
        answer.is_ready()
    };
    assert!(!poll_inner());
    let outer = green::future(move || {
        assert!(!poll_inner());
        green::yield_now();
        assert!(!poll_inner());
        poll_inner
    });
    let mut poll_inner = Runtime::new().unwrap().block_on(outer);
    assert!(!poll_inner());
    assert!(poll_inner());
}

/// Each stack that runs gets a second one, for what must not be used after its function has returned.
#[test]
fn the_fake_stack_goes_with_the_stack() {
    let Death { code, said, .. } = death_of("the_fake_stack_goes_with_the_stack", || {
        let mapped_pages = || -> usize {
            let text = std::fs::read_to_string("/proc/self/statm").unwrap();
            text.split(' ').next().unwrap().parse().unwrap()
        };
        let runtime = Runtime::new().unwrap();
        let run = |times| {
            for _ in 0..times {
                runtime.block_on(green::future(|| {
                    black_box(black_box([1_u8; 100]).as_ptr());
                    green::yield_now();
                }));
            }
        };
        run(10);
        let before = mapped_pages();
        run(200);
        let more = mapped_pages().saturating_sub(before);
        assert!(more < 10_000, "{more} pages more");
    });
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_leak_is_found_and_what_a_stack_holds_is_none() {
    let Death { said, .. } = death_of("a_leak_is_found_and_what_a_stack_holds_is_none", || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let waits = green::spawn(|| {
                let held = black_box(vec![1_u8; 1111]);
                green::wait(std::future::pending::<()>());
                drop(held);
            });
            greenroom::yield_now().await;
            std::mem::forget(black_box(vec![2_u8; 2222]));
            assert!(!waits.is_finished());
            // The process ends while it waits.
            std::process::exit(0);
        });
    });
    assert!(said.contains("2222 byte(s)"), "{said}");
    assert!(!said.contains("1111 byte(s)"), "{said}");
}
