//! The programs about processes and about order: `much_cpu`, `thread_then_fork`, `scheduler`.
//!
//! The scheduler is also compared with sorting, for events of every kind.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::rc::Rc;
use std::time::Duration;

use greenroom::{Rng, Runtime, now};

use crate::proc_files::{is_there, is_zombie};
use crate::running::{Ended, LONG, becomes_true, command, ended, run_well, signal};
use crate::sched::{Event, Scheduler};

/// More work than any test waits for.
const FOR_EVER: &str = "1000000000000000";

/// The next line that a program prints, as a process's number.
fn next_id(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> u32 {
    lines.next().expect("a line").unwrap().parse().expect("a process's number")
}

/// Starts `much_cpu` with children that never finish; gives their numbers as well.
fn much_cpu_for_ever(processes: usize) -> (Child, Vec<u32>) {
    let arguments = ["--work", FOR_EVER, "--processes", &processes.to_string()];
    let mut parent = command("much_cpu", &arguments).spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let ids = (0..processes).map(|_| next_id(&mut lines)).collect();
    // What it prints later goes to nobody, which must not harm it.
    (parent, ids)
}

#[test]
fn every_core_has_a_process_and_the_time_is_told() {
    for (arguments, count) in [
        (&["--work", "1000000"][..], std::thread::available_parallelism().unwrap().get()),
        (&["--work", "0", "--processes", "5"], 5),
    ] {
        let out = run_well("much_cpu", arguments);
        let lines: Vec<&str> = out.lines().collect();
        let (ids, last) = lines.split_at(count);
        let distinct: HashSet<u32> = ids.iter().map(|id| id.parse().unwrap()).collect();
        assert_eq!(distinct.len(), count, "{out}");
        let seconds = last[0].strip_prefix("work took ").and_then(|rest| rest.strip_suffix(" seconds"));
        assert!(seconds.unwrap().parse::<f64>().is_ok() && last.len() == 1, "{out}");
        assert!(!distinct.iter().any(|id| is_there(*id)), "none is left");
    }
}

#[test]
fn a_child_that_is_killed_is_reported() {
    let (parent, ids) = much_cpu_for_ever(3);
    signal(ids[1], libc::SIGKILL);
    signal(ids[0], libc::SIGTERM);
    signal(ids[2], libc::SIGKILL);
    let Ended { code, err, .. } = ended(parent);
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(err.lines().count(), 4, "{err}");
    let says = |id: u32, how: &str| {
        err.contains(&format!("much_cpu: process {id} did not finish its work: signal: {how}"))
    };
    assert!(err.ends_with("much_cpu: 3 of 3 processes did not finish their work\n"), "{err}");
    assert!(says(ids[0], "15") && says(ids[1], "9") && says(ids[2], "9"), "{err}");
}

#[test]
fn the_children_end_when_the_parent_is_killed() {
    for number in [libc::SIGKILL, libc::SIGTERM, libc::SIGINT] {
        let (mut parent, ids) = much_cpu_for_ever(2);
        signal(parent.id(), number);
        parent.wait().unwrap();
        // Whoever inherits them may leave them as zombies.
        assert!(
            becomes_true(LONG, || ids.iter().all(|id| !is_there(*id) || is_zombie(*id))),
            "signal {number}"
        );
    }
}

#[test]
fn sixteen_children_start_run_and_finish_in_this_order() {
    let out = run_well("thread_then_fork", &[]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 48, "{out}");
    for number in 0..16 {
        let about = |line: &&str| line.split(' ').nth(1) == Some(&number.to_string());
        let about: Vec<&str> = lines.iter().copied().filter(about).collect();
        let expected = ["starting", "running", "finished"].map(|word| format!("{word} {number}"));
        assert_eq!(about, expected);
    }
    // They do not wait for each other: the second starts before the first is waited for.
    let place = |line: &str| lines.iter().position(|other| *other == line).unwrap();
    assert!(place("starting 15") < place("finished 15"));
    assert_eq!(run_well("thread_then_fork", &["--children", "0"]), "");
    assert_eq!(run_well("thread_then_fork", &["--running", "7"]), "running 7\n");
}

#[test]
fn events_run_by_time_then_priority_then_order() {
    let expected = "\
5 events are planned
0.2 s  the earliest comes first, though it was planned last
0.5 s  priority 1, planned after the next one
0.5 s  priority 2
0.5 s  priority 2, planned after the one before
0.7 s  plans two more: for now, and for 0.3 seconds from now
0.7 s  planned for now
1.0 s  planned for later
";
    assert_eq!(run_well("scheduler", &["--virtual"]), expected);
    // In real time the same happens; a slow machine may be late.
    let out = run_well("scheduler", &[]);
    let what = |text: &str| text.lines().map(|line| line.split("  ").last().unwrap().into()).collect();
    let (said, should): (Vec<String>, Vec<String>) = (what(&out), what(expected));
    assert_eq!(said, should);
}

#[test]
fn any_events_run_as_sorting_would_have_them() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
        let ran = Rc::new(RefCell::new(Vec::new()));
        let (mut expected, end) = runtime.enter(|| {
            let (scheduler, start) = (Scheduler::default(), now());
            let mut planned: Vec<(Event, u64)> = Vec::new();
            for number in 0..rng.below(40) as u64 {
                let time = start + Duration::from_millis(rng.below(5) as u64);
                let ran = ran.clone();
                let event = scheduler.enterabs(time, rng.below(3) as i64 - 1, move || {
                    assert!(now() >= time);
                    ran.borrow_mut().push(number);
                });
                planned.push((event, number));
                if rng.below(4) == 0 {
                    let (event, _) = planned.swap_remove(rng.below(planned.len()));
                    assert!(scheduler.cancel(event));
                    assert!(!scheduler.cancel(event), "it is cancelled already");
                }
            }
            planned.sort_unstable_by_key(|(event, number)| (event.time, event.priority, *number));
            assert_eq!(scheduler.queue(), planned.iter().map(|(event, _)| *event).collect::<Vec<_>>());
            scheduler.run();
            // While the others run, one more is planned and one is taken back, by an event.
            let (other, late) = (scheduler.clone(), ran.clone());
            let doomed = scheduler.enter(Duration::from_secs(1), 0, || panic!("it was cancelled"));
            scheduler.enter(Duration::from_millis(7), 0, move || {
                assert!(other.cancel(doomed));
                other.enter(Duration::from_secs(2), 0, move || late.borrow_mut().push(1000));
            });
            let numbers: Vec<u64> = planned.into_iter().map(|(_, number)| number).collect();
            (numbers, start + Duration::from_millis(2007))
        });
        runtime.run().unwrap();
        expected.push(1000);
        assert_eq!(*ran.borrow(), expected, "seed {seed}");
        assert_eq!(runtime.enter(now), end, "seed {seed}: the cancelled one cost no time");
    }
}
