//! `thread_counter`: right with queues and with locks, and shown to be wrong without.
//!
//! A failure names its seed; `cargo run --example thread_counter -- queues --fuzz SEED` plays that run.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Mutex;

use crate::counting::{Way, expected, tasks, threads};
use crate::running::{run, run_well};

/// What the run of this seed prints.
fn fuzzed(way: Way, seed: u64) -> String {
    let page = Rc::new(RefCell::new(String::new()));
    let printer = page.clone();
    tasks::run(way, seed, Rc::new(move |text| printer.borrow_mut().push_str(text))).unwrap();
    page.take()
}

/// What a run on threads prints.
fn on_threads(way: Way) -> String {
    let page = Mutex::new(String::new());
    threads::run(way, &|text| page.lock().unwrap().push_str(text)).unwrap();
    page.into_inner().unwrap()
}

/// The sorted lines.
fn sorted(page: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = page.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn the_right_output_has_22_lines() {
    let lines: Vec<String> = expected().lines().map(str::to_string).collect();
    assert_eq!(lines.len(), 22);
    assert_eq!((&*lines[0], &*lines[21]), ("Starting up", "Finishing up"));
    for count in 1..=10 {
        assert_eq!(lines[2 * count - 1], format!("The count is {count}"));
        assert_eq!(lines[2 * count], "---------------");
    }
}

#[test]
fn queues_and_locks_are_right_in_a_thousand_fuzzed_runs() {
    for seed in 0..1000 {
        for way in [Way::Queues, Way::Locks] {
            let page = fuzzed(way, seed);
            assert!(page == expected(), "{way:?}, seed {seed}:\n{page}");
        }
    }
}

#[test]
fn fuzzing_shows_that_the_racy_one_is_wrong_in_each_way() {
    let pages: Vec<String> = (0..100).map(|seed| fuzzed(Way::Racy, seed)).collect();
    assert!(pages.iter().any(|page| *page != expected()));
    let has = |what: &str, is_so: fn(&str) -> bool| assert!(pages.iter().any(|page| is_so(page)), "{what}");
    has("a number twice", |page| {
        sorted(page).windows(2).any(|two| two[0] == two[1] && two[0].contains("count"))
    });
    has("two in one line", |page| page.lines().any(|line| line.matches("The").count() > 1));
    has("an early end", |page| !page.ends_with("Finishing up\n"));
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [0, 1, u64::MAX] {
        assert_eq!(fuzzed(Way::Racy, seed), fuzzed(Way::Racy, seed), "seed {seed}");
    }
    assert_ne!(fuzzed(Way::Racy, 0), fuzzed(Way::Racy, 1));
}

#[test]
fn queues_and_locks_are_right_on_threads() {
    for _ in 0..50 {
        assert_eq!(on_threads(Way::Queues), expected());
        assert_eq!(on_threads(Way::Locks), expected());
    }
}

#[test]
fn the_racy_one_prints_all_it_has_to_on_threads() {
    let page = on_threads(Way::Racy);
    assert_eq!(page.lines().count(), 22, "{page}");
    assert_eq!(page.matches("The count is ").count(), 10, "{page}");
    assert!(page.starts_with("Starting up\n"), "{page}");
}

#[test]
fn the_program_prints_the_right_output_and_says_so_if_it_does_not() {
    for arguments in [&["queues"][..], &["locks"], &["queues", "--fuzz", "7"], &["locks", "--fuzz", "7"]] {
        assert_eq!(run_well("thread_counter", arguments), expected(), "{arguments:?}");
    }
    let racy = run("thread_counter", &["racy"]);
    assert_eq!(racy.code, Some(i32::from(racy.out != expected())), "{racy:?}");
    let right = run_well("thread_counter", &["queues", "--seeds", "20"]);
    assert_eq!(right, "20 seeds, and always the right output\n");
}

#[test]
fn the_program_finds_a_seed_and_plays_it_again() {
    let search = run("thread_counter", &["racy", "--seeds", "100"]);
    assert_eq!((search.code, search.out.as_str()), (Some(1), ""), "{search:?}");
    let (_, seed) = search.err.trim_end().rsplit_once("--fuzz ").expect("how to play it again");
    let first = run("thread_counter", &["racy", "--fuzz", seed]);
    assert_eq!(first.code, Some(1), "{first:?}");
    assert!(first.out != expected() && first.err.contains(&format!("seed {seed}")), "{first:?}");
    assert_eq!(first.out, fuzzed(Way::Racy, seed.parse().unwrap()));
    assert_eq!(run("thread_counter", &["racy", "--fuzz", seed]), first);
}
