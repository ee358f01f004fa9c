//! All files below a folder whose path contains a text, found by a pool of ten threads.
//!
//! ```text
//! cargo run --release --example find_files -- /usr .py
//! ```
//!
//! You see one path a line, as the folders are read, and at the end those that could not be read, with the
//! reason. The exit code is 0 if all could be read, 1 if not, 2 if the command line is wrong.
//!
//! Each folder is a job. The one task of the loop has them in a queue, prints what the first has found, and puts
//! its subfolders at the end; so it alone prints, and no line gets into another. Links are not followed.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use greenroom::Runtime;
use greenroom::blocking::{JobHandle, Pool};
use lexopt::{Arg, Parser};

/// How many folders are read at a time.
const WORKERS: usize = 10;

const HELP: &str = "\
Usage: find_files [PATH] [QUERY]
Prints the path of everything below PATH (default: the present folder) whose absolute path contains
QUERY (default: .py). Folders that cannot be read are reported at the end; then the exit code is 1.

  --help          print this and exit
";

/// What one folder has in it.
#[derive(Default)]
struct Folder {
    /// The paths that contain the query.
    found: Vec<PathBuf>,
    /// The folders.
    folders: Vec<PathBuf>,
    /// What could not be read of it.
    error: Option<io::Error>,
}

/// Folder and query; none if help was asked for.
fn arguments(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Option<(PathBuf, Vec<u8>)>, lexopt::Error> {
    let mut values = Vec::new();
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(value) if values.len() < 2 => values.push(value),
            other => return Err(other.unexpected()),
        }
    }
    let mut values = values.into_iter();
    let path = values.next().unwrap_or_else(|| ".".into());
    let query = values.next().unwrap_or_else(|| ".py".into());
    Ok(Some((path.into(), query.into_vec())))
}

/// Prints to standard error. Failing to is no reason to panic.
fn complain(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "find_files: {text}");
}

fn main() -> ExitCode {
    let result = match arguments(std::env::args_os().skip(1)) {
        Ok(Some((path, query))) => run(&path, &query),
        Ok(None) => io::stdout().write_all(HELP.as_bytes()).map(|()| ExitCode::SUCCESS),
        Err(problem) => {
            complain(format_args!("{problem}; see find_files --help"));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(code) => code,
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(path: &Path, query: &[u8]) -> io::Result<ExitCode> {
    let start = std::path::absolute(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{} is no path: {error}", path.display())))?;
    let (folders, unread) = Runtime::new()?.block_on(find_files(start, query))?;
    for (path, error) in &unread {
        complain(format_args!("cannot read {}: {error}", path.display()));
    }
    if unread.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    complain(format_args!("{} of {folders} folders could not be read", unread.len()));
    Ok(ExitCode::FAILURE)
}

/// Prints what is found; gives the number of folders, and those that could not be read.
async fn find_files(start: PathBuf, query: &[u8]) -> io::Result<(usize, Vec<(PathBuf, io::Error)>)> {
    let pool = Pool::builder(WORKERS).name("find_files").build();
    let read = |path: PathBuf| -> (PathBuf, JobHandle<Folder>) {
        let (folder, query) = (path.clone(), query.to_vec());
        (path, pool.spawn(move || read_folder(&folder, &query)))
    };
    let (mut count, mut unread) = (0, Vec::new());
    let mut jobs = VecDeque::from([read(start)]);
    while let Some((path, job)) = jobs.pop_front() {
        count += 1;
        let folder =
            job.await.unwrap_or_else(|error| Folder { error: Some(error.into()), ..Folder::default() });
        print(&folder.found)?;
        jobs.extend(folder.folders.into_iter().map(read));
        unread.extend(folder.error.map(|error| (path, error)));
    }
    Ok((count, unread))
}

/// Prints a path a line, in the bytes that they have.
fn print(paths: &[PathBuf]) -> io::Result<()> {
    let lines = paths.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\n"]);
    io::stdout().write_all(&lines.flatten().copied().collect::<Vec<u8>>())
}

/// Reads one folder, as far as that can be done: what was read before an error counts.
fn read_folder(path: &Path, query: &[u8]) -> Folder {
    let mut folder = Folder::default();
    if let Err(error) = read_entries(path, query, &mut folder) {
        folder.error = Some(error);
    }
    folder
}

fn read_entries(path: &Path, query: &[u8], folder: &mut Folder) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let path = entry.path();
        // Of a link, this is the link itself.
        if entry.file_type()?.is_dir() {
            folder.folders.push(path.clone());
        }
        if contains(path.as_os_str(), query) {
            folder.found.push(path);
        }
    }
    Ok(())
}

fn contains(path: &OsStr, query: &[u8]) -> bool {
    query.is_empty() || path.as_bytes().windows(query.len()).any(|window| window == query)
}
