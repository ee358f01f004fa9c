//! One scene under thousands of seeds: the order of the run queue, what each task does, and where
//! it loses patience all follow from the seed.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use greenroom::{Builder, JoinHandle, Order, Rng, TaskId, current_task, sleep, spawn, yield_now};

use super::cancel::{Cut, Fuse};

/// How many seeds each scene is played under, unless `GREENROOM_SEED` names one or `GREENROOM_STEPS` a number.
const SCHEDULES: u64 = 10_000;

/// Chance, shared by the tasks of a scene.
#[derive(Clone)]
pub struct Chance {
    /// Where it comes from.
    rng: Rc<RefCell<Rng>>,
    /// How often somebody stayed away.
    away: Rc<Cell<u32>>,
}

impl Chance {
    /// A number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        self.rng.borrow_mut().below(bound)
    }

    /// True once in so many times.
    pub fn one_in(&self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    /// Does nothing, or gives way, or sleeps a little.
    pub async fn dawdle(&self) {
        match self.below(4) {
            0 => {}
            1 => sleep(Duration::from_millis(self.below(3) as u64)).await,
            turns => {
                for _ in 1..turns {
                    yield_now().await;
                }
            }
        }
    }

    /// Runs `future`, sometimes not to its end.
    pub async fn try_patience<F: Future>(&self, future: F) -> Option<F::Output> {
        let cut = match self.below(6) {
            0 => Cut::Soon(1 + self.below(3)),
            1 => Cut::WhenWoken(1),
            _ => Cut::Never,
        };
        Fuse::new(cut).burn(future).await
    }

    /// One who has lost patience sometimes stays away for so long that all others come to rest: they
    /// are done, or away, or wait for what is not there. Says whether it is so now.
    ///
    /// Those who come back at once hide that something was lost with them: they find it themselves.
    pub async fn has_rested(&self) -> bool {
        let times = self.away.get();
        if times == 16 || self.one_in(2) {
            return false;
        }
        self.away.set(times + 1);
        // Twice as long each time: no two come back at the same hour.
        sleep(Duration::from_secs(3600) * 2_u32.pow(times)).await;
        true
    }
}

/// Plays `scene` under each seed to its end. One that panics or stalls is told with its seed.
pub fn explore<S: Future<Output = ()>>(test: &str, scene: impl Fn(Chance) -> S) {
    explore_some(SCHEDULES, test, scene);
}

/// The same with as many seeds as `schedules`.
pub fn explore_some<S: Future<Output = ()>>(schedules: u64, test: &str, scene: impl Fn(Chance) -> S) {
    let chosen = std::env::var("GREENROOM_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    let count = std::env::var("GREENROOM_STEPS").ok().and_then(|steps| steps.parse().ok());
    let seeds = chosen.map_or(0..count.unwrap_or(schedules), |seed: u64| seed..seed + 1);
    for seed in seeds {
        let hint = Hint(format!("replay: GREENROOM_SEED={seed} cargo test --test {test}"));
        let order = if seed % 8 == 0 { Order::Fifo } else { Order::Shuffled(seed) };
        let runtime = Builder::new().virtual_clock(true).order(order).build().unwrap();
        let chance = Chance { rng: Rc::new(RefCell::new(Rng::new(seed))), away: Rc::default() };
        if let Err(stalled) = runtime.try_block_on(scene(chance)) {
            panic!("{stalled}");
        }
        drop(runtime);
        drop(hint);
    }
}

/// Says how to replay, if it is dropped by a panic.
struct Hint(String);

impl Drop for Hint {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Runs as many tasks as `count`, each with its number, and waits for all.
pub async fn crowd<F: Future<Output = ()> + 'static>(count: usize, task: impl Fn(usize) -> F) {
    let handles: Vec<JoinHandle<()>> = (0..count).map(|number| spawn(task(number))).collect();
    for handle in handles {
        handle.await.unwrap();
    }
}

/// Who has asked for something, to check that nobody is passed by.
#[derive(Clone, Default)]
pub struct Queuers {
    /// Those who have not been served, in the order of asking, each with its wish.
    line: Rc<RefCell<VecDeque<(u64, TaskId, usize)>>>,
    /// How many asked so far.
    count: Rc<Cell<u64>>,
}

impl Queuers {
    /// The running task asks for so much.
    pub fn join(&self, wish: usize) -> Queuer {
        let number = self.count.replace(self.count.get() + 1);
        self.line.borrow_mut().push_back((number, current_task().expect("a task asks"), wish));
        Queuer { queuers: self.clone(), number }
    }

    /// What the first of those who wait has asked for.
    pub fn first_wish(&self, waiting: &[TaskId]) -> Option<usize> {
        let line = self.line.borrow();
        line.iter().find(|(_, task, _)| waiting.first() == Some(task)).map(|&(_, _, wish)| wish)
    }
}

/// One who asked; it asks no more when this is dropped.
pub struct Queuer {
    queuers: Queuers,
    number: u64,
}

impl Queuer {
    /// It is this one's turn, while these tasks are still waiting.
    pub fn served(self, waiting: &[TaskId]) {
        let line = self.queuers.line.borrow();
        let passed_by = line.iter().take_while(|(number, ..)| *number < self.number);
        let passed_by: Vec<_> = passed_by.filter(|(_, task, _)| waiting.contains(task)).collect();
        assert!(passed_by.is_empty(), "{passed_by:?} came before {}", self.number);
    }
}

impl Drop for Queuer {
    fn drop(&mut self) {
        self.queuers.line.borrow_mut().retain(|(number, ..)| *number != self.number);
    }
}
