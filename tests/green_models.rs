//! Random programs of green threads and tasks, two thousand seeds: each value arrives once, each guard is dropped
//! once, locks keep others out, nobody waits for what is there.
//!
//! What each does, where it is cancelled and the order of the run queue follow from the seed. A wake that is lost
//! shows as a stall. Every failure prints its seed: `GREENROOM_SEED=17 cargo test --test green_models name`.

#[path = "support/waiting/cancel.rs"]
mod cancel;
#[path = "support/waiting/explore.rs"]
mod explore;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use explore::{Chance, explore_some};
use greenroom::sync::{Event, Mutex, Queue, Semaphore};
use greenroom::{JoinHandle, green, sleep, spawn, timeout};

/// How many seeds each test takes.
const SCHEDULES: u64 = 2_000;

/// Makes it a task or a thread, as chance will have it, which waits for `future` and gives its output.
fn either<T: 'static>(chance: &Chance, future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    match chance.below(3) {
        0 => spawn(future),
        1 => green::spawn(|| green::wait(future)),
        _ => spawn(green::future(|| green::wait(future))),
    }
}

/// Does nothing, or gives way, or sleeps a little.
fn dawdle(chance: &Chance) {
    green::wait(chance.dawdle());
}

/// The world of one program.
#[derive(Default)]
struct World {
    /// Who is inside of the mutex.
    inside: Cell<u32>,
    /// How many guards exist, of any kind.
    guards: Cell<i32>,
    /// How many permits are out.
    permits: Cell<usize>,
    /// What was put, and what was got.
    put: RefCell<BTreeSet<u32>>,
    got: RefCell<BTreeSet<u32>>,
    /// How many threads were begun, and how many came to an end of any kind.
    begun: Cell<u32>,
    ended: Cell<u32>,
    /// The next value.
    next: Cell<u32>,
}

/// What is shared.
struct Things {
    world: World,
    mutex: Mutex<()>,
    semaphore: Semaphore,
    queue: Queue<u32>,
    event: Event,
}

/// Counts itself.
struct Guard<'a>(&'a Cell<i32>);

impl<'a> Guard<'a> {
    fn new(count: &'a Cell<i32>) -> Guard<'a> {
        count.set(count.get() + 1);
        Guard(count)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Counts its end, however that comes.
struct Ends(Rc<Things>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.world.ended.set(self.0.world.ended.get() + 1);
    }
}

/// A program: some steps, each of which may wait, go deeper, or start others.
fn program(chance: &Chance, things: &Rc<Things>, depth: u32) {
    for _ in 0..chance.below(6) {
        let _guard = Guard::new(&things.world.guards);
        step(chance, things, depth);
    }
}

fn step(chance: &Chance, things: &Rc<Things>, depth: u32) {
    let world = &things.world;
    match chance.below(10) {
        0 => dawdle(chance),
        1 => {
            let _lock = green::wait(things.mutex.lock());
            let _inside = Leaves(&world.inside);
            world.inside.set(world.inside.get() + 1);
            assert_eq!(world.inside.get(), 1, "somebody else is in");
            dawdle(chance);
        }
        2 => {
            let wanted = 1 + chance.below(2);
            let _permits = green::wait(things.semaphore.acquire_many(wanted));
            let _out = Returns(&world.permits, wanted);
            world.permits.set(world.permits.get() + wanted);
            assert!(world.permits.get() <= 2, "more permits than there are");
            dawdle(chance);
        }
        3 | 4 => {
            let value = world.next.replace(world.next.get() + 1);
            world.put.borrow_mut().insert(value);
            things.queue.try_put(value).unwrap();
        }
        5 => {
            let patience = Duration::from_millis(chance.below(3) as u64);
            if let Ok(value) = green::wait(timeout(patience, things.queue.get())) {
                assert!(world.got.borrow_mut().insert(value.unwrap()), "twice");
            }
        }
        6 => {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _guard = Guard::new(&world.guards);
                dawdle(chance);
                panic!("on purpose");
            }));
            let payload = caught.unwrap_err();
            if payload.is::<green::Cancellation>() {
                resume_unwind(payload);
            }
        }
        7 => {
            let _ = green::wait(chance.try_patience(things.event.wait()));
        }
        _ if depth < 3 => child(chance, things, depth + 1),
        _ => things.event.set(),
    }
}

