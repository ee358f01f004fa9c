//! The command line of the case servers.
//!
//! Used by their `main`. Parsing is a pure function from arguments to options, a request for help or one
//! sentence about what is wrong; only `from_args` prints and ends the program.
//!
//! Invariant: every value that is let through can be used as it is: nothing is zero that must not be, and
//! no duration is so long that adding it to the present overflows.

use std::ffi::OsString;
use std::io::Write;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use lexopt::{Arg, Parser};

/// How many descriptors stay free for other things than connections: standard streams, listener, poller,
/// and whatever the libraries open for a moment.
const RESERVED_DESCRIPTORS: u64 = 32;

/// The longest time that can be asked for, about 31 years.
const MAX_SECONDS: f64 = 1e9;

/// What the command line asks for, with defaults for what it does not mention.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Name or address to listen on.
    pub host: String,
    /// Port to listen on; 0 lets the system choose one.
    pub port: u16,
    /// The most bytes one line may have.
    pub max_line: usize,
    /// The most connections at a time.
    pub max_connections: usize,
    /// How long a connection may be silent.
    pub idle_timeout: Duration,
    /// The time between two reports that the loop is running.
    pub announce_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            host: "127.0.0.1".to_string(),
            port: 9600,
            max_line: 1 << 20,
            max_connections: 10_000,
            idle_timeout: Duration::from_secs(300),
            announce_every: Duration::from_secs(15),
        }
    }
}

/// What a well-formed command line wants.
#[derive(Debug, PartialEq)]
enum Request {
    /// The server, with these options.
    Run(Options),
    /// The help text.
    Help,
}

impl Options {
    /// The options on this program's command line. Ends the program after printing the help text (exit
    /// code 0), or one line on standard error about what is wrong with the command line (exit code 2).
    pub fn from_args(program: &str) -> Options {
        // Failing to print is no reason to panic, as `println!` would.
        match parse(std::env::args_os().skip(1)) {
            Ok(Request::Run(options)) => options,
            Ok(Request::Help) => {
                let _ = std::io::stdout().write_all(help(program).as_bytes());
                std::process::exit(0)
            }
            Err(problem) => {
                let _ = writeln!(std::io::stderr(), "{program}: {problem}");
                std::process::exit(2)
            }
        }
    }
}

/// How many descriptors it takes to serve so many connections at a time.
pub fn descriptors_for(connections: usize) -> u64 {
    (connections as u64).saturating_add(RESERVED_DESCRIPTORS)
}

/// How many connections to serve at a time: as many as asked for, but no more than the limit on open
/// descriptors has room for, and at least one.
pub fn connection_limit(asked: usize, descriptor_limit: u64) -> usize {
    let room = descriptor_limit.saturating_sub(RESERVED_DESCRIPTORS);
    asked.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}

fn help(program: &str) -> String {
    format!(
        "\
Usage: {program} [OPTION]...
Serves lines of text: sends each back in upper case or, after the line `title`, in title case,
until the line `quit`. Try it with: telnet 127.0.0.1 9600

  --host HOST             name or address to listen on (default 127.0.0.1)
  --port PORT             port to listen on, 0 for any free one (default 9600)
  --max-line BYTES        close a connection that sends a longer line (default 1048576)
  --max-connections N     serve at most so many clients at a time (default 10000, fewer if the
                          limit of open files is lower)
  --idle-timeout SECONDS  longest wait for the first byte, between two lines, and from a line's
                          first byte to its end (default 300)
  --announce-every SECONDS
                          time between two reports that the loop is running (default 15)
  --help                  print this text and exit

Seconds may have decimals. RUST_LOG chooses what is logged, for example RUST_LOG=debug.
"
    )
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut parser = Parser::from_args(arguments);
    let mut options = Options::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Request::Help),
            Arg::Long("host") => {
                let allowed = "a host name or an address";
                options.host = value(&mut parser, "--host", allowed, |text| {
                    (!text.is_empty()).then(|| text.to_string())
                })?;
            }
            Arg::Long("port") => {
                let allowed = "a number from 0 to 65535";
                options.port = value(&mut parser, "--port", allowed, number)?;
            }
            Arg::Long("max-line") => options.max_line = count(&mut parser, "--max-line")?,
            Arg::Long("max-connections") => {
                options.max_connections = count(&mut parser, "--max-connections")?;
            }
            Arg::Long("idle-timeout") => {
                options.idle_timeout = duration(&mut parser, "--idle-timeout")?;
            }
            Arg::Long("announce-every") => {
                options.announce_every = duration(&mut parser, "--announce-every")?;
            }
            Arg::Long(name) => return Err(unknown(&format!("--{name}"))),
            Arg::Short(letter) => return Err(unknown(&format!("-{letter}"))),
            Arg::Value(value) => return Err(format!("takes options only, not {value:?}")),
        }
    }
    Ok(Request::Run(options))
}

