//! What is asked of every example program, those included that are yet to be written: a head that says what to
//! type and what one will see, help that names every option, and a word about an option that is wrong.

use std::fs;
use std::path::Path;

use crate::running::{run, run_unheard, run_well};

/// The one that has no options: it takes the number of a chapter, and shows all of them if it is given none.
const WITHOUT_OPTIONS: &str = "obvious";

/// Those who connect to where they are told by URL.
const GIVEN_URLS: [&str; 1] = ["site_sizes"];

/// The options that several have, and what all of these say about them, up to the default.
const WORDINGS: [(&str, &[&str]); 5] = [
    ("--host HOST", &["name or address to listen on", "name or address of the server"]),
    ("--port PORT", &["port to listen on, 0 for any free one", "its port"]),
    ("--seed SEED", &["what decides the chance"]),
    ("--virtual", &["let time jump instead of passing"]),
    ("--help", &["print this text and exit"]),
];

/// An example program.
struct Example {
    /// What it is called.
    name: String,
    /// Its main file.
    main: String,
    /// All of its files.
    source: String,
}

impl Example {
    /// What stands at the beginning of its main file.
    fn head(&self) -> String {
        let lines = self.main.lines().map_while(|line| line.strip_prefix("//!"));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line).to_string() + "\n").collect()
    }
}

/// All that are there.
fn examples() -> Vec<Example> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let main = if path.is_dir() { path.join("main.rs") } else { path.clone() };
        // A folder without a main file belongs to other examples.
        let Ok(main) = fs::read_to_string(main) else { continue };
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let files = fs::read_dir(folder.join(&name)).into_iter().flatten();
        let files = files.filter_map(|file| fs::read_to_string(file.unwrap().path()).ok());
        let source = files.fold(main.clone(), |all, file| all + &file);
        found.push(Example { name, main, source });
    }
    found.retain(|example| example.name != WITHOUT_OPTIONS);
    assert!(found.len() > 20, "{} examples are no longer all", found.len());
    found
}

/// The options that a text mentions, but for those of cargo.
fn options(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let options = words
        .filter(|word| word.strip_prefix("--").is_some_and(|name| name.starts_with(char::is_alphabetic)));
    options.filter(|option| !["--release", "--example"].contains(option)).collect()
}

#[test]
fn each_says_what_to_type_and_what_one_will_see() {
    for example in examples() {
        let (name, head) = (&example.name, example.head());
        assert!(head.contains(&format!("cargo run --release --example {name}")), "{name}:\n{head}");
        let shows = name.starts_with("caser") || head.contains("\nYou see ");
        assert!(shows, "{name} has no \"You see\" in:\n{head}");
    }
}

#[test]
fn each_answers_help_with_every_option_that_it_has() {
    for example in examples() {
        let (name, head) = (&example.name, example.head());
        let help = run_well(name, &["--help"]);
        assert!(help.starts_with(&format!("Usage: {name} ")), "{help}");
        let mut wanted = options(&head);
        wanted.push("--help");
        if example.source.contains("net::") && !GIVEN_URLS.contains(&name.as_str()) {
            wanted.extend(["--host", "--port"]);
        }
        let mentioned = options(&help);
        for option in wanted {
            assert!(mentioned.contains(&option), "{name} --help does not mention {option}:\n{help}");
        }
    }
}

#[test]
fn the_same_option_is_explained_in_the_same_words() {
    for example in examples() {
        let help = run_well(&example.name, &["-h"]);
        for (option, wordings) in WORDINGS {
            let lines = help.lines().filter_map(|line| line.trim_start().strip_prefix(option));
            for said in lines.map(|said| said.split(" (default").next().unwrap().trim()) {
                assert!(wordings.contains(&said), "{}: {option} {said}", example.name);
            }
        }
    }
}

