//! Who runs when: first come, first served, generation by generation; shuffled by a seed; and
//! fair to others however much a task could do.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use greenroom::io::Nonblocking;
use greenroom::{Order, Recorder, Runtime, call_soon, spawn, spawn_named, yield_now};

/// Who ran, in order.
type Diary = Rc<RefCell<Vec<String>>>;

fn note(diary: &Diary, text: impl Into<String>) {
    diary.borrow_mut().push(text.into());
}

#[test]
fn the_events_of_two_generations_are_exactly_these() {
    let recorder = Recorder::new();
    let runtime = Runtime::builder().observer(recorder.clone()).build().unwrap();
    let line = line!() + 2;
    let parent = runtime.enter(|| {
        spawn_named("parent", async {
            yield_now().await;
        })
    });
    let other = runtime.enter(|| spawn(std::future::pending::<()>()));
    runtime.turn_now();
    runtime.turn_now();
    let file = file!();
    let mut expected = vec![
        format!("  spawned task 0 \"parent\" at {file}:{line}:9"),
        format!("  spawned task 1 at {file}:{}:34", line + 4),
    ];
    expected.extend(
        [
            "turn 1: 2 ready",
            "  1 runs task 0 \"parent\"",
            "  1 task 0 wants another turn",
            "  1 runs task 1",
            "  1 task 1 waits: something it did not name",
            "  3 looks what has happened",
            "  3 0 events",
            "turn 2: 1 ready",
            "  1 runs task 0 \"parent\"",
            "  1 task 0 is over: Returned",
            "  3 looks what has happened",
            "  3 0 events",
            "  5 stalled: 1 tasks wait for ever",
        ]
        .map(String::from),
    );
    assert_eq!(recorder.take(), expected);
    drop((parent, other));
}

#[test]
fn yielding_tasks_take_turns_in_the_order_they_came() {
    let runtime = Runtime::new().unwrap();
    let diary = Diary::default();
    for name in ["a", "b", "c"] {
        let diary = diary.clone();
        let talks = async move {
            for round in 0..3 {
                note(&diary, format!("{name}{round}"));
                yield_now().await;
            }
        };
        runtime.spawn(talks).detach();
    }
    for _ in 0..4 {
        runtime.turn_now();
    }
    assert_eq!(diary.take().join(" "), "a0 b0 c0 a1 b1 c1 a2 b2 c2");
}

#[test]
fn what_a_generation_makes_ready_waits_for_the_next() {
    let runtime = Runtime::new().unwrap();
    let diary = Diary::default();
    let (outer, callback) = (diary.clone(), diary.clone());
    let spawner = async move {
        note(&outer, "spawner");
        let inner = outer.clone();
        spawn(async move { note(&inner, "child") }).detach();
        let called = outer.clone();
        call_soon(move || note(&called, "called"));
        yield_now().await;
        note(&outer, "spawner again");
    };
    runtime.enter(|| spawn(spawner).detach());
    runtime.enter(|| call_soon(move || note(&callback, "callback")));
    let turns = [runtime.turn_now().ran, runtime.turn_now().ran, runtime.turn_now().ran];
    assert_eq!(turns, [2, 3, 0]);
    assert_eq!(diary.take().join(", "), "spawner, callback, child, called, spawner again");
}

/// The order in which forty tasks and callbacks run for three turns.
fn order_of(order: Order) -> Vec<String> {
    let runtime = Runtime::builder().order(order).build().unwrap();
    let diary = Diary::default();
    for number in 0..20 {
        let (task, callback) = (diary.clone(), diary.clone());
        let talks = async move {
            for round in 0..3 {
                note(&task, format!("t{number}.{round}"));
                yield_now().await;
            }
        };
        runtime.spawn(talks).detach();
        runtime.enter(|| call_soon(move || note(&callback, format!("c{number}"))));
    }
    for _ in 0..4 {
        runtime.turn_now();
    }
    diary.take()
}

#[test]
fn a_seed_decides_the_order_and_another_seed_another() {
    let fifo = order_of(Order::Fifo);
    assert_eq!(fifo.len(), 80);
    assert_eq!(&fifo[..4], ["t0.0", "c0", "t1.0", "c1"]);
    let seven = order_of(Order::Shuffled(7));
    assert_eq!(seven, order_of(Order::Shuffled(7)));
    let others: Vec<_> = (0..5).map(|seed| order_of(Order::Shuffled(seed))).collect();
    for (index, other) in others.iter().enumerate() {
        assert_ne!(*other, seven);
        assert!(!others[..index].contains(other), "seed {index} repeats an earlier one");
        // A generation is shuffled within itself: nobody's second turn comes before anybody's first.
        let firsts = other[..40].iter().filter(|line| line.ends_with(".1")).count();
        assert_eq!(firsts, 0, "{other:?}");
        let (mut sorted, mut all) = (other.clone(), fifo.clone());
        sorted.sort();
        all.sort();
        assert_eq!(sorted, all);
    }
    assert!(others.iter().any(|other| other[..40] != fifo[..40]));
}

#[test]
fn a_task_whose_sockets_are_always_ready_lets_others_run() {
    const CALLS: usize = 4_000;
    let runtime = Runtime::new().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let calls = Rc::new(Cell::new(0_usize));
    let counted = calls.clone();
    runtime.block_on(async move {
        let (near, far) = (Nonblocking::new(near).unwrap(), Nonblocking::new(far).unwrap());
        let greedy = spawn(async move {
            while counted.get() < CALLS {
                assert_eq!(near.write_with(|mut near| near.write(b"x")).await.unwrap(), 1);
                assert_eq!(far.read_with(|mut far| far.read(&mut [0])).await.unwrap(), 1);
                counted.set(counted.get() + 2);
            }
        });
        let (mut seen, mut turns, mut longest) = (0, 0, 0);
        while !greedy.is_finished() {
            longest = longest.max(calls.get() - seen);
            seen = calls.get();
            turns += 1;
            yield_now().await;
        }
        greedy.await.unwrap();
        assert!(longest <= 130, "{longest} calls in one poll");
        assert!(turns >= CALLS / 130, "only {turns} turns for the others");
    });
}
