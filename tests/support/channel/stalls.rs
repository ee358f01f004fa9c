//! What the loop thinks of tasks that wait for a channel: somebody may come, as long as they wait.

use std::thread;
use std::time::Duration;

use greenroom::{WaitReason, channel, sleep, timeout};

use super::support::virtual_runtime;
use super::{full, poll_once};

#[test]
fn tasks_say_what_they_wait_for_and_the_loop_does_not_call_itself_stalled() {
    let runtime = virtual_runtime();
    let (sender, mut receiver) = full();
    let (other, mut nothing) = channel::bounded::<u32>(1);
    let sending = runtime.spawn(async move { sender.send(1).await });
    let receiving = runtime.spawn(async move { nothing.recv().await });
    assert!(!runtime.turn_now().stalled && !runtime.turn_now().stalled, "somebody may come");
    let reasons: Vec<_> = runtime.tasks().iter().map(|task| task.reason).collect();
    assert_eq!(reasons, [WaitReason::ChannelSend, WaitReason::ChannelReceive]);
    // What comes from other threads is heard.
    let abroad = thread::spawn(move || {
        drop(other);
        [receiver.recv_blocking(), receiver.recv_blocking()]
    });
    assert_eq!(runtime.block_on(sending).unwrap(), Ok(()));
    assert_eq!(runtime.block_on(receiving).unwrap(), None);
    assert_eq!(abroad.join().unwrap(), [Some(0), Some(1)]);
}

#[test]
fn a_wait_that_was_given_up_does_not_hide_a_stall() {
    let runtime = virtual_runtime();
    let (sender, mut receiver) = full();
    let (_other, mut nothing) = channel::bounded::<u32>(1);
    let result = runtime.try_block_on(async {
        let limit = Duration::from_secs(1);
        assert!(timeout(limit, sender.send(1)).await.is_err());
        assert!(timeout(limit, nothing.recv()).await.is_err());
        assert!(timeout(limit, sender.closed()).await.is_err());
        sleep(Duration::MAX).await;
    });
    assert!(result.is_err(), "nobody has a waker any more, so the loop can tell");
    assert_eq!(receiver.try_recv(), Ok(0));
    assert!(poll_once(&mut receiver.recv()).is_pending());
}
