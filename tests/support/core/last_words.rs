//! Destructors at the end of a loop: they may call everything, panic, and spawn for ever.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::thread::ThreadId;
use std::time::Duration;

use greenroom::net::TcpStream;
use greenroom::{
    Handle, JoinHandle, Runtime, add_reader, call_later, call_periodic, call_soon, current_task, interval,
    now, sleep, spawn, spawn_named, tasks, timeout, yield_now,
};

use super::support::{
    Bomb, OnDrop, Tally, assert_whole, keep_log, logged, number_from_env, on_drop, tcp_pair, virtual_runtime,
    within_patience,
};

const SECOND: Duration = Duration::from_secs(1);

/// A task that waits for ever and drops `cargo` when it is cancelled.
fn holds<T: 'static>(cargo: T) -> JoinHandle<()> {
    spawn(async move {
        let _cargo = cargo;
        pending::<()>().await
    })
}

/// Uses every function of the runtime once; `token` rides along in what is registered.
fn call_everything(tally: &Tally) {
    let ride = || {
        let token = tally.token();
        async move {
            let _token = token;
            pending::<()>().await
        }
    };
    let closure = || {
        let token = tally.token();
        move || {
            let _keep = &token;
        }
    };
    spawn(ride()).detach();
    spawn_named("late", ride()).cancel();
    call_soon(closure());
    call_later(SECOND, closure()).cancel();
    call_periodic(SECOND, SECOND, closure());
    let (near, far) = tcp_pair();
    let (near, other) = (TcpStream::from_std(near).unwrap(), TcpStream::from_std(far).unwrap());
    let third = tcp_pair().0;
    add_reader(&third, closure()).unwrap();
    greenroom::remove_reader(&third);
    spawn(async move { drop(near.read(&mut [0]).await) }).detach();
    drop(other);
    drop((sleep(SECOND), interval(SECOND), timeout(SECOND, ride())));
    let handle = Handle::current().unwrap();
    let token = tally.token();
    // Taken in or refused, by the time.
    let _ = handle.call_soon_threadsafe(move || drop(token));
    let token = tally.token();
    handle.spawn(async move { drop(token) }).detach();
    let _ = (tasks(), now(), current_task());
}

/// How many tokens `call_everything` takes.
const TOKENS: usize = 9;

#[test]
fn destructors_may_call_back_into_everything() {
    for grace in [Duration::ZERO, SECOND] {
        let runtime = virtual_runtime();
        let tally = Tally::new();
        let (parked, closure, output) = (tally.clone(), tally.clone(), tally.clone());
        let kept = runtime.enter(|| {
            holds(on_drop(move || call_everything(&parked))).detach();
            let at_drop = on_drop(move || call_everything(&closure));
            call_later(100 * SECOND, move || drop(at_drop));
            spawn(async move { on_drop(move || call_everything(&output)) })
        });
        runtime.turn_now();
        runtime.enter(|| drop(kept));
        runtime.shutdown(grace);
        assert_eq!(tally.get(), 3 * TOKENS, "each token is dropped once");
    }
}

#[test]
fn destructors_that_panic_keep_nobody_from_being_dropped() {
    keep_log();
    let runtime = virtual_runtime();
    let tally = Tally::new();
    runtime.enter(|| {
        for _ in 0..5 {
            holds((tally.token(), Bomb("task"), tally.token())).detach();
            let closure = (tally.token(), Bomb("closure"), tally.token());
            call_later(SECOND, move || drop(closure));
        }
    });
    let handle = runtime.handle();
    for _ in 0..5 {
        let letter = (tally.token(), Bomb("letter"), tally.token());
        handle.call_soon_threadsafe(move || drop(letter)).unwrap();
    }
    let report = runtime.shutdown(Duration::ZERO);
    assert_eq!((report.cancelled, report.not_stopped.len()), (5, 0));
    assert_eq!(tally.get(), 30);
    let lines = logged();
    for what in ["task", "closure", "letter"] {
        assert_eq!(
            lines.iter().filter(|line| line.contains(&format!("panicked: {what}"))).count(),
            5,
            "{lines:?}"
        );
    }
}

#[test]
fn a_task_spawned_while_the_doors_are_closing_is_cancelled_unpolled() {
    let runtime = virtual_runtime();
    let (polls, drops) = (Tally::new(), Tally::new());
    let place: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
    let (kept, counted, token) = (place.clone(), polls.clone(), drops.token());
    let too_late = on_drop(move || {
        *kept.borrow_mut() = Some(spawn(async move {
            let _token = token;
            counted.add();
            yield_now().await
        }));
    });
    // Its own end comes when the grace is over.
    runtime.enter(|| {
        let stubborn = on_drop(move || {
            spawn(async move {
                let _too_late = too_late;
                sleep(Duration::MAX).await
            })
            .detach();
        });
        holds(stubborn).detach();
    });
    runtime.turn_now();
    let report = runtime.shutdown(SECOND);
    assert_eq!(report.not_stopped.len(), 1);
    let handle = place.take().unwrap();
    assert!(handle.is_finished());
    assert_eq!((polls.get(), drops.get()), (0, 1));
    assert!(futures::executor::block_on(handle).unwrap_err().is_cancelled());
}

