//! What the loop tells about itself: exact lists of events, and observers that count, log or panic.
//! To replay one: `cargo test --test observer <name>`.

#[path = "support/io/logs.rs"]
mod logs;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use greenroom::{
    Ending, Event, Observer, Recorder, Runtime, SlowPolls, call_later, call_soon, sleep, spawn, spawn_named,
    yield_now,
};
use log::LevelFilter;
use logs::logged;

const SECOND: Duration = Duration::from_secs(1);

/// A runtime whose time jumps, and which `observer` hears.
fn observed(observer: impl Observer + 'static) -> Runtime {
    Runtime::builder().virtual_clock(true).observer(observer).build().unwrap()
}

/// The lines without the places in this file, which change with every edit above them, and without
/// the step in which a callback ran.
fn without_places(lines: Vec<String>) -> Vec<String> {
    let strip = |line: String| {
        let line = line.split(" tests/observer.rs:").next().unwrap();
        if line.ends_with("calls back") { "calls back".to_string() } else { line.to_string() }
    };
    lines.into_iter().map(strip).collect()
}

/// One task that sleeps, and one that waits for it.
async fn small_program() -> u32 {
    let sleeper = spawn_named("sleeper", async {
        sleep(2 * SECOND).await;
        7
    });
    sleeper.await.unwrap()
}

/// Every event of [`small_program`].
const SMALL_PROGRAM: [&str; 22] = [
    "  spawned task 0 \"main\" at",
    "turn 1: 1 ready",
    "  1 runs task 0 \"main\"",
    "  spawned task 1 \"sleeper\" at",
    "  1 task 0 waits: join task 1",
    "turn 2: 1 ready",
    "  1 runs task 1 \"sleeper\"",
    "  1 task 1 waits: sleep until 2s",
    "  3 looks what has happened",
    "  3 0 events",
    "turn 3: 0 ready",
    "  2 timer due, 0ns late",
    "  3 looks what has happened",
    "  3 0 events",
    "turn 4: 1 ready",
    "  1 runs task 1 \"sleeper\"",
    "  1 task 1 is over: Returned",
    "turn 5: 1 ready",
    "  1 runs task 0 \"main\"",
    "  1 task 0 is over: Returned",
    "  3 looks what has happened",
    "  3 0 events",
];

#[test]
fn a_small_program_tells_exactly_this_story() {
    let recorder = Recorder::new();
    let runtime = observed(recorder.clone());
    assert_eq!(runtime.block_on(small_program()), 7);
    assert_eq!(without_places(recorder.take()), SMALL_PROGRAM);
    assert!(recorder.take().is_empty(), "what was taken is taken");
}

#[test]
fn callbacks_yields_panics_and_cancels_have_events_of_their_own() {
    let recorder = Recorder::new();
    let runtime = observed(recorder.clone());
    runtime.enter(|| {
        call_soon(|| ());
        call_later(SECOND, || ());
        spawn_named("polite", yield_now()).detach();
        spawn_named("rash", async { panic!("on purpose") }).detach();
        spawn_named("unwanted", std::future::pending::<()>()).cancel();
    });
    runtime.run().unwrap();
    let expected = [
        "  spawned task 0 \"polite\" at",
        "  spawned task 1 \"rash\" at",
        "  spawned task 2 \"unwanted\" at",
        "turn 1: 4 ready",
        "calls back",
        "  1 runs task 0 \"polite\"",
        "  1 task 0 wants another turn",
        "  1 runs task 1 \"rash\"",
        "  1 task 1 is over: Panicked",
        "  1 runs task 2 \"unwanted\"",
        "  1 task 2 is over: Cancelled",
        "turn 2: 1 ready",
        "  1 runs task 0 \"polite\"",
        "  1 task 0 is over: Returned",
        "  3 looks what has happened",
        "  3 0 events",
        "turn 3: 0 ready",
        "  2 timer due, 0ns late",
        "calls back",
        "  3 looks what has happened",
        "  3 0 events",
    ];
    assert_eq!(without_places(recorder.take()), expected);
}

#[test]
fn a_stall_and_messages_from_other_threads_are_told() {
    let recorder = Recorder::new();
    let runtime = observed(recorder.clone());
    let handle = runtime.handle();
    std::thread::spawn(move || {
        for _ in 0..3 {
            handle.call_soon_threadsafe(|| ()).unwrap();
        }
    })
    .join()
    .unwrap();
    runtime.enter(|| spawn_named("hopeless", std::future::pending::<()>()).detach());
    assert!(runtime.run().is_err());
    let expected = [
        "  spawned task 0 \"hopeless\" at",
        "turn 1: 1 ready",
        "  1 runs task 0 \"hopeless\"",
        "  1 task 0 waits: something it did not name",
        "  3 looks what has happened",
        "  3 0 events",
        // Three calls, and word of the last handle's end.
        "  4 4 messages from other threads",
        "turn 2: 3 ready",
        "calls back",
        "calls back",
        "calls back",
        "  3 looks what has happened",
        "  3 0 events",
        "  5 stalled: 1 tasks wait for ever",
    ];
    assert_eq!(without_places(recorder.take()), expected);
}

