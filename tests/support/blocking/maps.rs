//! One function over many inputs: order, limits, back-pressure, failures.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures::StreamExt;
use greenroom::blocking::Pool;
use greenroom::{Runtime, spawn};

use super::settle;
use super::support::{panic_of, within_patience};

/// Lets each item of a map go when its number is called.
#[derive(Clone, Default)]
struct Calls(Arc<(Mutex<HashMap<u32, bool>>, Condvar)>);

impl Calls {
    fn call(&self, number: u32) {
        self.0.0.lock().unwrap().insert(number, true);
        self.0.1.notify_all();
    }

    fn wait_for(&self, number: u32) {
        let called = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(called, |called| !called.contains_key(&number)).unwrap());
    }

    /// What a map does: waits for its number, gives it back; 13 is bad luck.
    fn answer(&self) -> impl Fn(u32) -> u32 + Send + Sync + use<> {
        let calls = self.clone();
        move |number| {
            calls.wait_for(number);
            assert_ne!(number, 13, "bad luck");
            number
        }
    }
}

#[test]
fn map_gives_results_in_the_order_of_the_inputs() {
    let (runtime, pool, calls) = (Runtime::new().unwrap(), Pool::new(4), Calls::default());
    let results = runtime.block_on(async {
        let caller = calls.clone();
        let call_backwards = spawn(async move {
            for number in [13, 12, 11, 10] {
                caller.call(number);
            }
        });
        let results = pool.map(10..14, calls.answer()).await;
        call_backwards.await.unwrap();
        results
    });
    let texts: Vec<_> = results.into_iter().map(|result| result.map_err(|error| error.is_panic())).collect();
    assert_eq!(texts, [Ok(10), Ok(11), Ok(12), Err(true)]);
}

#[test]
fn imap_gives_each_result_when_its_turn_has_come() {
    let (pool, calls) = (Pool::new(4), Calls::default());
    let mut results = pool.imap(0..4, calls.answer()).blocking();
    for number in [1, 0] {
        calls.call(number);
    }
    assert_eq!(results.next().unwrap().unwrap(), 0);
    assert_eq!(results.next().unwrap().unwrap(), 1, "two and three are still to come");
    for number in [3, 2] {
        calls.call(number);
    }
    assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn imap_unordered_gives_results_as_they_come() {
    let (runtime, pool, calls) = (Runtime::new().unwrap(), Pool::new(4), Calls::default());
    let order = [2, 13, 0, 1];
    let inputs = [0, 1, 2, 13];
    let mut blocking = Vec::new();
    let mut results = pool.imap_unordered(4, inputs, calls.answer()).blocking();
    for number in order {
        calls.call(number);
        blocking.push(results.next().unwrap().ok());
    }
    assert!(results.next().is_none());
    let expected = order.map(|number| (number != 13).then_some(number));
    assert_eq!(blocking, expected);

    let calls = Calls::default();
    let awaited = runtime.block_on(async {
        let mut results = pool.imap_unordered(4, inputs, calls.answer());
        let mut awaited = Vec::new();
        for number in order {
            calls.call(number);
            awaited.push(StreamExt::next(&mut results).await.unwrap().ok());
        }
        assert!(results.next().await.is_none() && results.next().await.is_none());
        awaited
    });
    assert_eq!(awaited, expected);
}

/// Numbers without end, and how many were asked for.
fn counted() -> (Rc<Cell<usize>>, impl Iterator<Item = usize>) {
    let taken = Rc::new(Cell::new(0));
    let count = taken.clone();
    (taken, (0..).inspect(move |_| count.set(count.get() + 1)))
}

#[test]
fn inputs_are_taken_as_results_are_given_out() {
    let pool = Pool::new(2);
    let (taken, inputs) = counted();
    let mut results = pool.imap(inputs, |number| number).blocking();
    assert_eq!(taken.get(), 0, "nothing begins before it is asked for");
    for given in 0..1000 {
        assert_eq!(results.next().unwrap().unwrap(), given);
        assert_eq!(taken.get(), given + 4, "twice the threads, and what was given out");
    }
    let (taken, inputs) = counted();
    let mut results = pool.imap_unordered(3, inputs, |number| number).blocking();
    for given in 0..1000 {
        results.next().unwrap().unwrap();
        assert_eq!(taken.get(), given + 3);
    }
    drop(results);
    assert_eq!(pool.statistics().queued, 0, "what was not begun is taken back");
}

#[test]
fn the_limit_is_respected_and_reached() {
    within_patience(|| {
        let pool = Pool::new(8);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (meeting, peak) = (std::sync::Barrier::new(2), most.clone());
        let results = pool.imap_unordered(2, 0..1000, move |_| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            meeting.wait();
            now.fetch_sub(1, Ordering::SeqCst);
        });
        assert_eq!(results.blocking().filter(Result::is_ok).count(), 1000);
        assert_eq!(peak.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_failing_item_does_not_stop_the_rest() {
    let pool = Pool::new(2);
    for ordered in [true, false] {
        let divide = |number: u32| 100 / number;
        let results = match ordered {
            true => pool.imap([1, 0, 2], divide),
            false => pool.imap_unordered(1, [1, 0, 2], divide),
        };
        let results: Vec<_> =
            results.blocking().map(|result| result.map_err(|error| error.to_string())).collect();
        let error = "a job panicked: attempt to divide by zero".to_string();
        assert_eq!(results, [Ok(100), Err(error), Ok(50)]);
    }
}

#[test]
fn inputs_that_panic_lose_nothing() {
    let pool = Pool::new(2);
    let inputs = (0..5).inspect(|&number| assert_ne!(number, 2, "no input"));
    let mut results = pool.imap(inputs, |number| number).blocking();
    assert!(panic_of(|| results.next()).contains("no input"));
    assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 3, 4]);
}

#[test]
fn a_map_on_a_pool_that_has_ended_gives_an_error_for_each_input() {
    let (runtime, pool) = (Runtime::new().unwrap(), Pool::new(1));
    drop(pool.shutdown_blocking(Duration::ZERO));
    let results = runtime.block_on(pool.map(0..3, |number| number));
    let why = "the job was never begun: the pool was shut down";
    assert!(
        results.len() == 3 && results.iter().all(|result| result.as_ref().unwrap_err().to_string() == why)
    );
}

#[test]
fn a_map_that_is_always_ready_gives_way() {
    let (runtime, pool) = (Runtime::new().unwrap(), Pool::new(1));
    drop(pool.shutdown_blocking(Duration::ZERO));
    runtime.block_on(async {
        let other = spawn(async {});
        let nothing = |_: u32| ();
        for mut results in [pool.imap(0.., nothing), pool.imap_unordered(2, 0.., nothing)] {
            let mut errors = 0;
            while !other.is_finished() || errors < 200 {
                assert!(results.next().await.unwrap().is_err());
                errors += 1;
                assert!(errors < 10_000, "nobody else had a turn");
            }
        }
    });
}

#[test]
fn a_map_that_is_dropped_takes_back_what_has_not_begun() {
    let (pool, calls) = (Pool::new(1), Calls::default());
    let mut results = pool.imap(0..5, calls.answer()).limit(5);
    let runtime = Runtime::new().unwrap();
    runtime.enter(|| {
        let next = std::pin::pin!(results.next());
        let polled = next.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(polled.is_pending());
    });
    drop(results);
    assert_eq!(pool.statistics().queued, 0);
    // At most one had begun, whichever it was.
    (0..5).for_each(|number| calls.call(number));
    drop(pool.shutdown_blocking(Duration::MAX));
    settle(&pool, 0, 0);
}
