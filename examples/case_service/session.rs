//! One conversation of the case service: lines in, answers out; knows nothing of sockets or of time.
//!
//! Used by the servers, which only carry bytes: what came goes into `receive`, what is in `output`
//! afterwards is sent, and `Flow::Closed` says that the connection is to be closed after that.
//!
//! ```text
//!   bytes -> telnet (commands taken out) -> lines -> one answer each -> output
//! ```
//!
//! A line, without its trailing white space, is one of (exactly so, in small letters):
//!   `quit`                     says goodbye and ends the conversation;
//!   `title` / `upper`          switches to that mode, when in the other one;
//!   anything else              comes back in upper or in title case, as Python's `ascii()` shows it.
//!
//! Invariant: the answers depend on the bytes only, not on how these were cut into packets.

use std::fmt;

use greenroom::io::{LineSplitter, LineTooLong};

use super::telnet::{Decoder, Piece};
use super::text;

/// Whether a conversation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// More input is welcome.
    Open,
    /// It has ended, and no further input is looked at; what stands in the output is still to be sent.
    Closed,
}

/// Why a conversation has ended from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client said `quit`.
    Quit,
    /// The client sent a line that is longer than allowed.
    LineTooLong(LineTooLong),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Quit => f.write_str("the client said quit"),
            Ending::LineTooLong(error) => error.fmt(f),
        }
    }
}

/// What is done to a line that is not a command.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// Every letter becomes a capital.
    Upper,
    /// The first letter of every word does.
    Title,
}

/// One client's conversation.
#[derive(Debug)]
pub struct Session {
    /// Takes the telnet commands out of the input.
    telnet: Decoder,
    /// Cuts the rest of the input into lines.
    lines: LineSplitter,
    /// What is done to lines at present.
    mode: Mode,
    /// Why the conversation has ended, once it has.
    ending: Option<Ending>,
    /// How often a line began or ended; see `milestones`.
    milestones: u64,
}

impl Session {
    /// A conversation at its beginning; a line above `max_line_bytes` bytes will end it.
    pub fn new(max_line_bytes: usize) -> Self {
        Session {
            telnet: Decoder::new(),
            lines: LineSplitter::new(max_line_bytes),
            mode: Mode::Upper,
            ending: None,
            milestones: 0,
        }
    }

