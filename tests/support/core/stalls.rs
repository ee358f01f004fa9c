//! Stalled or not: exact where the answer can be known, and no guess where it cannot.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::time::Duration;

use greenroom::io::Nonblocking;
use greenroom::net::TcpListener;
use greenroom::signal::Signal;
use greenroom::{
    BlockOnError, Event, JoinHandle, Observer, Runtime, Stalled, WaitReason, add_reader, call_later,
    remove_reader, sleep, spawn, spawn_named, yield_now,
};

use super::support::{Tally, assert_whole, panic_of, virtual_runtime, within_patience};

/// The report of a loop that must be stalled.
#[track_caller]
fn stalled<T: std::fmt::Debug>(result: Result<T, BlockOnError>) -> Stalled {
    match result {
        Err(BlockOnError::Stalled(stalled)) => stalled,
        other => panic!("not stalled: {other:?}"),
    }
}

#[test]
fn the_report_lists_each_waiting_task() {
    let runtime = virtual_runtime();
    let drops = Tally::new();
    let lines = Cell::new([0; 3]);
    let main_line = line!() + 1;
    let result = runtime.try_block_on(async {
        let _token = drops.token();
        sleep(Duration::from_secs(60)).await;
        lines.set([line!() + 1, line!() + 2, line!() + 3]);
        let stuck = spawn_named("stuck", pending::<()>());
        let joiner = spawn(async move { stuck.await.unwrap() });
        let sleeper = spawn(sleep(Duration::MAX));
        yield_now().await;
        joiner.await.unwrap();
        sleeper.await.unwrap();
    });
    let report = stalled(result);
    assert_eq!(drops.get(), 1, "the future is dropped when try_block_on returns");
    let [stuck_line, joiner_line, sleeper_line] = lines.get();
    let seen: Vec<_> = report
        .tasks
        .iter()
        .map(|info| (info.name.as_deref(), info.location.line(), info.reason, info.waited))
        .collect();
    let [main, stuck, joiner, _] = [0, 1, 2, 3].map(|index| report.tasks[index].id);
    let since = Duration::ZERO;
    let expected = [
        (Some("main"), main_line, WaitReason::Join(joiner), since),
        (Some("stuck"), stuck_line, WaitReason::Unknown, since),
        (None, joiner_line, WaitReason::Join(stuck), since),
        (None, sleeper_line, WaitReason::Sleep { until: Duration::MAX }, since),
    ];
    assert_eq!(seen, expected);
    assert!(report.tasks.iter().all(|info| info.location.file() == file!()));
    let text = report.to_string();
    assert!(text.starts_with("the loop is stalled: nothing can ever happen again, and 4 wait\n"), "{text}");
    assert!(text.contains(&format!("{main} \"main\", spawned at {}:{main_line}:", file!())), "{text}");
    assert!(text.ends_with("waits for 0ns: sleep for ever"), "{text}");
    assert_eq!(text.lines().count(), 5);
    assert_eq!(BlockOnError::Stalled(report).to_string(), text);
    assert_whole(&runtime);
}

#[test]
fn block_on_panics_with_the_report() {
    let runtime = Runtime::new().unwrap();
    let text = panic_of(|| runtime.block_on(pending::<()>()));
    assert!(text.starts_with("the loop is stalled") && text.contains("\"main\""), "{text}");
    assert_whole(&runtime);
}

#[test]
fn mains_task_is_gone_after_a_stall() {
    let runtime = Runtime::new().unwrap();
    let _other = runtime.enter(|| spawn_named("other", pending::<()>()));
    stalled(runtime.try_block_on(pending::<()>()));
    runtime.turn_now();
    let names: Vec<_> = runtime.tasks().into_iter().filter_map(|info| info.name).collect();
    assert_eq!(names, ["other"]);
    let report = stalled(runtime.try_block_on(pending::<()>()));
    assert_eq!(report.tasks.len(), 2, "{report}");
}

/// Says when the loop is about to sleep without an end.
struct Sleeps(mpsc::Sender<()>);

impl Observer for Sleeps {
    fn observe(&self, _at: Duration, event: &Event<'_>) {
        if let Event::WaitStarted { timeout: None } = event {
            let _ = self.0.send(());
        }
    }
}

#[test]
fn a_loop_that_sleeps_learns_that_the_last_handle_is_gone() {
    within_patience(|| {
        let (sender, asleep) = mpsc::channel();
        let runtime = Runtime::builder().observer(Sleeps(sender)).build().unwrap();
        let (handle, second) = (runtime.handle(), runtime.handle());
        let abroad = std::thread::spawn(move || {
            asleep.recv().unwrap();
            drop(handle);
            drop(second);
        });
        stalled(runtime.try_block_on(pending::<()>()));
        abroad.join().unwrap();
    });
}

#[test]
fn a_detached_remote_task_does_not_hide_a_stall() {
    within_patience(|| {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        let abroad = std::thread::spawn(move || handle.spawn(pending::<()>()).detach());
        abroad.join().unwrap();
        let report = stalled(runtime.try_block_on(pending::<()>()));
        assert_eq!(report.tasks.len(), 2);
    });
}

/// A task whose waker goes to another thread, which uses it up when the loop is asleep.
fn stall_after(last_use: fn(Waker)) {
    within_patience(move || {
        let (sender, asleep) = mpsc::channel();
        let runtime = Runtime::builder().observer(Sleeps(sender)).build().unwrap();
        let (wakers, taken) = mpsc::channel::<Waker>();
        let abroad = std::thread::spawn(move || {
            let waker = taken.recv().unwrap();
            asleep.recv().unwrap();
            last_use(waker);
        });
        let once = Cell::new(Some(wakers));
        let result = runtime.try_block_on(poll_fn(|context| {
            if let Some(wakers) = once.take() {
                wakers.send(context.waker().clone()).unwrap();
            }
            Poll::<()>::Pending
        }));
        stalled(result);
        abroad.join().unwrap();
    });
}

