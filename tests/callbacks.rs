//! Plain callbacks: their order, their cancelling, beats, panics; and, in `support/io/watching.rs`,
//! callbacks that watch descriptors, in `support/io/callback_echo.rs` a server of them. To replay one: `cargo test --test callbacks <name>`.

#[path = "support/io/callback_echo.rs"]
mod callback_echo;
#[path = "support/io/logs.rs"]
mod logs;
#[path = "support/io/watching.rs"]
mod watching;

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenroom::{
    CallHandle, Order, Runtime, call_at, call_later, call_periodic, call_soon, now, sleep, spawn, stop,
};
use log::LevelFilter;
use logs::logged;

const SECOND: Duration = Duration::from_secs(1);

/// A runtime whose time jumps.
fn virtual_runtime() -> Runtime {
    Runtime::builder().virtual_clock(true).build().unwrap()
}

/// Who ran, in order.
#[derive(Clone, Default)]
struct Story(Rc<RefCell<Vec<String>>>);

impl Story {
    /// A callback that adds `word`.
    fn tell<W: ToString>(&self, word: W) -> impl FnMut() + use<W> {
        let (story, word) = (self.clone(), word.to_string());
        move || story.0.borrow_mut().push(word.clone())
    }

    /// What was told so far, in one line.
    fn so_far(&self) -> String {
        self.0.take().join(" ")
    }
}

#[test]
fn soon_is_first_come_first_served_among_callbacks_and_tasks() {
    let (runtime, story) = (virtual_runtime(), Story::default());
    let told = story.clone();
    runtime.enter(|| {
        call_soon(story.tell("a"));
        let mut in_task = story.tell("b");
        spawn(async move { in_task() }).detach();
        call_soon(move || {
            told.tell("c")();
            // What a generation makes ready waits for the next one.
            call_soon(told.tell("e"));
            let mut in_task = told.tell("f");
            spawn(async move { in_task() }).detach();
        });
        call_soon(story.tell("d"));
    });
    assert_eq!(runtime.turn_now().ran, 4);
    assert_eq!(story.so_far(), "a b c d");
    assert_eq!(runtime.turn_now().ran, 2);
    assert_eq!(story.so_far(), "e f");
}

#[test]
fn a_seed_decides_another_order_and_always_the_same() {
    let shuffled = |seed| {
        let order = Order::Shuffled(seed);
        let (runtime, story) = (Runtime::builder().order(order).build().unwrap(), Story::default());
        runtime.enter(|| (0..20).for_each(|number| drop(call_soon(story.tell(number)))));
        runtime.run().unwrap();
        story.so_far()
    };
    assert_eq!(shuffled(5), shuffled(5));
    assert_ne!(shuffled(5), shuffled(6));
}

#[test]
fn times_decide_the_order_and_equal_times_the_making() {
    let (runtime, story) = (virtual_runtime(), Story::default());
    runtime.block_on(async {
        sleep(10 * SECOND).await;
        let start = now();
        call_later(3 * SECOND, story.tell("3-first"));
        call_at(start + SECOND, story.tell("1"));
        call_at(start + 3 * SECOND, story.tell("3-second"));
        call_periodic(3 * SECOND, 60 * SECOND, story.tell("3-third"));
        call_later(3 * SECOND, story.tell("3-fourth"));
        call_at(start - SECOND, story.tell("past"));
        call_later(Duration::ZERO, story.tell("now"));
        call_soon(story.tell("soon"));
        call_later(Duration::MAX, story.tell("never"));
        sleep(4 * SECOND).await;
    });
    assert_eq!(story.so_far(), "soon past now 1 3-first 3-second 3-third 3-fourth");
}

#[test]
fn what_is_cancelled_does_not_run_and_lets_go_of_what_it_holds_at_once() {
    let (runtime, story) = (virtual_runtime(), Story::default());
    runtime.block_on(async {
        let held = Rc::new(());
        let holding = |word: &'static str| {
            let (mut told, held) = (story.tell(word), held.clone());
            move || {
                let _held = &held;
                told();
            }
        };
        let handles = [
            call_soon(holding("soon")),
            call_later(SECOND, holding("later")),
            call_at(now() + SECOND, holding("at")),
            call_periodic(SECOND, SECOND, holding("periodic")),
        ];
        assert_eq!(Rc::strong_count(&held), 5);
        for handle in &handles {
            assert!(handle.is_pending());
            handle.cancel();
            assert!(!handle.is_pending());
            assert_eq!(handle.when(), None);
            handle.cancel();
        }
        assert_eq!(Rc::strong_count(&held), 1);
        sleep(10 * SECOND).await;
    });
    assert_eq!(story.so_far(), "");
}

