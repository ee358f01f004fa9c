//! `producer_consumer`: each item is produced once and consumed once, however many there are of each.

use std::collections::BTreeSet;

use crate::running::run_well;

/// The items in the lines that have `before` and `after` around them, in the order of the lines.
fn items<'a>(out: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    out.lines().filter_map(|line| line.split_once(before)?.1.strip_suffix(after)).collect()
}

#[test]
fn every_item_is_produced_once_and_consumed_once() {
    for kind in ["condition", "queue"] {
        for (seed, producers, consumers, count) in [
            (0, 3, 4, 4),
            (1, 3, 4, 4),
            (2, 1, 1, 10),
            (3, 5, 1, 3),
            (4, 1, 8, 2),
            (5, 10, 10, 10),
            (6, 0, 2, 1),
        ] {
            let [seed, p, c, n] = [seed, producers, consumers, count].map(|number: usize| number.to_string());
            let options =
                [kind, "--virtual", "--seed", &seed, "--producers", &p, "--consumers", &c, "--items", &n];
            let out = run_well("producer_consumer", &options);
            let all = producers * count;
            let produced = items(&out, " produced item ", "...");
            let expected: BTreeSet<String> = (1..=producers)
                .flat_map(|producer| (0..count).map(move |number| format!("{producer}/{number}")))
                .collect();
            for (what, items) in [
                ("produced", &produced),
                ("begun", &items(&out, " starting processing of item ", "...")),
                ("done", &items(&out, " done processing item ", "...")),
            ] {
                assert_eq!(items.len(), all, "{what}, {options:?}:\n{out}");
                let distinct: BTreeSet<String> = items.iter().map(|item| item.to_string()).collect();
                assert_eq!(distinct, expected, "{what}, {options:?}:\n{out}");
            }
            assert_eq!(out.matches(" timed out...").count(), consumers, "{options:?}:\n{out}");
            let last = format!("{all} of {all} items consumed");
            assert_eq!(out.lines().last(), Some(last.as_str()), "{options:?}");
        }
    }
}

#[test]
fn a_queue_gives_the_oldest_first_and_the_list_the_newest() {
    for seed in 0..3 {
        let seed = seed.to_string();
        let consumed_by_one = |kind: &str| {
            let options = [kind, "--virtual", "--seed", &seed, "--producers", "1", "--consumers", "1"];
            let out = run_well("producer_consumer", &[&options[..], &["--items", "8"]].concat());
            items(&out, " starting processing of item ", "...")
                .iter()
                .map(|item| item[2..].parse().unwrap())
                .collect::<Vec<usize>>()
        };
        assert_eq!(consumed_by_one("queue"), (0..8).collect::<Vec<_>>());
        // One item takes longer to consume than to produce: the newest has always come last.
        let newest_first = consumed_by_one("condition");
        assert!(!newest_first.is_sorted(), "{newest_first:?}");
        assert_eq!(newest_first[0], 0, "there was nothing else yet");
    }
}

#[test]
fn items_without_a_consumer_are_refused() {
    let ended = crate::running::run("producer_consumer", &["--consumers", "0"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("--consumers"), "{ended:?}");
}
