//! The size of one page, by HTTP/1.1 (RFC 9112) over any stream; `httparse` reads the heads of the messages.
//!
//! A body ends in one of three ways (RFC 9112, section 6.3): with its last chunk, after `Content-Length` bytes, or
//! with the connection. In the first two an earlier end is an error, not a smaller page. Redirections are followed,
//! and a status other than 200 to 299 is an error, both as Python's `urlopen` does.

use std::io;

use futures::AsyncReadExt;
use greenroom::io::{IncompleteRead, StreamReader, copy};
use greenroom::net::TcpStream;

/// The most bytes that the head of an answer, or a line between chunks, may have.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most fields that a head may have.
const MAX_FIELDS: usize = 100;

/// The most redirections that are followed.
const MAX_REDIRECTIONS: usize = 10;

/// How many bytes the page behind `url` has.
pub async fn size(url: &str) -> io::Result<u64> {
    let mut url = Url::parse(url).ok_or_else(|| {
        bad("not a URL that this program understands; it must be like http://host:port/path".to_string())
    })?;
    for _ in 0..=MAX_REDIRECTIONS {
        match fetch(&url).await? {
            Answer::Page(size) => return Ok(size),
            Answer::Elsewhere(location) => {
                url = url
                    .join(&location)
                    .ok_or_else(|| bad(format!("redirected to {location:?}, no URL with http://")))?;
            }
        }
    }
    Err(bad(format!("redirected more than {MAX_REDIRECTIONS} times")))
}

/// Where a page is.
struct Url {
    /// The host, and the port if it is not 80: as it stands in the URL.
    authority: String,
    /// The path with the query; it begins with a slash.
    path: String,
}

impl Url {
    /// The parts of an absolute URL.
    fn parse(url: &str) -> Option<Url> {
        let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
        let (scheme, rest) = url.split_once("://")?;
        let rest = rest.split('#').next()?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let is_good = printable
            && scheme.eq_ignore_ascii_case("http")
            && !authority.is_empty()
            && !authority.contains('@');
        let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
        is_good.then(|| Url { authority: authority.to_string(), path })
    }

    /// The URL that `location` means on this page.
    fn join(&self, location: &str) -> Option<Url> {
        let folder = || {
            self.path
                .split('?')
                .next()
                .and_then(|path| path.rsplit_once('/'))
                .map_or("", |(folder, _)| folder)
        };
        match location {
            _ if location.contains("://") => Url::parse(location),
            _ if location.starts_with("//") => Url::parse(&format!("http:{location}")),
            _ if location.starts_with('/') => Url::parse(&format!("http://{}{location}", self.authority)),
            _ => Url::parse(&format!("http://{}{}/{location}", self.authority, folder())),
        }
    }

    /// What to connect to.
    fn address(&self) -> String {
        let has_port = self.authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        if has_port { self.authority.clone() } else { format!("{}:80", self.authority) }
    }
}

/// What a server has to say about a page.
enum Answer {
    /// So many bytes.
    Page(u64),
    /// It is somewhere else.
    Elsewhere(String),
}

/// Asks for a page.
async fn fetch(url: &Url) -> io::Result<Answer> {
    let stream = TcpStream::connect(url.address()).await?;
    let (path, host) = (&url.path, &url.authority);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: site_sizes\r\nAccept-Encoding: identity\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut reader = StreamReader::new(&stream);
    let head = loop {
        let bytes = reader.read_until(b"\r\n\r\n", MAX_HEAD_BYTES).await.map_err(no_head)?;
        let head = Head::parse(&bytes)?;
        // 100 to 199 announce that an answer is to come.
        if head.status >= 200 {
            break head;
        }
    };
    match (head.status, head.location) {
        (301 | 302 | 303 | 307 | 308, Some(location)) => Ok(Answer::Elsewhere(location)),
        (200..=299, _) => body_size(reader, head.body).await.map(Answer::Page),
        (status, _) => Err(io::Error::other(format!("the server says {status} {}", head.reason))),
    }
}

