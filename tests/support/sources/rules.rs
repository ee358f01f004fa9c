//! What holds for each source file by itself: its size, its head, its words, its `unsafe`.
//!
//! Every function gives one sentence for each place where a rule is broken, with file and line.

use super::code::{Token, is_word, tokens};
use super::files::SourceFile;

/// The most lines a file may have.
pub const FILE_LINES: usize = 400;

/// The most lines a function may have, from `fn` to its last brace, comments included.
pub const FUNCTION_LINES: usize = 60;

/// The most conditional compilations there may be, those for tests not counted.
pub const CFG_COUNT: usize = 20;

/// What no type is called without a word more; of handles there is one that everybody means.
const NO_TYPES: &[&str] = &["Inner", "Shared", "Core", "Driver", "State", "Handle"];

/// Names for things that belong nowhere.
const NO_NAMES: [&str; 6] = ["util", "utils", "common", "misc", "prelude", "helpers"];

/// Files and functions that are too long.
pub fn size_problems(files: &[SourceFile]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let lines = file.text.lines().count();
        if lines > FILE_LINES {
            problems.push(format!("{} has {lines} lines, more than {FILE_LINES}", file.path));
        }
        for (name, first, last) in functions(&file.code) {
            let lines = last + 1 - first;
            if lines > FUNCTION_LINES {
                let path = &file.path;
                problems
                    .push(format!("{path}:{first}: {name}() has {lines} lines, more than {FUNCTION_LINES}"));
            }
        }
    }
    problems
}

/// The name, first and last line of every function that has a body.
fn functions(code: &str) -> Vec<(&str, usize, usize)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        if pair[0].text == "fn"
            && is_word(pair[1].text)
            && let Some(last) = end_of_body(&tokens[at..])
        {
            found.push((pair[1].text, pair[0].line, last));
        }
    }
    found
}

/// The line of the brace that ends the body; none if a semicolon stands in the body's place.
fn end_of_body(tokens: &[Token<'_>]) -> Option<usize> {
    let (mut brackets, mut braces) = (0, 0);
    for token in tokens {
        match token.text {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets -= 1,
            ";" if brackets == 0 && braces == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                if braces == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

/// Files that do not begin by saying what they are.
pub fn head_problems(files: &[SourceFile]) -> Vec<String> {
    let headless = files.iter().filter(|file| !file.text.starts_with("//! "));
    headless.map(|file| format!("{}: the first line does not begin with `//! `", file.path)).collect()
}

/// Files that do not end their head with what to read next, or that send the reader to a file that
/// is not there, or back. Folders' `mod.rs`, `lib.rs` and the file before it need not say it.
pub fn read_next_problems(files: &[SourceFile], order: &[String]) -> Vec<String> {
    let place = |path: &str| order.iter().position(|other| other == path);
    let excused = |path: &str| path.ends_with("/mod.rs") || place(path) >= Some(order.len() - 2);
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| place(&file.path).is_some()) {
        let head = file.text.lines().map_while(|line| line.strip_prefix("//!"));
        let pointer = head.filter_map(|line| line.trim().strip_prefix("Read next: `")).next();
        let Some(next) = pointer.and_then(|rest| rest.split('`').next()) else {
            if !excused(&file.path) {
                problems.push(format!("{}: the head does not say `Read next: ...`", file.path));
            }
            continue;
        };
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let target = place(&format!("{folder}/{next}")).or(place(&format!("runtime/{next}")));
        if target.is_none() {
            problems.push(format!("{}: `Read next` names {next}, which does not exist", file.path));
        } else if target <= place(&file.path) {
            problems.push(format!("{}: `Read next` sends the reader back to {next}", file.path));
        }
    }
    problems
}

/// More conditional compilation than can be kept in mind.
pub fn cfg_problems(files: &[SourceFile]) -> Vec<String> {
    let mut places = Vec::new();
    for file in files {
        let tokens = tokens(&file.code);
        for (at, token) in tokens.iter().enumerate() {
            let text = |ahead: usize| tokens.get(at + ahead).map_or("", |token| token.text);
            let for_tests = text(2) == "test" && text(3) == ")";
            let is_cfg = matches!(token.text, "cfg" | "cfg_attr") && matches!(text(1), "(" | "!");
            if is_cfg && !for_tests {
                places.push(format!("{}:{}", file.path, token.line));
            }
        }
    }
    let too_many = places.len() > CFG_COUNT;
    let list = places.join(", ");
    too_many.then(|| format!("{} cfgs, more than {CFG_COUNT}: {list}", places.len())).into_iter().collect()
}

/// `unsafe` outside of the files listed for it, listed files without any, and `unsafe` blocks and
/// implementations without a reason right above.
pub fn unsafe_problems(files: &[SourceFile], allowed: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for path in allowed {
        let has_unsafe = |file: &SourceFile| tokens(&file.code).iter().any(|token| token.text == "unsafe");
        if !files.iter().any(|file| file.path == *path && has_unsafe(file)) {
            problems.push(format!("{path} is listed for `unsafe` but has none"));
        }
    }
    for file in files {
        let lines: Vec<&str> = file.text.lines().collect();
        for pair in tokens(&file.code).windows(2).filter(|pair| pair[0].text == "unsafe") {
            let place = format!("{}:{}", file.path, pair[0].line);
            if !allowed.contains(&file.path.as_str()) {
                problems.push(format!("{place}: no `unsafe` is allowed in this file"));
            }
            let above = lines[..pair[0].line - 1].iter().rev();
            let mut above = above.map(|line| line.trim()).take_while(|line| line.starts_with("//"));
            if matches!(pair[1].text, "{" | "impl") && !above.any(|line| line.starts_with("// SAFETY: ")) {
                problems.push(format!("{place}: no `// SAFETY: ` comment right above"));
            }
        }
    }
    problems
}

/// Printing, which a library leaves to its user.
pub fn print_problems(files: &[SourceFile]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        for pair in tokens(&file.code).windows(2).filter(|pair| pair[1].text == "!") {
            if matches!(pair[0].text, "print" | "println" | "eprint" | "eprintln" | "dbg") {
                problems.push(format!("{}:{}: {}!", file.path, pair[0].line, pair[0].text));
            }
        }
    }
    problems
}

/// Fields of structs without a comment in the line above. Expects the layout of rustfmt.
pub fn field_problems(files: &[SourceFile]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let (text, code): (Vec<&str>, Vec<&str>) = (file.text.lines().collect(), file.code.lines().collect());
        let mut fields_start = None;
        for (index, line) in code.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let words = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            if words.starts_with("struct ") && !line.trim_end().ends_with([';', ',']) {
                fields_start = Some(indent + 4);
            } else if fields_start == Some(indent + 4)
                && line.trim_end() == format!("{}}}", " ".repeat(indent))
            {
                fields_start = None;
            } else if fields_start == Some(indent) && is_field(words) && !commented(&text[..index]) {
                problems.push(format!("{}:{}: no comment above {words}", file.path, index + 1));
            }
        }
    }
    problems
}

