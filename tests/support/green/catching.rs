//! Bodies that catch their cancellation: once, with a value after it, for ever.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::Duration;

use greenroom::{green, yield_now};

use super::support::{self, Tally, Token, assert_whole, keep_log, logged, virtual_runtime, within_patience};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn who_catches_the_cancellation_is_unwound_again_at_the_next_wait() {
    let runtime = virtual_runtime();
    let (caught, drops) = (Tally::new(), Tally::new());
    runtime.block_on(async {
        for goes_on in [false, true] {
            let (caught, token) = (caught.clone(), drops.token());
            let mut thread = green::spawn(move || {
                for _ in 0..3 {
                    let payload = catch_unwind(|| green::sleep(SECOND)).unwrap_err();
                    assert!(payload.is::<green::Cancellation>());
                    caught.add();
                    if caught.get() == 6 {
                        resume_unwind(payload);
                    }
                }
                if goes_on {
                    green::sleep(SECOND);
                }
                token
            });
            yield_now().await;
            assert!(thread.cancel().await.is_none(), "a value that comes too late is nobody's");
        }
    });
    assert_eq!((caught.get(), drops.get()), (6, 2));
    assert_whole(&runtime);
}

/// Catches whatever unwinds it, for ever.
fn obstinate(token: Token, caught: Tally) -> impl FnOnce() {
    move || {
        let _token = token;
        loop {
            let _ = catch_unwind(|| green::sleep(SECOND));
            caught.add();
        }
    }
}

#[test]
fn who_catches_it_for_ever_is_left_and_forgotten() {
    within_patience(|| {
        keep_log();
        let runtime = virtual_runtime();
        let (caught, drops) = (Tally::new(), Tally::new());
        runtime.block_on(async {
            let mut thread = green::spawn(obstinate(drops.token(), caught.clone()));
            yield_now().await;
            assert_eq!(thread.cancel().await, None);
        });
        assert_eq!((caught.get(), drops.get()), (100, 0));
        let lines = logged();
        assert!(lines.len() == 1 && lines[0].contains("green thread is leaked"), "{lines:?}");
        assert!(!thread::panicking());
        assert_whole(&runtime);
        // The same while a panic ends the loop.
        let panics = AssertUnwindSafe(move || {
            runtime.enter(|| green::spawn(obstinate(drops.token(), caught.clone())).detach());
            runtime.turn_now();
            let _runtime = runtime;
            panic!("the end");
        });
        assert_eq!(support::panic_of(panics), "the end");
        assert_eq!(logged().len(), 1);
    });
}
