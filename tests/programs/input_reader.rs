//! `input_reader`: what it says, and how it ends, on pipes and on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use crate::running::{Ended, LONG, becomes_true, command, ended, run};
use crate::terminal;

const PROMPT: &str = "Enter some text and press enter: \n";

/// Starts the program with a pipe to type into, and waits until it asks.
fn start() -> Child {
    let mut child = command("input_reader", &[]).stdin(Stdio::piped()).spawn().unwrap();
    asks(&mut child);
    child
}

/// Waits until the program asks.
fn asks(child: &mut Child) {
    let mut said = vec![0; PROMPT.len()];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(String::from_utf8(said).unwrap(), PROMPT);
}

/// Types, closes the input, and waits for the end.
fn type_and_end(mut child: Child, text: &[u8]) -> Ended {
    child.stdin.take().unwrap().write_all(text).unwrap();
    ended(child)
}

/// The C of `calculated squares up to C * C = R`, where R is its square.
#[track_caller]
fn squares(line: &str) -> u128 {
    let rest = line.strip_prefix("calculated squares up to ").expect(line);
    let (count, rest) = rest.split_once(" * ").expect(line);
    let (again, square) = rest.split_once(" = ").expect(line);
    let number = |text: &str| text.parse::<u128>().expect(line);
    assert_eq!(count, again, "{line}");
    assert_eq!(number(count) * number(count), number(square), "{line}");
    assert!(number(count) > 0);
    number(count)
}

#[test]
fn a_line_ends_it_and_comes_back() {
    for (typed, text) in [
        ("hello\n", "hello"),
        ("hello\r\nmore\n", "hello"),
        ("no end", "no end"),
        ("\n", ""),
        ("caf\u{e9}\n", "caf\u{e9}"),
    ] {
        let Ended { code, out, err } = type_and_end(start(), typed.as_bytes());
        assert_eq!((code, err.as_str()), (Some(0), ""));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2, "{out}");
        squares(lines[0]);
        assert_eq!(lines[1], format!("while you typed {text}"));
    }
}

#[test]
fn it_computes_while_it_waits() {
    let child = start();
    // Until it has used the processor for a while: field 14 of proc(5), counted in hundredths of a second.
    let stat = format!("/proc/{}/stat", child.id());
    let user_ticks = || {
        let text = std::fs::read_to_string(&stat).unwrap();
        let (_, fields) = text.rsplit_once(") ").unwrap();
        fields.split(' ').nth(11).unwrap().parse::<u64>().unwrap()
    };
    assert!(becomes_true(LONG, || user_ticks() >= 3), "it computes");
    let Ended { out, .. } = type_and_end(child, b"so far\n");
    assert!(squares(out.lines().next().unwrap()) > 1000, "{out}");
}

#[test]
fn an_input_that_ends_is_said() {
    let Ended { code, out, err } = type_and_end(start(), b"");
    assert_eq!(code, Some(1));
    assert_eq!(err, "input_reader: the input ended before a line came\n");
    squares(out.trim_end());
    // The same where there never was an input.
    let Ended { code, out, err } = run("input_reader", &[]);
    assert_eq!((code, err.lines().count()), (Some(1), 1));
    assert!(out.starts_with(PROMPT) && out.lines().count() == 2, "{out}");
}

/// Starts the program on a terminal of its own, as its foreground process; what is typed comes back as echo.
fn start_on_terminal() -> (File, Child) {
    let (person, screen) = terminal::pair();
    let mut command = command("input_reader", &[]);
    let lead_terminal = || {
        // SAFETY: both are system calls that take numbers; 0 is the terminal already.
        match unsafe { (libc::setsid(), libc::ioctl(0, libc::TIOCSCTTY, 0)) } {
            (-1, _) | (_, -1) => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // SAFETY: setsid(2) and ioctl(2) may be called between fork and exec.
    unsafe { command.pre_exec(lead_terminal) };
    let mut child = command.stdin(screen).spawn().unwrap();
    asks(&mut child);
    (person, child)
}

#[test]
fn on_a_terminal_a_line_can_be_typed_and_control_c_ends_it() {
    let (mut person, child) = start_on_terminal();
    person.write_all(b"by hnd\x7f\x7fand\n").unwrap();
    let Ended { code, out, err } = ended(child);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.ends_with("\nwhile you typed by hand\n"), "{out}");

    let (mut person, child) = start_on_terminal();
    person.write_all(b"half a line\x03").unwrap();
    let Ended { code, out, err } = ended(child);
    assert_eq!((code, out.as_str()), (Some(130), ""));
    assert_eq!(err, "input_reader: interrupted before a line came\n");

    let (mut person, child) = start_on_terminal();
    person.write_all(b"\x04").unwrap();
    let Ended { code, err, .. } = ended(child);
    assert_eq!(code, Some(1));
    assert_eq!(err, "input_reader: the input ended before a line came\n");
}
