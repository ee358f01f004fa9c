//! `dining_philosophers`: all eat, or the program says why nobody ever will.

use std::time::Duration;

use crate::running::{Ended, command, ended, ends_within, run_well};

const NAMES: [&str; 5] = ["Plato", "Konfuzius", "Socrates", "Voltaire", "Descartes"];

#[test]
fn all_eat_as_often_as_they_should() {
    let out = run_well("dining_philosophers", &[]);
    let mut lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.pop(), Some("all 5 have eaten 3 times"));
    for name in NAMES {
        let expected: Vec<String> = (1..=3).map(|meal| format!("{name} eats meal {meal}")).collect();
        let about: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with(name)).collect();
        assert_eq!(about, expected);
    }
    assert_eq!(lines.len(), 15, "{out}");
}

#[test]
fn any_number_of_them_eat() {
    for (philosophers, meals) in [("2", 10), ("6", 1), ("100", 2), ("5", 0)] {
        let options = ["--virtual", "--philosophers", philosophers, "--meals", &meals.to_string()];
        let out = run_well("dining_philosophers", &options);
        assert_eq!(out.matches(" eats meal ").count(), philosophers.parse::<usize>().unwrap() * meals);
        let last = format!("all {philosophers} have eaten {meals} times");
        assert_eq!(out.lines().last(), Some(last.as_str()));
    }
}

#[test]
fn a_deadlock_ends_with_who_holds_what_and_waits_for_whom() {
    // On the real clock: nobody needs to wait for the end of what will never end.
    let mut child = command("dining_philosophers", &["--deadlock"]).spawn().unwrap();
    ends_within(&mut child, Duration::from_secs(1));
    let Ended { code, out, err } = ended(child);
    assert_eq!(code, Some(1));
    let mut expected = vec!["nobody can ever eat again:".to_string()];
    expected.extend((0..5).map(|left| {
        let right = (left + 1) % 5;
        format!("{} holds fork {left} and waits for fork {right}, which {} holds", NAMES[left], NAMES[right])
    }));
    let mut lines: Vec<&str> = out.lines().collect();
    lines[1..].sort_unstable();
    expected[1..].sort_unstable();
    assert_eq!(lines, expected, "no meal, and five who wait");
    // The loop's own report knows nothing of philosophers: it has tasks, and what they wait for.
    for (left, name) in NAMES.iter().enumerate() {
        let task = |at: usize| format!("task {}", at % 5 + 1);
        let fork = |at: usize| format!("mutex {} \"fork {}\"", at % 5, at % 5);
        let line =
            err.lines().find(|line| line.trim_start().starts_with(&format!("{} {name:?}", task(left))));
        let expected = format!("{}, held by {}; holds {}", fork(left + 1), task(left + 1), fork(left));
        assert!(line.is_some_and(|line| line.ends_with(&expected)), "{expected:?} is missing in:\n{err}");
    }
}