/// Counts its drops, and checks that each is on the thread where it was made, inside of a loop.
struct HomeBody {
    thread: ThreadId,
    drops: Tally,
    homeless: Rc<Cell<usize>>,
}

impl Drop for HomeBody {
    fn drop(&mut self) {
        assert_eq!(self.thread, std::thread::current().id());
        self.drops.add();
        if Handle::current().is_err() {
            self.homeless.set(self.homeless.get() + 1);
        }
    }
}

/// A value whose destructor spawns a task with another of its kind, `left` times.
fn spawns_again(body: impl Fn() -> HomeBody + Clone + 'static, left: usize) -> OnDrop<impl FnOnce()> {
    on_drop(move || respawn(body, left))
}

/// The destructor of `spawns_again`, boxed to end the recursion of its type.
fn respawn(body: impl Fn() -> HomeBody + Clone + 'static, left: usize) {
    let cargo = body();
    if left > 0 && Handle::current().is_ok() {
        let next: Box<dyn FnOnce()> = Box::new(move || respawn(body, left - 1));
        holds((cargo, on_drop(next))).detach();
    }
}

/// Ends a loop whose destructors spawn `left` more; how many there were, and how many were dropped.
fn end_with_respawns(left: usize) -> (usize, usize) {
    let (made, drops) = (Tally::new(), Tally::new());
    let homeless = Rc::new(Cell::new(0));
    let (count, counted, without) = (made.clone(), drops.clone(), homeless.clone());
    let body = move || {
        count.add();
        HomeBody { thread: std::thread::current().id(), drops: counted.clone(), homeless: without.clone() }
    };
    let runtime = virtual_runtime();
    runtime.enter(|| holds(spawns_again(body, left)).detach());
    runtime.shutdown(Duration::ZERO);
    assert_eq!(homeless.get(), 0, "dropped outside of the loop");
    (made.get(), drops.get())
}

#[test]
fn destructors_that_spawn_fifty_times_are_followed_to_the_end() {
    assert_eq!(end_with_respawns(50), (51, 51));
}

mod forgotten {
    use super::*;

    #[test]
    fn destructors_that_spawn_for_ever_are_given_up_with_a_word() {
        within_patience(|| {
            keep_log();
            let (made, dropped) = end_with_respawns(usize::MAX);
            assert_eq!(made, dropped + 1, "the last one is leaked, and dropped nowhere");
            let lines = logged();
            assert!(lines.iter().any(|line| line.ends_with(" never ended and is leaked")), "{lines:?}");
        });
    }
}

#[test]
fn letters_that_come_too_late_may_spawn_when_they_are_dropped() {
    within_patience(|| {
        keep_log();
        let (sent, dropped) = (Tally::new(), Tally::new());
        for round in 0..number_from_env("GREENROOM_STEPS", 100) {
            let runtime = Runtime::new().unwrap();
            let handle = runtime.handle();
            let (count, drops) = (sent.clone(), dropped.clone());
            let posts = std::thread::spawn(move || {
                for _ in 0..300 {
                    count.add();
                    let token = drops.token();
                    // Read or unread, dropped at home or refused: at home its task is the loop's to end.
                    let letter = on_drop(move || {
                        if Handle::current().is_ok() {
                            holds(token).detach();
                        }
                    });
                    let _ = handle.call_soon_threadsafe(move || drop(letter));
                }
            });
            for _ in 0..round % 5 {
                runtime.turn_now();
            }
            drop(runtime);
            posts.join().unwrap();
        }
        assert_eq!(sent.get(), dropped.get());
        let leaked: Vec<_> = logged().into_iter().filter(|line| line.contains("leaked")).collect();
        assert_eq!(leaked, [""; 0]);
    });
}

#[test]
fn the_destructor_of_an_unread_letter_may_spawn() {
    let runtime = virtual_runtime();
    let (polls, drops) = (Tally::new(), Tally::new());
    let handle = runtime.handle();
    let (counted, tokens) = (polls.clone(), drops.clone());
    let letter = on_drop(move || {
        let token = tokens.token();
        let callback = tokens.token();
        spawn(async move {
            let _token = on_drop(move || drop((token, Handle::current().unwrap())));
            counted.add();
        })
        .detach();
        call_soon(move || drop(callback));
    });
    // A letter in a letter: the loop reads the first in its last turns, the second too late.
    let inner = handle.clone();
    let outer = on_drop(move || {
        // Refused by then, which drops the letter here, at home.
        let _ = inner.call_soon_threadsafe(move || drop(letter));
    });
    handle.call_soon_threadsafe(move || drop(outer)).unwrap();
    drop(runtime);
    assert_eq!((polls.get(), drops.get()), (0, 2));
}

#[test]
fn a_destructor_may_end_another_loop() {
    let outer = Runtime::new().unwrap();
    let inner = virtual_runtime();
    let drops = Tally::new();
    let token = drops.token();
    inner.enter(|| holds(token).detach());
    outer.enter(|| holds(inner).detach());
    outer.turn_now();
    let third = Runtime::new().unwrap();
    drop(outer);
    assert_eq!(drops.get(), 1);
    assert_whole(&third);
}
