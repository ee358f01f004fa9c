//! What a page of prose claims to exist: the paths, names and commands in its code.
//!
//! A page is Markdown. Code stands in spans (between single backticks) and in fenced blocks; of
//! the blocks only those marked `console` are read, and in these the lines that begin with `$ `.

use super::code::{is_word, is_word_char};

/// What a piece of code on a page looks like, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Claim {
    /// The line of the page, from 1.
    pub line: usize,
    /// What is claimed.
    pub kind: Kind,
}

/// The kinds of things that a page can be wrong about.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file or folder, and perhaps an item in it: `runtime/id.rs:TaskId`.
    Path { path: String, item: Option<String> },
    /// Something in the sources: `TaskId`, `LocalLoop::turn`, `block_on()`, `EMFILE`.
    Item(String),
    /// A command: what stands after the `$ `, or a span that begins with `cargo`.
    Command(String),
    /// A span of code without an end, so that code and prose of its paragraph are mixed up.
    LoneBacktick,
}

/// Everything that the page claims.
pub fn claims(page: &str) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut prose = String::new();
    let mut fence: Option<String> = None;
    for (index, line) in page.lines().enumerate() {
        let mark = line.trim_start();
        let is_fence = mark.starts_with("```");
        match &fence {
            None if is_fence => fence = Some(mark.trim_start_matches('`').trim().to_string()),
            Some(_) if is_fence && mark.trim_end().ends_with("```") => fence = None,
            Some(language) if language == "console" => {
                let command = mark.strip_prefix("$ ").map(|text| Kind::Command(text.trim().to_string()));
                claims.extend(command.map(|kind| Claim { line: index + 1, kind }));
            }
            None => prose.push_str(line),
            _ => {}
        }
        prose.push('\n');
    }
    // A span may go on in the next line, but not in the next paragraph.
    let mut line = 1;
    for paragraph in prose.split("\n\n") {
        read_paragraph(paragraph, line, &mut claims);
        line += paragraph.matches('\n').count() + 2;
    }
    claims.sort_by_key(|claim| claim.line);
    claims
}

/// Adds what a paragraph claims, which begins in this line.
fn read_paragraph(paragraph: &str, first_line: usize, claims: &mut Vec<Claim>) {
    let mut line = first_line;
    for (count, piece) in paragraph.split('`').enumerate() {
        if count % 2 == 1 {
            let span = piece.split_whitespace().collect::<Vec<_>>().join(" ");
            claims.extend(span_kind(&span).map(|kind| Claim { line, kind }));
        } else {
            claims.extend(links(piece, line));
        }
        line += piece.matches('\n').count();
    }
    if paragraph.matches('`').count() % 2 == 1 {
        claims.push(Claim { line: first_line, kind: Kind::LoneBacktick });
    }
}

/// What a span looks like; none for code that names nothing, such as `1 + 1`.
fn span_kind(span: &str) -> Option<Kind> {
    if span.starts_with("cargo ") {
        return Some(Kind::Command(span.to_string()));
    }
    if span.contains(' ') {
        return None;
    }
    let (path, item) = match span.split_once(".rs:") {
        Some((path, item)) => (format!("{path}.rs"), Some(item.to_string())),
        None => (span.to_string(), None),
    };
    let of_path = |c: char| is_word_char(c) || matches!(c, '.' | '-' | '/' | '*');
    let has_ending = [".rs", ".md", ".toml"].iter().any(|ending| path.ends_with(ending));
    if path.chars().all(of_path) && (has_ending || path.contains('/')) {
        // What is not inside of the project is not ours to check.
        return (!path.starts_with('/') && path.contains(char::is_lowercase))
            .then_some(Kind::Path { path, item });
    }
    let name = span.trim_start_matches('.').trim_end_matches("()").trim_end_matches('!');
    let of_name = |c: char| is_word_char(c) || c == ':';
    let called = name.len() < span.len() && name.len() > 1;
    let looks_named =
        name.contains("::") || name.contains('_') || is_mixed(name) || is_capital(name) || called;
    (is_word(name) && name.chars().all(of_name) && looks_named).then(|| Kind::Item(name.to_string()))
}

/// `TaskId`, `Waker`.
fn is_mixed(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
}

/// `EMFILE`.
fn is_capital(name: &str) -> bool {
    name.len() > 2 && name.chars().all(|c| c.is_ascii_uppercase())
}

/// The targets inside of the project that `[text](target)` leads to.
fn links(prose: &str, first_line: usize) -> Vec<Claim> {
    let mut found = Vec::new();
    for (at, _) in prose.match_indices("](") {
        let target = prose[at + 2..].split([')', '#', ' ']).next().unwrap_or_default();
        if !target.is_empty() && !target.contains("://") {
            let line = first_line + prose[..at].matches('\n').count();
            let kind = Kind::Path { path: target.to_string(), item: None };
            found.push(Claim { line, kind });
        }
    }
    found
}
