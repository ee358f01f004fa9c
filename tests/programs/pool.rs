//! The programs on a pool of threads: `primes`, `prime_factor`, `find_files`.
//!
//! What they print is compared with what it must be, byte by byte where an order is promised.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::running::{command, run, run_well};
use crate::terminal;

/// The primes below `end`, by the sieve of Eratosthenes.
fn sieve(end: usize) -> Vec<usize> {
    let mut is_prime = vec![true; end];
    let mut primes = Vec::new();
    for number in 2..end {
        if is_prime[number] {
            primes.push(number);
            is_prime.iter_mut().skip(number).step_by(number).for_each(|multiple| *multiple = false);
        }
    }
    primes
}

#[test]
fn primes_come_in_order_however_many_find_them() {
    let fifty = run("primes", &["--end", "50", "--workers", "5"]);
    assert_eq!(fifty.out, "[2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47]\n");
    for (end, workers) in [(0, 1), (1, 2), (2, 1), (3, 1), (256, 3), (257, 3), (2000, 1), (10_000, 20)] {
        let ended = run("primes", &["--end", &end.to_string(), "--workers", &workers.to_string()]);
        let expected = sieve(end);
        assert_eq!((ended.code, ended.out), (Some(0), format!("{expected:?}\n")), "{end} {workers}");
        // One line, so no bar where there is no terminal.
        let start = format!("primes: {} primes below {end}: ", expected.len());
        assert!(ended.err.starts_with(&start) && ended.err.lines().count() == 1, "{}", ended.err);
        assert!(ended.err.contains(&format!(" with {workers} workers, ")), "{}", ended.err);
        assert!(ended.err.ends_with(" times as fast\n"), "{}", ended.err);
    }
}

#[test]
fn on_a_terminal_a_bar_shows_how_far_the_primes_are() {
    let (near, far) = terminal::pair();
    let mut command = command("primes", &["--end", "5000", "--workers", "3"]);
    let mut child = command.env("TERM", "xterm").stderr(far).spawn().unwrap();
    // The command has the terminal open as well.
    drop(command);
    let mut shown = Vec::new();
    // Linux gives EIO when nobody has the other side open any more.
    let _ = { near }.read_to_end(&mut shown);
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("3 at work") && shown.contains("1 at work"), "{shown}");
    assert!(shown.trim_end().ends_with("times as fast"), "{shown}");
}

#[test]
fn factors_come_in_the_order_of_the_numbers() {
    let numbers = ["84", "0", "1", "2", "1000003", "360", "4999999", "1001", "84", "18446744073709551614"];
    let factors = run_well("prime_factor", &numbers);
    let expected = "the factors of 84 are [2, 2, 3, 7]\nthe factors of 0 are [0]\nthe factors of 1 are [1]\n\
         the factors of 2 are [2]\nthe factors of 1000003 are [1000003]\n\
         the factors of 360 are [2, 2, 2, 3, 3, 5]\nthe factors of 4999999 are [4999999]\n\
         the factors of 1001 are [7, 11, 13]\nthe factors of 84 are [2, 2, 3, 7]\n\
         the factors of 18446744073709551614 are [2, 7, 7, 73, 127, 337, 92737, 649657]\n";
    assert_eq!(factors, expected);
}

#[test]
fn without_numbers_there_are_twenty_that_the_seed_decides() {
    let outputs = ["1", "1", "2"].map(|seed| run_well("prime_factor", &["--seed", seed]));
    assert!(outputs[0] == outputs[1] && outputs[1] != outputs[2]);
    assert_eq!(outputs[0].lines().count(), 20);
    let primes = sieve(5_000_001);
    for line in outputs[0].lines() {
        let (value, factors) = line.strip_prefix("the factors of ").unwrap().split_once(" are [").unwrap();
        let (value, factors): (usize, _) = (value.parse().unwrap(), factors.strip_suffix(']').unwrap());
        let factors: Vec<usize> = factors.split(", ").map(|factor| factor.parse().unwrap()).collect();
        assert!((10_000..=5_000_000).contains(&value));
        assert_eq!(factors.iter().product::<usize>(), value);
        assert!(factors.is_sorted() && factors.iter().all(|factor| primes.binary_search(factor).is_ok()));
    }
}