/// How a body ends.
#[derive(Clone, Copy)]
enum Body {
    /// There is none.
    Empty,
    /// With a chunk of no bytes.
    Chunked,
    /// After so many bytes.
    Length(u64),
    /// With the connection.
    ToTheEnd,
}

/// The head of an answer, as far as it matters here.
struct Head {
    /// The three digits.
    status: u16,
    /// What they mean, in words.
    reason: String,
    /// Where the page is instead.
    location: Option<String>,
    /// How the body ends.
    body: Body,
}

impl Head {
    /// Reads a head.
    fn parse(bytes: &[u8]) -> io::Result<Head> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(bad("the answer is not HTTP".to_string())),
            Err(error) => return Err(bad(format!("the answer is not HTTP: {error}"))),
        }
        let status = response.code.unwrap_or_default();
        let values = |name: &'static str| {
            let fields = response.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
            fields.map(|field| String::from_utf8_lossy(field.value).trim().to_string())
        };
        // Several are lawful only if they say the same, and each is digits alone.
        let mut lengths: Vec<String> = values("Content-Length").collect();
        lengths.dedup();
        let length = match lengths.as_slice() {
            [] => None,
            [digits] if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse::<u64>().map_err(|_| digits.clone()))
            }
            lengths => Some(Err(lengths.join(", "))),
        };
        let body = match (values("Transfer-Encoding").next_back(), length) {
            _ if matches!(status, 100..=199 | 204 | 304) => Body::Empty,
            (Some(coding), _) if coding.to_ascii_lowercase().ends_with("chunked") => Body::Chunked,
            (Some(_), _) | (None, None) => Body::ToTheEnd,
            (None, Some(Ok(length))) => Body::Length(length),
            (None, Some(Err(length))) => return Err(bad(format!("a Content-Length of {length:?}"))),
        };
        let (reason, location) = (response.reason.unwrap_or_default().to_string(), values("Location").next());
        Ok(Head { status, reason, location, body })
    }
}

/// Reads a body, and keeps its size only.
async fn body_size(mut reader: StreamReader<&TcpStream>, body: Body) -> io::Result<u64> {
    match body {
        Body::Empty => Ok(0),
        Body::Length(length) => skip(&mut reader, length).await,
        Body::ToTheEnd => copy(&mut reader, &mut futures::io::sink()).await,
        Body::Chunked => {
            let mut size = 0;
            loop {
                let line = reader.read_until(b"\r\n", MAX_HEAD_BYTES).await.map_err(cut_off)?;
                let chunk = match httparse::parse_chunk_size(&line) {
                    Ok(httparse::Status::Complete((_, chunk))) => chunk,
                    _ => {
                        return Err(bad(format!(
                            "a chunk that begins with {:?}",
                            String::from_utf8_lossy(&line)
                        )));
                    }
                };
                // What may follow the last chunk are fields, which have no size of the page in them.
                if chunk == 0 {
                    return Ok(size);
                }
                size += skip(&mut reader, chunk).await?;
                if reader.read_exactly(2).await.map_err(cut_off)? != b"\r\n" {
                    return Err(bad("a chunk that is longer than it said".to_string()));
                }
            }
        }
    }
}

/// Reads so many bytes, and does not keep them.
async fn skip(reader: &mut StreamReader<&TcpStream>, count: u64) -> io::Result<u64> {
    match copy(&mut reader.take(count), &mut futures::io::sink()).await? {
        skipped if skipped < count => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the connection ended after {skipped} of {count} bytes"),
        )),
        skipped => Ok(skipped),
    }
}

/// The error of an answer that makes no sense.
fn bad(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// Why there is no head, in words for people.
fn no_head(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inside| inside.downcast_ref::<IncompleteRead>()) {
        Some(incomplete) if incomplete.partial.is_empty() => {
            bad("the server hung up without an answer".to_string())
        }
        Some(_) => bad("the server hung up in the middle of its answer, or does not speak HTTP".to_string()),
        None => error,
    }
}

/// The same for a body that ends between chunks.
fn cut_off(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(error.kind(), "the connection ended before the last chunk")
        }
        _ => error,
    }
}
