//! All files below a folder whose path contains a text, found by a pool of ten threads.
//!
//! ```text
//! cargo run --release --example find_files -- /usr .py
//! ```
//!
//! You see one path a line, as the folders are read, and at the end those that could not be read, with the
//! reason. The exit code is 0 if all could be read, 1 if not, 2 if the command line is wrong.
//!
//! Each folder is a job for a thread. The one task of the loop has the jobs in a queue, prints what the first has
//! found, and puts its subfolders at the end; so it alone prints, and no line gets into another. Links are not
//! followed.

#[path = "program/mod.rs"]
mod program;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf, absolute};
use std::process::ExitCode;

use greenroom::Runtime;
use greenroom::blocking::{JobHandle, Pool};
use lexopt::{Arg, Parser};
use program::{Failure, complain};

/// How many folders are read at a time.
const WORKERS: usize = 10;

const HELP: &str = "\
Usage: find_files [PATH] [QUERY]
Prints the path of everything below PATH (default: the present folder) whose absolute path contains
QUERY (default: .py). Folders that cannot be read are reported at the end; then the exit code is 1.

  --help          print this text and exit
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

fn main() -> ExitCode {
    program::run(HELP, parse, |(path, query)| Runtime::new()?.block_on(find_files(path, &query)))
}

/// Folder and query.
fn parse(parser: &mut Parser) -> Result<(PathBuf, Vec<u8>), lexopt::Error> {
    let mut values = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(value) if values.len() < 2 => values.push(value),
            other => return Err(other.unexpected()),
        }
    }
    let mut values = values.into_iter();
    let path = values.next().unwrap_or_else(|| ".".into());
    let query = values.next().unwrap_or_else(|| ".py".into());
    Ok((path.into(), query.into_vec()))
}

/// Prints what is found, and then which folders could not be read.
async fn find_files(start: PathBuf, query: &[u8]) -> Result<(), Failure> {
    let start = absolute(&start).map_err(|error| format!("{} is no path: {error}", start.display()))?;
    let pool = Pool::builder(WORKERS).name("find_files").build();
    let read = |path: PathBuf| -> (PathBuf, JobHandle<Folder>) {
        let (folder, query) = (path.clone(), query.to_vec());
        (path, pool.spawn(move || read_folder(&folder, &query)))
    };
    let (mut count, mut unread) = (0, Vec::new());
    let mut jobs = VecDeque::from([read(start)]);
    while let Some((path, job)) = jobs.pop_front() {
        count += 1;
        let folder = job.await?;
        print(&folder.found)?;
        jobs.extend(folder.folders.into_iter().map(read));
        unread.extend(folder.error.map(|error| (path, error)));
    }
    for (path, error) in &unread {
        complain(format_args!("cannot read {}: {error}", path.display()));
    }
    match unread.len() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {count} folders could not be read").into()),
    }
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
