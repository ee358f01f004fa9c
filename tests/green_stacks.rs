//! The memory of stacks: how many there can be, what they cost, that they are used again and given back, and how
//! much of one was used.
//!
//! What counts the memory of the process has one of its own (see `support/green/dying.rs`). By hand, in release:
//!
//! ```text
//! cargo test --release --test green_stacks -- --ignored --nocapture
//! ```

#[path = "support/green/dying.rs"]
mod dying;
#[path = "support/green/own_memory.rs"]
mod own_memory;
#[path = "support/core/mod.rs"]
mod support;

use std::hint::black_box;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use dying::death_of;
use greenroom::{Runtime, green};
use own_memory::{mapped_bytes, mappings, resident_bytes};

/// A page, as on every machine that green threads know.
const PAGE: usize = 4096;

/// With a checker, memory is not what it is without one.
const CHECKED: bool = cfg!(any(asan, valgrind));

fn runtime() -> Runtime {
    Runtime::builder().virtual_clock(true).build().unwrap()
}

/// What the memory was, and how long it took, while so many green threads slept, each a little longer than the one
/// before it. Each then gave back a value that it had on its stack.
fn sleep_together(count: usize, stack_bytes: usize) -> (usize, usize, Duration) {
    let runtime = runtime();
    let (began, before, mappings_before) = (Instant::now(), resident_bytes(), mappings());
    let (resident, maps) = runtime.block_on(async {
        let sleepers: Vec<_> = (0..count)
            .map(|index| {
                let body = move || {
                    let kept = black_box([index, index ^ 0x5555]);
                    green::sleep(Duration::from_secs(3600) + Duration::from_nanos(index as u64));
                    kept[0] * 3 + (black_box(kept)[1] ^ 0x5555)
                };
                green::Builder::new().stack_bytes(stack_bytes).spawn(body).unwrap()
            })
            .collect();
        greenroom::sleep(Duration::from_secs(1)).await;
        let asleep = (resident_bytes().saturating_sub(before), mappings().saturating_sub(mappings_before));
        assert!(sleepers.iter().all(|sleeper| !sleeper.is_finished()));
        for (index, sleeper) in sleepers.into_iter().enumerate() {
            assert_eq!(sleeper.await.unwrap(), index * 4);
        }
        asleep
    });
    (resident, maps, began.elapsed())
}

#[test]
fn a_hundred_thousand_sleep_at_once() {
    let death = death_of("a_hundred_thousand_sleep_at_once", || {
        let count = support::number_from_env("GREENROOM_STEPS", 100_000) as usize;
        let (resident, mappings, _) = sleep_together(count, 256 << 10);
        if !CHECKED {
            assert!(resident < 3 << 29, "{resident} bytes, more than 1.5 GiB");
            assert!(mappings < 300, "{mappings} mappings");
            let left = resident_bytes();
            assert!(left < resident / 4, "{left} bytes of {resident} are kept");
        }
    });
    assert_eq!((death.code, death.said.as_str()), (Some(0), ""));
}

#[test]
#[ignore = "takes 5 GiB in release"]
fn a_million_sleep_at_once() {
    let death = death_of("a_million_sleep_at_once", || {
        let (resident, mappings, took) = sleep_together(1_000_000, 16 << 10);
        eprintln!("{} MiB, {mappings} mappings, {took:?} in all", resident >> 20);
        assert!(mappings < 3_000, "{mappings} mappings");
    });
    println!("{}", death.said);
    assert_eq!(death.code, Some(0));
}

/// Where a green thread's stack is: an address in its last page but a few.
fn place_of_stack() -> usize {
    let local = black_box(0_u8);
    (&raw const local).addr()
}

#[test]
fn stacks_are_used_again_the_last_one_first() {
    let runtime = runtime();
    let place = || runtime.block_on(green::future(place_of_stack));
    let first = place();
    assert!((0..100).all(|_| place() == first), "the same stack again and again");
    let mut places: Vec<_> = (0..10).map(|_| Box::pin(green::future(place_of_stack))).collect();
    let mut used: Vec<usize> = places.drain(..).map(|thread| runtime.block_on(thread)).collect();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), 10, "no two at once have the same");
    assert!(used.contains(&place()));
}