/// Whether the words begin with a name and a colon.
fn is_field(words: &str) -> bool {
    let name = words.trim_start_matches("pub(super) ").split_once(':');
    name.is_some_and(|(name, rest)| is_word(name) && !name.contains(' ') && !rest.starts_with(':'))
}

/// Whether the last of these lines is a comment, attributes aside.
fn commented(above: &[&str]) -> bool {
    let line = above.iter().rev().map(|line| line.trim()).find(|line| !line.starts_with("#["));
    line.is_some_and(|line| line.starts_with("//"))
}

/// Files, folders, modules and types with names that say nothing.
pub fn name_problems(files: &[SourceFile]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        for part in file.path.trim_end_matches(".rs").split('/').filter(|part| NO_NAMES.contains(part)) {
            problems.push(format!("{}: nothing is called {part}", file.path));
        }
        for pair in tokens(&file.code).windows(2) {
            let makes_a_type = ["struct", "enum", "trait", "type"].contains(&pair[0].text);
            let is_the_handle = pair[1].text == "Handle" && file.path == "runtime/executor/remote.rs";
            if makes_a_type && NO_TYPES.contains(&pair[1].text) && !is_the_handle {
                let (path, line, name) = (&file.path, pair[0].line, pair[1].text);
                problems.push(format!("{path}:{line}: no type is called {name} alone"));
            }
        }
        for pair in tokens(&file.code).windows(2).filter(|pair| pair[0].text == "mod") {
            if NO_NAMES.contains(&pair[1].text) {
                let (path, line, name) = (&file.path, pair[0].line, pair[1].text);
                problems.push(format!("{path}:{line}: no module is called {name}"));
            }
        }
    }
    problems
}

/// Public futures that may be dropped unnoticed or do not say what that loses: types without `must_use`, those
/// of `exempt` aside, and async functions without the words "Cancel safety". Expects the layout of rustfmt.
pub fn future_problems(files: &[SourceFile], exempt: &[&str]) -> Vec<String> {
    let futures: Vec<&str> = files.iter().flat_map(|file| future_types(&file.code)).collect();
    let mut problems = Vec::new();
    for file in files {
        let (text, code): (Vec<&str>, Vec<&str>) = (file.text.lines().collect(), file.code.lines().collect());
        for (index, line) in code.iter().enumerate() {
            let above = text[..index].iter().rev().map(|line| line.trim());
            let above: Vec<&str> =
                above.take_while(|line| line.starts_with("//") || line.starts_with("#[")).collect();
            let has = |words: &str| above.iter().any(|line| line.contains(words));
            let name = line
                .strip_prefix("pub struct ")
                .and_then(|rest| rest.split(|c: char| !c.is_alphanumeric()).next());
            if name.is_some_and(|name| futures.contains(&name) && !exempt.contains(&name))
                && !has("#[must_use")
            {
                problems.push(format!("{}:{}: a future without must_use", file.path, index + 1));
            }
            if line.trim_start().starts_with("pub async fn ") && !has("# Cancel safety") {
                problems.push(format!("{}:{}: no word on cancel safety", file.path, index + 1));
            }
        }
    }
    problems
}

/// The names of the types for which `Future` is implemented.
fn future_types(code: &str) -> impl Iterator<Item = &str> {
    let heads = code.lines().filter(|line| line.starts_with("impl"));
    let types = heads.filter_map(|line| line.split_once("Future for "));
    types.filter_map(|(_, rest)| rest.split(|c: char| !c.is_alphanumeric()).next())
}
