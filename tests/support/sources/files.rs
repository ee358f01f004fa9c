//! The project's own files, read for the tests that check them.

use std::fs;
use std::path::{Path, PathBuf};

use super::code::code_of;

/// One file of the project.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Where it is, from the project's root, with `/` between the parts.
    pub path: String,
    /// What it says.
    pub text: String,
    /// The same with comments and literals blanked.
    pub code: String,
}

impl SourceFile {
    /// A file that need not exist.
    pub fn new(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_string(), text: text.to_string(), code: code_of(text) }
    }
}

/// The project's root folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under a folder of the project, in the order of their paths.
pub fn rust_files(folder: &str) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    let files: Vec<_> = paths.iter().map(|path| read(path)).collect();
    assert!(!files.is_empty(), "no Rust files under {folder}/");
    files
}

fn read(path: &Path) -> SourceFile {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let from_root = path.strip_prefix(root()).expect("a path below the root");
    SourceFile::new(&from_root.to_string_lossy(), &text)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}
