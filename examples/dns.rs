//! A small DNS server: one UDP socket, served by an object with callbacks.
//!
//! ```text
//! cargo run --release --example dns         then, elsewhere:  dig -p 5300 @127.0.0.1 facebook.com
//! ```
//!
//! You see the address that its table has for the name, and 127.0.0.1 for any other name; `--hosts FILE` adds
//! names (the form of hosts(5)). To questions for anything but IPv4 addresses it says that there is nothing,
//! and to nonsense that it is nonsense. `RUST_LOG=debug` shows each question. Ctrl-C ends it.
//!
//! Nobody connects, so there is nobody to have a task: the datagrams of all clients come to the same object.

#[path = "program/mod.rs"]
mod program;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message_builder::StaticCompressor;
use domain::base::{Message, MessageBuilder, Question, Ttl};
use domain::rdata::A;
use greenroom::net::{DatagramProtocol, DatagramTransport, bind_protocol};
use greenroom::signal::{INTERRUPT, Signal};
use lexopt::{Arg, Parser};
use program::{Failure, say};

/// How long others may remember an answer.
const TTL: Ttl = Ttl::from_secs(60);

/// The address of every name that is in no table.
const EVERYBODY_ELSE: Ipv4Addr = Ipv4Addr::LOCALHOST;

const HELP: &str = "\
Usage: dns [OPTION]...
Answers DNS questions (over UDP) for IPv4 addresses from a table; all other names are at 127.0.0.1.
Try it with: dig -p 5300 @127.0.0.1 facebook.com

  --host HOST     name or address to listen on (default 127.0.0.1)
  --port PORT     port to listen on, 0 for any free one (default 5300)
  --hosts FILE    add the names of this file: on each line an address and its names, as in /etc/hosts
  --help          print this text and exit

RUST_LOG=debug logs each question.
";

/// What the command line asks for.
struct Options {
    /// Name or address to listen on.
    host: String,
    /// Port to listen on; 0 lets the system choose one.
    port: u16,
    /// A file with more names.
    hosts: Option<PathBuf>,
}

fn main() -> ExitCode {
    env_logger::init();
    program::run(HELP, parse, serve)
}

fn parse(parser: &mut Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options { host: "127.0.0.1".to_string(), port: 5300, hosts: None };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("host") => options.host = program::host(parser)?,
            Arg::Long("port") => options.port = program::port(parser)?,
            Arg::Long("hosts") => options.hosts = Some(parser.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// The server, from its first line to its last.
fn serve(options: Options) -> Result<(), Failure> {
    let mut table = Table::built_in();
    if let Some(path) = &options.hosts {
        table.add_file(path)?;
    }
    let names = table.addresses.len();
    greenroom::Runtime::new()?.block_on(async {
        let address = (options.host.as_str(), options.port);
        let server = NameServer { table, transport: None, answers: 0 };
        let (transport, served) = bind_protocol(address, server).await.map_err(program::with_remedy)?;
        // Listened for before anyone can know that the server is there.
        let mut interrupts = Signal::new(INTERRUPT)?;
        // A server goes on though nobody reads what it says.
        let _ = say(format_args!("dns at {} knows {names} names", transport.socket().local_addr()?));
        interrupts.recv().await?;
        transport.close();
        let _ = say(format_args!("{} answers sent", served.await?.answers));
        Ok(())
    })
}

/// The server as asyncio would have it: an object whose methods are called when something happens.
struct NameServer {
    /// What it knows.
    table: Table,
    /// Where the answers go out.
    transport: Option<DatagramTransport>,
    /// How many went.
    answers: u64,
}

impl DatagramProtocol for NameServer {
    fn connection_made(&mut self, transport: DatagramTransport) {
        self.transport = Some(transport);
    }

    fn datagram_received(&mut self, bytes: &[u8], from: SocketAddr) {
        let Some(answer) = answer_to(bytes, &self.table) else {
            return log::debug!("{from} sent {} bytes that are no question", bytes.len());
        };
        let transport = self.transport.as_ref().expect("the first call brought it");
        match transport.send_to(&answer, from) {
            Ok(()) => self.answers += 1,
            Err(error) => log::warn!("cannot answer {from}: {error}"),
        }
    }
}

/// The answer to a message; none if it is no message, or an answer itself: two servers could go on
/// answering each other for ever.
fn answer_to(bytes: &[u8], table: &Table) -> Option<Vec<u8>> {
    let message = Message::from_octets(bytes).ok()?;
    if message.header().qr() {
        return None;
    }
    let question = message.sole_question();
    let rcode = match question {
        _ if message.header().opcode() != Opcode::QUERY => Rcode::NOTIMP,
        Ok(_) => Rcode::NOERROR,
        Err(_) => Rcode::FORMERR,
    };
    let mut reply = MessageBuilder::from_target(StaticCompressor::new(Vec::new())).ok()?;
    if rcode != Rcode::NOERROR {
        // The head alone: repeating what was asked, many questions say, would make much out of little, for a
        // victim whose address the asker may have taken.
        let (asked, head) = (message.header(), reply.header_mut());
        head.set_id(asked.id());
        head.set_qr(true);
        head.set_opcode(asked.opcode());
        head.set_rd(asked.rd());
        head.set_rcode(rcode);
        return Some(reply.finish().into_target());
    }
    // Repeats the id, the question, and whether recursion is desired.
    let mut answer = reply.start_answer(&message, rcode).ok()?;
    // Nobody else needs to be asked, which is all that one who desires it wants to know.
    answer.header_mut().set_ra(true);
    if let Ok(question) = question
        && let Some(address) = table.answer(&question)
    {
        answer.push((question.qname(), Class::IN, TTL, A::new(address))).ok()?;
    }
    Some(answer.finish().into_target())
}

/// Which name has which address.
struct Table {
    /// The names in small letters, without a dot at the end.
    addresses: HashMap<String, Ipv4Addr>,
}

impl Table {
    /// What is known without a file.
    fn built_in() -> Table {
        Table { addresses: [("facebook.com".into(), Ipv4Addr::new(173, 252, 120, 6))].into() }
    }

    /// Adds the names of a file in the form of hosts(5). Of several lines about a name the first counts.
    fn add_file(&mut self, path: &Path) -> Result<(), String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read --hosts {}: {error}", path.display()))?;
        let mut added = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(address) = words.next() else { continue };
            let address = address.parse::<IpAddr>().map_err(|_| {
                format!("{}:{}: {address:?} is not an address; write: 1.2.3.4 name", path.display(), at + 1)
            })?;
            // Nobody is told of IPv6 addresses, so there is no need to keep them.
            if let IpAddr::V4(address) = address {
                for name in words {
                    let name = name.trim_end_matches('.').to_ascii_lowercase();
                    added.entry(name).or_insert(address);
                }
            }
        }
        self.addresses.extend(added);
        Ok(())
    }

    /// The address that a question asks for, if it asks for one.
    fn answer(&self, question: &Question<impl domain::base::ToName + std::fmt::Display>) -> Option<Ipv4Addr> {
        let name = question.qname().to_string().to_ascii_lowercase();
        let is_for_address = (question.qtype(), question.qclass()) == (Rtype::A, Class::IN);
        let known = self.addresses.get(name.trim_end_matches('.')).copied();
        let address = is_for_address.then(|| known.unwrap_or(EVERYBODY_ELSE));
        log::debug!("{name} {}: {address:?}", question.qtype());
        address
    }
}
