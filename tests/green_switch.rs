//! What must survive the way from one stack to another: registers, numbers, how to round, alignment, and an end
//! that unwinders find. Through the public API, on x86-64, and on AArch64 where there is a Rust library for it.
//!
//! `GREENROOM_STEPS` says how many switches, a million if unset.

#[path = "support/green/float_control.rs"]
mod float_control;
#[cfg_attr(target_arch = "aarch64", path = "support/green/registers_aarch64.rs")]
#[cfg_attr(target_arch = "x86_64", path = "support/green/registers_x86_64.rs")]
mod registers;
#[path = "support/core/mod.rs"]
mod support;
#[allow(dead_code, reason = "how to round is tested through green threads")]
#[cfg_attr(target_arch = "aarch64", path = "../runtime/green/switch_aarch64.rs")]
#[cfg_attr(target_arch = "x86_64", path = "../runtime/green/switch_x86_64.rs")]
mod switch;

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use greenroom::green::{self, GreenThread};
use greenroom::{Runtime, yield_now};
use registers::{
    ENTRY, FloatControl, Kept, frame_pointer, kept_by, load_aligned, stack_pointer_at_entry, thirds,
};

/// How many green threads take turns.
const THREADS: u64 = 4;

/// How often each of them leaves its stack, and comes back.
fn waits() -> u64 {
    support::number_from_env("GREENROOM_STEPS", 1_000_000) / 2 / THREADS
}

/// Leaves the stack once.
fn leave() {
    let mut left = false;
    green::wait(poll_fn(
        |_| if std::mem::replace(&mut left, true) { Poll::Ready(()) } else { Poll::Pending },
    ));
}

/// A green thread that is polled by hand.
type Polled<T> = Pin<Box<GreenThread<T>>>;

fn polled<T: 'static>(body: impl FnOnce() -> T + 'static) -> Polled<T> {
    Box::pin(green::future(body))
}

/// Polls it, as an executor would.
fn poll<T: 'static>(thread: &mut Polled<T>) -> Poll<T> {
    thread.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls them in turns until all are over; what they returned, in the order in which they ended.
fn take_turns<T: 'static>(mut threads: Vec<Polled<T>>) -> Vec<T> {
    let mut values = Vec::new();
    while !threads.is_empty() {
        threads.retain_mut(|thread| match poll(thread) {
            Poll::Ready(value) => {
                values.push(value);
                false
            }
            Poll::Pending => true,
        });
    }
    values
}

/// Values that nobody else has.
fn pattern(who: u64, round: u64) -> Kept {
    std::array::from_fn(|index| (who << 56 | (index as u64) << 48 | round) ^ 0x5a5a_5a5a_5a5a_5a5a)
}

#[test]
fn the_registers_that_a_call_keeps_are_kept_on_both_sides() {
    let body = |who| {
        move || {
            for round in 0..waits() {
                let values = pattern(who, round);
                assert_eq!(kept_by(values, &mut leave), values, "green thread {who}, round {round}");
            }
        }
    };
    let mut threads: Vec<_> = (1..=THREADS).map(|who| polled(body(who))).collect();
    for round in 0..=waits() {
        for thread in &mut threads {
            let values = pattern(0, round);
            let mut answer = Poll::Pending;
            assert_eq!(kept_by(values, &mut || answer = poll(thread)), values, "the host, round {round}");
            assert_eq!(answer.is_ready(), round == waits());
        }
    }
}

