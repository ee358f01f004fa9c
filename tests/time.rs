//! Sleeps, timeouts and intervals, and callbacks at a time, mostly on the virtual clock, where each
//! instant can be told exactly. To replay one: `cargo test --test time <name>`.

#[path = "support/io/child.rs"]
mod child;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use child::in_child;
use futures::{FutureExt, StreamExt};
use greenroom::{
    BlockOnError, Interval, MissedTicks, Rng, Runtime, WaitReason, call_later, call_periodic, interval, now,
    sleep, sleep_until, spawn, timeout,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A runtime whose time jumps.
fn virtual_runtime() -> Runtime {
    Runtime::builder().virtual_clock(true).build().unwrap()
}

/// Polls a future once, on behalf of nobody.
fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// How many seconds have passed since `start`: a whole number.
fn seconds_since(start: Instant) -> u64 {
    let since = now() - start;
    assert_eq!(since.subsec_nanos(), 0, "virtual time is exact");
    since.as_secs()
}

#[test]
fn hours_pass_in_milliseconds_and_end_at_exact_instants() {
    let real = Instant::now();
    virtual_runtime().block_on(async {
        let start = now();
        sleep(HOUR).await;
        assert_eq!(now() - start, HOUR);
        sleep_until(start + 3 * HOUR).await;
        assert_eq!(now() - start, 3 * HOUR);
    });
    assert!(real.elapsed() < SECOND, "three virtual hours took {:?}", real.elapsed());
}

#[test]
fn what_is_due_already_is_ready_at_the_first_poll() {
    virtual_runtime().block_on(async {
        sleep(SECOND).await;
        let start = now();
        assert!(sleep(Duration::ZERO).now_or_never().is_some());
        assert!(sleep_until(start).now_or_never().is_some());
        assert!(sleep_until(start - SECOND).now_or_never().is_some());
        assert!(sleep_until(start - 100 * HOUR).now_or_never().is_some(), "before the loop was made");
        assert!(sleep(Duration::from_nanos(1)).now_or_never().is_none());
        assert_eq!(now(), start, "time did not move for any of them");
    });
}

#[test]
fn the_longest_sleep_is_never_and_overflows_nothing() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let start = now();
        assert!(timeout(HOUR, sleep(Duration::MAX)).await.is_err());
        assert!(timeout(HOUR, sleep(Duration::from_secs(u64::MAX))).await.is_err());
        assert_eq!(timeout(Duration::MAX, async { 5 }).await, Ok(5));
        let never = call_later(Duration::MAX, || panic!("never is now"));
        let mut beat = interval(Duration::MAX);
        assert_eq!(beat.tick().await, start + 2 * HOUR, "the first tick is at once");
        assert!(timeout(HOUR, beat.tick()).await.is_err());
        assert_eq!(now() - start, 3 * HOUR);
        assert!(never.when().unwrap() > start + 1000 * HOUR);
        never.cancel();
    });
    let Err(BlockOnError::Stalled(stalled)) = runtime.try_block_on(async { sleep(Duration::MAX).await })
    else {
        panic!("a sleep for ever is a stall");
    };
    assert_eq!(stalled.tasks[0].reason, WaitReason::Sleep { until: Duration::MAX });
    assert!(stalled.to_string().contains("sleep for ever"), "{stalled}");
}

#[test]
fn equal_deadlines_end_in_the_order_they_were_made() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let runtime = virtual_runtime();
    let mut expected = Vec::new();
    runtime.enter(|| {
        let mut rng = Rng::new(7);
        for number in 0..300 {
            let after = (rng.below(4) as u32 + 1) * SECOND;
            expected.push((after, number));
            let order = order.clone();
            let note = move || order.borrow_mut().push((after, number));
            // Half are sleeps of tasks, half are callbacks; each kind is checked among itself.
            match number % 2 {
                0 => drop(call_later(after, note)),
                _ => spawn(async move {
                    sleep(after).await;
                    note()
                })
                .detach(),
            }
        }
    });
    runtime.run().unwrap();
    expected.sort_by_key(|&(after, _)| after);
    for kind in [0, 1] {
        let of_kind = |list: &[(Duration, u64)]| -> Vec<_> {
            list.iter().filter(|(_, number)| number % 2 == kind).copied().collect()
        };
        assert_eq!(of_kind(&order.borrow()), of_kind(&expected));
    }
}

#[test]
fn ten_thousand_sleeps_end_at_their_deadlines_in_order() {
    let ended = Rc::new(RefCell::new(Vec::new()));
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let (start, mut rng) = (now(), Rng::new(11));
        for _ in 0..10_000 {
            let (ended, after) = (ended.clone(), Duration::from_micros(rng.below(50_000_000) as u64));
            spawn(async move {
                sleep(after).await;
                assert_eq!(now() - start, after);
                ended.borrow_mut().push(after);
            })
            .detach();
        }
        sleep(60 * SECOND).await;
    });
    let ended = ended.borrow();
    assert_eq!(ended.len(), 10_000, "a task whose assertion failed is not among them");
    assert!(ended.is_sorted());
}