#[test]
fn a_loop_that_sleeps_learns_that_the_last_waker_is_gone() {
    for _ in 0..20 {
        stall_after(drop);
        // A wake for nothing: the task is polled and keeps no other waker.
        stall_after(Waker::wake);
        stall_after(|waker| {
            waker.wake_by_ref();
            drop((waker.clone(), waker));
        });
    }
}

/// Whether the loop calls itself stalled once everything that is ready has run.
fn is_stalled(runtime: &Runtime) -> bool {
    let turns: Vec<_> = (0..3).map(|_| runtime.turn_now()).collect();
    assert_eq!(turns[2].ran, 0, "still busy");
    turns[2].stalled
}

#[test]
fn a_timer_a_callback_and_a_handle_keep_the_loop_from_stalling() {
    let runtime = Runtime::new().unwrap();
    assert!(is_stalled(&runtime));
    let mut nap = runtime.enter(|| spawn(sleep(Duration::from_secs(3600))));
    assert!(!is_stalled(&runtime));
    runtime.enter(|| {
        nap.cancel();
    });
    assert!(is_stalled(&runtime));
    let call = runtime.enter(|| call_later(Duration::from_secs(3600), || ()));
    assert!(!is_stalled(&runtime));
    runtime.enter(|| call.cancel());
    assert!(is_stalled(&runtime));
    let never = runtime.enter(|| call_later(Duration::MAX, || ()));
    assert!(is_stalled(&runtime), "never is no deadline");
    never.cancel();
    let handle = runtime.handle();
    let clone = handle.clone();
    drop(handle);
    assert!(!is_stalled(&runtime), "its clone is left");
    let remote = clone.spawn(pending::<()>());
    drop(clone);
    assert!(!is_stalled(&runtime), "a remote join handle can cancel");
    drop(remote);
    assert!(is_stalled(&runtime));
}

#[test]
fn a_socket_a_watch_and_a_signal_listener_keep_the_loop_from_stalling() {
    let runtime = Runtime::new().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let reader = runtime.enter(|| {
        let near = Nonblocking::new(near).unwrap();
        spawn(async move { near.read_with(|mut near| near.read(&mut [0])).await.unwrap() })
    });
    assert!(!is_stalled(&runtime));
    drop(far);
    assert!(is_stalled(&runtime));
    assert!(reader.is_finished(), "it read the end");
    let (near, _far) = UnixStream::pair().unwrap();
    runtime.enter(|| add_reader(&near, || ()).unwrap());
    assert!(!is_stalled(&runtime));
    assert!(runtime.enter(|| remove_reader(&near)));
    assert!(is_stalled(&runtime));
    let mut listener: JoinHandle<()> = runtime.enter(|| {
        // A signal that nothing sends and that is ignored unless somebody listens.
        let mut signal = Signal::new(libc::SIGURG).unwrap();
        spawn(async move { signal.recv().await.unwrap() })
    });
    assert!(!is_stalled(&runtime));
    runtime.enter(|| {
        listener.cancel();
    });
    assert!(is_stalled(&runtime));
}

#[test]
fn a_name_look_up_keeps_the_loop_from_stalling_and_stops_virtual_time() {
    let runtime = virtual_runtime();
    let timers = runtime.enter(|| spawn(sleep(Duration::from_secs(1))));
    let listener = runtime.block_on(TcpListener::bind("localhost:0")).unwrap();
    assert!(!timers.is_finished(), "time stood still for the look-up");
    drop(listener);
    runtime.turn_now();
    let bind = runtime.spawn(TcpListener::bind("localhost:0"));
    within_turns(&runtime, |turn_stalled| {
        assert!(!turn_stalled || bind.is_finished());
        bind.is_finished()
    });
    runtime.enter(|| drop(bind));
}

/// Turns until `is_done`, which hears whether the turn was called stalled.
fn within_turns(runtime: &Runtime, is_done: impl Fn(bool) -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !is_done(runtime.turn_now().stalled) {
        assert!(std::time::Instant::now() < deadline, "the look-up takes too long");
        std::thread::yield_now();
    }
}

#[test]
fn a_waker_that_somebody_holds_leaves_it_open() {
    let runtime = Runtime::new().unwrap();
    let place: Rc<RefCell<Option<Waker>>> = Rc::default();
    let kept = place.clone();
    let task = runtime.spawn(poll_fn(move |context| {
        *kept.borrow_mut() = Some(context.waker().clone());
        Poll::<()>::Pending
    }));
    assert!(!is_stalled(&runtime));
    let waker = place.take().unwrap();
    let (sender, receiver) = mpsc::channel::<()>();
    let abroad = std::thread::spawn(move || {
        let _ = receiver.recv();
        drop(waker);
    });
    assert!(!is_stalled(&runtime), "a thread has it");
    drop(sender);
    abroad.join().unwrap();
    assert!(is_stalled(&runtime));
    drop(task);
}

#[test]
fn another_crates_channel_between_two_tasks_leaves_it_open_until_it_breaks() {
    let runtime = Runtime::new().unwrap();
    let (sender, receiver) = futures::channel::oneshot::channel::<()>();
    let waits = runtime.spawn(receiver);
    assert!(!is_stalled(&runtime), "whoever has the sender may be anywhere");
    drop(sender);
    assert!(is_stalled(&runtime));
    assert!(waits.is_finished());
}
