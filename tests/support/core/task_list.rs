//! `greenroom::tasks()`: who exists, and what each waits for since when.

use std::future::pending;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use greenroom::io::Nonblocking;
use greenroom::{JoinHandle, TaskInfo, WaitReason, sleep, spawn, spawn_named, tasks, timeout, yield_now};

use super::support::{virtual_runtime, waker};

#[test]
fn every_task_says_what_it_waits_for_and_since_when() {
    let runtime = virtual_runtime();
    let (near, _far) = UnixStream::pair().unwrap();
    let fd = near.as_raw_fd();
    runtime.block_on(async move {
        let near = Nonblocking::new(near).unwrap();
        let line = line!() + 1;
        let naps = spawn_named("naps", sleep(Duration::from_secs(90)));
        let naps_id = naps.id();
        let others: Vec<JoinHandle<()>> = vec![
            spawn(sleep(Duration::MAX)),
            spawn(async move { naps.await.unwrap() }),
            spawn(async move { drop(near.read_with(|mut near| near.read(&mut [0])).await) }),
            spawn(pending()),
            spawn(async { timeout(Duration::from_secs(80), sleep(Duration::from_secs(85))).await.unwrap() }),
        ];
        sleep(Duration::from_secs(60)).await;
        let fresh = spawn(async {});
        let list = tasks();
        let reasons: Vec<WaitReason> = list.iter().map(|info| info.reason).collect();
        let until = |seconds| WaitReason::Sleep { until: Duration::from_secs(seconds) };
        let expected = [
            // The first is main, which runs and waits for nothing that it named.
            WaitReason::Unknown,
            until(90),
            until(u64::MAX),
            WaitReason::Join(naps_id),
            WaitReason::Read(fd),
            WaitReason::Unknown,
            until(85),
            WaitReason::Turn,
        ];
        let never = |reason: &WaitReason| matches!(reason, WaitReason::Sleep { until: Duration::MAX });
        assert!(never(&reasons[2]), "{reasons:?}");
        assert_eq!((&reasons[..2], &reasons[3..]), (&expected[..2], &expected[3..]));
        let counts: Vec<usize> = list.iter().map(|info| info.more_reasons).collect();
        assert_eq!(counts, [0, 0, 0, 0, 0, 0, 1, 0]);
        let waited: Vec<u64> = list.iter().map(|info| info.waited.as_secs()).collect();
        assert_eq!(waited[..7], [0, 60, 60, 60, 60, 60, 60]);
        let text =
            format!("{naps_id} \"naps\", spawned at {}:{line}:20, waits for 60s: sleep until 90s", file!());
        assert_eq!(list[1].to_string(), text);
        assert!(list[6].to_string().ends_with("sleep until 85s (and 1 more)"), "{}", list[6]);
        let ids: Vec<_> = others.iter().map(JoinHandle::id).collect();
        assert_eq!(list[2..7].iter().map(|info| info.id).collect::<Vec<_>>(), ids);
        assert_eq!(list[7].id, fresh.id());
    });
}

#[test]
fn the_list_is_the_same_from_outside_and_finished_tasks_leave_it() {
    let runtime = virtual_runtime();
    let names =
        |list: Vec<TaskInfo>| -> Vec<Option<String>> { list.into_iter().map(|info| info.name).collect() };
    let (one, two) = runtime.enter(|| (spawn_named("one", pending::<()>()), spawn_named("two", async {})));
    assert_eq!(names(runtime.tasks()), [Some("one".into()), Some("two".into())]);
    runtime.turn_now();
    assert_eq!(names(runtime.enter(tasks)), [Some("one".into())]);
    assert!(two.is_finished());
    drop(one);
}

#[test]
fn a_reason_is_that_of_the_last_poll() {
    let runtime = virtual_runtime();
    runtime.block_on(async {
        let (sender, receiver) = futures::channel::oneshot::channel::<()>();
        let task = spawn(async move {
            sleep(Duration::from_secs(1)).await;
            yield_now().await;
            receiver.await.unwrap();
        });
        let reason = || tasks().iter().find(|info| info.id == task.id()).map(|info| info.reason);
        assert_eq!(reason(), Some(WaitReason::Turn), "new, and ready");
        yield_now().await;
        assert!(matches!(reason(), Some(WaitReason::Sleep { .. })));
        sleep(Duration::from_secs(2)).await;
        assert_eq!(reason(), Some(WaitReason::Unknown), "another crate's channel");
        sender.send(()).unwrap();
        yield_now().await;
        assert_eq!(reason(), None);
        // Futures of ours that a foreign waker polls belong to no task and change no reason.
        let mut nap = std::pin::pin!(sleep(Duration::from_secs(5)));
        let foreign = waker(|| ());
        let _ = nap.as_mut().poll(&mut std::task::Context::from_waker(&foreign));
    });
}
