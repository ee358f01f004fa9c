//! Nothing that NOTES.md or README.md names is gone: files, items, examples, tests.
//!
//! `cargo test --test notes` lists what is not there, with page and line. A code span that looks
//! like a path must exist (from the root, from `runtime/`, or as the name of a source file; with
//! `:item` that item must be in the file). One that looks like an item (`Type::method`,
//! `function()`, `CONSTANT`, `TypeName`, `snake_case`) must be in the code. Commands must name
//! examples, tests and filters that exist. A block of code that begins with a path in a comment
//! must stand in that file. Foreign names are listed below.

#[path = "support/sources/code.rs"]
mod code;
#[path = "support/sources/evidence.rs"]
mod evidence;
#[path = "support/sources/files.rs"]
mod files;
#[path = "support/sources/prose.rs"]
mod prose;
#[path = "support/sources/quotes.rs"]
mod quotes;

use evidence::Evidence;
use files::{SourceFile, root, rust_files};

/// Crates of others, and names from elsewhere that the code does not use but the pages explain.
/// A crate here stands for everything in it; a name stands for itself.
#[rustfmt::skip]
const FOREIGN: &[&str] = &[
    // Crates and their kin.
    "std", "core", "alloc", "mio", "tokio", "smol", "futures", "futures_core", "futures_io", "async_io",
    "async_task", "async_executor", "libc", "socket2", "slab", "log", "env_logger", "loom", "monoio",
    "glommio", "may", "embassy_executor", "signal_hook_registry",
    // Python, C and others.
    "asyncio", "trio", "gevent", "libuv", "redis", "curio", "uv_run", "uv_timer_start", "ae_process_events",
    "call_exception_handler", "run_until_complete", "RuntimeError", "CancelledError", "TimeoutError",
    "LoopExit", "MockClock", "blocking_send", "blocking_recv", "run_in_executor", "from_thread",
    "uv_async_send", "Nursery", "aeProcessEvents", "aeMain",
    // The operating system.
    "epoll_wait", "epoll_ctl", "epoll_create1", "epoll_pwait", "eventfd", "accept4", "recvfrom", "sendto",
    "EAGAIN", "EWOULDBLOCK", "EPOLLET", "EPOLLIN", "EPOLLOUT", "EPOLLRDHUP", "EPOLLONESHOT", "EPIPE",
    "TCP_NODELAY", "SO_REUSEADDR", "SO_LINGER", "CLOCK_MONOTONIC", "RUST_LOG", "FIN", "RST", "VmPTE",
    // Tools and their variables.
    "CARGO_TARGET_DIR", "RUSTFLAGS", "RUST_BACKTRACE",
];

fn evidence() -> Evidence<'static> {
    Evidence {
        sources: ["runtime", "examples", "tests"].into_iter().flat_map(rust_files).collect(),
        exists: Box::new(|path| root().join(path).exists()),
        foreign: FOREIGN,
    }
}

fn assert_true_page(page: &str) {
    let text = std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let claims = prose::claims(&text);
    assert!(claims.len() > 5, "{page} names only {} things; is it read as it should be?", claims.len());
    let problems = evidence().problems(page, &claims);
    let list = problems.join("\n");
    assert!(
        problems.is_empty(),
        "{} of {} things are not there:\n{list}\n\
         Correct the page. If a name belongs to somebody else, add it to FOREIGN in tests/notes.rs.",
        problems.len(),
        claims.len()
    );
}

#[test]
fn everything_that_the_notes_name_is_there() {
    assert_true_page("NOTES.md");
}

#[test]
fn what_is_quoted_from_a_file_stands_in_it() {
    for page in ["NOTES.md", "README.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let file = |quote: &quotes::Quote<'_>| std::fs::read_to_string(root().join(quote.path)).ok();
        let quotes = quotes::quotes(&text);
        let problems: Vec<_> =
            quotes.iter().filter_map(|quote| quote.problem(page, file(quote).as_deref())).collect();
        assert!(
            problems.is_empty(),
            "quote the file as it is, with `…` for what is left out:\n{problems:#?}"
        );
        assert!(page != "NOTES.md" || quotes.len() > 5, "{} quotes; are they read?", quotes.len());
    }
}

#[test]
fn no_section_of_the_notes_is_empty() {
    let page = std::fs::read_to_string(root().join("NOTES.md")).unwrap();
    let sections = page.split("\n## ").skip(1);
    let empty: Vec<&str> = sections.filter(|text| text.trim().lines().count() < 2).collect();
    assert!(empty.is_empty(), "nothing stands under {empty:?}");
}

#[test]
fn everything_that_the_readme_names_is_there() {
    assert_true_page("README.md");
}

/// The checker, on pages about a project that does not exist.
mod on_bad_pages {
    use super::*;

    const TASK: &str = "pub struct Task {\n    state: u8,\n}\nimpl Task {\n    pub fn wake_me(&self) {}\n}\n\
        enum Mode { Fast }\nconst LIMIT: u8 = 1;\nuse std::task::Waker; // SomeThing\n";

    fn problems(page: &str) -> Vec<String> {
        let sources = vec![
            SourceFile::new("runtime/task/state.rs", TASK),
            SourceFile::new("tests/wakes.rs", "#[test]\nfn a_wake_gives_a_turn() { io::Error::other(); }"),
        ];
        let there = [
            "runtime/task",
            "runtime",
            "examples/echo.rs",
            "examples/big/main.rs",
            "tests/wakes.rs",
            ".ci/run",
        ];
        let exists = Box::new(move |path: &str| there.contains(&path));
        Evidence { sources, exists, foreign: &["tokio", "epoll_wait"] }.problems("PAGE", &prose::claims(page))
    }

