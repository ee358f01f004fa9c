//! Chapter 8: run the task that was woken last.
//!
//! A ready list that is a `Vec` with `push` and `pop`, as it comes to mind first, and which is even good
//! for the caches: who was woken last has its data there still. The executor around it is complete and
//! correct otherwise: no wake is lost, nobody runs twice. Three tasks that always have something to do
//! share it for 3000 turns.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// How many turns there are for all.
const TURNS: usize = 3000;

/// Who is ready, in the order of the wakes.
type Ready = Arc<Mutex<VecDeque<usize>>>;

/// Puts a task on the list.
struct PushIt {
    /// Which one.
    task: usize,
    /// The list.
    ready: Ready,
}

impl Wake for PushIt {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap().push_back(self.task);
    }
}

/// A task that always has something to do, gives way after each piece of it, and counts its turns.
fn busy(turns: Arc<AtomicUsize>) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(poll_fn(move |context| {
        turns.fetch_add(1, Ordering::Relaxed);
        context.waker().wake_by_ref();
        Poll::Pending
    }))
}

/// Runs three busy tasks; `next` takes one off the list. Gives the turns that each had.
fn share_turns(next: impl Fn(&mut VecDeque<usize>) -> Option<usize>) -> [usize; 3] {
    let ready = Ready::default();
    let counts: [Arc<AtomicUsize>; 3] = Default::default();
    let mut tasks: Vec<_> = counts.iter().map(|count| busy(count.clone())).collect();
    ready.lock().unwrap().extend(0..tasks.len());
    for _ in 0..TURNS {
        let Some(task) = next(&mut ready.lock().unwrap()) else { break };
        let waker = Waker::from(Arc::new(PushIt { task, ready: ready.clone() }));
        let _ = tasks[task].as_mut().poll(&mut Context::from_waker(&waker));
    }
    counts.map(|count| count.load(Ordering::Relaxed))
}

/// The same three tasks in greenroom, with a fourth that ends the game after as many turns.
fn share_turns_here() -> [usize; 3] {
    let counts: [Arc<AtomicUsize>; 3] = Default::default();
    let runtime = greenroom::Runtime::new().unwrap();
    for count in &counts {
        runtime.spawn(busy(count.clone())).detach();
    }
    while counts.iter().map(|count| count.load(Ordering::Relaxed)).sum::<usize>() < TURNS {
        runtime.turn_now();
    }
    counts.map(|count| count.load(Ordering::Relaxed))
}

/// Shares the turns in three ways.
pub fn run() {
    println!("{TURNS} turns for three tasks that are always ready; who had how many:");
    println!("  last in, first out:        {:?}", share_turns(VecDeque::pop_back));
    println!("  first in, first out:       {:?}", share_turns(VecDeque::pop_front));
    println!("  greenroom's generations:   {:?}", share_turns_here());
    println!(
        "\nTwo tasks are ready all the time, nobody prevents them from running, and they never run. Nothing\n\
         is broken, so nothing is reported. What should have happened: the two lower lines."
    );
}