#[test]
fn each_refuses_an_option_that_it_does_not_have() {
    for Example { name, .. } in examples() {
        let ended = run(&name, &["--nonsense"]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{name}: {ended:?}");
        let is_one_line = ended.err.ends_with('\n') && ended.err.lines().count() == 1;
        assert!(is_one_line && ended.err.starts_with(&format!("{name}: ")), "{ended:?}");
        assert!(ended.err.contains("--nonsense"), "{ended:?}");
    }
}

#[test]
fn a_wrong_value_is_named_with_what_would_be_right() {
    let wrong: [(&str, &[&str], &str); 35] = [
        ("background_requests", &["--n", "many"], "--n takes a number, not \"many\""),
        ("background_requests", &["--n=-1"], "--n takes a number, not \"-1\""),
        ("barriers", &["early"], "\"early\""),
        ("barriers", &["--seed"], "--seed takes a number, but none is given"),
        ("counter", &["--host="], "--host takes a host name or an address, not \"\""),
        ("counter", &["--work", "a\nb"], "--work takes a number, not \"a\\nb\""),
        ("counter", &["5000"], "\"5000\""),
        ("dining_philosophers", &["--philosophers", "1"], "takes a number from 2 to 1000, not \"1\""),
        ("dns", &["--port", "65536"], "--port takes a number from 0 to 65535, not \"65536\""),
        ("echo", &["--port"], "--port takes a number from 0 to 65535, but none is given"),
        ("find_files", &["a", "b", "c"], "\"c\""),
        ("five_sleepers", &["--virtual=no"], "--virtual"),
        ("five_ways", &[], "no way is given"),
        ("five_ways", &["forks"], "\"forks\" is no way"),
        ("five_ways", &["mio", "green"], "\"green\""),
        ("five_ways", &["all", "--port", "65533"], "there are no 5 ports from --port 65533 on"),
        ("input_reader", &["value"], "\"value\""),
        ("much_cpu", &["--processes", "0"], "--processes takes a number from 1 to 1000, not \"0\""),
        ("much_cpu", &["--processes", "1001"], "--processes takes a number from 1 to 1000, not \"1001\""),
        ("prime_factor", &["12", "twelve"], "twelve"),
        ("primes", &["--end", "-1"], "--end takes a number, not \"-1\""),
        ("primes", &["--workers", "0"], "--workers takes a number from 1 to 1000, not \"0\""),
        ("producer_consumer", &["--consumers", "0"], "--consumers"),
        ("remote_sort", &["--host", ""], "--host takes a host name or an address, not \"\""),
        ("request", &["word"], "\"word\""),
        ("scheduler", &["--virtual", "later"], "\"later\""),
        ("site_sizes", &[], "no URL is given"),
        ("site_sizes", &["--at-once", "0", "http://a"], "--at-once takes a number above 0, not \"0\""),
        ("site_sizes", &["--timeout", "-1", "http://a"], "--timeout -1: "),
        ("sort_server", &["--timeout", "soon"], "--timeout takes a number of seconds, not \"soon\""),
        ("sort_server", &["--max-bytes", "0"], "--max-bytes takes a number above 0, not \"0\""),
        ("thread_counter", &[], "queues, locks or racy?"),
        ("thread_counter", &["racy", "--fuzz", "x"], "--fuzz takes a number, not \"x\""),
        ("thread_then_fork", &["--children", "x"], "--children takes a number from 0 to 1000, not \"x\""),
        ("websocket", &["--max-message", "0"], "--max-message takes a number above 0, not \"0\""),
    ];
    for (name, arguments, what) in wrong {
        let ended = run(name, arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{name} {arguments:?}: {ended:?}");
        let is_whole = ended.err.starts_with(&format!("{name}: "))
            && ended.err.ends_with(&format!("; see {name} --help\n"))
            && ended.err.lines().count() == 1;
        assert!(is_whole && ended.err.contains(what), "{arguments:?}: {}, not {what}", ended.err);
    }
}

#[test]
fn an_output_that_nobody_reads_is_no_error() {
    let help = examples().into_iter().map(|example| (example.name, &["--help"][..]));
    let others: [(&str, &[&str]); 13] = [
        ("background_requests", &["--virtual"]),
        ("barriers", &["--virtual"]),
        ("dining_philosophers", &["--virtual"]),
        ("find_files", &["examples", ".rs"]),
        ("five_sleepers", &["--virtual"]),
        ("input_reader", &[]),
        ("much_cpu", &["--work", "0"]),
        ("prime_factor", &["84"]),
        ("producer_consumer", &["--virtual"]),
        ("scheduler", &["--virtual"]),
        ("thread_counter", &["queues"]),
        ("thread_counter", &["locks", "--fuzz", "1"]),
        ("thread_then_fork", &[]),
    ];
    for (name, arguments) in help.chain(others.map(|(name, arguments)| (name.to_string(), arguments))) {
        let ended = run_unheard(&name, arguments);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{name} {arguments:?}");
    }
}
