//! The laws of the source text: reading order, sizes, where `unsafe` may stand, what each file says.
//!
//! `cargo test --test layers` shows every place where a law is broken, as file and line. The laws
//! are checked on the text; what each check would catch is shown on small bad files, further down.

#[path = "support/sources/code.rs"]
mod code;
#[path = "support/sources/files.rs"]
mod files;
#[path = "support/sources/order.rs"]
mod order;
#[path = "support/sources/rules.rs"]
mod rules;

use files::{SourceFile, rust_files};

/// The only files of the library that may contain `unsafe`.
const UNSAFE_FILES: [&str; 23] = [
    "runtime/executor/block_on.rs",
    "runtime/green/checkers_asan.rs",
    "runtime/green/checkers_valgrind.rs",
    "runtime/green/coroutine.rs",
    "runtime/green/overflow.rs",
    "runtime/green/stack.rs",
    "runtime/green/stack_pool.rs",
    "runtime/green/switch_aarch64.rs",
    "runtime/green/switch_x86_64.rs",
    "runtime/green/thread.rs",
    "runtime/green/visit.rs",
    "runtime/green/wait.rs",
    "runtime/io/readable_now.rs",
    "runtime/net/datagram_socket.rs",
    "runtime/net/unix_stream.rs",
    "runtime/process/end.rs",
    "runtime/signal.rs",
    "runtime/task/cell.rs",
    "runtime/task/header.rs",
    "runtime/task/here.rs",
    "runtime/task/join.rs",
    "runtime/task/run.rs",
    "runtime/task/waker.rs",
];

fn runtime() -> Vec<SourceFile> {
    rust_files("runtime")
}

fn everything() -> Vec<SourceFile> {
    ["runtime", "examples", "tests"].into_iter().flat_map(rust_files).collect()
}

fn runtime_order(files: &[SourceFile]) -> Vec<String> {
    order::reading_order(files).unwrap_or_else(|problems| panic!("{}", problems.join("\n")))
}

#[track_caller]
fn assert_none(problems: Vec<String>) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn every_file_has_its_place_in_the_reading_order() {
    let files = runtime();
    let order = runtime_order(&files);
    assert_eq!(order.len(), files.len(), "each file stands in the order once: {order:#?}");
    assert_eq!(order[0], "runtime/atomic.rs");
}

#[test]
fn files_import_only_from_files_before_them() {
    let files = runtime();
    assert_none(order::import_problems(&files, &runtime_order(&files)));
}

#[test]
fn heads_say_what_to_read_next() {
    let files = runtime();
    assert_none(rules::read_next_problems(&files, &runtime_order(&files)));
}

#[test]
fn files_and_functions_are_short() {
    assert_none(rules::size_problems(&everything()));
}

#[test]
fn files_begin_by_saying_what_they_are() {
    assert_none(rules::head_problems(&everything()));
}

#[test]
fn there_is_little_conditional_compilation() {
    assert_none(rules::cfg_problems(&runtime()));
}

#[test]
fn unsafe_stands_where_it_may_and_says_why() {
    assert_none(rules::unsafe_problems(&runtime(), &UNSAFE_FILES));
}

#[test]
fn the_library_prints_nothing() {
    assert_none(rules::print_problems(&runtime()));
}

#[test]
fn every_field_of_a_struct_is_explained() {
    assert_none(rules::field_problems(&runtime()));
}

#[test]
fn futures_are_not_dropped_unnoticed() {
    // A request to stop is made whether or not one waits for it; the other two are waited for by those who
    // keep them.
    assert_none(rules::future_problems(&runtime(), &["Cancel", "Child", "Scoped"]));
}

#[test]
fn nothing_is_named_after_a_drawer() {
    assert_none(rules::name_problems(&everything()));
}

/// Each check, on text that breaks its law and on text that only looks so.
mod on_bad_files {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Vec<SourceFile> {
        texts.iter().map(|(path, text)| SourceFile::new(path, text)).collect()
    }

    fn one(text: &str) -> Vec<SourceFile> {
        files(&[("runtime/a.rs", text)])
    }

