//! Whether what a page of prose claims to exist is there.

use super::code::{is_word, tokens};
use super::files::SourceFile;
use super::prose::{Claim, Kind};

/// Words that make the word after them a definition.
const DEFINING: [&str; 8] = ["fn", "struct", "enum", "trait", "const", "static", "type", "mod"];

/// What claims are held against.
pub struct Evidence<'a> {
    /// The project's Rust files.
    pub sources: Vec<SourceFile>,
    /// Whether a file or folder exists, by its path from the project's root.
    pub exists: Box<dyn Fn(&str) -> bool + 'a>,
    /// Names of other people's crates, and of things in them.
    pub foreign: &'a [&'a str],
}

impl Evidence<'_> {
    /// One sentence for each claim that is not true.
    pub fn problems(&self, page: &str, claims: &[Claim]) -> Vec<String> {
        let judged = claims.iter().map(|claim| (claim.line, self.judge(&claim.kind)));
        judged.filter_map(|(line, problem)| Some(format!("{page}:{line}: {}", problem?))).collect()
    }

    /// What is wrong with a claim, if anything is.
    fn judge(&self, kind: &Kind) -> Option<String> {
        match kind {
            Kind::Path { path, item } => self.judge_path(path, item.as_deref()),
            Kind::Item(name) if self.knows(name) => None,
            Kind::Item(name) => Some(format!("`{name}` is nowhere in the code")),
            Kind::Command(command) => self.judge_command(command),
            Kind::LoneBacktick => Some("a backtick of this paragraph has no partner".into()),
        }
    }

    /// A path from the root or from `runtime/`, or the name of a source file.
    fn judge_path(&self, path: &str, item: Option<&str>) -> Option<String> {
        let fixed = path.trim_start_matches("./").split('*').next().unwrap_or_default().trim_end_matches('/');
        let is_source = |file: &&SourceFile| file.path == fixed || file.path.ends_with(&format!("/{fixed}"));
        let source = self.sources.iter().find(is_source);
        let somewhere = fixed.starts_with("target/")
            || (self.exists)(fixed)
            || (self.exists)(&format!("runtime/{fixed}"));
        match (source, item) {
            (Some(file), Some(item))
                if item.parse::<usize>().is_ok_and(|line| line <= file.text.lines().count()) =>
            {
                None
            }
            (Some(file), Some(item)) => {
                let missing = item.split("::").find(|part| !mentions(file, part));
                missing.map(|part| format!("`{part}` is not in {}", file.path))
            }
            (None, Some(_)) => Some(format!("`{path}` does not exist")),
            (_, None) => (source.is_none() && !somewhere).then(|| format!("`{path}` does not exist")),
        }
    }

    /// Whether a name is ours, or one of the foreign ones that the code uses or the list has.
    fn knows(&self, name: &str) -> bool {
        let path: Vec<&str> =
            name.split("::").filter(|part| !matches!(*part, "greenroom" | "crate")).collect();
        match path[..] {
            [] => true,
            _ if self.foreign.contains(&path[0]) || self.foreign.contains(&name) => true,
            [one] => self.sources.iter().any(|file| is_called(file, one) || mentions(file, one)),
            [.., outer, inner] => {
                self.sources.iter().any(|file| has_member(file, outer, inner) || has_path(file, &path))
            }
        }
    }

    /// The examples, tests and filters of a cargo command, or the program of another one.
    fn judge_command(&self, command: &str) -> Option<String> {
        let ends = |word: &&str| !matches!(*word, "|" | "&" | "&&" | ";" | "--") && !word.contains('>');
        let is_setting = |word: &&str| word.contains('=') && !word.starts_with('-');
        let mut words = command.split_whitespace().skip_while(is_setting).take_while(ends);
        let program = words.next()?;
        if program != "cargo" {
            let ours = program.contains('/') && !program.starts_with('/');
            return ours.then(|| self.judge_path(program, None)).flatten();
        }
        let subcommand = words.find(|word| !word.starts_with(['-', '+']))?;
        let mut problem = None;
        while let Some(word) = words.next() {
            let folder = match word {
                "--example" => "examples",
                "--test" => "tests",
                "-p" | "--package" | "--features" | "-j" => {
                    words.next();
                    continue;
                }
                filter if subcommand == "test" && !filter.starts_with('-') => {
                    problem = problem.or_else(|| self.judge_filter(filter));
                    continue;
                }
                _ => continue,
            };
            let name = words.next().unwrap_or_default();
            let (file, main) = (format!("{folder}/{name}.rs"), format!("{folder}/{name}/main.rs"));
            if !(self.exists)(&file) && !(self.exists)(&main) {
                problem = Some(format!("the command names {file}, which does not exist: {command}"));
            }
        }
        problem
    }

    /// A filter of `cargo test` must fit some name, or it runs nothing and looks like a success.
    fn judge_filter(&self, filter: &str) -> Option<String> {
        let fits = |part: &str| {
            let mut files = self.sources.iter().filter(|file| file.code.contains(part));
            files.any(|file| tokens(&file.code).iter().any(|token| token.text.contains(part)))
        };
        let missing = filter.split("::").find(|part| !part.is_empty() && !fits(part))?;
        Some(format!("`cargo test {filter}` runs nothing: there is no {missing} in the code"))
    }
}

/// Whether the file is, or defines, `outer` and has `inner` in it.
fn has_member(file: &SourceFile, outer: &str, inner: &str) -> bool {
    if !mentions(file, inner) {
        return false;
    }
    let words = tokens(&file.code);
    let defines =
        |name: &str| words.windows(2).any(|pair| DEFINING.contains(&pair[0].text) && pair[1].text == name);
    (defines(inner) && (is_called(file, outer) || mentions(file, outer))) || defines(outer)
}

/// Whether the file, or a folder that it is in, has this name.
fn is_called(file: &SourceFile, name: &str) -> bool {
    file.path.trim_end_matches(".rs").split('/').any(|part| part == name)
}

/// Whether the word stands in the file's code.
fn mentions(file: &SourceFile, word: &str) -> bool {
    file.code.contains(word) && tokens(&file.code).iter().any(|token| token.text == word)
}

/// Whether the path is used in the file as it stands.
fn has_path(file: &SourceFile, path: &[&str]) -> bool {
    if !path.iter().all(|part| file.code.contains(part)) {
        return false;
    }
    let words = tokens(&file.code);
    let names = |window: &[super::code::Token<'_>]| {
        let mut parts = window.iter().filter(|token| is_word(token.text)).map(|token| token.text);
        path.iter().all(|part| parts.next() == Some(part))
            && window.iter().skip(1).step_by(2).all(|t| t.text == "::")
    };
    words.windows(path.len() * 2 - 1).any(names)
}
