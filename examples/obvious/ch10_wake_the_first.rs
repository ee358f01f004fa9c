//! Chapter 10: who lets a lock go wakes the first who waits for it, who looks again.
//!
//! One task at a time has this lock, each waiter has its place in line, and one who leaves is not in it any
//! more. Two scenes in virtual time, each under a hundred seeds: a seed decides who runs first where
//! the program does not.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use greenroom::sync::{Event, Mutex};
use greenroom::{Order, Runtime, sleep, spawn, yield_now};

const MILLISECOND: Duration = Duration::from_millis(1);

/// What the two locks have in common.
trait Lock: Default + 'static {
    /// Waits for the lock; it is let go when what this gives is dropped.
    async fn lock(&self) -> impl Sized;
}

/// The obvious one.
#[derive(Default)]
struct WakeTheFirst {
    /// Whether somebody has it.
    is_locked: Cell<bool>,
    /// One bell for each who waits, first come first.
    line: RefCell<VecDeque<Rc<Event>>>,
}

impl Lock for WakeTheFirst {
    async fn lock(&self) -> impl Sized {
        while self.is_locked.get() {
            let bell: Rc<Event> = Rc::default();
            self.line.borrow_mut().push_back(bell.clone());
            bell.wait().await;
        }
        self.is_locked.set(true);
        Held(self)
    }
}

/// Having the lock, until dropped.
struct Held<'a>(&'a WakeTheFirst);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.is_locked.set(false);
        let mut line = self.0.line.borrow_mut();
        // Who has left the line has dropped its bell, and only we have that one still.
        line.retain(|bell| Rc::strong_count(bell) > 1);
        let first = line.pop_front();
        first.inspect(|bell| bell.set());
    }
}

/// Ours.
impl Lock for Mutex<()> {
    async fn lock(&self) -> impl Sized {
        self.lock().await
    }
}

/// Three tasks want the lock again and again, for a millisecond each time: how often had each of them it?
async fn share<L: Lock>() -> [usize; 3] {
    let (lock, counts) = (Rc::new(L::default()), Rc::new([const { Cell::new(0) }; 3]));
    for task in 0..3 {
        let (lock, counts) = (lock.clone(), counts.clone());
        let take_turns = async move {
            loop {
                let _held = lock.lock().await;
                counts[task].set(counts[task].get() + 1);
                sleep(MILLISECOND).await;
            }
        };
        spawn(take_turns).detach();
    }
    sleep(300 * MILLISECOND).await;
    counts.each_ref().map(Cell::get)
}

/// Two wait in line, and the first is cancelled at about the time when the lock is let go.
async fn leave<L: Lock>() {
    let lock = Rc::new(L::default());
    let held = lock.lock().await;
    let wait = |lock: Rc<L>| spawn(async move { drop(lock.lock().await) });
    let mut hasty = wait(lock.clone());
    sleep(MILLISECOND).await;
    let patient = wait(lock.clone());
    sleep(MILLISECOND).await;
    hasty.cancel();
    // The next turn has two to run, in either order: the one who is to be dropped, and us.
    yield_now().await;
    drop(held);
    patient.await.unwrap();
}

/// Plays both scenes with this lock under each seed.
fn judge<L: Lock>(what: &str) {
    let virtual_time = || Runtime::builder().virtual_clock(true);
    let under = |seed| virtual_time().order(Order::Shuffled(seed)).build().unwrap();
    let starved = (0..100).filter(|&seed| under(seed).block_on(share::<L>()).contains(&0)).count();
    let stalled = (0..100).filter(|&seed| under(seed).try_block_on(leave::<L>()).is_err()).count();
    let share = under(0).block_on(share::<L>());
    println!("{what}:");
    println!("  under {starved} of 100 seeds somebody never has it; shares under seed 0: {share:?}");
    println!("  under {stalled} of 100 seeds somebody waits for it for ever");
}

/// Judges the obvious lock, then ours.
pub fn run() {
    judge::<WakeTheFirst>("wake the first, who looks again");
    judge::<Mutex<()>>("grant it to the first (what should have happened)");
    println!(
        "\nTo be woken is not to have. Between the wake and the look the lock is nobody's: who comes first\n\
         takes it; and if the one who was woken has left, nobody looks (runtime/waiters.rs)."
    );
}
