//! Who runs when: one queue for tasks and green threads, seeds, and shares of a turn.

use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use greenroom::io::Nonblocking;
use greenroom::{Order, Recorder, Runtime, channel, green, spawn, spawn_named, yield_now};

const SECOND: Duration = Duration::from_secs(1);

/// Who ran, in order.
type Diary = Rc<RefCell<Vec<String>>>;

#[test]
fn tasks_and_threads_share_one_queue_and_its_events_are_exactly_these() {
    let recorder = Recorder::new();
    let runtime = Runtime::builder().observer(recorder.clone()).virtual_clock(true).build().unwrap();
    let handles = runtime.enter(|| {
        let thread = green::spawn_named("thread", || {
            green::yield_now();
            green::sleep(SECOND);
        });
        let task = spawn_named("task", async {
            yield_now().await;
            greenroom::sleep(SECOND).await;
        });
        (thread, task)
    });
    let turns: Vec<_> = (0..4).map(|_| runtime.turn().ran).collect();
    assert_eq!(turns, [2, 2, 0, 2]);
    let events: Vec<_> = recorder
        .take()
        .into_iter()
        .filter(|line| line.starts_with("  1") || line.starts_with("turn"))
        .collect();
    let expected = [
        "turn 1: 2 ready",
        "  1 runs task 0 \"thread\"",
        "  1 task 0 wants another turn",
        "  1 runs task 1 \"task\"",
        "  1 task 1 wants another turn",
        "turn 2: 2 ready",
        "  1 runs task 0 \"thread\"",
        "  1 task 0 waits: sleep until 1s",
        "  1 runs task 1 \"task\"",
        "  1 task 1 waits: sleep until 1s",
        "turn 3: 0 ready",
        "turn 4: 2 ready",
        "  1 runs task 0 \"thread\"",
        "  1 task 0 is over: Returned",
        "  1 runs task 1 \"task\"",
        "  1 task 1 is over: Returned",
    ];
    assert_eq!(events, expected);
    drop(handles);
}

/// The order in which ten threads and ten tasks run for three turns.
fn order_of(order: Order) -> Vec<String> {
    let runtime = Runtime::builder().order(order).build().unwrap();
    let diary = Diary::default();
    for number in 0..10 {
        let (threads, tasks) = (diary.clone(), diary.clone());
        runtime.enter(|| {
            let body = move || {
                for round in 0..3 {
                    threads.borrow_mut().push(format!("g{number}.{round}"));
                    green::yield_now();
                }
            };
            green::spawn(body).detach();
            let task = async move {
                for round in 0..3 {
                    tasks.borrow_mut().push(format!("t{number}.{round}"));
                    yield_now().await;
                }
            };
            spawn(task).detach();
        });
    }
    for _ in 0..4 {
        runtime.turn_now();
    }
    diary.take()
}

#[test]
fn a_seed_decides_their_order_as_that_of_tasks() {
    let in_turn = order_of(Order::Fifo);
    let expected: Vec<_> = (0..3)
        .flat_map(|round| (0..10).flat_map(move |n| [format!("g{n}.{round}"), format!("t{n}.{round}")]))
        .collect();
    assert_eq!(in_turn, expected);
    let seeded = order_of(Order::Shuffled(7));
    assert_eq!(seeded, order_of(Order::Shuffled(7)));
    assert_ne!(seeded, order_of(Order::Shuffled(8)));
    assert_ne!(seeded, in_turn);
    let sorted = |mut order: Vec<String>| {
        order.sort();
        order
    };
    assert_eq!(sorted(seeded), sorted(in_turn));
}

/// The longest time, in steps, that `body` does not let others run while it takes so many steps.
fn longest_stretch(body: impl FnOnce(&dyn Fn()) + 'static) -> usize {
    let runtime = Runtime::new().unwrap();
    let (stretch, longest, steps) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (mine, most, all) = (stretch.clone(), longest.clone(), steps.clone());
    let thread = runtime.enter(|| {
        green::spawn(move || {
            body(&|| {
                mine.set(mine.get() + 1);
                most.set(most.get().max(mine.get()));
                all.set(all.get() + 1);
            })
        })
    });
    runtime.block_on(async {
        while !thread.is_finished() {
            stretch.set(0);
            yield_now().await;
        }
    });
    assert!(steps.get() >= 2000);
    longest.get()
}

#[test]
fn one_that_always_finds_something_gives_way() {
    let by_channel = longest_stretch(|step| {
        let (sender, mut receiver) = channel::unbounded();
        for number in 0..2000 {
            sender.try_send(number).unwrap();
        }
        drop(sender);
        while green::wait(receiver.recv()).is_some() {
            step();
        }
    });
    assert!((64..=129).contains(&by_channel), "{by_channel}");
    let by_stream = longest_stretch(|step| {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut near, mut far) = (Nonblocking::new(near).unwrap(), Nonblocking::new(far).unwrap());
        for _ in 0..1000 {
            green::wait(near.write(b"x")).unwrap();
            step();
            green::wait(far.read(&mut [0])).unwrap();
            step();
        }
    });
    assert!((64..=129).contains(&by_stream), "{by_stream}");
    let by_sleeps = longest_stretch(|step| {
        for _ in 0..2000 {
            green::sleep(Duration::ZERO);
            step();
        }
    });
    assert!(by_sleeps <= 129, "{by_sleeps}");
}
