//! Chapter 11: hold a lock while a green thread waits.
//!
//! The code of a green thread looks like that of a thread of the system, so it is tempting to protect what is
//! shared in the same way. But all of them are on one thread: whoever blocks it waits for somebody who needs it.
//! Here two green threads each pay one coin into an account, and in between, a bank must be asked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync;
use std::time::Duration;

use greenroom::{Runtime, green};

/// Asks the bank, far away.
fn ask_the_bank() {
    green::sleep(Duration::from_secs(1));
}

/// Lets Ann and Bob pay in by `pay_in`, on a virtual clock; tells what happened to whom.
fn two_pay_in(pay_in: impl Fn(&str) + 'static) {
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    runtime.block_on(green::future(move || {
        let pay_in = Rc::new(pay_in);
        let payers = ["Ann", "Bob"].map(|name| {
            let pay_in = pay_in.clone();
            green::spawn_named(name, move || pay_in(name))
        });
        for result in green::join_all(payers) {
            if let Err(error) = result {
                println!("    {error}");
            }
        }
    }));
}

/// A lock of std. To wait for it would be to stop the thread that the one who has it runs on.
fn with_a_lock_of_std() {
    let account = Rc::new(sync::Mutex::new(0));
    let balance = account.clone();
    two_pay_in(move |name| match account.try_lock() {
        Ok(mut coins) => {
            ask_the_bank();
            *coins += 1;
        }
        Err(_) => println!("    {name} finds it locked: `lock()` would stop the thread for ever"),
    });
    println!("    coins: {}", balance.lock().unwrap());
}

/// A `RefCell` that stays borrowed.
fn with_a_borrow() {
    let account = Rc::new(RefCell::new(0));
    let balance = account.clone();
    two_pay_in(move |_| {
        let mut coins = account.borrow_mut();
        ask_the_bank();
        *coins += 1;
    });
    println!("    coins: {}", balance.borrow());
}

/// Nothing; but what was read before the wait is old after it.
fn with_nothing() {
    let account = Rc::new(Cell::new(0));
    let balance = account.clone();
    two_pay_in(move |_| {
        let coins = account.get();
        ask_the_bank();
        account.set(coins + 1);
    });
    println!("    coins: {}", balance.get());
}

/// A lock of the loop, which is waited for as one waits for everything.
fn with_a_lock_of_the_loop() {
    let account = Rc::new(greenroom::sync::Mutex::new(0));
    let balance = account.clone();
    two_pay_in(move |_| {
        let mut coins = green::wait(account.lock());
        ask_the_bank();
        *coins += 1;
    });
    println!("    coins: {}", *balance.try_lock().unwrap());
}

/// In four ways.
pub fn run() {
    // A panic is told by who joins; its message need not come twice.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    println!("Two pay in a coin each, and wait for the bank with the account in hand:");
    println!("  a lock of std, held across the wait:");
    with_a_lock_of_std();
    println!("  a RefCell, borrowed across the wait:");
    with_a_borrow();
    println!("  no lock, as there is one thread only:");
    with_nothing();
    println!("  `greenroom::sync::Mutex` (what should have happened):");
    with_a_lock_of_the_loop();
    std::panic::set_hook(hook);
}