/// Starts another one, and joins, cancels or leaves it.
fn child(chance: &Chance, things: &Rc<Things>, depth: u32) {
    let mut handle = start(chance, things, depth);
    match chance.below(4) {
        0 => handle.detach(),
        1 => {
            dawdle(chance);
            green::wait(handle.cancel());
            assert!(handle.is_finished());
        }
        2 => {
            let _ = green::wait(timeout(Duration::from_millis(2), handle));
        }
        _ => {
            let joined = green::join(handle);
            assert!(joined.is_ok(), "{joined:?}");
        }
    }
}

/// A thread that runs a program: spawned, or as a future in a task, in which it may be cut off.
fn start(chance: &Chance, things: &Rc<Things>, depth: u32) -> JoinHandle<()> {
    things.world.begun.set(things.world.begun.get() + 1);
    let ends = Ends(things.clone());
    let (inner, shared) = (chance.clone(), things.clone());
    let body = move || {
        let _ends = ends;
        program(&inner, &shared, depth);
    };
    match chance.below(3) {
        0 => green::spawn(body),
        1 => spawn(green::future(body)),
        _ => {
            let chance = chance.clone();
            spawn(async move {
                let _ = chance.try_patience(green::future(body)).await;
            })
        }
    }
}

/// Leaves the mutex.
struct Leaves<'a>(&'a Cell<u32>);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Gives permits back.
struct Returns<'a>(&'a Cell<usize>, usize);

impl Drop for Returns<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - self.1);
    }
}

#[test]
fn random_programs_lose_nothing_and_leave_nothing() {
    let ended = Cell::new(0);
    // Those that panic on purpose would fill the screen.
    std::panic::set_hook(Box::new(|info| {
        if info.payload_as_str() != Some("on purpose") {
            eprintln!("{info}");
        }
    }));
    explore_some(SCHEDULES, "green_models random_programs", |chance| {
        let ended = &ended;
        async move {
            let things = Rc::new(Things {
                world: World::default(),
                mutex: Mutex::new(()),
                semaphore: Semaphore::new(2),
                queue: Queue::unbounded(),
                event: Event::new(),
            });
            let all: Vec<_> = (0..4).map(|_| start(&chance, &things, 0)).collect();
            let rings = things.clone();
            let bell = spawn(async move {
                loop {
                    sleep(Duration::from_millis(5)).await;
                    rings.event.set();
                    rings.event.clear();
                }
            });
            for one in all {
                one.await.unwrap();
            }
            // Those who were let go come to their end by themselves.
            while things.world.ended.get() < things.world.begun.get() {
                sleep(Duration::from_millis(1)).await;
            }
            let mut bell = bell;
            bell.cancel().await;
            let world = &things.world;
            assert_eq!((world.inside.get(), world.guards.get(), world.permits.get()), (0, 0, 0));
            assert_eq!((world.ended.get(), things.semaphore.free()), (world.begun.get(), 2));
            drop(things.mutex.try_lock().expect("all have let go"));
            let left = std::iter::from_fn(|| things.queue.try_get().ok());
            let mut seen = world.got.borrow().clone();
            for value in left {
                assert!(seen.insert(value), "got, and still there");
            }
            assert_eq!(seen, *world.put.borrow());
            assert_eq!(greenroom::tasks().len(), 1);
            ended.set(ended.get() + world.ended.get());
        }
    });
    let _ = std::panic::take_hook();
    assert!(ended.get() >= 4);
}

#[test]
fn tasks_and_threads_hand_values_on_in_a_ring() {
    explore_some(SCHEDULES, "green_models tasks_and_threads", |chance| async move {
        let stations: Rc<Vec<Queue<u32>>> = Rc::new((0..4).map(|_| Queue::bounded(1)).collect());
        let hands: Vec<_> = (0..3)
            .map(|number| {
                let (stations, inner) = (stations.clone(), chance.clone());
                either(&chance, async move {
                    while let Ok(value) = stations[number].get().await {
                        inner.dawdle().await;
                        // Whoever loses patience puts it again.
                        while inner.try_patience(stations[number + 1].put(value)).await.is_none() {}
                    }
                    stations[number + 1].shutdown(false);
                })
            })
            .collect();
        let first = stations.clone();
        let source = either(&chance, async move {
            for value in 0..6 {
                first[0].put(value).await.unwrap();
            }
            first[0].shutdown(false);
        });
        for value in 0..6 {
            assert_eq!(stations[3].get().await, Ok(value));
        }
        assert!(stations[3].get().await.is_err());
        source.await.unwrap();
        for hand in hands {
            hand.await.unwrap();
        }
    });
}