    /// A runtime of `a.rs`, the folder `b` with `first.rs` and `second.rs`, and `c.rs`, in this
    /// order, each with the text given for it.
    fn book(a: &str, first: &str, second: &str, module: &str, c: &str) -> Vec<SourceFile> {
        let head = format!("//! `first.rs`, `second.rs`.\nmod first;\nmod second;\n{module}");
        files(&[
            ("runtime/lib.rs", "mod a;\npub mod b;\nmod c;\n#[cfg(test)]\nmod models;\npub use c::C;\n"),
            ("runtime/a.rs", a),
            ("runtime/b/first.rs", first),
            ("runtime/b/second.rs", second),
            ("runtime/b/mod.rs", &head),
            ("runtime/c.rs", c),
        ])
    }

    fn import_problems(files: &[SourceFile]) -> Vec<String> {
        order::import_problems(files, &runtime_order(files))
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = r##"a /* b /* c */ "d */ "e\"" '"' 'f' &'g h '\'' r#"i " j"# b"k" "" l // m"##;
        let code = code::code_of(text);
        let words: Vec<&str> = code::tokens(&code).iter().map(|token| token.text).collect();
        let words = words.into_iter().filter(|word| code::is_word(word)).collect::<String>();
        assert_eq!(words, "aghrbl");
        let lines = code::code_of("a\n\"b\nc\"\n/* d\ne */ f");
        assert_eq!(lines.lines().count(), 5);
        assert_eq!(code::tokens(&lines).last().map(|token| (token.text, token.line)), Some(("f", 5)));
    }

    #[test]
    fn the_order_is_that_of_the_mod_lines_and_heads() {
        let order = runtime_order(&book("", "", "", "", ""));
        let expected = ["a.rs", "b/first.rs", "b/second.rs", "b/mod.rs", "c.rs", "lib.rs"];
        assert_eq!(order, expected.map(|path| format!("runtime/{path}")));
    }

    #[test]
    fn files_without_a_place_are_found_and_places_without_a_file() {
        let lonely =
            files(&[("runtime/lib.rs", "mod a;\nmod d;"), ("runtime/a.rs", ""), ("runtime/b.rs", "")]);
        let problems = order::reading_order(&lonely).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        let mut unnamed = book("", "", "", "", "");
        unnamed[4].text = "//! `first.rs`, `third.rs`".into();
        let problems = order::reading_order(&unnamed).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(order::reading_order(&one("")).is_err());
    }

    #[test]
    fn imports_go_back() {
        let files = book(
            "mod tests { use super::A; use super::super::a::A; }",
            "use crate::a::{self, A};\nuse std::super_::c;",
            "use super::first::{First as F, *};\nfn f() { crate::a::g() }",
            "use crate::a::A;",
            "use crate::{a::A, b::{first, second::Second}};\nuse super::b::Thing;\n// use crate::lib;",
        );
        assert_none(import_problems(&files));
    }

    #[test]
    fn imports_that_go_forward_are_found_wherever_they_stand() {
        for forward in [
            "use crate::c::C;",
            "use crate::{\n    a::A,\n    c::C,\n};",
            "use crate::b::{first::F, second};",
            "pub(crate) use super::second::Second;",
            "fn f() { crate::c::g::<u8>() }",
            "use crate::C;",
            "use super::Thing;",
            "use super::super::c;",
            "mod tests { mod deep {} use super::super::second; }",
            "use {crate::a, super::{super::{c::C}}};",
        ] {
            let problems = import_problems(&book("", forward, "", "", ""));
            assert_eq!(problems.len(), 1, "{forward}: {problems:?}");
        }
        // Two files that import each other: one of the two imports goes forward.
        assert_eq!(import_problems(&book("", "use super::second;", "use super::first;", "", "")).len(), 1);
        assert_eq!(import_problems(&book("", "", "", "use crate::c::C;", "")).len(), 1);
    }

    #[test]
    fn pointers_to_nowhere_or_back_are_found() {
        let problems = |first: &str| {
            let files = book("//! Read next: `b/first.rs`.", first, "//! Read next: `c.rs`.", "", "");
            rules::read_next_problems(&files, &runtime_order(&files)).len()
        };
        assert_eq!(problems("//! Read next: `second.rs`."), 0);
        assert_eq!(problems("//! Read next: `b.rs`."), 1);
        assert_eq!(problems("//! Read next: `a.rs`."), 1);
        assert_eq!(problems("//! Something.\n// Read next: `second.rs`."), 1);
    }

