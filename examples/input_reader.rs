//! Waits for a line from you, and computes squares meanwhile, on one thread.
//!
//! ```text
//! cargo run --release --example input_reader         then type a line, or nothing, and press Enter
//! ```
//!
//! You see how far it came, and what you typed:
//!
//! ```text
//! Enter some text and press enter:
//! hello
//! calculated squares up to 5230000 * 5230000 = 27352900000000
//! while you typed hello
//! ```
//!
//! The classic answer is a thread that blocks in a read while the main one computes; nobody can call it back
//! from there. Here the line is one task's business and the squares are another's, which gives way after each
//! thousand. Whoever comes first, the line or Ctrl-C, the other wait is simply dropped.

#[path = "program/mod.rs"]
mod program;

use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;

use greenroom::io::{LineReader, stdin};
use greenroom::signal::{INTERRUPT, Signal};
use greenroom::{Either, Runtime, select, spawn, yield_now};
use lexopt::Parser;
use program::{Failure, complain, say};

const HELP: &str = "\
Usage: input_reader [OPTION]...
Computes squares until a line comes on standard input, then prints how far it came.

  --help          print this text and exit
";

/// How many squares are computed between two looks at the world.
const SQUARES_PER_TURN: u64 = 1000;

/// The longest line that is waited for, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// The exit code of a program that was ended by Ctrl-C, as shells have it: 128 and the signal's number.
const INTERRUPTED: u8 = 128 + INTERRUPT as u8;

fn main() -> ExitCode {
    program::run(HELP, parse, |()| Runtime::new()?.block_on(read_and_compute()))
}

/// There is nothing to choose.
fn parse(parser: &mut Parser) -> Result<(), lexopt::Error> {
    parser.next()?.map_or(Ok(()), |argument| Err(argument.unexpected()))
}

/// Both at once, until the line is there.
async fn read_and_compute() -> Result<ExitCode, Failure> {
    // Heard from now on: Ctrl-C may come as soon as somebody sees the question.
    let mut interrupt = Signal::new(INTERRUPT)?;
    say("Enter some text and press enter: ")?;
    let count = Rc::new(Cell::new(1));
    // It goes on until the program ends.
    spawn(squares(count.clone())).detach();
    let mut lines = LineReader::new(stdin()?, LONGEST_LINE);
    let line = match select(lines.next_line(), interrupt.recv()).await {
        Either::First(line) => line?,
        Either::Second(_) => {
            complain("interrupted before a line came");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    let count = count.get();
    say(format_args!("calculated squares up to {count} * {count} = {}", square(count)))?;
    let line = line.ok_or("the input ended before a line came")?;
    say(format_args!("while you typed {}", String::from_utf8_lossy(&line)))?;
    Ok(ExitCode::SUCCESS)
}

/// Computes the squares of 1, 2, 3 and so on; `count` is always the last whose square is known.
async fn squares(count: Rc<Cell<u64>>) {
    loop {
        for _ in 0..SQUARES_PER_TURN {
            let next = count.get() + 1;
            std::hint::black_box(square(next));
            count.set(next);
        }
        yield_now().await;
    }
}

/// Too large for 64 bits after some seconds of reading.
fn square(number: u64) -> u128 {
    u128::from(number) * u128::from(number)
}