#[test]
fn a_sleep_counts_from_its_making_and_tells_whoever_polled_it_last() {
    virtual_runtime().block_on(async {
        let start = now();
        let mut early = sleep(10 * SECOND);
        sleep(4 * SECOND).await;
        // First polled by a task that then lets go of it; the next one must be woken.
        spawn(std::future::poll_fn(move |context| {
            assert!(Pin::new(&mut early).poll(context).is_pending());
            let mut passed_on = sleep(Duration::ZERO);
            std::mem::swap(&mut passed_on, &mut early);
            let end = spawn(async move {
                passed_on.await;
                seconds_since(start)
            });
            std::task::Poll::Ready(end)
        }))
        .await
        .unwrap()
        .await
        .map(|end| assert_eq!(end, 10))
        .unwrap();
    });
}

#[test]
fn a_reset_moves_a_sleep_both_ways_and_starts_a_finished_one_again() {
    virtual_runtime().block_on(async {
        let start = now();
        let mut moved = sleep(5 * SECOND);
        assert!(!poll_once(&mut moved));
        moved.reset(8 * SECOND);
        (&mut moved).await;
        assert_eq!(seconds_since(start), 8);
        moved.reset(HOUR);
        assert!(!poll_once(&mut moved));
        moved.reset(2 * SECOND);
        (&mut moved).await;
        assert_eq!(seconds_since(start), 10);
        moved.reset(Duration::ZERO);
        assert!(poll_once(&mut moved));
    });
}

#[test]
fn a_dropped_sleep_leaves_nothing_to_wait_for() {
    for away in [false, true] {
        let runtime = Runtime::new().unwrap();
        let mut abandoned = runtime.enter(|| sleep(HOUR));
        runtime.enter(|| assert!(!poll_once(&mut abandoned)));
        match away {
            true => std::thread::spawn(move || drop(abandoned)).join().unwrap(),
            false => runtime.enter(|| drop(abandoned)),
        }
        // From elsewhere the end of a sleep is a message, which the first turn takes in.
        assert!((0..2).any(|_| runtime.turn_now().stalled), "away: {away}");
    }
}

#[test]
fn a_million_sleeps_made_and_dropped_are_fast_and_leave_no_memory() {
    in_child("a_million_sleeps_made_and_dropped_are_fast_and_leave_no_memory", || {
        let runtime = virtual_runtime();
        let (real, before) = (Instant::now(), resident_bytes());
        runtime.enter(|| {
            let mut window = VecDeque::new();
            for number in 0..1_000_000_u64 {
                let mut limit = sleep(HOUR + Duration::from_nanos(number * 7919 % 1000));
                poll_once(&mut limit);
                window.push_back(limit);
                if window.len() > 100 {
                    window.pop_front();
                }
            }
        });
        let grown = resident_bytes().saturating_sub(before);
        assert!(real.elapsed() < 20 * SECOND, "it took {:?}", real.elapsed());
        // A million timers that stayed would be some 70 MB.
        assert!(grown < 8 << 20, "{grown} bytes more than before");
        assert!(runtime.turn().stalled);
    });
}

/// How much memory this process has.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn a_timeout_prefers_the_value_and_else_drops_the_future_in_time() {
    struct NoteDrop(Rc<Cell<Option<Instant>>>);
    impl Drop for NoteDrop {
        fn drop(&mut self) {
            self.0.set(Some(now()));
        }
    }
    virtual_runtime().block_on(async {
        let start = now();
        assert_eq!(timeout(Duration::ZERO, async { 1 }).await, Ok(1));
        assert_eq!(
            timeout(SECOND, async {
                sleep(SECOND).await;
                2
            })
            .await,
            Ok(2),
            "both are ready"
        );
        assert_eq!(seconds_since(start), 1);
        let dropped = Rc::new(Cell::new(None));
        let note = NoteDrop(dropped.clone());
        let late = timeout(2 * SECOND, async move {
            let _note = note;
            sleep(HOUR).await;
        });
        let elapsed = late.await.unwrap_err();
        assert_eq!(elapsed.limit, 2 * SECOND);
        assert_eq!(elapsed.to_string(), "not done within 2s");
        assert_eq!(std::io::Error::from(elapsed).kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(dropped.get(), Some(start + 3 * SECOND));
        assert!(timeout(Duration::ZERO, std::future::pending::<()>()).await.is_err());
        assert_eq!(seconds_since(start), 3);
        // The inner limit is the shorter one, then the outer.
        let nested = timeout(9 * SECOND, timeout(3 * SECOND, sleep(HOUR))).await;
        assert!(nested.unwrap().is_err());
        assert!(timeout(3 * SECOND, timeout(9 * SECOND, sleep(HOUR))).await.is_err());
        assert_eq!(seconds_since(start), 9);
    });
}