/// A new folder of this name, for one test.
fn new_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // One that an earlier run has left.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs `find_files`: its exit code, the paths that it found, and what it complained about.
fn find(folder: &Path, query: &str) -> (Option<i32>, BTreeSet<String>, String) {
    let ended = run("find_files", &[folder.to_str().unwrap(), query]);
    let found: BTreeSet<String> = ended.out.lines().map(str::to_string).collect();
    assert_eq!(found.len(), ended.out.lines().count(), "no path twice");
    (ended.code, found, ended.err)
}

#[test]
fn files_are_found_by_their_whole_path() {
    let folder = new_folder("find_by_path");
    let file = |path: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        path.to_str().unwrap().to_string()
    };
    let mut expected = BTreeSet::new();
    for number in 0..50 {
        for kind in ["a.PY", "b b.py", "c.py.d/x/y"] {
            let path = file(&format!("{number}/deep/{number}/{kind}"));
            expected.extend(path.contains(".py").then_some(path));
        }
        expected.insert(folder.join(format!("{number}/deep/{number}/c.py.d")).to_str().unwrap().to_string());
        expected
            .insert(folder.join(format!("{number}/deep/{number}/c.py.d/x")).to_str().unwrap().to_string());
    }
    // A link is found by its own name, and not followed, or this would have no end.
    for link in ["1/up.py", "1/up"] {
        std::os::unix::fs::symlink(&folder, folder.join(link)).unwrap();
    }
    expected.insert(folder.join("1/up.py").to_str().unwrap().to_string());
    assert_eq!(find(&folder, ".py"), (Some(0), expected, String::new()));
    let (code, all, _) = find(&folder, "");
    // Each number: itself, deep/, the number again, three of c.py.d, and two files; then two links.
    assert_eq!((code, all.len()), (Some(0), 50 * 8 + 2));
    assert_eq!(find(&folder, "no such thing").1, BTreeSet::new());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn folders_that_cannot_be_read_are_reported_at_the_end() {
    let folder = new_folder("find_unreadable");
    let missing = folder.join("missing");
    let (code, found, complaint) = find(&missing, ".py");
    assert_eq!((code, found.len()), (Some(1), 0));
    let expected = format!(
        "find_files: cannot read {}: No such file or directory (os error 2)\n\
         find_files: 1 of 1 folders could not be read\n",
        missing.display()
    );
    assert_eq!(complaint, expected);

    // Not even root can name a path of more than 4096 bytes, see path_resolution(7): two long ones, one moved
    // to the end of the other, make one.
    let name = "n".repeat(250);
    let [mut first, mut second] = ["first", "second"].map(|start| folder.join(start));
    let moved = second.clone();
    for path in [&mut first, &mut second] {
        (0..12).for_each(|_| path.push(&name));
        fs::create_dir_all(&*path).unwrap();
    }
    fs::write(first.join("near.py"), "").unwrap();
    fs::rename(&moved, first.join("second")).unwrap();
    fs::write(folder.join("other.py"), "").unwrap();
    let (code, found, complaint) = find(&folder, ".py");
    let expected =
        [first.join("near.py"), folder.join("other.py")].map(|path| path.to_str().unwrap().to_string());
    assert_eq!((code, found), (Some(1), BTreeSet::from(expected)));
    let lines: Vec<&str> = complaint.lines().collect();
    assert_eq!(lines.len(), 2, "{complaint}");
    assert!(lines[0].starts_with("find_files: cannot read /") && lines[0].contains("File name too long"));
    assert!(lines[1].ends_with(" folders could not be read"), "{}", lines[1]);
    fs::rename(first.join("second"), &moved).unwrap();
    fs::remove_dir_all(&folder).unwrap();
}
