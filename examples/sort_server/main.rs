//! A service that sorts lists: a length, a JSON list, and the sorted list comes back.
//!
//! ```text
//! cargo run --release --example sort_server          then, elsewhere:
//! cargo run --release --example remote_sort
//! ```
//!
//! You see there ten thousand numbers come back in order. Ctrl-C lets everyone finish.
//!
//! The loop only carries bytes: parsing, sorting and printing (`sorted.rs`, `python_json.rs`) are done on other
//! threads, so a long list delays nobody else. A request is eight bytes, the length as a big-endian number, and
//! then so many bytes of JSON. The answer is JSON in the format of Python's `json.dumps`, and then the end of the
//! connection. A request that makes no sense gets no answer.

mod number;
#[path = "../program/mod.rs"]
mod program;
mod python_json;
mod sorted;

use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread::available_parallelism;
use std::time::Duration;

use greenroom::blocking::Pool;
use greenroom::io::{IncompleteRead, StreamReader};
use greenroom::net::{Connection, Server, TcpListener, TcpStream};
use greenroom::signal::{INTERRUPT, Signal};
use lexopt::{Arg, Parser};
use program::{Failure, complain, say, value};

const HELP: &str = "\
Usage: sort_server [OPTION]...
Sorts lists for others: takes eight bytes of length and a JSON list, sends the sorted list back.
Try it with: remote_sort

  --host HOST           name or address to listen on (default 127.0.0.1)
  --port PORT           port to listen on, 0 for any free one (default 2015)
  --max-bytes BYTES     refuse longer requests (default 4194304)
  --max-connections N   serve at most so many clients at a time (default 200)
  --timeout SECONDS     how long one client may take (default 60)
  --help                print this text and exit
";

/// A request above so many bytes takes its turn among the long ones, and does not delay the others.
const LONG: u64 = 64 << 10;

/// What the command line asks for.
struct Options {
    /// Name or address to listen on.
    host: String,
    /// Port to listen on; 0 lets the system choose one.
    port: u16,
    /// The most bytes that a request may have, its length not counted.
    max_bytes: NonZeroU64,
    /// The most connections at a time.
    max_connections: NonZeroUsize,
    /// How long a client may take, from its first byte to the last one of the answer.
    timeout: Duration,
}

fn main() -> ExitCode {
    program::run(HELP, parse, |options| greenroom::Runtime::new()?.block_on(serve(options)))
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options {
        host: "127.0.0.1".to_string(),
        port: 2015,
        max_bytes: NonZeroU64::new(4 << 20).expect("not zero"),
        max_connections: NonZeroUsize::new(200).expect("not zero"),
        timeout: Duration::from_secs(60),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("host") => options.host = program::host(parser)?,
            Arg::Long("port") => options.port = program::port(parser)?,
            Arg::Long("max-bytes") => options.max_bytes = value(parser, "--max-bytes", "a number above 0")?,
            Arg::Long("max-connections") => {
                options.max_connections = value(parser, "--max-connections", "a number above 0")?;
            }
            Arg::Long("timeout") => options.timeout = program::seconds(parser, "--timeout")?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// The server, until Ctrl-C.
async fn serve(options: Options) -> Result<(), Failure> {
    let address = (options.host.as_str(), options.port);
    let listener = TcpListener::bind(address).await.map_err(program::with_remedy)?;
    // Listened for before anyone can know that the server is there.
    let mut interrupts = Signal::new(INTERRUPT)?;
    // A server goes on though nobody reads what it says.
    let _ = say(format_args!("sorting at {}", listener.local_addr()?));
    let interrupted = async move { drop(interrupts.recv().await) };
    // Long lists take much memory and time: no more of them at once than there are processors.
    let pool = Pool::builder(available_parallelism()?.get()).name("long lists").build();
    let options = Rc::new((options, pool));
    let server = Server::new(listener).max_connections(options.0.max_connections.get());
    let handler = |connection: Connection| {
        let shared = options.clone();
        async move {
            let (options, pool) = &*shared;
            let answer = answer(&connection.stream, options.max_bytes.get(), pool);
            let answered = greenroom::timeout(options.timeout, answer);
            if let Err(error) = answered.await.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                complain(format_args!("{}: {error}", connection.peer));
            }
        }
    };
    let report = server.run(interrupted, handler).await?;
    let _ = say(report);
    Ok(())
}

/// Reads a request, and answers it.
async fn answer(stream: &TcpStream, max_bytes: u64, pool: &Pool) -> io::Result<()> {
    let mut reader = StreamReader::new(stream);
    let length = match reader.read_exactly(8).await {
        Ok(bytes) => u64::from_be_bytes(bytes.try_into().expect("eight bytes were read")),
        Err(error) if came_for_nothing(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    if length > max_bytes {
        let problem = format!("a request of {length} bytes, more than {max_bytes} (see --max-bytes)");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    let request = reader.read_exactly(length as usize).await?;
    let job = move || sorted::sorted(&request);
    let answer = if length > LONG { pool.spawn(job).await? } else { greenroom::spawn_blocking(job).await? };
    let answer = answer.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    stream.write_all(answer.as_bytes()).await
}

/// Whether somebody connected and left without a word.
fn came_for_nothing(error: &io::Error) -> bool {
    let incomplete = error.get_ref().and_then(|inside| inside.downcast_ref::<IncompleteRead>());
    incomplete.is_some_and(|incomplete| incomplete.partial.is_empty())
}
