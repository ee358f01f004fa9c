//! Conversations written down, one JSON object per line, and somebody who plays them.
//!
//! ```text
//!   chunks      [{data: base64, delay_ms?, await?}]    each chunk is one write; then a pause; then
//!               go on only when `await` bytes in all have come back
//!   await_welcome?   nothing is sent before the welcome is there
//!   end         "half-close": after the last chunk say no more, and read to the end
//!               "server": the server closes by itself
//!   reset_ok?   a reset after the whole expected output is as good as an end
//!   expected    base64, all that the server says
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::LONG;
use super::client::Client;

/// One conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// What it is about.
    pub name: String,
    /// What the client sends.
    pub chunks: Vec<Chunk>,
    /// Whether it waits for the welcome first.
    await_welcome: bool,
    /// Whether the client ends it by a half-close, or leaves that to the server.
    pub half_close: bool,
    /// Whether a reset may take the place of the end.
    reset_ok: bool,
    /// All that the server says.
    pub expected: Vec<u8>,
}

/// A part of what the client sends.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// The bytes.
    pub data: Vec<u8>,
    /// How long the client is silent after them.
    delay: Duration,
    /// How much must have come back before the client goes on.
    heard: usize,
}

/// The conversations of a file of tests/conversations/.
pub fn load(file: &str) -> Vec<Conversation> {
    let path = format!("{}/tests/conversations/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(|line| conversation(&serde_json::from_str(line).expect("JSON"))).collect()
}

fn conversation(value: &Value) -> Conversation {
    let bytes = |value: &Value| STANDARD.decode(value.as_str().expect("a string")).expect("base64");
    let chunk = |value: &Value| Chunk {
        data: bytes(&value["data"]),
        delay: Duration::from_millis(value["delay_ms"].as_u64().unwrap_or(0)),
        heard: value["await"].as_u64().unwrap_or(0) as usize,
    };
    Conversation {
        name: value["name"].as_str().expect("a name").to_string(),
        chunks: value["chunks"].as_array().expect("chunks").iter().map(chunk).collect(),
        await_welcome: value["await_welcome"].as_bool().unwrap_or(false),
        half_close: value["end"] == "half-close",
        reset_ok: value["reset_ok"].as_bool().unwrap_or(false),
        expected: bytes(&value["expected"]),
    }
}

impl Conversation {
    /// All that the client sends.
    pub fn input(&self) -> Vec<u8> {
        self.chunks.iter().flat_map(|chunk| chunk.data.clone()).collect()
    }

    /// The same conversation with its input cut into other pieces, without pauses.
    pub fn in_pieces(&self, pieces: &[&[u8]]) -> Conversation {
        let chunks = pieces.iter().map(|piece| Chunk { data: piece.to_vec(), ..Chunk::default() });
        Conversation { chunks: chunks.collect(), ..self.clone() }
    }

    /// Plays it; returns what went wrong.
    pub fn play(&self, port: u16) -> Result<(), String> {
        let stream = Client::connect(port).stream;
        let listening = Listening::start(stream.try_clone().expect("another descriptor"));
        let talked = self.talk(&stream, &listening);
        // Whatever went wrong, the thread that listens must come to its end.
        if talked.is_err() {
            drop(stream.shutdown(Shutdown::Both));
        }
        let (heard, end) = listening.until_the_end();
        let at = heard.iter().zip(&self.expected).take_while(|(one, other)| one == other).count();
        if heard != self.expected {
            let show =
                |bytes: &[u8]| String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 60)]).into_owned();
            let (expected, heard) = (show(&self.expected), show(&heard));
            return Err(format!(
                "{}: at byte {at} expected {expected:?}, heard {heard:?}, {talked:?}",
                self.name
            ));
        }
        match end {
            Some(kind) if !(self.reset_ok && kind == ErrorKind::ConnectionReset) => {
                Err(format!("{}: ended by {kind}", self.name))
            }
            _ => talked.map_err(|what| format!("{}: {what}", self.name)),
        }
    }

    fn talk(&self, mut stream: &TcpStream, listening: &Listening) -> Result<(), String> {
        if self.await_welcome {
            listening.until(self.expected.iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1)?;
        }
        for chunk in &self.chunks {
            match stream.write_all(&chunk.data) {
                Err(_) if !self.half_close => break,
                result => result.map_err(|error| format!("cannot send: {error}"))?,
            }
            listening.until(chunk.heard)?;
            // Part of the conversation: the client takes its time.
            thread::sleep(chunk.delay);
        }
        if self.half_close {
            // If the server has gone too early, what was heard tells.
            drop(stream.shutdown(Shutdown::Write));
        }
        Ok(())
    }
}

/// A thread that listens while somebody talks, so that neither waits for the other.
struct Listening {
    /// What was heard, and how it ended: not yet, well, or by an error.
    heard: Arc<(Mutex<Heard>, Condvar)>,
}

/// What a thread that listens has heard.
#[derive(Default)]
struct Heard {
    /// The bytes.
    bytes: Vec<u8>,
    /// Whether that was all.
    ended: bool,
    /// The error that ended it, if one did.
    error: Option<ErrorKind>,
}

impl Listening {
    fn start(mut stream: TcpStream) -> Listening {
        let heard: Arc<(Mutex<Heard>, Condvar)> = Arc::default();
        let shared = heard.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let result = stream.read(&mut buffer);
                let mut heard = shared.0.lock().expect("not poisoned");
                match result {
                    Ok(count) => heard.bytes.extend_from_slice(&buffer[..count]),
                    Err(ref error) => heard.error = Some(error.kind()),
                }
                heard.ended = matches!(result, Ok(0) | Err(_));
                shared.1.notify_all();
                if heard.ended {
                    return;
                }
            }
        });
        Listening { heard }
    }

    /// Waits until so many bytes were heard.
    fn until(&self, count: usize) -> Result<(), String> {
        let not_yet = |heard: &mut Heard| heard.bytes.len() < count && !heard.ended;
        let heard = self.heard.0.lock().expect("not poisoned");
        let (heard, _) = self.heard.1.wait_timeout_while(heard, LONG, not_yet).expect("not poisoned");
        let have = heard.bytes.len();
        if have < count { Err(format!("heard {have} bytes, waited for {count}")) } else { Ok(()) }
    }

    /// Waits for the end; the client's patience bounds that.
    fn until_the_end(&self) -> (Vec<u8>, Option<ErrorKind>) {
        let heard = self.heard.0.lock().expect("not poisoned");
        let mut heard = self.heard.1.wait_while(heard, |heard| !heard.ended).expect("not poisoned");
        (std::mem::take(&mut heard.bytes), heard.error)
    }
}