    /// What is sent to a client before it has said anything.
    pub fn greeting() -> &'static [u8] {
        b"<welcome: starting in upper case mode>\n"
    }

    /// Takes bytes off the front of `input` and appends the answers to `output`, until the input is used
    /// up or the output holds at least `enough` bytes; the caller then sends, and calls again for the rest.
    ///
    /// So the output stays below `enough` plus one answer, which is up to nine times as long as its line.
    /// Each line that is not a command goes to `log`, without its trailing white space and otherwise as it came:
    /// not fit to be printed.
    pub fn receive(
        &mut self,
        input: &mut &[u8],
        output: &mut Vec<u8>,
        enough: usize,
        log: &mut dyn FnMut(&[u8]),
    ) -> Flow {
        while self.ending.is_none() && output.len() < enough {
            let Some(piece) = self.telnet.next_piece(input) else {
                break;
            };
            self.take(piece, output, log);
        }
        self.flow()
    }

    /// To be called once at the end of the input: an unfinished last line is answered like any other.
    pub fn end_of_input(&mut self, output: &mut Vec<u8>, log: &mut dyn FnMut(&[u8])) -> Flow {
        if self.ending.is_none()
            && let Some(piece) = self.telnet.finish()
        {
            self.take(piece, output, log);
        }
        if self.ending.is_none()
            && let Some(line) = self.lines.finish()
        {
            self.answer(&line, output, log);
        }
        self.flow()
    }

    /// A number that grows when a line ends, and when one begins to arrive in pieces: with each of these a
    /// client has a new period of grace, and with nothing else.
    pub fn milestones(&self) -> u64 {
        self.milestones
    }

    /// Why the conversation has ended; `None` as long as it is open.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    fn flow(&self) -> Flow {
        match self.ending {
            None => Flow::Open,
            Some(_) => Flow::Closed,
        }
    }

    /// Handles one piece of the input, which has at most one line's end.
    fn take(&mut self, piece: Piece<'_>, output: &mut Vec<u8>, log: &mut dyn FnMut(&[u8])) {
        match piece {
            Piece::Answer(answer) => output.extend_from_slice(&answer),
            Piece::EndOfLine => self.lines.end_is_complete(),
            Piece::Interrupt => self.lines.discard_partial(),
            Piece::Data(mut data) => {
                let was_under_way = self.lines.partial_bytes() > 0;
                while self.ending.is_none() && !data.is_empty() {
                    match self.lines.next_line(&mut data) {
                        Ok(Some(line)) => {
                            self.milestones += 1;
                            self.answer(&line, output, log);
                        }
                        Ok(None) => {
                            let is_under_way = self.lines.partial_bytes() > 0;
                            self.milestones += u64::from(is_under_way && !was_under_way);
                        }
                        Err(error) => self.ending = Some(Ending::LineTooLong(error)),
                    }
                }
            }
        }
    }

    fn answer(&mut self, line: &[u8], output: &mut Vec<u8>, log: &mut dyn FnMut(&[u8])) {
        let line = text::trim_end(line);
        match (self.mode, line) {
            (_, b"quit") => {
                output.extend_from_slice(b"quit");
                self.ending = Some(Ending::Quit);
            }
            (Mode::Upper, b"title") => {
                output.extend_from_slice(b"<switching to title case mode>");
                self.mode = Mode::Title;
            }
            (Mode::Title, b"upper") => {
                output.extend_from_slice(b"<switching to upper case mode>");
                self.mode = Mode::Upper;
            }
            (Mode::Upper, _) => {
                log(line);
                output.extend_from_slice(b"Upper-cased: ");
                text::push_upper_case(line, output);
            }
            (Mode::Title, _) => {
                log(line);
                output.extend_from_slice(b"Title-cased: ");
                text::push_title_case(line, output);
            }
        }
        output.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers to `input`, sent in packets of `size` bytes, and the logged lines.
    fn converse(input: &[u8], size: usize, limit: usize) -> (String, Vec<String>, Option<Ending>) {
        let mut session = Session::new(limit);
        let (mut output, mut logged) = (Vec::new(), Vec::new());
        let mut log = |line: &[u8]| logged.push(text::for_log(line));
        for mut packet in input.chunks(size) {
            session.receive(&mut packet, &mut output, usize::MAX, &mut log);
        }
        session.end_of_input(&mut output, &mut log);
        let answers = String::from_utf8_lossy(&output).into_owned();
        (answers, logged, session.ending())
    }

    #[test]
    fn commands_are_exact_and_everything_else_is_text() {
        let input = b"upper\nQUIT\n title\ntitle \r\n\xff\xfd\x06title\rquit now\n\n\xe9\nupper\na\tb";
        let expected = "Upper-cased: 'UPPER'\r\nUpper-cased: 'QUIT'\r\nUpper-cased: ' TITLE'\r\n\
            <switching to title case mode>\r\n\u{fffd}\u{fffd}\u{6}Title-cased: 'Title'\r\n\
            Title-cased: 'Quit Now'\r\nTitle-cased: ''\r\nTitle-cased: '\\udce9'\r\n\
            <switching to upper case mode>\r\nUpper-cased: 'A\\tB'\r\n";
        let lines = ["upper", "QUIT", " title", "title", "quit now", "", r"\udce9", r"a\tb"];
        for size in 1..=input.len() {
            let (answers, logged, ending) = converse(input, size, 99);
            assert_eq!(answers, expected);
            assert_eq!(logged, lines);
            assert_eq!(ending, None);
        }
    }

    #[test]
    fn nothing_is_looked_at_after_quit_or_an_overlong_line() {
        for size in 1..20 {
            let (answers, logged, ending) = converse(b"a\nquit\t\nb\nc", size, 99);
            assert_eq!(answers, "Upper-cased: 'A'\r\nquit\r\n");
            assert_eq!((&logged[..], ending), (&["a".to_string()][..], Some(Ending::Quit)));

            let (answers, _, ending) = converse(b"abcd\nabcde\nb\nc", size, 4);
            assert_eq!(answers, "Upper-cased: 'ABCD'\r\n");
            assert_eq!(ending, Some(Ending::LineTooLong(LineTooLong { limit: 4 })));
        }
        let mut session = Session::new(9);
        let (mut input, mut output) = (&b"quit\nrest"[..], Vec::new());
        for _ in 0..2 {
            assert_eq!(session.receive(&mut input, &mut output, 99, &mut |_| ()), Flow::Closed);
            assert_eq!((input, &output[..]), (&b"rest"[..], &b"quit\r\n"[..]));
        }
        assert_eq!(session.end_of_input(&mut output, &mut |_| ()), Flow::Closed);
        assert_eq!(output, b"quit\r\n");
    }

    #[test]
    fn a_packet_of_many_lines_is_answered_in_portions() {
        let lines = b"x\r\n".repeat(100);
        let (mut session, mut input, mut all) = (Session::new(9), &lines[..], Vec::new());
        while !input.is_empty() {
            let mut output = Vec::new();
            session.receive(&mut input, &mut output, 40, &mut |_| ());
            assert!(output.len() < 40 + 20);
            all.extend(output);
        }
        assert_eq!(all, b"Upper-cased: 'X'\r\n".repeat(100));
    }

    #[test]
    fn an_interrupt_discards_the_line_under_way() {
        let (answers, ..) = converse(b"junk\xff\xf4ok\r\x00", 1, 99);
        assert_eq!(answers, "Upper-cased: 'OK'\r\n");
    }

    #[test]
    fn only_the_beginning_and_the_end_of_a_line_are_milestones() {
        let mut session = Session::new(9);
        let mut after = |mut packet: &[u8]| {
            session.receive(&mut packet, &mut Vec::new(), usize::MAX, &mut |_| ());
            session.milestones()
        };
        assert_eq!(after(b"\xff\xf1"), 0, "a command is none");
        assert_eq!(after(b"a"), 1);
        assert_eq!(after(b"b\xff\xf1"), 1, "a byte in the middle is none");
        assert_eq!(after(b"\r"), 2);
        assert_eq!(after(b"\n"), 2, "the rest of a line's end is none");
        assert_eq!(after(b"c\xff\xf4d"), 4, "an interrupted line, and the next");
        assert_eq!(after(b"\ne\nf"), 7);
    }

    #[test]
    fn a_nul_completes_an_end_of_line_like_a_line_feed() {
        for size in 1..4 {
            let (answers, ..) = converse(b"\r\0\n", size, 9);
            assert_eq!(answers, "Upper-cased: ''\r\n".repeat(2));
            let (answers, ..) = converse(b"\r\n\0", size, 9);
            assert_eq!(answers, "Upper-cased: ''\r\nUpper-cased: '\\x00'\r\n");
        }
    }
}
