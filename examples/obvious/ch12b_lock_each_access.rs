//! Chapter 12, second part: share the state, and lock it whenever it is touched.
//!
//! Two threads sell the last seat of a flight. The state is in a `Mutex`, so the compiler is content, and no two
//! threads ever touch it at the same time. But to sell takes two steps, look and take, and the lock is
//! let go in between: what the first step saw need not be true any more in the second. As a rule the other
//! thread does not come in between, and every test passes. Here it always does: the pause between the steps is
//! a barrier at which the two wait for each other, which makes the rarest case the only one.

use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use greenroom::{Runtime, channel};

/// How many threads sell.
const SELLERS: usize = 2;

/// The seats that are left, shared by all sellers. Gives how many were sold, and how many are left.
fn lock_each_access() -> (usize, i32) {
    let seats = Arc::new(Mutex::new(1));
    let pause = Arc::new(Barrier::new(SELLERS));
    let sellers: Vec<_> = (0..SELLERS)
        .map(|_| {
            let (seats, pause) = (seats.clone(), pause.clone());
            thread::spawn(move || {
                let is_free = *seats.lock().unwrap() > 0;
                pause.wait();
                if is_free {
                    *seats.lock().unwrap() -= 1;
                }
                is_free
            })
        })
        .collect();
    let sold = sellers.into_iter().map(|seller| seller.join().unwrap()).filter(|&sold| sold).count();
    let left = *seats.lock().unwrap();
    (sold, left)
}

/// The seats belong to one task, and the sellers, threads as before, send it their wishes. A wish is where
/// the answer shall go.
fn one_owner() -> (usize, i32) {
    let (wishes, mut orders) = channel::unbounded::<mpsc::Sender<bool>>();
    let pause = Arc::new(Barrier::new(SELLERS));
    let sellers: Vec<_> = (0..SELLERS)
        .map(|_| {
            let (wishes, pause) = (wishes.clone(), pause.clone());
            thread::spawn(move || {
                let (answer, is_sold) = mpsc::channel();
                pause.wait();
                wishes.send_blocking(answer).unwrap();
                is_sold.recv().unwrap()
            })
        })
        .collect();
    drop(wishes);
    let left = Runtime::new().unwrap().block_on(async move {
        let mut seats = 1;
        while let Some(answer) = orders.recv().await {
            // Nobody comes between these lines: nobody else can touch the seats.
            let is_free = seats > 0;
            seats -= i32::from(is_free);
            answer.send(is_free).unwrap();
        }
        seats
    });
    let sold = sellers.into_iter().map(|seller| seller.join().unwrap()).filter(|&sold| sold).count();
    (sold, left)
}

/// Sells the last seat in two ways.
pub fn run() {
    println!("{SELLERS} threads sell the last seat:");
    let (sold, left) = lock_each_access();
    println!("  a lock around each access:   {sold} sold, {left} left");
    let (sold, left) = one_owner();
    println!("  one owner, and messages:     {sold} sold, {left} left   (what should have happened)");
    println!(
        "\nNo access was unguarded. A lock guards a moment; what had to be guarded is a decision. It must be held\n\
         from the look to the deed, by everyone, in this program and in each later version of it. An owner is\n\
         alone from one await to the next, whatever the others do."
    );
}