/// When the ticks of a ten second beat were due and taken, if the taker is away from 0 to `away`.
fn ticks(missed_ticks: MissedTicks, away: u32) -> Vec<(u64, u64)> {
    virtual_runtime().block_on(async {
        let start = now();
        let mut beat = interval(10 * SECOND).missed_ticks(missed_ticks);
        let mut taken = Vec::new();
        for number in 0..6 {
            let due = beat.tick().await;
            taken.push(((due - start).as_secs(), seconds_since(start)));
            if number == 0 {
                sleep(away * SECOND).await;
            }
        }
        taken
    })
}

#[test]
fn missed_ticks_are_skipped_or_delayed_or_made_up_for() {
    let skip = ticks(MissedTicks::Skip, 35);
    assert_eq!(skip, [(0, 0), (10, 35), (40, 40), (50, 50), (60, 60), (70, 70)]);
    let delay = ticks(MissedTicks::Delay, 35);
    assert_eq!(delay, [(0, 0), (10, 35), (45, 45), (55, 55), (65, 65), (75, 75)]);
    let burst = ticks(MissedTicks::Burst, 35);
    assert_eq!(burst, [(0, 0), (10, 35), (20, 35), (30, 35), (40, 40), (50, 50)]);
    assert_eq!(MissedTicks::default(), MissedTicks::Skip);
    // A taker who comes back on the very beat gets it.
    assert_eq!(ticks(MissedTicks::Skip, 30)[..3], [(0, 0), (10, 30), (30, 30)]);
    for way in [MissedTicks::Skip, MissedTicks::Delay, MissedTicks::Burst] {
        assert_eq!(ticks(way, 3), [(0, 0), (10, 10), (20, 20), (30, 30), (40, 40), (50, 50)]);
    }
}

#[test]
fn an_interval_is_a_stream_and_its_ticks_survive_being_dropped() {
    virtual_runtime().block_on(async {
        let start = now();
        let ticks: Vec<Instant> = interval(SECOND).take(3).collect().await;
        assert_eq!(ticks, [start, start + SECOND, start + 2 * SECOND]);
        let mut beat: Interval = interval(5 * SECOND);
        beat.tick().await;
        let first = now();
        for _ in 0..4 {
            assert!(timeout(SECOND, beat.tick()).await.is_err());
        }
        assert_eq!(beat.tick().await, first + 5 * SECOND);
        assert_eq!(now(), first + 5 * SECOND);
    });
}

#[test]
fn announcements_come_after_one_second_and_then_every_fifteen() {
    let runtime = virtual_runtime();
    let beats = Rc::new(RefCell::new(Vec::new()));
    runtime.block_on(async {
        let start = now();
        let noted = beats.clone();
        let announcements = call_periodic(SECOND, 15 * SECOND, move || {
            noted.borrow_mut().push(seconds_since(start));
        });
        // Others sleep through the same hour with deadlines of their own.
        for number in 1..50 {
            spawn(async move { sleep(Duration::from_millis(number * 377)).await }).detach();
        }
        sleep(HOUR).await;
        assert_eq!(announcements.missed(), 0);
        assert_eq!(announcements.when(), Some(start + HOUR + SECOND));
        announcements.cancel();
    });
    let expected: Vec<u64> = (0..240).map(|beat| 1 + 15 * beat).collect();
    assert_eq!(*beats.borrow(), expected);
}

#[test]
fn virtual_time_stands_still_while_a_name_is_looked_up() {
    virtual_runtime().block_on(async {
        let start = now();
        let mut hour = pin!(sleep(HOUR));
        assert!(futures::poll!(&mut hour).is_pending());
        greenroom::net::Address::from("localhost:1").resolve().await.unwrap();
        assert_eq!(now(), start);
        hour.await;
        assert_eq!(now() - start, HOUR);
    });
}

#[test]
fn no_real_sleep_is_too_short() {
    Runtime::new().unwrap().block_on(async {
        for micros in [1, 100, 999, 1000, 1001, 1500, 20_000] {
            let asked = Duration::from_micros(micros);
            let (real, start) = (Instant::now(), now());
            sleep(asked).await;
            assert!(real.elapsed() >= asked, "{asked:?} took {:?}", real.elapsed());
            assert!(now() - start >= asked);
            let (called, when) = futures::channel::oneshot::channel();
            let real = Instant::now();
            call_later(asked, move || called.send(real.elapsed()).unwrap());
            assert!(when.await.unwrap() >= asked);
        }
    });
}

#[test]
fn time_outside_of_a_loop_is_refused_in_words() {
    let message = |f: fn()| {
        let payload = std::panic::catch_unwind(f).unwrap_err();
        let text = payload.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| payload.downcast_ref::<&str>().unwrap().to_string())
    };
    assert!(message(|| drop(sleep(SECOND))).starts_with("sleep: no loop on this thread"));
    assert!(message(|| drop(timeout(SECOND, async {}))).contains("no loop on this thread"));
    let stranger = message(|| {
        let mut sleep = virtual_runtime().enter(|| sleep(SECOND));
        virtual_runtime().enter(|| poll_once(&mut sleep));
    });
    assert!(stranger.contains("outside of the loop"), "{stranger}");
    let zero = message(|| virtual_runtime().enter(|| drop(interval(Duration::ZERO))));
    assert!(zero.contains("the period is zero"), "{zero}");
}
