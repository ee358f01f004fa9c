//! `green::future` wherever a future may stand: in combinators, in each other, in other executors.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::poll;
use greenroom::sync::Event;
use greenroom::{
    WaitReason, gather, green, join, now, race, scope, sleep, spawn_named, task_group, tasks, timeout,
    yield_now,
};

use super::support::{self, assert_whole, panic_of, virtual_runtime};
use super::{nap, on_green};

const SECOND: Duration = Duration::from_secs(1);

/// `value`, after so many seconds, by a stack of its own.
fn later<T: 'static>(seconds: u32, value: T) -> green::GreenThread<T> {
    green::future(move || {
        green::sleep(seconds * SECOND);
        value
    })
}

#[test]
fn a_green_future_stands_where_any_future_may() {
    let runtime = virtual_runtime();
    let start = runtime.enter(now);
    runtime.block_on(async {
        assert_eq!(later(1, 1).await, 1);
        assert_eq!(join(later(1, 2), later(2, "two")).await, (2, "two"));
        let gathered = gather((1..=3).map(|n| later(n, n))).await;
        assert_eq!(gathered.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(race([later(2, 2), later(1, 1)]).await, 1);
        assert_eq!(timeout(2 * SECOND, later(1, 3)).await, Ok(3));
        assert!(timeout(SECOND, later(2, 3)).await.is_err());
        let borrowed = RefCell::new(Vec::new());
        scope(async |scope| {
            for seconds in [2, 1] {
                let borrowed = &borrowed;
                scope.spawn(async move {
                    let value = later(seconds, seconds).await;
                    borrowed.borrow_mut().push(value);
                });
            }
        })
        .await;
        assert_eq!(borrowed.take(), [1, 2]);
        let grouped = task_group(async |group| {
            group.spawn(later(9, Err::<(), &str>("too late")));
            group.spawn(later(1, Err::<(), &str>("failed")));
            Ok(later(5, 5).await)
        });
        assert!(grouped.await.unwrap_err().to_string().contains("failed"));
        // Several in one task are woken each for itself: the list shows the first reason and counts the rest.
        spawn_named("host", join(later(7, ()), later(8, ()))).detach();
        yield_now().await;
        let host = tasks().into_iter().find(|task| task.name.as_deref() == Some("host")).unwrap();
        let until = now() - start + 7 * SECOND;
        assert_eq!((host.reason, host.more_reasons), (WaitReason::Sleep { until }, 1));
    });
    assert_whole(&runtime);
}

/// A tower of threads, each waiting for the next one inside of it.
fn tower(height: u32) -> u32 {
    if height == 0 {
        green::sleep(SECOND);
        return 0;
    }
    let inner = green::future(move || tower(height - 1));
    let (above, ()) = green::wait(join(inner, sleep(SECOND)));
    green::yield_now();
    above + 1
}

#[test]
fn green_futures_nest_and_unwind_from_the_top() {
    assert_eq!(on_green(|| tower(20)), 20);
    let diary: Rc<RefCell<Vec<u32>>> = Rc::default();
    let floor = |diary: &Rc<RefCell<Vec<u32>>>, number| {
        let diary = diary.clone();
        support::on_drop(move || diary.borrow_mut().push(number))
    };
    let noted = diary.clone();
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let nested = green::future(move || {
            let _outer = floor(&noted, 1);
            let innermost = noted.clone();
            green::wait(green::future(move || {
                let _middle = floor(&innermost, 2);
                let text = panic_of(|| green::wait(green::future(|| panic!("from inside"))));
                assert_eq!(text, "from inside");
                green::wait(green::future(move || {
                    let _inner = floor(&innermost, 3);
                    green::sleep(9 * SECOND);
                }));
            }));
        });
        assert!(timeout(SECOND, nested).await.is_err());
    });
    assert_eq!(diary.take(), [3, 2, 1]);
}

#[test]
fn one_is_polled_by_two_loops_in_turn() {
    let (first, second) = (virtual_runtime(), virtual_runtime());
    let event = Rc::new(Event::new());
    let awaited = event.clone();
    let mut thread = Box::pin(green::future(move || {
        for _ in 0..3 {
            green::wait(awaited.wait());
            awaited.clear();
            green::yield_now();
        }
        9
    }));
    for runtime in [&first, &second, &first] {
        runtime.block_on(async {
            assert!(poll!(&mut thread).is_pending());
            event.set();
            assert!(poll!(&mut thread).is_pending(), "it gives way");
        });
    }
    assert_eq!(second.block_on(thread), 9);
    for runtime in [first, second] {
        assert_whole(&runtime);
    }
}

#[test]
fn foreign_executors_run_them_and_they_run_foreign_executors() {
    let (sender, receiver) = futures::channel::oneshot::channel();
    let abroad = std::thread::spawn(move || sender.send(3).unwrap());
    let sum = green::future(|| {
        let inner = green::future(|| {
            green::yield_now();
            4
        });
        green::wait(receiver).unwrap() + green::wait(inner)
    });
    assert_eq!(futures::executor::block_on(sum), 7);
    abroad.join().unwrap();
    let mut pool = futures::executor::LocalPool::new();
    let outputs: Vec<_> = pool.run_until(futures::future::join_all((0..9).map(|n| {
        green::future(move || {
            for _ in 0..n {
                green::yield_now();
            }
            n
        })
    })));
    assert_eq!(outputs, Vec::from_iter(0..9));
    // Another executor, and another loop, on a green thread's own stack.
    let both = on_green(|| {
        let foreign = futures::executor::block_on(green::future(|| {
            green::yield_now();
            1
        }));
        let other = virtual_runtime();
        let thread = other.enter(|| green::spawn(|| nap(2)));
        let own = thread.is_finished();
        green::sleep(SECOND);
        (foreign, own)
    });
    assert_eq!(both, (1, false));
}
