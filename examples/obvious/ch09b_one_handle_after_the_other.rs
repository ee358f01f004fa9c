//! Chapter 9b: to do several things at once, spawn a task for each, keep the handles, await them in turn.
//!
//! All goes well as long as all goes well. Here the second of three tasks fails after a second, and, in a
//! second run, whoever waits for all of them loses patience after half of one. The clock is virtual. With
//! `RUST_LOG=greenroom=trace` the loop tells what it does.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use greenroom::{Runtime, now, sleep, spawn, task_group, tasks, timeout, yield_now};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How often the feed was asked.
type Asked = Rc<Cell<u32>>;

/// Takes long, and succeeds.
async fn large() -> Result<(), String> {
    sleep(HOUR).await;
    Ok(())
}

/// Fails soon.
async fn broken() -> Result<(), String> {
    sleep(SECOND).await;
    Err("no such host".into())
}

/// Asks for news, once a minute, and never ends.
async fn feed(asked: Asked) -> Result<(), String> {
    loop {
        sleep(MINUTE).await;
        asked.set(asked.get() + 1);
    }
}

/// The obvious way.
async fn by_handles(asked: Asked) -> Result<(), String> {
    let handles = vec![spawn(large()), spawn(broken()), spawn(feed(asked))];
    for handle in handles {
        handle.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// The same with a group.
async fn by_group(asked: Asked) -> Result<(), String> {
    let all = task_group(async |group| {
        group.spawn(large());
        group.spawn(broken());
        group.spawn(feed(asked));
        Ok(())
    });
    all.await.map_err(|error| error.to_string())
}

/// How many tasks there are besides the one that asks.
fn others() -> usize {
    tasks().len() - 1
}

/// Lets `work` fail, and in another loop gives it up half way; says what is left each time.
fn judge(what: &str, work: impl AsyncFn(Asked) -> Result<(), String>) {
    let in_a_loop = || Runtime::builder().virtual_clock(true).build().unwrap();
    println!("{what}:");
    in_a_loop().block_on(async {
        let (start, asked) = (now(), Asked::default());
        let error = work(asked.clone()).await.unwrap_err();
        println!("  {error:?}, after 1s, is heard of after {:?}", now() - start);
        let before = asked.get();
        sleep(10 * MINUTE).await;
        println!(
            "  ten minutes later {} of the tasks run on; {} more requests",
            others(),
            asked.get() - before
        );
    });
    in_a_loop().block_on(async {
        let given_up = timeout(SECOND / 2, work(Asked::default())).await.unwrap_err();
        // A task that was cancelled is dropped when its turn comes.
        yield_now().await;
        println!("  {given_up}: {} of the tasks run on", others());
    });
}

/// Judges both ways.
pub fn run() {
    env_logger::init();
    judge("handles in a Vec, awaited one after the other", by_handles);
    judge("a task_group (what should have happened)", by_group);
}