#[test]
fn a_callback_may_cancel_itself_and_others_of_the_same_turn() {
    let (runtime, story) = (virtual_runtime(), Story::default());
    runtime.block_on(async {
        // Of two that are ready, and of two that are due, the first cancels the second.
        let second: Rc<RefCell<Option<CallHandle>>> = Rc::default();
        for delay in [None, Some(SECOND)] {
            let (other, mut told) = (second.clone(), story.tell("first"));
            let cancel = move || {
                told();
                other.take().unwrap().cancel();
            };
            let call = |f: Box<dyn FnOnce()>| match delay {
                None => call_soon(f),
                Some(delay) => call_later(delay, f),
            };
            call(Box::new(cancel));
            *second.borrow_mut() = Some(call(Box::new(story.tell("second"))));
            sleep(2 * SECOND).await;
        }
        let (this, mut told, mut beats) = (second.clone(), story.tell("beat"), 0);
        let beat = call_periodic(SECOND, SECOND, move || {
            told();
            beats += 1;
            if beats == 3 {
                this.take().unwrap().cancel();
                assert_eq!(this.take().map(|handle| handle.when()), None);
            }
        });
        *second.borrow_mut() = Some(beat.clone());
        sleep(10 * SECOND).await;
        assert!(!beat.is_pending());
    });
    assert_eq!(story.so_far(), "first first beat beat beat");
}

#[test]
fn another_thread_may_cancel() {
    let (runtime, story) = (virtual_runtime(), Story::default());
    let handle = runtime.enter(|| call_later(SECOND, story.tell("cancelled")));
    std::thread::spawn(move || {
        handle.cancel();
        let asked = std::panic::catch_unwind(AssertUnwindSafe(|| handle.is_pending()));
        let message = asked.unwrap_err();
        assert!(message.downcast_ref::<&str>().unwrap().contains("only inside of the loop"));
    })
    .join()
    .unwrap();
    runtime.run().unwrap();
    assert_eq!(story.so_far(), "");
}

#[test]
fn when_is_the_next_time_as_long_as_there_is_one() {
    virtual_runtime().block_on(async {
        let start = now();
        let later = call_later(5 * SECOND, || ());
        let beat = call_periodic(SECOND, 3 * SECOND, || ());
        let soon = call_soon(|| ());
        assert_eq!(soon.when(), None);
        assert_eq!(later.when(), Some(start + 5 * SECOND));
        for expected in [1, 4, 7] {
            assert_eq!(beat.when(), Some(start + expected * SECOND));
            greenroom::sleep_until(start + expected * SECOND).await;
        }
        assert_eq!(later.when(), None);
        assert!(!later.is_pending() && beat.is_pending() && !soon.is_pending());
    });
}

#[test]
fn beats_keep_to_their_grid_and_count_those_that_a_long_one_swallows() {
    let interval = Duration::from_millis(4);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let beats = Rc::new(Cell::new(0_u32));
        let count = beats.clone();
        let beat = call_periodic(interval, interval, move || {
            count.set(count.get() + 1);
            // Only a real clock goes on while a callback runs; every third beat takes too long.
            let start = Instant::now();
            while count.get().is_multiple_of(3) && start.elapsed() < 3 * interval {}
        });
        let first = beat.when().unwrap();
        while beats.get() < 9 {
            greenroom::sleep_until(beat.when().unwrap()).await;
            let passed = beats.get() + beat.missed() as u32;
            assert_eq!(beat.when(), Some(first + passed * interval), "however late each was");
        }
        assert!(beat.missed() >= 4, "two long beats have swallowed two each, not {}", beat.missed());
    });
}

