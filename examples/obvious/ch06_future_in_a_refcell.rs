//! Chapter 6: a task is a future in a `RefCell`, and to wake it is to poll it.
//!
//! It is the shortest executor there is, and it runs the first demonstration well. Then a future wakes
//! itself while it is being polled, which is allowed, and which `yield_now` of every runtime does.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// A future and nothing else: no state, no queue.
type Task = RefCell<Pin<Box<dyn Future<Output = ()>>>>;

thread_local! {
    /// The tasks by number. (A `Waker` must be `Send`, which an `Rc<Task>` is not: the first hint.)
    static TASKS: RefCell<Vec<Rc<Task>>> = const { RefCell::new(Vec::new()) };
    /// What to do when the task to be woken is being polled already.
    static SKIP_IF_RUNNING: Cell<bool> = const { Cell::new(false) };
    /// How many polls are on the stack now.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Wakes a task by its number: polls it here and now.
struct PollIt(usize);

impl Wake for PollIt {
    fn wake(self: Arc<Self>) {
        let Some(task) = TASKS.with_borrow(|tasks| tasks.get(self.0).cloned()) else { return };
        let waker = Waker::from(self);
        let mut context = Context::from_waker(&waker);
        if SKIP_IF_RUNNING.get() && task.try_borrow_mut().is_err() {
            return;
        }
        DEPTH.set(DEPTH.get() + 1);
        // It does not matter here whether the future is done.
        let _ = task.borrow_mut().as_mut().poll(&mut context);
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Makes a task of `future` and wakes it for the first time.
fn spawn(future: impl Future<Output = ()> + 'static) {
    let number = TASKS.with_borrow_mut(|tasks| {
        tasks.push(Rc::new(RefCell::new(Box::pin(future))));
        tasks.len() - 1
    });
    Waker::from(Arc::new(PollIt(number))).wake();
}

/// A future that needs three polls, and wakes itself for the second and the third.
fn three_polls(polls: Rc<Cell<u32>>) -> impl Future<Output = ()> {
    poll_fn(move |context| {
        polls.set(polls.get() + 1);
        if polls.get() == 3 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Task n is woken by task n - 1, in its poll: how deep does the stack get?
fn chain_of(length: usize) -> usize {
    let deepest = Rc::new(Cell::new(0));
    let first = TASKS.with_borrow(Vec::len);
    for number in first..first + length {
        let deepest = deepest.clone();
        let link = poll_fn(move |_| {
            deepest.set(deepest.get().max(DEPTH.get()));
            Waker::from(Arc::new(PollIt(number + 1))).wake();
            Poll::Pending
        });
        TASKS.with_borrow_mut(|tasks| tasks.push(Rc::new(RefCell::new(Box::pin(link)))));
    }
    Waker::from(Arc::new(PollIt(first))).wake();
    deepest.get()
}

/// Lets one future meet three executors.
pub fn run() {
    println!("a future that needs three polls, and wakes itself for the next in each:");
    std::panic::set_hook(Box::new(|_| ()));
    let polls = Rc::new(Cell::new(0));
    let result = catch_unwind(AssertUnwindSafe(|| spawn(three_polls(polls.clone()))));
    drop(std::panic::take_hook());
    let payload = result.expect_err("a future that is being polled cannot be polled");
    let said = payload.downcast_ref::<String>().map_or("", |said| said);
    println!("  poll when woken:            polled {} time, then a panic: {said}", polls.get());

    SKIP_IF_RUNNING.set(true);
    DEPTH.set(0);
    let polls = Rc::new(Cell::new(0));
    spawn(three_polls(polls.clone()));
    println!("  skip it if it runs already: polled {} time, and never again: the wake is lost", polls.get());

    let polls = Rc::new(Cell::new(0));
    let runtime = greenroom::Runtime::new().unwrap();
    runtime.block_on(three_polls(polls.clone()));
    println!("  remember it, poll it later: polled {} times, as it should be (greenroom)", polls.get());

    println!("\na hundred tasks, each of which wakes the next:");
    println!("  poll when woken:            {} polls inside of each other on one stack", chain_of(100));
    println!("  what should have happened:  1, one after the other, from a queue");
}