/// The value of the option just met, or what is wrong with it.
fn value<T>(
    parser: &mut Parser,
    option: &str,
    allowed: &str,
    convert: impl Fn(&str) -> Option<T>,
) -> Result<T, String> {
    let Ok(given) = parser.value() else {
        return Err(format!("{option} takes {allowed}, but none is given"));
    };
    // The debug form, so that a strange value can neither break the line nor upset the terminal.
    given.to_str().and_then(convert).ok_or_else(|| format!("{option} takes {allowed}, not {given:?}"))
}

fn count(parser: &mut Parser, option: &str) -> Result<usize, String> {
    let allowed = format!("a number from 1 to {}", usize::MAX);
    value(parser, option, &allowed, number::<NonZeroUsize>).map(NonZeroUsize::get)
}

fn duration(parser: &mut Parser, option: &str) -> Result<Duration, String> {
    let allowed = format!("a number of seconds above 0, up to {MAX_SECONDS}");
    value(parser, option, &allowed, |text| {
        let seconds = text.parse().ok().filter(|seconds| *seconds <= MAX_SECONDS)?;
        let duration = Duration::try_from_secs_f64(seconds).ok()?;
        (!duration.is_zero()).then_some(duration)
    })
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn unknown(option: &str) -> String {
    format!("there is no option {option:?}, see --help")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn options(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn nothing_gives_the_defaults_and_everything_can_be_set() {
        assert_eq!(options(""), Ok(Request::Run(Options::default())));
        let line = "--host ::1 --port=0 --max-line 1 --max-connections 7 \
            --idle-timeout .25 --announce-every 1e3";
        let expected = Options {
            host: "::1".to_string(),
            port: 0,
            max_line: 1,
            max_connections: 7,
            idle_timeout: Duration::from_millis(250),
            announce_every: Duration::from_secs(1000),
        };
        assert_eq!(options(line), Ok(Request::Run(expected)));
        assert_eq!(options("--port 1 --help --nonsense"), Ok(Request::Help));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (line, problem) in [
            ("--port abc", r#"--port takes a number from 0 to 65535, not "abc""#),
            ("--port 65536", r#"--port takes a number from 0 to 65535, not "65536""#),
            ("--port -1", r#"--port takes a number from 0 to 65535, not "-1""#),
            ("--port", "--port takes a number from 0 to 65535, but none is given"),
            ("--host=", r#"--host takes a host name or an address, not """#),
            ("--nonsense", r#"there is no option "--nonsense", see --help"#),
            ("-x", r#"there is no option "-x", see --help"#),
            ("9600", r#"takes options only, not "9600""#),
        ] {
            assert_eq!(options(line), Err(problem.to_string()));
        }
        let not_text = OsString::from_vec(b"a\n\xff".to_vec());
        let problem = parse(["--host".into(), not_text]).expect_err("not UTF-8");
        assert_eq!(problem, r#"--host takes a host name or an address, not "a\n\xFF""#);
    }

    #[test]
    fn absurd_values_are_refused() {
        for option in ["--idle-timeout", "--announce-every"] {
            for bad in ["0", "-1", "-0.0", "1e-300", "1e300", "1e400", "inf", "-inf", "nan", "", "1s"] {
                let problem = options(&format!("{option}={bad}")).expect_err(bad);
                let start = format!("{option} takes a number of seconds above 0, up to 1000000000, not");
                assert_eq!(problem, format!("{start} {bad:?}"));
            }
            assert!(options(&format!("{option} 1e9")).is_ok());
        }
        for option in ["--max-line", "--max-connections"] {
            for bad in ["0", "-1", "1.5", "99999999999999999999999", "1e6", ""] {
                let problem = options(&format!("{option}={bad}")).expect_err(bad);
                assert!(problem.starts_with(&format!("{option} takes a number from 1 to ")));
            }
        }
    }

    #[test]
    fn connections_leave_room_for_other_descriptors() {
        assert_eq!(connection_limit(10_000, 1024), 992);
        assert_eq!(connection_limit(10, 1024), 10);
        assert_eq!(connection_limit(10, 20), 1);
        assert_eq!(connection_limit(0, 1024), 1);
        assert_eq!(connection_limit(usize::MAX, u64::MAX), usize::MAX - 32);
    }
}