/// What the switch itself keeps, without help of the functions around it, which may keep some for themselves.
#[test]
fn the_switch_alone_keeps_the_registers_of_both_sides() {
    /// Two words as drawn in the switch's file, and what else is here.
    #[repr(C)]
    struct Link {
        other: *mut usize,
        enter: unsafe extern "C" fn(*mut Link) -> !,
        round: u64,
    }
    unsafe extern "C" fn enter(link: *mut Link) -> ! {
        loop {
            // SAFETY: this stack was entered with this link, which outlives it.
            let (values, found) = unsafe {
                let values = pattern(1, (*link).round);
                (values, kept_by(values, &mut || switch::suspend(link.cast())))
            };
            if values != found {
                eprintln!("the green side: {values:x?} became {found:x?}");
                std::process::abort();
            }
        }
    }
    let mut stack = vec![0_u128; 4096];
    // SAFETY: that is the end of the memory, with room below.
    let other = unsafe { switch::prepare(stack.as_mut_ptr_range().end.cast()) };
    let mut link = Link { other, enter, round: 0 };
    let link = &raw mut link;
    for round in 0..2 * THREADS * waits() {
        let values = pattern(0, round);
        // SAFETY: the stack is there, and waits or has not begun. It is left in the middle, with nothing on it.
        let found = unsafe {
            (*link).round = round;
            kept_by(values, &mut || switch::resume(link.cast()))
        };
        assert_eq!(found, values, "round {round}");
    }
}

/// Calculates with many numbers of every kind at once, and leaves the stack in the middle of each step if told to.
#[inline(never)]
fn calculate(seed: u64, steps: u64, leave: impl Fn()) -> ([f64; 16], [f32; 8], [u128; 4], [u64; 8]) {
    let mut doubles: [f64; 16] = std::array::from_fn(|index| (seed + index as u64) as f64 / 7.0);
    let mut floats: [f32; 8] = std::array::from_fn(|index| (seed + index as u64) as f32 / 3.0);
    let mut wides: [u128; 4] = std::array::from_fn(|index| u128::from(seed) << (index * 20) | 1);
    let mut words: [u64; 8] = std::array::from_fn(|index| seed.rotate_left(index as u32 * 8));
    // In single variables, so that an optimizing compiler has them in registers.
    let [mut a, mut b, mut c, mut d] = [doubles[0], doubles[1], doubles[2], doubles[3]];
    let [mut e, mut f, mut g, mut h] = [words[0], words[1], words[2], words[3]];
    for step in 0..steps {
        (a, b, c, d) = (b * 0.5 + 1.0, c * 0.5 - 1.0, d.abs().sqrt() + 2.0, a * 0.5 + black_box(0.125));
        (e, f, g, h) = (f ^ step, g.wrapping_mul(31), h.rotate_left(9), e.wrapping_add(7));
        leave();
        (a, b) = ((a + d) * 0.5, (b - c) * 0.5);
        (e, f) = (e ^ h, f.wrapping_sub(g));
        let place = step as usize % 16;
        doubles[place] = doubles[place] * 0.75 + a;
        floats[place / 2] = floats[place / 2].mul_add(0.5, b as f32);
        wides[place / 4] = wides[place / 4].wrapping_mul(0x1_0000_0000_0000_01b3) ^ u128::from(e);
        words[place / 2] ^= e ^ f;
    }
    doubles[0] += c + d;
    (doubles, floats, wides, words)
}

#[test]
fn numbers_survive_in_the_middle_of_a_calculation() {
    let steps = waits();
    let threads = (0..THREADS).map(|seed| polled(move || calculate(seed, steps, leave)));
    for (seed, found) in take_turns(threads.collect()).into_iter().enumerate() {
        assert!(
            found.0.iter().all(|number| number.is_normal()),
            "numbers that tell something: {:?}",
            found.0
        );
        assert_eq!(found, calculate(seed as u64, steps, || ()), "of seed {seed}");
    }
}

#[cfg(target_arch = "x86_64")]
/// Adds and multiplies in all sixteen of the processor's 256-bit registers.
#[target_feature(enable = "avx")]
fn calculate_wide(seed: f64, steps: u64, leave: fn()) -> [[f64; 4]; 16] {
    use std::arch::x86_64::*;
    let mut values: [__m256d; 16] =
        std::array::from_fn(|i| _mm256_set_pd(seed, seed + i as f64, seed - i as f64, i as f64));
    let half = _mm256_set1_pd(black_box(0.5));
    for _ in 0..steps {
        for index in 0..16 {
            values[index] = _mm256_add_pd(_mm256_mul_pd(values[index], half), values[(index + 5) % 16]);
            values[index] = _mm256_mul_pd(values[index], half);
        }
        leave();
    }
    values.map(|value| {
        let mut parts = [0.0; 4];
        // SAFETY: there are four places.
        unsafe { _mm256_storeu_pd(parts.as_mut_ptr(), value) };
        parts
    })
}