    #[test]
    fn what_is_there_passes() {
        for claim in [
            "`runtime/task/state.rs`",
            "`task/state.rs`",
            "`state.rs`",
            "`task/`",
            "`runtime/task/*`",
            "`state.rs:Task::wake_me`",
            "`state.rs:9`",
            "`Task`",
            "`Task::wake_me`",
            "`Task::state`",
            "`greenroom::Task`",
            "`state::Task`",
            "`Mode::Fast`",
            "`wake_me()`",
            "`.wake_me()`",
            "`LIMIT`",
            "`Waker`",
            "`io::Error`",
            "`tokio::task::JoinSet`",
            "`epoll_wait`",
            "`cargo test a_wake`",
            "`/proc/self/fd`, `target/x`, `1 + 1`, `SIGINT/SIGTERM`, `quit`, `Rc<T>`, `-v`, `'A'`",
            "[the tests](tests/wakes.rs#L1) and [elsewhere](https://example.org/a.rs)",
            "```console\n$ cargo run --release --example echo -- Gone::gone\n$ cargo run --example big | cat gone.rs\n\
             $ RUST_LOG=trace cargo test --test wakes a_wake\n$ .ci/run\n$ ls gone/\nGone::gone `gone.rs`\n```",
            "```rust\nGone::gone(); `gone.rs`\n```\n",
        ] {
            assert_eq!(problems(claim), Vec::<String>::new(), "{claim}");
        }
    }

    #[test]
    fn what_is_gone_is_found() {
        for claim in [
            "`runtime/task/gone.rs`",
            "`gone.rs`",
            "`gone/`",
            "`GONE.md`",
            "`gone/*`",
            "`state.rs:Task::gone`",
            "`state.rs:10`",
            "`gone.rs:Task`",
            "`SomeThing`",
            "`Gone`",
            "`Task::gone`",
            "`Gone::wake_me`",
            "`Waker::wake_me_too`",
            "`gone::Task`",
            "`gone()`",
            "`wake_me_gone`",
            "`GONE`",
            "`a_wake_gives_no_turn`",
            "`cargo run --example gone`",
            "`cargo test no_such_test`",
            "[the tests](tests/gone.rs)",
            "one ` too many",
            "```console\n$ cargo run --release --example gone -- --port 0\n```",
            "```console\n$ cargo test --test gone\n```",
            "```console\n$ A=b cargo test --test wakes gone 2>&1 | tail\n```",
            "```console\n$ .ci/gone\n```",
        ] {
            assert_eq!(problems(claim).len(), 1, "{claim}: {:?}", problems(claim));
        }
    }

    #[test]
    fn problems_come_with_page_and_line() {
        let page = "one\n```console\n$ cargo test --test gone\n```\nfive `Task`\n`gone.rs`\n\neight\n`gone`\n\n`\n\n`Gone`";
        let expected = [
            "PAGE:3: the command names tests/gone.rs, which does not exist: cargo test --test gone",
            "PAGE:6: `gone.rs` does not exist",
            "PAGE:11: a backtick of this paragraph has no partner",
            "PAGE:13: `Gone` is nowhere in the code",
        ];
        assert_eq!(problems(page), expected);
    }
}

/// The checker of quotes, on a file that does not exist.
mod on_bad_quotes {
    use super::quotes::quotes;

    const FILE: &str = "fn one() {\n    if true {\n        two();\n        three();\n    }\n}\n\nfn four() {\n    two();\n}\n";

    /// What is wrong with a block of these lines.
    fn problem(lines: &str) -> Option<String> {
        let page = format!("one\n\n```rust\n// a.rs\n{lines}\n```\n");
        let quotes = quotes(&page);
        assert_eq!(quotes.len(), 1, "{page}");
        quotes[0].problem("PAGE", (quotes[0].path == "a.rs").then_some(FILE))
    }

    #[test]
    fn what_stands_in_the_file_passes() {
        for lines in [
            "fn one() {",
            "fn one() {\n    if true {\n        two();",
            "if true {\n    two();",
            "two();\nthree();",
            "fn one() {\n    …\n}\n\nfn four() {\n…\n}",
            "…\ntwo();\n…\n…\nthree();\n…",
            "…\n    two();\n…\n    two();\n}",
        ] {
            assert_eq!(problem(lines), None, "{lines}");
        }
    }

    #[test]
    fn what_does_not_is_found_with_its_line() {
        for (lines, line, text) in [
            ("fn two() {", 5, "fn two() {"),
            ("fn one() {\n    if false {", 6, "if false {"),
            ("fn one() {\n        two();", 6, "two();"),
            ("fn one() {\n  …\n}\nfn four() {", 8, "fn four() {"),
            ("fn four() {\n…\nfn one() {", 7, "fn one() {"),
            ("if true {\n        two();", 6, "two();"),
            ("three();\ntwo();", 6, "two();"),
            ("two();\n…\nthree();\n…\n  two();", 9, "two();"),
            ("}\n\n\nfn four() {", 7, ""),
        ] {
            let expected = format!("PAGE:{line}: this does not stand so in a.rs: {text}");
            assert_eq!(problem(lines), Some(expected), "{lines}");
        }
        assert_eq!(problem("…\n…"), Some("PAGE:4: nothing of a.rs is quoted".into()));
    }

    #[test]
    fn a_quote_names_a_file_that_exists_and_other_blocks_are_none() {
        let page = "```rust\nfn no_quote() {}\n```\n\n```text\n// b.rs\nfn b() {}\n```\n```rust\n// not a path\n```\n";
        let quotes = quotes(page);
        assert_eq!(quotes.len(), 1);
        assert_eq!(quotes[0].problem("PAGE", None), Some("PAGE:6: b.rs does not exist".into()));
    }
}
