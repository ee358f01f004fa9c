//! `barriers`: what comes before what, in each scene and for several seeds.

use crate::running::{Ended, run, run_well};

const SERVER: &str = "Server is serving\nServer is still serving\nServer is serving even more data\n";
const CLIENT: &str = "Client is accessing server\nClient is still accessing server\n\
                      Client is taking really long to access the server\n";
const WARNING: &str = "WARNING: Could not acquire lock!!!\n";

/// What a scene prints, for some seeds.
fn outputs(scene: &str) -> Vec<String> {
    let seeds = (0..10).map(|seed| seed.to_string());
    seeds.map(|seed| run_well("barriers", &[scene, "--virtual", "--seed", &seed])).collect()
}

#[test]
fn nobody_goes_on_before_the_server_is_up() {
    for out in outputs("start") {
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 10, "{out}");
        for round in lines.chunks(5) {
            let place = |what: &str| {
                let mut places = (0..5).filter(|place| round[*place] == what);
                let place = places.next().unwrap_or_else(|| panic!("no {what:?} in:\n{out}"));
                assert_eq!(places.next(), None, "{what:?} twice in:\n{out}");
                place
            };
            let up = place("Server started up!");
            assert!(place("Server is starting!") < up && place("Client is starting!") < up, "{out}");
            assert!(up < place("Client is accessing server!") && up < place("Server is serving!"), "{out}");
        }
    }
}

#[test]
fn what_is_said_under_a_lock_does_not_mix() {
    let outputs = outputs("locks");
    let rounds = [format!("{SERVER}{CLIENT}"), format!("{CLIENT}{SERVER}")];
    for out in &outputs {
        let lawful = rounds.iter().any(|first| rounds.iter().any(|then| *out == format!("{first}{then}")));
        assert!(lawful, "{out}");
    }
    assert!(outputs.iter().any(|out| *out != outputs[0]), "chance decides who is first");
}

#[test]
fn whoever_does_not_wait_for_the_lock_speaks_or_says_that_it_is_taken() {
    // Both are at the lock at the same time, so one always has to go without.
    let rounds = [SERVER, CLIENT].map(|block| {
        let (first, rest) = block.split_once('\n').unwrap();
        format!("{first}\n{WARNING}{rest}")
    });
    for out in outputs("try") {
        let lawful = rounds.iter().any(|first| rounds.iter().any(|then| out == format!("{first}{then}")));
        assert!(lawful, "{out}");
    }
}

#[test]
fn a_server_that_is_too_late_breaks_the_barrier() {
    for seed in 0..10 {
        let Ended { code, out, err } = run("barriers", &["late", "--virtual", "--seed", &seed.to_string()]);
        assert_eq!(code, Some(1), "{out}");
        assert!(err.starts_with("barriers: ") && err.lines().count() == 1 && err.contains("broken"), "{err}");
        assert!(!out.contains("serving") && !out.contains("accessing"), "{out}");
    }
}
