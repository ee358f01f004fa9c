//! Green threads as their users see them: waiting, joining, cancelling, panics, locals.

use greenroom::{Runtime, green};
use std::time::Duration;

#[test]
fn they_wait_and_return() {
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    let total = runtime.block_on(async {
        let one = green::spawn(|| {
            green::sleep(Duration::from_secs(1));
            1
        });
        let two = green::spawn(|| {
            green::sleep(Duration::from_secs(2));
            2
        });
        one.await.unwrap() + two.await.unwrap()
    });
    assert_eq!(total, 3);
}

#[test]
fn panics_come_out() {
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    runtime.block_on(async {
        let one = green::spawn(|| {
            green::sleep(Duration::from_secs(1));
            panic!("boo")
        });
        let error: greenroom::JoinError = one.await.unwrap_err();
        assert!(error.to_string().contains("boo"));
    });
}

#[test]
fn backtraces_end() {
    let runtime = Runtime::new().unwrap();
    let text = runtime.block_on(green::future(|| std::backtrace::Backtrace::force_capture().to_string()));
    println!("{text}");
    println!("{:?}", runtime.block_on(green::future(|| (green::stack_high_water(), green::stack_bytes()))));
}

#[test]
fn cancelled() {
    struct D(std::rc::Rc<std::cell::Cell<u32>>);
    impl Drop for D {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let count = std::rc::Rc::new(std::cell::Cell::new(0));
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    runtime.block_on(async {
        let d = D(count.clone());
        let mut one = green::spawn(move || {
            let _d = d;
            green::sleep(Duration::from_secs(1));
        });
        greenroom::yield_now().await;
        assert_eq!(one.cancel().await, None);
        assert_eq!(count.get(), 1);
    });
}
#[test]
fn overflows() {
    if std::env::var_os("OVERFLOW").is_none() {
        return;
    }
    fn deep(n: u64) -> u64 {
        let a = [n; 100];
        std::hint::black_box(&a);
        if n == 0 { 0 } else { deep(n - 1) + a[50] }
    }
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { green::spawn_named("digger", || deep(1_000_000)).await.unwrap() });
}