/// Panics at every event.
struct Panics;

impl Observer for Panics {
    fn observe(&self, _at: Duration, event: &Event<'_>) {
        panic!("will not hear of {event}");
    }
}

#[test]
fn an_observer_that_panics_changes_nothing() {
    let (answer, lines) = logged(LevelFilter::Error, || observed(Panics).block_on(small_program()));
    assert_eq!(answer, 7);
    assert!(lines.len() >= SMALL_PROGRAM.len());
    for line in lines {
        assert!(line.contains("an observer panicked: will not hear of"), "{line}");
    }
}

/// Counts the polls of each task and how it ended.
#[derive(Clone, Default)]
struct Counter {
    polls: Rc<RefCell<Vec<(String, u32)>>>,
    ends: Rc<Cell<u32>>,
    latest: Rc<Cell<Duration>>,
}

impl Observer for Counter {
    fn observe(&self, at: Duration, event: &Event<'_>) {
        assert!(at >= self.latest.replace(at), "time never goes back");
        match event {
            Event::PollStarted { name, .. } => {
                let name = name.unwrap_or("nameless").to_string();
                let mut polls = self.polls.borrow_mut();
                match polls.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, count)) => *count += 1,
                    None => polls.push((name, 1)),
                }
            }
            Event::Finished { how: Ending::Returned, .. } => self.ends.set(self.ends.get() + 1),
            _ => {}
        }
    }
}

#[test]
fn a_poll_that_takes_too_long_is_warned_of() {
    let busy = |how_long: Duration| async move {
        let start = std::time::Instant::now();
        while start.elapsed() < how_long {}
    };
    let limit = Duration::from_millis(5);
    let (_, lines) = logged(LevelFilter::Warn, || {
        let runtime = observed(SlowPolls::new(limit));
        runtime.block_on(async {
            spawn_named("quick", busy(Duration::ZERO)).await.unwrap();
            spawn_named("slow", busy(2 * limit)).await.unwrap();
        });
    });
    assert!(lines.iter().any(|line| line.contains("task 1.1 kept the loop for")), "{lines:?}");
    let (_, lines) = logged(LevelFilter::Warn, || {
        observed(SlowPolls::new(60 * SECOND)).block_on(small_program());
    });
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn an_observer_of_ones_own_can_count_polls() {
    let counter = Counter::default();
    observed(counter.clone()).block_on(async {
        let busy = spawn_named("busy", async {
            for _ in 0..9 {
                yield_now().await;
            }
        });
        let idle = spawn(async {
            for _ in 0..4 {
                sleep(SECOND).await;
            }
        });
        busy.await.unwrap();
        idle.await.unwrap();
    });
    let mut polls = counter.polls.take();
    polls.sort();
    assert_eq!(polls, [("busy".into(), 10), ("main".into(), 3), ("nameless".into(), 5)]);
    assert_eq!(counter.ends.get(), 3);
    assert_eq!(counter.latest.get(), 4 * SECOND);
}

/// Uses the loop that it observes.
struct ComesBack(Cell<bool>);

impl Observer for ComesBack {
    fn observe(&self, _at: Duration, event: &Event<'_>) {
        if let (Event::PollStarted { .. }, false) = (event, self.0.replace(true)) {
            spawn(sleep(SECOND)).detach();
            call_soon(|| ());
            assert!(!greenroom::tasks().is_empty());
        }
    }
}

#[test]
fn an_observer_may_use_the_loop() {
    let (answer, lines) =
        logged(LevelFilter::Error, || observed(ComesBack(Cell::new(false))).block_on(small_program()));
    assert_eq!((answer, lines), (7, vec![]));
}

#[test]
fn the_trace_in_the_log_is_the_same_story_with_times() {
    let (answer, lines) = logged(LevelFilter::Trace, || {
        let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
        let answer = runtime.block_on(small_program());
        std::mem::forget(runtime);
        answer
    });
    assert_eq!(answer, 7);
    let (starts, events): (Vec<String>, Vec<String>) =
        lines.into_iter().map(|line| (line[..29].to_string(), line[30..].to_string())).unzip();
    assert_eq!(without_places(events), SMALL_PROGRAM);
    assert_eq!(starts.first().unwrap(), "TRACE greenroom:     0.000000");
    assert_eq!(starts.last().unwrap(), "TRACE greenroom:     2.000000");
    let (_, lines) = logged(LevelFilter::Debug, || {
        let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
        runtime.block_on(small_program())
    });
    assert!(lines.is_empty(), "without the level there is no tracer: {lines:?}");
}
