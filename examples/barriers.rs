//! A server and a client that must not begin before both are there, and what they do then.
//!
//! ```text
//! cargo run --release --example barriers
//! cargo run --release --example barriers -- locks
//! cargo run --release --example barriers -- try
//! cargo run --release --example barriers -- late
//! ```
//!
//! You see in `start`, the default, how the two start twice: `Client is accessing server!` never comes before
//! `Server started up!`. In `locks` both write three lines under one lock, and these never mix. In `try` each
//! takes the lock only if it is free, and says so if not. In `late` the server misses the time limit, and the
//! program fails with `the barrier is broken`, after ten seconds and more if the time is not `--virtual`.
//!
//! A barrier lets nobody on before all have come. How long each step takes is chance, which `--seed` decides.

#[path = "program/mod.rs"]
mod program;

use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use greenroom::sync::{Barrier, Mutex};
use greenroom::{Order, Runtime, spawn};
use lexopt::{Arg, Parser};
use program::chance::{self, Chance};
use program::{Failure, say};

const HELP: &str = "\
Usage: barriers [OPTION]... [start|locks|try|late]
A server and a client wait for each other at a barrier.

  start           the server starts up, then both go on (default)
  locks           both write under one lock: their lines do not mix
  try             each takes the lock only if it is free
  late            the server comes after the time limit: the barrier is broken

  --seed SEED     what decides the chance (default: the time)
  --virtual       let time jump instead of passing
  --help          print this text and exit
";

/// How long the two wait for each other.
const LIMIT: Duration = Duration::from_secs(5);

/// What the command line asks for.
struct Options {
    /// Which of the scenes.
    scene: String,
    /// What decides the chance.
    seed: u64,
    /// Whether time jumps.
    is_virtual: bool,
}

fn main() -> ExitCode {
    program::run(HELP, parse, |options| {
        let order = Order::Shuffled(options.seed);
        let runtime = Runtime::builder().virtual_clock(options.is_virtual).order(order).build()?;
        let stage =
            Stage { barrier: Barrier::new(2), lock: Mutex::new(()), chance: Chance::new(options.seed) };
        runtime.block_on(play(&options.scene, Rc::new(stage)))
    })
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options { scene: "start".into(), seed: chance::any_seed(), is_virtual: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("seed") => options.seed = chance::seed(parser)?,
            Arg::Long("virtual") => options.is_virtual = true,
            Arg::Value(scene) if ["start", "locks", "try", "late"].iter().any(|name| scene == *name) => {
                options.scene = scene.to_string_lossy().into_owned();
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// What server and client share.
struct Stage {
    /// Where they wait for each other.
    barrier: Barrier,
    /// Who may write.
    lock: Mutex<()>,
    /// What decides how long things take.
    chance: Chance,
}

impl Stage {
    /// Waits for the other one.
    async fn meet(&self) -> Result<(), Failure> {
        self.barrier.wait_timeout(LIMIT).await?;
        Ok(())
    }
}

/// Plays a scene; in each, the one that is named first starts first.
async fn play(scene: &str, stage: Rc<Stage>) -> Result<(), Failure> {
    match scene {
        "locks" => {
            together(speak(&stage, SERVER, false), speak(&stage, CLIENT, false)).await?;
            together(speak(&stage, CLIENT, false), speak(&stage, SERVER, false)).await
        }
        "try" => {
            together(speak(&stage, SERVER, true), speak(&stage, CLIENT, true)).await?;
            together(speak(&stage, CLIENT, true), speak(&stage, SERVER, true)).await
        }
        "late" => together(client(stage.clone()), serve(stage, 2 * LIMIT)).await,
        _ => {
            let second = Duration::from_secs(1);
            together(client(stage.clone()), serve(stage.clone(), second)).await?;
            together(serve(stage.clone(), second), client(stage)).await
        }
    }
}

/// Runs two tasks; waits for both, and gives the first error.
async fn together(
    one: impl Future<Output = Result<(), Failure>> + 'static,
    two: impl Future<Output = Result<(), Failure>> + 'static,
) -> Result<(), Failure> {
    let (one, two) = (spawn(one), spawn(two));
    let (one, two) = (one.await?, two.await?);
    one.and(two)
}

async fn serve(stage: Rc<Stage>, startup: Duration) -> Result<(), Failure> {
    say("Server is starting!")?;
    stage.chance.work(startup).await;
    say("Server started up!")?;
    stage.meet().await?;
    say("Server is serving!")?;
    Ok(())
}

async fn client(stage: Rc<Stage>) -> Result<(), Failure> {
    say("Client is starting!")?;
    stage.meet().await?;
    say("Client is accessing server!")?;
    Ok(())
}

const SERVER: [&str; 3] =
    ["Server is serving", "Server is still serving", "Server is serving even more data"];
const CLIENT: [&str; 3] = [
    "Client is accessing server",
    "Client is still accessing server",
    "Client is taking really long to access the server",
];

/// Says three lines under the lock, with pauses in which the other one would be heard without it.
fn speak(
    stage: &Rc<Stage>,
    lines: [&'static str; 3],
    is_impatient: bool,
) -> impl Future<Output = Result<(), Failure>> + 'static {
    let stage = stage.clone();
    async move {
        stage.meet().await?;
        let _guard = match is_impatient {
            false => stage.lock.lock().await,
            true => match stage.lock.try_lock() {
                Some(guard) => guard,
                None => return Ok(say("WARNING: Could not acquire lock!!!")?),
            },
        };
        for line in lines {
            say(line)?;
            stage.chance.work(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}
