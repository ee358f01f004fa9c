//! Cuts a stream of bytes into lines; pure, it never reads or writes anything itself.
//!
//! Used by the line readers of this library, and by any protocol that gets its bytes piece by piece.
//!
//! Universal newlines: LF, CR LF and CR alone end a line, LF CR is two ends, and nothing else ends one.
//! A CR ends its line at once, so that nobody waits for a byte that may never come; an LF directly after
//! it, also in a later piece, is then swallowed.
//!
//! Invariants:
//! 1. The lines depend on the bytes only, never on how these were cut into pieces.
//! 2. Every byte is looked at once and copied at most a constant number of times (on average), also when
//!    they come one at a time. A line that lies whole in one piece is not copied at all.
//! 3. At most `limit` bytes are held, and none once the line they belong to was given out: a finished line
//!    takes its buffer with it, so one long line does not stay allocated for ever.
//!
//! Read next: `line_reader.rs`.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// Cuts a stream of bytes into lines. See the head of this module for the rules.
#[derive(Debug)]
pub struct LineSplitter {
    /// The most bytes one line may have, its end not counted.
    limit: usize,
    /// The beginning of the line under way, from earlier pieces; never longer than `limit`.
    partial: Vec<u8>,
    /// The last byte taken in was a CR, so an LF that comes next belongs to it.
    after_cr: bool,
    /// The line under way was reported as too long, and its rest is being dropped.
    skipping: bool,
    /// How many lines were given out so far.
    lines: u64,
    /// How many bytes were taken in so far, line ends and dropped bytes among them.
    bytes: u64,
}

/// A line had more bytes than the splitter's limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooLong {
    /// The most bytes one line may have, its end not counted.
    pub limit: usize,
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a line is longer than {} bytes", self.limit)
    }
}

impl Error for LineTooLong {}

impl LineSplitter {
    /// A splitter for lines of up to `max_line_bytes` bytes each, the line end not counted.
    pub fn new(max_line_bytes: usize) -> Self {
        LineSplitter {
            limit: max_line_bytes,
            partial: Vec::new(),
            after_cr: false,
            skipping: false,
            lines: 0,
            bytes: 0,
        }
    }