#[test]
fn what_a_burst_has_touched_is_given_back() {
    fn touch() {
        black_box([1_u8; 100 << 10]);
        green::yield_now();
    }
    let death = death_of("what_a_burst_has_touched_is_given_back", || {
        let runtime = runtime();
        let burst = || {
            runtime.block_on(async {
                let threads: Vec<_> = (0..500).map(|_| green::spawn(touch)).collect();
                greenroom::yield_now().await;
                let resident = resident_bytes();
                for thread in threads {
                    thread.await.unwrap();
                }
                resident
            })
        };
        let before = resident_bytes();
        let during = burst();
        let (after, mapped) = (resident_bytes(), mapped_bytes());
        for _ in 0..20 {
            burst();
        }
        if !CHECKED {
            assert!(during > before + 500 * (100 << 10), "{before} before, {during} during");
            // Two pages of each are kept warm.
            assert!(after < before + 500 * (16 << 10), "{before} before, {after} after");
            assert!(mapped_bytes() < mapped + (8 << 20), "the same stacks, burst after burst");
        }
    });
    assert_eq!((death.code, death.said.as_str()), (Some(0), ""));
}

#[test]
fn sizes_are_whole_pages_and_two_at_least() {
    let runtime = runtime();
    let size =
        |builder: green::Builder| runtime.block_on(builder.future(|| green::stack_bytes().unwrap()).unwrap());
    for (asked, given) in
        [(0, 2 * PAGE), (1, 2 * PAGE), (2 * PAGE, 2 * PAGE), (2 * PAGE + 1, 3 * PAGE), (1 << 24, 1 << 24)]
    {
        assert_eq!(size(green::Builder::new().stack_bytes(asked)), given);
    }
    assert_eq!(size(green::Builder::new()), 256 << 10, "the default");
    let small = Runtime::builder().green_stack_bytes(5 * PAGE).build().unwrap();
    let bytes = small.block_on(async { green::spawn(green::stack_bytes).await.unwrap() });
    assert_eq!(bytes, Some(5 * PAGE), "the loop's own");
    assert_eq!(green::stack_bytes(), None);
}

#[test]
fn a_stack_too_small_for_what_is_captured_is_an_error() {
    let captured = [1_u8; 10_000];
    let small = || green::Builder::new().stack_bytes(3 * PAGE);
    let error = small().future(move || captured).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(text.contains("too many for its stack of 12288"), "{text}");
    assert!(text.contains("box it") && text.contains("green::Builder::stack_bytes"), "{text}");
    let boxed = Box::new(captured);
    runtime().block_on(small().future(move || drop(black_box(boxed))).unwrap());
}

#[test]
fn what_fits_one_stack_fits_all_of_its_size() {
    let captured = [1_u8; 1800];
    let new = |_| green::Builder::new().stack_bytes(2 * PAGE).future(move || black_box(captured)[0]);
    // All at once, so that each has another stack.
    let all: Vec<_> = (0..64).map(new).collect();
    let count = all.iter().filter(|result| result.is_ok()).count();
    assert!(count == 0 || count == 64, "{count} of 64");
}

/// At one and the same place of their pages, all would compete for the same lines of the caches.
#[test]
fn neighbours_begin_at_different_places_whatever_their_size() {
    let runtime = runtime();
    for pages in [2, 3, 4, 15, 31, 32, 64, 127] {
        let begin = |_| green::Builder::new().stack_bytes(pages * PAGE).future(place_of_stack).unwrap();
        let all: Vec<_> = (0..64).map(begin).collect();
        let mut places: Vec<_> = all.into_iter().map(|thread| runtime.block_on(thread) % PAGE).collect();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() >= 8, "{} places of stacks of {pages} pages", places.len());
    }
}