#[cfg(target_arch = "x86_64")]
#[test]
fn wide_vectors_survive() {
    if !std::arch::is_x86_feature_detected!("avx") {
        return;
    }
    let steps = waits() / 10;
    // SAFETY: the processor has them.
    let run = move |seed, leave| unsafe { calculate_wide(seed, steps, leave) };
    let threads = (0..THREADS).map(|seed| polled(move || run(seed as f64, leave)));
    for (seed, found) in take_turns(threads.collect()).into_iter().enumerate() {
        assert_eq!(found, run(seed as f64, || ()), "of seed {seed}");
    }
}

#[test]
fn each_green_thread_rounds_in_its_own_way() {
    let usual = FloatControl::now();
    let rounds = waits() / 100;
    let body = move |how: u16| {
        move || {
            let mine = usual.rounding(how);
            // SAFETY: from here on there are no calculations but those of `thirds`.
            unsafe { mine.set() };
            let expected = thirds();
            for _ in 0..rounds {
                leave();
                assert_eq!((FloatControl::now(), thirds()), (mine, expected), "rounding {how}");
            }
            expected
            // It ends without putting things right; that is the switch's to do.
        }
    };
    let mut threads: Vec<_> = (0..4).map(|how| polled(body(how))).collect();
    let usual_thirds = thirds();
    let mut all = Vec::new();
    while all.len() < 4 {
        for thread in &mut threads[all.len()..] {
            if let Poll::Ready(expected) = poll(thread) {
                all.push(expected);
            }
            assert_eq!((FloatControl::now(), thirds()), (usual, usual_thirds), "the host's own");
        }
    }
    if cfg!(valgrind) {
        // It always rounds to the nearest ("Limitations" in its manual).
        return;
    }
    // Nearest and towards zero are the same for a third; down and up differ from it on one side each.
    let [nearest, down, up, zero] = [all[0], all[1], all[2], all[3]];
    assert_eq!(nearest, zero);
    assert_eq!([down[0], down[2], up[1], up[3]], [nearest[0], nearest[2], nearest[1], nearest[3]]);
    assert_eq!([down[1], down[3]], [nearest[1] + 1, nearest[3] + 1], "away from zero, below it");
    assert_eq!([up[0], up[2]], [nearest[0] + 1, nearest[2] + 1], "away from zero, above it");
}

#[test]
fn the_loop_rounds_as_before_whatever_ends_in_a_green_thread() {
    let usual = FloatControl::now();
    Runtime::new().unwrap().block_on(async move {
        for other in usual.others() {
            // SAFETY: nothing is calculated until it is over.
            let change = move || unsafe { other.set() };
            let returns = green::spawn(change);
            let panics = green::spawn(move || {
                change();
                std::panic::resume_unwind(Box::new("without the hook"));
            });
            let mut cancelled = green::spawn(move || {
                change();
                leave_to_the_loop();
                assert_eq!(FloatControl::now(), other);
                green::wait(std::future::pending::<()>());
            });
            for _ in 0..5 {
                yield_now().await;
                assert_eq!(FloatControl::now(), usual);
            }
            returns.await.unwrap();
            panics.await.unwrap_err();
            cancelled.cancel().await;
            assert_eq!(FloatControl::now(), usual);
            let mut over = polled(change);
            assert!(poll(&mut over).is_ready());
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut over))).unwrap_err();
            assert_eq!(FloatControl::now(), usual, "refused before anything is changed");
        }
    });
}