    /// Takes bytes off the front of `input`, up to and with the first line end, and returns that line
    /// without its end. `None`: there is no line end in `input`, and all of it was taken in.
    ///
    /// The line is borrowed from `input` if it lies whole in it.
    ///
    /// # Errors
    ///
    /// [`LineTooLong`], once for each overlong line, with the first byte above the limit. What `input` has
    /// of that line is then taken off, its end too; what is still to come of it is skipped by later calls,
    /// which go on with the next line. The caller may as well give up.
    pub fn next_line<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Cow<'a, [u8]>>, LineTooLong> {
        self.swallow_line_feed(input);
        if self.skipping && !self.skip_to_line_end(input) {
            return Ok(None);
        }
        if input.is_empty() {
            return Ok(None);
        }
        let (text, ended) = self.take_to_line_end(input);
        if text.len() > self.limit - self.partial.len() {
            self.partial = Vec::new();
            self.skipping = !ended;
            return Err(LineTooLong { limit: self.limit });
        }
        if ended && self.partial.is_empty() {
            self.lines += 1;
            return Ok(Some(Cow::Borrowed(text)));
        }
        self.keep(text);
        Ok(ended.then(|| Cow::Owned(self.give_out())))
    }

    /// To be called at the end of the input: the unfinished last line, if it has at least one byte.
    ///
    /// Afterwards the splitter is as good as new, except that its counters go on.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        self.after_cr = false;
        self.skipping = false;
        (!self.partial.is_empty()).then(|| self.give_out())
    }

    /// Forgets what has come of the line under way, as telnet's Interrupt Process asks for.
    ///
    /// The next line begins with the next byte, also if an overlong line was being skipped.
    pub fn discard_partial(&mut self) {
        self.partial = Vec::new();
        self.skipping = false;
    }

    /// The last line's end is complete: an LF that comes next is an end of its own. For protocols in which
    /// something else than an LF may follow a CR (telnet's CR NUL).
    pub fn end_is_complete(&mut self) {
        self.after_cr = false;
    }

    /// How many bytes are held of the line under way; 0 if there is none, or one that is too long.
    pub fn partial_bytes(&self) -> usize {
        self.partial.len()
    }

    /// How many lines were given out so far, by [`next_line`](Self::next_line) or [`finish`](Self::finish).
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// How many bytes were taken in so far, line ends and dropped bytes among them.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the LF of a CR LF whose CR has ended a line already; with an empty `input` it stays expected.
    fn swallow_line_feed(&mut self, input: &mut &[u8]) {
        if input.is_empty() {
            return;
        }
        if self.after_cr && input[0] == b'\n' {
            *input = &input[1..];
            self.bytes += 1;
        }
        self.after_cr = false;
    }

    /// Drops the rest of an overlong line; false if its end is not in `input`.
    fn skip_to_line_end(&mut self, input: &mut &[u8]) -> bool {
        let (_, ended) = self.take_to_line_end(input);
        self.skipping = !ended;
        ended
    }

    /// Takes the bytes before the first line end off `input`, and with them that end, if there is one.
    fn take_to_line_end<'a>(&mut self, input: &mut &'a [u8]) -> (&'a [u8], bool) {
        let all = *input;
        let end = all.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let taken = end.map_or(all.len(), |at| at + 1);
        *input = &all[taken..];
        self.bytes += taken as u64;
        self.after_cr = end.is_some_and(|at| all[at] == b'\r');
        self.swallow_line_feed(input);
        (&all[..end.unwrap_or(all.len())], end.is_some())
    }

    /// Adds `text` to the line under way. The buffer doubles, for linear time, but never beyond the limit.
    fn keep(&mut self, text: &[u8]) {
        let needed = self.partial.len() + text.len();
        if needed > self.partial.capacity() {
            let wanted = self.partial.capacity().saturating_mul(2).max(needed);
            let wanted = wanted.min(self.limit);
            self.partial.reserve_exact(wanted - self.partial.len());
        }
        self.partial.extend_from_slice(text);
    }

    /// The line under way, with its buffer.
    fn give_out(&mut self) -> Vec<u8> {
        self.lines += 1;
        std::mem::take(&mut self.partial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one splitter makes of `pieces`: the lines as `Ok`, the reports of overlong ones as `Err`.
    fn split(limit: usize, pieces: &[&[u8]]) -> Vec<Result<Vec<u8>, LineTooLong>> {
        let mut splitter = LineSplitter::new(limit);
        let mut found = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            loop {
                match splitter.next_line(&mut rest) {
                    Ok(Some(line)) => found.push(Ok(line.into_owned())),
                    Ok(None) => break,
                    Err(error) => found.push(Err(error)),
                }
                assert!(splitter.partial.capacity() <= limit);
            }
            assert!(rest.is_empty(), "None means that all was taken in");
        }
        found.extend(splitter.finish().map(Ok));
        assert_eq!(splitter.bytes(), pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
        let given_out = found.iter().filter(|line| line.is_ok()).count();
        assert_eq!(splitter.lines(), given_out as u64);
        found
    }

    /// The same rules, written down as simply as can be, for input that is all there.
    fn reference(limit: usize, input: &[u8]) -> Vec<Result<Vec<u8>, LineTooLong>> {
        let input = String::from_utf8(input.to_vec()).expect("the tests use ASCII");
        let input = input.replace("\r\n", "\n").replace('\r', "\n");
        let mut lines: Vec<&str> = input.split('\n').collect();
        if lines.last() == Some(&"") {
            lines.pop();
        }
        let check = |line: &str| match line.len() <= limit {
            true => Ok(line.as_bytes().to_vec()),
            false => Err(LineTooLong { limit }),
        };
        lines.into_iter().map(check).collect()
    }

    #[test]
    fn only_cr_and_lf_end_lines() {
        let lines = split(99, &[b"a\rb\nc\r\nd\n\re\r\r\nf\x0b\x0c\x1c\x1d\x1e\xc2\x85\xe2\x80\xa8g"]);
        let expected: [&[u8]; 8] =
            [b"a", b"b", b"c", b"d", b"", b"e", b"", b"f\x0b\x0c\x1c\x1d\x1e\xc2\x85\xe2\x80\xa8g"];
        assert_eq!(lines, expected.map(|line| Ok(line.to_vec())));
    }

    #[test]
    fn a_carriage_return_answers_at_once_and_swallows_a_later_line_feed() {
        let mut splitter = LineSplitter::new(9);
        let mut input: &[u8] = b"ab\r";
        assert_eq!(splitter.next_line(&mut input), Ok(Some(Cow::Borrowed(&b"ab"[..]))));
        assert_eq!(splitter.next_line(&mut input), Ok(None));
        let mut input: &[u8] = b"\n";
        assert_eq!(splitter.next_line(&mut input), Ok(None));
        let mut input: &[u8] = b"\n";
        assert_eq!(splitter.next_line(&mut input), Ok(Some(Cow::Borrowed(&b""[..]))));
        assert_eq!((splitter.lines(), splitter.bytes()), (2, 5));
    }

    #[test]
    fn every_way_to_cut_in_three_gives_the_same_lines() {
        for input in [&b"a\rb\nc\r\nd\n\re\r\r\nf"[..], b"\r\n\r\n", b"abcdef\r\n\nab\rabcd\n\rabcde"] {
            for limit in [0, 1, 3, 4, 5, 99] {
                let expected = reference(limit, input);
                for first in 0..=input.len() {
                    for second in first..=input.len() {
                        let pieces = [&input[..first], &input[first..second], &input[second..]];
                        assert_eq!(split(limit, &pieces), expected, "{limit} {pieces:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn random_pieces_give_the_same_lines() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below) as usize
        };
        for round in 0..2000 {
            let length = random(60);
            let input: Vec<u8> = (0..length).map(|_| b"aaab\r\n\r\n"[random(8)]).collect();
            let limit = random(8);
            let mut pieces = Vec::new();
            let mut rest = &input[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(random(rest.len() as u64 + 1));
                pieces.push(piece);
                rest = after;
            }
            assert_eq!(split(limit, &pieces), reference(limit, &input), "round {round}: {pieces:?}");
        }
    }

    #[test]
    fn the_limit_is_exact_and_the_next_line_is_whole() {
        let too_long = Err(LineTooLong { limit: 4 });
        for end in ["\n", "\r", "\r\n"] {
            let four = format!("abcd{end}next{end}");
            let five = format!("abcde{end}next{end}");
            let [whole, over] = [four.as_bytes(), five.as_bytes()];
            assert_eq!(split(4, &[whole]), [Ok(b"abcd".to_vec()), Ok(b"next".to_vec())]);
            assert_eq!(split(4, &[over]), [too_long.clone(), Ok(b"next".to_vec())]);
            let bytes: Vec<&[u8]> = over.chunks(1).collect();
            assert_eq!(split(4, &bytes), [too_long.clone(), Ok(b"next".to_vec())]);
        }
        assert_eq!(split(4, &[b"abcd"]), [Ok(b"abcd".to_vec())]);
        assert_eq!(split(4, &[b"abcd", b"e"]), [too_long]);
    }

    #[test]
    fn the_error_comes_with_the_first_byte_above_the_limit() {
        let mut splitter = LineSplitter::new(2);
        assert_eq!(splitter.next_line(&mut &b"ab"[..]), Ok(None));
        let error = splitter.next_line(&mut &b"c"[..]).expect_err("three bytes");
        assert_eq!(error.to_string(), "a line is longer than 2 bytes");
        assert_eq!(splitter.partial_bytes(), 0);
        assert_eq!(splitter.next_line(&mut &b"defgh"[..]), Ok(None), "reported once only");
        assert_eq!(splitter.finish(), None);
    }

    #[test]
    fn a_whole_line_is_borrowed_and_a_long_buffer_leaves_with_its_line() {
        let mut splitter = LineSplitter::new(1 << 20);
        let mut input: &[u8] = b"whole\nx";
        assert!(matches!(splitter.next_line(&mut input), Ok(Some(Cow::Borrowed(b"whole")))));
        splitter.discard_partial();
        let long = vec![b'x'; 1 << 20];
        assert_eq!(splitter.next_line(&mut &long[..]), Ok(None));
        assert_eq!(splitter.partial_bytes(), 1 << 20);
        assert!(matches!(splitter.next_line(&mut &b"\n"[..]), Ok(Some(Cow::Owned(_)))));
        assert_eq!(splitter.partial.capacity(), 0);
    }

    #[test]
    fn a_discarded_line_is_gone() {
        let mut splitter = LineSplitter::new(9);
        assert_eq!(splitter.next_line(&mut &b"junk"[..]), Ok(None));
        splitter.discard_partial();
        assert_eq!(splitter.partial_bytes(), 0);
        assert_eq!(splitter.next_line(&mut &b"ok\n"[..]), Ok(Some(Cow::Borrowed(&b"ok"[..]))));
    }
}
