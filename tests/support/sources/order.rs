//! The reading order of `runtime/`, and whether each file imports only from files before it.
//!
//! `lib.rs` gives the order of its `mod` lines; the head of a folder's `mod.rs` names the folder's
//! files in order, and itself comes after them; `lib.rs` comes last. If every import goes back in
//! one order of the files, there can be no cycle of imports.

use super::code::{Token, is_word, tokens};
use super::files::SourceFile;

/// The folder that is in order.
const FOLDER: &str = "runtime/";

/// The paths of the files in reading order, or what prevents there being one.
pub fn reading_order(files: &[SourceFile]) -> Result<Vec<String>, Vec<String>> {
    let mut problems = Vec::new();
    let mut order = Vec::new();
    let exists = |path: &str| files.iter().any(|file| file.path == path);
    let Some(lib) = files.iter().find(|file| file.path == format!("{FOLDER}lib.rs")) else {
        return Err(vec![format!("there is no {FOLDER}lib.rs")]);
    };
    for module in declared_modules(lib) {
        let (alone, folder) = (format!("{FOLDER}{module}.rs"), format!("{FOLDER}{module}/"));
        if exists(&alone) {
            order.push(alone);
        } else if let Some(head) = files.iter().find(|file| file.path == format!("{folder}mod.rs")) {
            let named = files_named_in_head(head);
            order.extend(named.iter().map(|name| format!("{folder}{name}")));
            order.push(head.path.clone());
        } else {
            problems.push(format!("{}: neither {alone} nor {folder}mod.rs exists", lib.path));
        }
    }
    order.push(lib.path.clone());
    for file in files.iter().filter(|file| !order.contains(&file.path)) {
        problems.push(format!("{} is missing in lib.rs, or in the head of its mod.rs", file.path));
    }
    for path in order.iter().filter(|path| !exists(path)) {
        problems.push(format!("{path} is in the reading order but does not exist"));
    }
    if problems.is_empty() { Ok(order) } else { Err(problems) }
}

/// The modules of `mod name;` lines, without those that are for tests and models only.
fn declared_modules(lib: &SourceFile) -> Vec<&str> {
    let lines: Vec<&str> = lib.code.lines().collect();
    let mut modules = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let declaration = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        let name = declaration.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
        let conditional = index > 0 && lines[index - 1].starts_with("#[");
        modules.extend(name.filter(|_| !conditional));
    }
    modules
}

/// The files that the head of a `mod.rs` names, each once, in the order in which it names them.
fn files_named_in_head(head: &SourceFile) -> Vec<String> {
    let text: Vec<&str> = head.text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let mut named: Vec<String> = Vec::new();
    for span in text.join("\n").split('`').skip(1).step_by(2) {
        if span.ends_with(".rs") && !span.contains('/') && !named.iter().any(|name| name == span) {
            named.push(span.to_string());
        }
    }
    named
}

/// One sentence for each import that goes forward in the reading order.
pub fn import_problems(files: &[SourceFile], order: &[String]) -> Vec<String> {
    let place = |path: &str| order.iter().position(|other| other == path);
    let mut problems = Vec::new();
    for file in files {
        for import in imports(file) {
            let from = resolve(&import.path, files);
            if place(&from) > place(&file.path) {
                let (path, line, what) = (&file.path, import.line, import.path.join("::"));
                problems.push(format!("{path}:{line}: crate::{what} comes from {from}, which is read later"));
            }
        }
    }
    problems
}

/// Something that a file takes from the crate.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    /// The path from the crate's root.
    path: Vec<String>,
    /// The line where it stands.
    line: usize,
}

/// The file with the longest module path that the import's path begins with.
fn resolve(import: &[String], files: &[SourceFile]) -> String {
    let candidates = files.iter().filter(|file| import.starts_with(&module_path(&file.path)));
    let longest = candidates.max_by_key(|file| module_path(&file.path).len());
    longest.expect("lib.rs, whose path is empty, is among the files").path.clone()
}

/// `runtime/task/state.rs` is `task::state`, `runtime/task/mod.rs` is `task`.
fn module_path(path: &str) -> Vec<String> {
    let inside = path.trim_start_matches(FOLDER).trim_end_matches(".rs");
    let parts = inside.split('/').filter(|part| !matches!(*part, "mod" | "lib"));
    parts.map(str::to_string).collect()
}

/// Every path of the file's code that begins with `crate` or `super`, in a `use` or elsewhere.
fn imports(file: &SourceFile) -> Vec<Import> {
    let tokens = tokens(&file.code);
    let mut found = Vec::new();
    let mut module = module_path(&file.path);
    // Where modules inside of the file end: the depth of braces around each.
    let (mut depth, mut inner) = (0, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].text {
            "mod" if tokens.get(at + 2).is_some_and(|token| token.text == "{") => {
                module.push(tokens[at + 1].text.to_string());
                inner.push(depth);
                depth += 1;
                at += 2;
            }
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inner.last() == Some(&depth) {
                    inner.pop();
                    module.pop();
                }
            }
            "crate" | "super" if tokens.get(at + 1).is_some_and(|token| token.text == "::") => {
                let mut tree = Tree { tokens: &tokens, at, found: Vec::new() };
                tree.path(&[]);
                at = tree.at - 1;
                found.extend(tree.found.into_iter().map(|import| absolute(import, &module)));
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The import as a path from the crate's root.
fn absolute(import: Import, module: &[String]) -> Import {
    let mut path = module.to_vec();
    for part in import.path {
        match part.as_str() {
            "crate" => path.clear(),
            "super" => drop(path.pop()),
            _ => path.push(part),
        }
    }
    Import { path, line: import.line }
}

/// Reads a tree of paths: `a::{b, c::d}` is `a::b` and `a::c::d`.
struct Tree<'a> {
    /// The file's tokens.
    tokens: &'a [Token<'a>],
    /// The next one to read.
    at: usize,
    /// The paths so far.
    found: Vec<Import>,
}

impl Tree<'_> {
    fn text(&self) -> &str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    /// Reads one path, or a group of them, that goes on from `before`.
    fn path(&mut self, before: &[String]) {
        let mut path = before.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        while is_word(self.text()) {
            path.extend((self.text() != "self").then(|| self.text().to_string()));
            self.at += 1;
            if self.text() != "::" {
                break;
            }
            self.at += 1;
        }
        if self.text() != "{" || self.tokens[self.at - 1].text != "::" {
            self.found.push(Import { path, line });
            return;
        }
        while matches!(self.text(), "{" | ",") {
            self.at += 1;
            if self.text() != "}" {
                self.path(&path);
            }
            while !matches!(self.text(), "{" | "," | "}" | "") {
                // `as name`, `*`
                self.at += 1;
            }
        }
        self.at += 1;
    }
}