/// As the ABI wants it wherever a function begins, at every depth; and as locals want it.
#[inline(never)]
fn assert_aligned(depth: u32) {
    #[repr(align(64))]
    struct Line([u8; 64]);
    #[repr(align(16))]
    struct Sixteen([u8; 16]);
    let (line, sixteen) = (black_box(Line([1; 64])), black_box(Sixteen([2; 16])));
    assert_eq!(stack_pointer_at_entry() % 16, ENTRY);
    assert_eq!((&raw const line).addr() % 64, 0);
    assert_eq!((&raw const sixteen).addr() % 16, 0);
    load_aligned(&sixteen.0);
    leave();
    if depth > 0 {
        assert_aligned(depth - 1);
    }
    black_box((line.0[63], sixteen.0[15]));
}

#[test]
fn stacks_are_aligned_whatever_a_body_captures_and_returns() {
    #[derive(Clone, Copy)]
    #[repr(align(128))]
    struct Aligned(u8);
    /// A body that captures and returns so many bytes.
    fn with<const N: usize>() -> Polled<[u8; N]> {
        let captured = [7; N];
        polled(move || {
            // Before anything that makes a compiler align the stack by itself.
            assert_eq!(stack_pointer_at_entry() % 16, ENTRY);
            assert_aligned(10);
            captured
        })
    }
    assert_eq!(take_turns(vec![with::<0>()]), [[]]);
    assert_eq!(take_turns(vec![with::<1>(), with()]), [[7]; 2]);
    assert_eq!(take_turns(vec![with::<15>()]), [[7; 15]]);
    assert_eq!(take_turns(vec![with::<1000>()]), [[7; 1000]]);
    assert_eq!(take_turns(vec![with::<4097>()]), [[7; 4097]]);
    let captured = black_box(Aligned(3));
    let threads = vec![polled(move || {
        assert_eq!((&raw const captured).addr() % 128, 0);
        assert_aligned(10);
        captured
    })];
    assert_eq!(take_turns(threads)[0].0, 3);
}

#[inline(never)]
fn a_backtrace(depth: u32) -> String {
    let text = match depth {
        0 => std::backtrace::Backtrace::force_capture().to_string(),
        _ => a_backtrace(depth - 1),
    };
    black_box(text)
}

#[test]
fn a_backtrace_ends_where_the_stack_begins() {
    let runtime = Runtime::new().unwrap();
    // What is captured stands where an unwinder that goes on would look for an address to return to.
    let first: fn() = black_box(leave_to_the_loop);
    let text = runtime.block_on(green::future(move || {
        first();
        a_backtrace(5)
    }));
    let frames: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("at ")).collect();
    assert!(frames.iter().filter(|frame| frame.contains("a_backtrace")).count() >= 6, "{text}");
    let last = frames.last().expect("a frame");
    let start = format!("green::switch_{}::start", std::env::consts::ARCH);
    assert!(last.contains(&start), "the last is {last} of:\n{text}");
    assert!(!text.contains("block_on"), "the host's frames:\n{text}");
}

/// Leaves the stack, with a task around that wants to be woken.
fn leave_to_the_loop() {
    green::yield_now();
}

/// How many frames there are above this one, and the first frame pointer that is none.
///
/// # Safety
/// Everything is built with frame pointers: each frame begins with the address of the one above it.
#[inline(never)]
unsafe fn end_of_frames() -> (usize, usize) {
    let (mut frame, mut count) = (frame_pointer(), 0);
    loop {
        // SAFETY: the caller's promise.
        let above = unsafe { std::ptr::with_exposed_provenance::<usize>(frame).read_volatile() };
        // Frames are small, and stacks grow down.
        if !(frame + 1..frame + 65536).contains(&above) {
            return (count, above);
        }
        (frame, count) = (above, count + 1);
    }
}

#[test]
#[ignore = "needs a build with -Cforce-frame-pointers=yes: see .ci/asan"]
fn the_chain_of_frames_ends() {
    let thread = polled(|| {
        leave();
        // SAFETY: built with frame pointers, each frame points to the one above it.
        unsafe { end_of_frames() }
    });
    let (frames, end) = take_turns(vec![thread])[0];
    assert!(frames > 3, "{frames} frames");
    assert_eq!(end, 0);
}