    #[test]
    fn long_files_and_functions_are_found() {
        let function = |lines: usize| {
            format!("impl A {{\n    pub const fn f(a: [u8; 2]) {{\n{}    }}\n}}\n", "\n".repeat(lines - 2))
        };
        let count = |text: &str| rules::size_problems(&one(text)).len();
        assert_eq!(count(&function(rules::FUNCTION_LINES)), 0);
        assert_eq!(count(&function(rules::FUNCTION_LINES + 1)), 1);
        assert_eq!(
            count(&format!("trait A {{ fn f(); }}\nfn g() {{}}\n{}", "type F = fn();\n".repeat(100))),
            0
        );
        assert_eq!(count(&"\n".repeat(rules::FILE_LINES)), 0);
        assert_eq!(count(&"\n".repeat(rules::FILE_LINES + 1)), 1);
    }

    #[test]
    fn missing_heads_prints_and_drawers_are_found() {
        assert_eq!(rules::head_problems(&one("// A file.\n")).len(), 1);
        assert_eq!(rules::head_problems(&one("//! A file.\n")).len(), 0);
        assert_eq!(
            rules::print_problems(&one("fn f() { println!(); std::eprint!(\"\"); dbg!(1) }")).len(),
            3
        );
        assert_eq!(rules::print_problems(&one("// println!\nfn f() { let println = \"dbg!\"; }")).len(), 0);
        assert_eq!(rules::name_problems(&files(&[("tests/util/a.rs", "mod misc;")])).len(), 2);
        assert_eq!(rules::name_problems(&one("mod utility;")).len(), 0);
        assert_eq!(rules::name_problems(&one("enum State {}\nstruct Handle;\nstruct TaskState;")).len(), 2);
    }

    #[test]
    fn conditions_are_counted_but_for_those_of_tests() {
        let text = "#[cfg(unix)]\n#[cfg_attr(a, b)]\nif cfg!(c) {}\n#[cfg(all(test, d))]\n".repeat(5);
        let count = |text: &str| rules::cfg_problems(&one(text)).len();
        assert_eq!(count(&format!("{text}#[cfg(test)]\n// #[cfg(e)]")), 0);
        assert_eq!(count(&format!("{text}#[cfg(e)]")), 1);
    }

    #[test]
    fn unsafe_without_leave_or_reason_is_found() {
        let count = |text: &str| rules::unsafe_problems(&one(text), &["runtime/a.rs"]).len();
        assert_eq!(count("// SAFETY: because\n// of this\nlet a = unsafe { b };"), 0);
        assert_eq!(count("// SAFETY: because\n\nlet a = unsafe { b };"), 1);
        assert_eq!(count("// SAFETY:\nunsafe impl Send for A {}"), 1);
        assert_eq!(count("unsafe fn f() {}"), 0);
        assert_eq!(count("// unsafe"), 1, "a listed file without unsafe");
        assert_eq!(rules::unsafe_problems(&one("unsafe fn f() {}"), &[]).len(), 1);
    }

    #[test]
    fn futures_that_say_too_little_are_found() {
        let future = "impl<T> Future for A<T> {}\n";
        let count = |text: &str| rules::future_problems(&one(&format!("{future}{text}")), &["B"]).len();
        assert_eq!(count("/// The a.\n#[must_use = \"b\"]\npub struct A<T> {"), 0);
        assert_eq!(count("/// The a, must_use.\npub struct A<T> {"), 1);
        assert_eq!(count("impl Future for B {}\npub struct B;\nstruct C;\nimpl Future for C {}"), 0);
        assert_eq!(count("/// # Cancel safety\n/// Nothing.\npub async fn a() {}"), 0);
        assert_eq!(count("/// # Cancel safety\nfn a() {}\npub async fn b() {}"), 1);
    }

    #[test]
    fn fields_without_a_comment_are_found() {
        let count = |text: &str| rules::field_problems(&one(text)).len();
        let good = "pub struct A<T>\nwhere\n    T: B,\n{\n    /// The a.\n    #[c]\n    pub(crate) a: u8,\n}\nstruct E(u8);\n";
        assert_eq!(count(&good.replace("    T: B,\n", "    // The bound.\n    T: B,\n")), 0);
        assert_eq!(count("struct A {\n    a: u8,\n    // The b.\n    b: u8,\n}\nfn f() {\n    a: u8,\n}"), 1);
    }
}
