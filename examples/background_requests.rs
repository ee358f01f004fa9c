//! Many requests in the time of one: each waits for a server, and waiting can be done side by side.
//!
//! ```text
//! cargo run --release --example background_requests
//! cargo run --release --example background_requests -- --n 100 --virtual
//! ```
//!
//! You see how long it takes to make the same requests one after the other, about 0.15 seconds each, and then
//! all at once, about 0.2 seconds however many they are; the answers then come in the order in which they are
//! ready. With `--virtual` the numbers are exact: the sum of all times, and the longest.
//!
//! The server is a task of the same program, which takes between 0.1 and 0.2 seconds for an answer. All that a
//! request does in that time is wait, and any number of tasks can do so at once.

#[path = "program/mod.rs"]
mod program;

use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use greenroom::sync::{OneshotSender, Queue, oneshot};
use greenroom::{Runtime, as_completed, now, spawn};
use lexopt::{Arg, Parser};
use program::chance::{self, Chance};
use program::{Failure, say, value};

const HELP: &str = "\
Usage: background_requests [OPTION]...
Makes requests one after the other, and then all at once.

  --n N           how many (default 10)
  --seed SEED     what decides the chance (default: the time)
  --virtual       let time jump instead of passing
  --help          print this text and exit
";

/// What the command line asks for.
struct Options {
    /// How many requests.
    count: usize,
    /// What decides the chance.
    seed: u64,
    /// Whether time jumps.
    is_virtual: bool,
}

fn main() -> ExitCode {
    program::run(HELP, parse, |options| {
        let runtime = Runtime::builder().virtual_clock(options.is_virtual).build()?;
        runtime.block_on(compare(options))
    })
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options { count: 10, seed: chance::any_seed(), is_virtual: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("n") => options.count = value(parser, "--n", "a number")?,
            Arg::Long("seed") => options.seed = chance::seed(parser)?,
            Arg::Long("virtual") => options.is_virtual = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// What a client sends: a number, and where the answer goes.
type Request = (usize, OneshotSender<String>);

/// The way to the server.
type Mailbox = Rc<Queue<Request>>;

async fn compare(options: Options) -> Result<(), Failure> {
    let mailbox: Mailbox = Rc::new(Queue::unbounded());
    // It serves as long as the program runs.
    let server = spawn(serve(mailbox.clone(), options.seed));
    let start = now();
    let mut answers = Vec::new();
    for number in 0..options.count {
        answers.push(request(&mailbox, number).await?);
    }
    tell("sequential", now() - start, &answers)?;
    let start = now();
    answers.clear();
    let mut requests = as_completed((0..options.count).map(|number| request(&mailbox, number)));
    while let Some(answer) = requests.next().await {
        answers.push(answer?);
    }
    tell("concurrent", now() - start, &answers)?;
    server.detach();
    Ok(())
}

fn tell(how: &str, took: Duration, answers: &[String]) -> Result<(), Failure> {
    let count = answers.len();
    Ok(say(format_args!("{how}: {count} requests in {:.4} s: {}", took.as_secs_f64(), answers.join(" ")))?)
}

/// Asks the server, and waits for its answer.
async fn request(mailbox: &Mailbox, number: usize) -> Result<String, Failure> {
    let (sender, receiver) = oneshot();
    mailbox.put((number, sender)).await.map_err(|_| "the server takes no requests")?;
    Ok(receiver.await?)
}

/// Answers each request in a task of its own.
async fn serve(mailbox: Mailbox, seed: u64) {
    while let Ok((number, reply)) = mailbox.get().await {
        // How long a request takes is its own: it is the same in both runs.
        let chance = Chance::new(seed.wrapping_add(number as u64));
        spawn(async move {
            chance.work(Duration::from_millis(100)).await;
            // If nobody waits for it any more, that is not the server's concern.
            let _ = reply.send(format!("->{number}"));
        })
        .detach();
    }
}