#[test]
fn a_panic_is_logged_with_its_place_and_ends_neither_the_loop_nor_the_beat() {
    let (runtime, story) = (virtual_runtime(), Story::default());
    let ((), lines) = logged(LevelFilter::Error, || {
        runtime.block_on(async {
            call_soon(|| panic!("soon"));
            call_later(SECOND, || panic!("later"));
            let mut told = story.tell("beat");
            let beat = call_periodic(SECOND, SECOND, move || {
                told();
                panic!("beat");
            });
            sleep(SECOND * 7 / 2).await;
            beat.cancel();
        });
    });
    assert_eq!(story.so_far(), "beat beat beat");
    for (word, times) in [("panicked: soon", 1), ("panicked: later", 1), ("panicked: beat", 3)] {
        let with_place =
            |line: &&String| line.ends_with(word) && line.contains("callback from tests/callbacks.rs:");
        assert_eq!(lines.iter().filter(with_place).count(), times, "{lines:#?}");
    }
}

/// Panics when it is dropped, unless that is because of a panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a bomb went off");
    }
}

#[test]
fn a_panic_while_a_callback_is_dropped_leaves_the_loop_whole() {
    let (runtime, story) = (virtual_runtime(), Story::default());
    let (result, lines) = logged(LevelFilter::Error, || {
        runtime.try_block_on(async {
            let bomb = Bomb;
            call_soon(move || drop(bomb));
            let (this, bomb) = (Rc::new(RefCell::new(None::<CallHandle>)), Bomb);
            let to_cancel = this.clone();
            let beat = call_periodic(SECOND, SECOND, move || {
                let _held = &bomb;
                to_cancel.take().unwrap().cancel();
            });
            *this.borrow_mut() = Some(beat);
            call_later(2 * SECOND, story.tell("after"));
            sleep(3 * SECOND).await;
        })
    });
    result.unwrap();
    assert_eq!(story.so_far(), "after");
    assert_eq!(lines.iter().filter(|line| line.contains("a bomb went off")).count(), 2, "{lines:#?}");
}

#[test]
fn run_ends_when_nothing_is_left_or_at_stop() {
    let (runtime, story) = (virtual_runtime(), Story::default());
    runtime.enter(|| {
        call_later(SECOND, stop);
        call_later(2 * SECOND, story.tell("late"));
        call_periodic(3 * SECOND, 3 * SECOND, || panic!("cancelled before")).cancel();
    });
    runtime.run().unwrap();
    assert_eq!(story.so_far(), "");
    runtime.run().unwrap();
    assert_eq!(story.so_far(), "late");
    runtime.run().unwrap();
}

#[test]
fn calls_from_other_threads_run_in_the_order_in_which_each_thread_made_them() {
    let runtime = Runtime::new().unwrap();
    let heard = Rc::new(RefCell::new(vec![0; 4]));
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let handle = runtime.handle();
            std::thread::spawn(move || {
                for number in 0..500 {
                    handle
                        .call_soon_threadsafe(move || HEARD.with_borrow_mut(|all| all.push((sender, number))))
                        .unwrap();
                }
            })
        })
        .collect();
    // It ends once all handles are gone: then nothing can come any more.
    runtime.run().unwrap();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    HEARD.with_borrow(|all| {
        for &(sender, number) in all {
            assert_eq!(heard.borrow()[sender], number);
            heard.borrow_mut()[sender] += 1;
        }
    });
    assert_eq!(*heard.borrow(), [500; 4]);
}

thread_local! {
    /// What was called on this thread.
    static HEARD: RefCell<Vec<(usize, u32)>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn callbacks_outside_of_a_loop_are_refused_in_words() {
    for (name, call) in [
        ("call_soon", (|| drop(call_soon(|| ()))) as fn()),
        ("call_later", || {
            drop(call_later(SECOND, || ()));
        }),
        ("call_periodic", || {
            drop(call_periodic(SECOND, SECOND, || ()));
        }),
    ] {
        let message = std::panic::catch_unwind(call).unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert!(message.starts_with(&format!("{name}: no loop on this thread")), "{message}");
    }
    let zero = std::panic::catch_unwind(|| {
        virtual_runtime().enter(|| drop(call_periodic(SECOND, Duration::ZERO, || ())));
    });
    assert!(zero.unwrap_err().downcast_ref::<&str>().unwrap().contains("the interval is zero"));
}
