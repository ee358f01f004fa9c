//! Green threads beside corosensei, may and tasks.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use greenroom::{Runtime, green};

use crate::measure::Row;
use crate::stacks;

/// How many take part where many do.
const MANY: u64 = 1000;

/// All rows about green threads.
pub fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "switch: resume and suspend",
            times: 10_000_000,
            contestants: vec![
                ("corosensei", corosensei_pair),
                ("greenroom, its coroutine", stacks::resume_and_suspend),
                ("greenroom, a green future polled by hand", green_future_pair),
                ("generator (may's)", generator_pair),
            ],
        },
        Row {
            name: "wake-to-run: yield of one among 1,000",
            times: 2_000_000,
            contestants: vec![
                ("greenroom task", task_yield),
                ("greenroom green thread", green_yield),
                ("may, one worker", may_yield),
            ],
        },
        Row {
            name: "wake-to-run: two that wake each other",
            times: 2_000_000,
            contestants: vec![("greenroom tasks", task_hop), ("greenroom green threads", green_hop)],
        },
        Row {
            name: "spawn and join, one at a time",
            times: 200_000,
            contestants: vec![
                ("greenroom task", task_spawn),
                ("greenroom green thread", green_spawn),
                ("may, one worker", may_spawn),
            ],
        },
    ]
}

/// corosensei's switch.
fn corosensei_pair(times: u64) -> Duration {
    let mut coroutine = corosensei::Coroutine::new(|yielder: &corosensei::Yielder<(), ()>, ()| {
        loop {
            yielder.suspend(());
        }
    });
    assert!(matches!(coroutine.resume(()), corosensei::CoroutineResult::<(), ()>::Yield(())));
    let began = Instant::now();
    for _ in 0..times {
        assert!(matches!(coroutine.resume(()), corosensei::CoroutineResult::Yield(())));
    }
    began.elapsed()
}

/// The switch under may.
fn generator_pair(times: u64) -> Duration {
    let mut generator = generator::Gn::new_scoped_local(|mut scope: generator::Scope<'_, '_, (), ()>| {
        loop {
            scope.yield_with(());
        }
    });
    assert!(generator.resume().is_some());
    let began = Instant::now();
    for _ in 0..times {
        assert!(generator.resume().is_some());
    }
    began.elapsed()
}

/// Pending once, then ready, for ever so on; wakes nobody.
fn pending_once() -> impl Future<Output = ()> {
    let mut was_pending = false;
    poll_fn(move |_| if std::mem::replace(&mut was_pending, true) { Poll::Ready(()) } else { Poll::Pending })
}

/// A green thread as a future, with all that a poll of it does.
fn green_future_pair(times: u64) -> Duration {
    let mut thread: Pin<&mut green::GreenThread<()>> = pin!(green::future(|| {
        loop {
            green::wait(pending_once());
        }
    }));
    let mut context = Context::from_waker(Waker::noop());
    assert!(thread.as_mut().poll(&mut context).is_pending());
    let began = Instant::now();
    for _ in 0..times {
        assert!(thread.as_mut().poll(&mut context).is_pending());
    }
    began.elapsed()
}

/// Runs `main` on a new loop.
fn on_loop<F: Future<Output = Duration>>(main: F) -> Duration {
    Runtime::new().expect("a loop").block_on(main)
}

/// Many tasks that give way to each other.
fn task_yield(times: u64) -> Duration {
    on_loop(async move {
        let began = Instant::now();
        let tasks: Vec<_> = (0..MANY)
            .map(|_| {
                greenroom::spawn(async move {
                    for _ in 0..times / MANY {
                        greenroom::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task that only yields ends");
        }
        began.elapsed()
    })
}

/// The same of green threads.
fn green_yield(times: u64) -> Duration {
    on_loop(async move {
        let began = Instant::now();
        let threads: Vec<_> = (0..MANY)
            .map(|_| {
                green::spawn(move || {
                    for _ in 0..times / MANY {
                        green::yield_now();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.await.expect("a green thread that only yields ends");
        }
        began.elapsed()
    })
}

/// The same of may's coroutines, all on one thread as ours are.
fn may_yield(times: u64) -> Duration {
    may::config().set_workers(1);
    let began = Instant::now();
    let coroutines: Vec<_> = (0..MANY)
        .map(|_| {
            may::go!(move || {
                for _ in 0..times / MANY {
                    may::coroutine::yield_now();
                }
            })
        })
        .collect();
    for coroutine in coroutines {
        coroutine.join().expect("a coroutine that only yields ends");
    }
    began.elapsed()
}

/// A ball that two players hand to each other.
#[derive(Clone)]
struct Ball {
    /// How often it was handed on.
    hops: Rc<Cell<u64>>,
    /// The player who waits.
    waiter: Rc<Cell<Option<Waker>>>,
}

impl Ball {
    /// Ready when it is the turn of `player`, who then hands it on.
    fn hand_on(&self, player: u64) -> impl Future<Output = u64> {
        poll_fn(move |context| {
            let hops = self.hops.get();
            if hops % 2 != player {
                self.waiter.set(Some(context.waker().clone()));
                return Poll::Pending;
            }
            self.hops.set(hops + 1);
            if let Some(other) = self.waiter.take() {
                other.wake();
            }
            Poll::Ready(hops)
        })
    }
}

/// Two tasks that wake each other.
fn task_hop(times: u64) -> Duration {
    on_loop(async move {
        let ball = Ball { hops: Rc::default(), waiter: Rc::default() };
        let began = Instant::now();
        let players = [0, 1].map(|player| {
            let ball = ball.clone();
            greenroom::spawn(async move { while ball.hand_on(player).await + 2 < times {} })
        });
        for player in players {
            player.await.expect("players end");
        }
        began.elapsed()
    })
}

/// The same of green threads.
fn green_hop(times: u64) -> Duration {
    on_loop(async move {
        let ball = Ball { hops: Rc::default(), waiter: Rc::default() };
        let began = Instant::now();
        let players = [0, 1].map(|player| {
            let ball = ball.clone();
            green::spawn(move || while green::wait(ball.hand_on(player)) + 2 < times {})
        });
        for player in players {
            player.await.expect("players end");
        }
        began.elapsed()
    })
}

/// Tasks that return at once.
fn task_spawn(times: u64) -> Duration {
    on_loop(async move {
        let began = Instant::now();
        for number in 0..times {
            assert_eq!(greenroom::spawn(async move { number }).await.ok(), Some(number));
        }
        began.elapsed()
    })
}

/// Green threads that do.
fn green_spawn(times: u64) -> Duration {
    on_loop(async move {
        let began = Instant::now();
        for number in 0..times {
            assert_eq!(green::spawn(move || number).await.ok(), Some(number));
        }
        began.elapsed()
    })
}

/// may's coroutines that do, spawned by one of them.
fn may_spawn(times: u64) -> Duration {
    may::config().set_workers(1);
    let main = may::go!(move || {
        let began = Instant::now();
        for number in 0..times {
            assert_eq!(may::go!(move || number).join().ok(), Some(number));
        }
        began.elapsed()
    });
    main.join().expect("a coroutine that spawns others ends")
}