/// Locked pages can have no guard of the cheap kind (madvise(2)), and cannot be given back.
#[test]
fn where_all_memory_is_locked_there_are_guards_all_the_same() {
    let death = death_of("where_all_memory_is_locked_there_are_guards_all_the_same", || {
        let before = mappings();
        // SAFETY: takes a number. Without the right to so much there is nothing to test.
        if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0 || CHECKED {
            return;
        }
        for _ in 0..2 {
            sleep_together(100, 64 << 10);
        }
        assert!(mappings() >= before + 200, "{before} mappings became {}", mappings());
    });
    assert_eq!((death.code, death.said.as_str()), (Some(0), ""));
}

#[test]
#[cfg_attr(valgrind, ignore = "valgrind refuses such sizes itself, with another error")]
fn absurd_sizes_are_errors() {
    let most_pages = usize::MAX & !(PAGE - 1);
    for stack_bytes in [usize::MAX, most_pages, most_pages - PAGE, usize::MAX / 2, 1 << 62, 1 << 48] {
        let error = green::Builder::new().stack_bytes(stack_bytes).future(|| ()).unwrap_err();
        // Valgrind has another word for it than the kernel.
        assert!(cfg!(valgrind) || error.kind() == ErrorKind::OutOfMemory, "{stack_bytes:x}: {error}");
        assert!(error.to_string().starts_with("no stack for another green thread: "), "{error}");
        assert!(error.to_string().contains("smaller stacks"), "{error}");
    }
    runtime().block_on(async {
        green::Builder::new().stack_bytes(usize::MAX).spawn(|| ()).unwrap_err();
        green::spawn(|| ()).await.unwrap();
    });
}

#[test]
fn stacks_leave_some_memory_for_those_who_have_one() {
    let death = death_of("stacks_leave_some_memory_for_those_who_have_one", || {
        if CHECKED {
            return;
        }
        let most = (mapped_bytes() + (100 << 20)) as libc::rlim_t;
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: setrlimit(2) reads the struct it is given.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
        let mut threads = Vec::with_capacity(1000);
        let error = loop {
            match green::Builder::new().future(|| ()) {
                Ok(thread) => threads.push(thread),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("ulimit -v"), "{error}");
        assert!(threads.len() > 100, "only {} stacks", threads.len());
        // Not a `Vec`: this thread may have room in what its allocator has mapped.
        let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(|| ());
        thread.expect("there is memory for something else").join().unwrap();
    });
    assert_eq!((death.code, death.said.as_str()), (Some(0), ""));
}

#[test]
fn the_high_water_mark_rises_with_the_depth_in_whole_pages() {
    fn at_depth(bytes: usize) -> usize {
        let mut frame = [0_u8; 1024];
        black_box(&mut frame);
        let mark = if bytes < 1024 { green::stack_high_water().unwrap() } else { at_depth(bytes - 1024) };
        black_box(&frame);
        mark
    }
    let builder = || green::Builder::new().stack_bytes(131 * PAGE);
    let marks = || {
        let first = green::stack_high_water().unwrap();
        let mut marks = vec![first];
        marks.extend([0, 20, 40, 80].map(|pages| at_depth(pages * PAGE)));
        marks.push(green::stack_high_water().unwrap());
        green::yield_now();
        marks.push(green::stack_high_water().unwrap());
        marks
    };
    let runtime = runtime();
    let mut firsts = Vec::new();
    // The second one has the stack of the first.
    for _ in 0..2 {
        let found = runtime.block_on(builder().future(marks).unwrap());
        assert!(found.iter().all(|mark| mark % PAGE == 0), "{found:?}");
        assert!(found.is_sorted(), "it never falls: {found:?}");
        for (mark, pages) in found[1..].iter().zip([0, 20, 40, 80, 80, 80]) {
            // Frames are larger than their array, in debug builds by half.
            assert!((pages * PAGE..(2 * pages + 10) * PAGE).contains(mark), "{found:?}");
        }
        assert_eq!(found[4], found[6], "what was touched stays touched");
        firsts.push(found[0]);
    }
    assert!(firsts[0] <= 3 * PAGE && firsts[1] <= 3 * PAGE, "new in a stack used before: {firsts:?}");
    assert_eq!(green::stack_high_water(), None);
}
