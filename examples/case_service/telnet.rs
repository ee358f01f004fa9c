//! Takes telnet commands out of a stream of bytes (RFC 854, RFC 855); pure, it reads and writes nothing.
//!
//! Used by `session`, so that a person's Ctrl-C in a telnet client is understood: the client then sends
//! Interrupt Process and asks for a timing mark, and shows nothing more until that request is answered.
//!
//! The byte FF begins a command if one of F0 to FF follows, and is data otherwise; UTF-8 never contains it.
//!
//! ```text
//!   FF FF       one data byte FF              FF FD x   DO x: refused, but a timing mark (6) is granted
//!   FF F4       Interrupt Process             FF FB x   WILL x: refused
//!   FF FA ...   skipped up to FF F0           FF FC x   WONT x, and FF FE x, DONT x: no answer
//!   CR NUL      an end of line                FF F0 to FF F9, the others: dropped
//! ```
//!
//! Invariants: nothing is buffered, so a negotiation of any length costs no memory; the pieces depend on
//! the bytes only, not on how these were cut into packets (except that data may come in more pieces).

const CR: u8 = b'\r';
const SUBNEGOTIATION_END: u8 = 0xF0;
const INTERRUPT_PROCESS: u8 = 0xF4;
const SUBNEGOTIATION: u8 = 0xFA;
const WILL: u8 = 0xFB;
const WONT: u8 = 0xFC;
const DO: u8 = 0xFD;
const DONT: u8 = 0xFE;
const IAC: u8 = 0xFF;
const TIMING_MARK: u8 = 6;

/// What comes next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of the conversation, at least one; a CR or LF can only be the last of them, so a caller that
    /// wants to pause after a line can do so between two pieces.
    Data(&'a [u8]),
    /// To be sent to the client, in its place among the other answers.
    Answer([u8; 3]),
    /// The NUL of a CR NUL: the end of line that the CR began is complete.
    EndOfLine,
    /// The person wants to be rid of the line under way.
    Interrupt,
}

/// Where in the telnet grammar the stream stands.
#[derive(Debug)]
enum Position {
    /// Between two bytes of the conversation.
    Data,
    /// After FF, which may be the beginning of a command or a data byte.
    Escape,
    /// After WILL, WONT, DO or DONT: the option's number follows.
    Option(u8),
    /// Inside of a subnegotiation.
    Subnegotiation,
    /// Inside of a subnegotiation, after FF.
    SubnegotiationEscape,
}

/// The decoder of one connection's input.
#[derive(Debug)]
pub struct Decoder {
    /// Where in the grammar the stream stands.
    state: Position,
    /// The last data byte was a CR, so a NUL that comes next is its filler.
    after_cr: bool,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Decoder { state: Position::Data, after_cr: false }
    }

    /// Takes bytes off the front of `input` up to and with the next piece. `None`: all was taken, and
    /// there is nothing further in it for the caller.
    pub fn next_piece<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        while let Some((&byte, rest)) = input.split_first() {
            let piece = match self.state {
                Position::Data if byte == IAC => self.go(Position::Escape),
                Position::Data if byte == 0 && self.after_cr => {
                    self.after_cr = false;
                    Some(Piece::EndOfLine)
                }
                Position::Data => return Some(self.take_data(input)),
                Position::Escape if byte < SUBNEGOTIATION_END => {
                    // Not a command: the FF was data, and this byte is still to be looked at.
                    return self.finish();
                }
                Position::Escape => self.command(byte),
                Position::Option(verb) => {
                    self.state = Position::Data;
                    answer(verb, byte)
                }
                Position::Subnegotiation if byte == IAC => self.go(Position::SubnegotiationEscape),
                Position::Subnegotiation => None,
                Position::SubnegotiationEscape if byte == SUBNEGOTIATION_END => self.go(Position::Data),
                Position::SubnegotiationEscape => self.go(Position::Subnegotiation),
            };
            *input = rest;
            if piece.is_some() {
                return piece;
            }
        }
        None
    }

    /// To be called at the end of the input: an FF that nothing follows is data.
    pub fn finish(&mut self) -> Option<Piece<'static>> {
        let pending = matches!(self.state, Position::Escape);
        self.state = Position::Data;
        pending.then(|| self.data(&[IAC]))
    }

    /// The byte after FF, when it is one of F0 to FF.
    fn command(&mut self, byte: u8) -> Option<Piece<'static>> {
        self.state = match byte {
            SUBNEGOTIATION => Position::Subnegotiation,
            WILL | WONT | DO | DONT => Position::Option(byte),
            _ => Position::Data,
        };
        match byte {
            IAC => Some(self.data(&[IAC])),
            INTERRUPT_PROCESS => Some(Piece::Interrupt),
            _ => None,
        }
    }

    /// Takes the data up to the next FF, or up to and with the next CR or LF.
    fn take_data<'a>(&mut self, input: &mut &'a [u8]) -> Piece<'a> {
        let stop = input.iter().position(|byte| matches!(byte, b'\n' | &CR | &IAC));
        let length = match stop {
            Some(at) if input[at] == IAC => at,
            Some(at) => at + 1,
            None => input.len(),
        };
        let (data, rest) = input.split_at(length);
        *input = rest;
        self.data(data)
    }

    fn data<'a>(&mut self, data: &'a [u8]) -> Piece<'a> {
        self.after_cr = data.last() == Some(&CR);
        Piece::Data(data)
    }

    /// Changes the state where this gives the caller nothing to do.
    fn go(&mut self, state: Position) -> Option<Piece<'static>> {
        self.state = state;
        None
    }
}

/// What to answer to an offer or a request: no to all of them, but yes to a timing mark.
fn answer(verb: u8, option: u8) -> Option<Piece<'static>> {
    match (verb, option) {
        (DO, TIMING_MARK) => Some(Piece::Answer([IAC, WILL, TIMING_MARK])),
        (DO, _) => Some(Piece::Answer([IAC, WONT, option])),
        (WILL, _) => Some(Piece::Answer([IAC, DONT, option])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data with its answers in `[]` and each interrupt as `!`, for input cut at every place.
    fn decode(input: &[u8]) -> Vec<u8> {
        let whole = decode_pieces(&[input]);
        for cut in 0..=input.len() {
            let (before, after) = input.split_at(cut);
            assert_eq!(decode_pieces(&[before, after]), whole, "{input:x?} cut at {cut}");
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(decode_pieces(&bytes), whole, "{input:x?} byte by byte");
        whole
    }

    fn decode_pieces(packets: &[&[u8]]) -> Vec<u8> {
        let mut decoder = Decoder::new();
        let mut shown = Vec::new();
        let mut show = |piece| match piece {
            Piece::Data(data) => {
                let ends = |byte: &u8| matches!(byte, b'\r' | b'\n');
                assert!(!data.is_empty() && !data[..data.len() - 1].iter().any(ends));
                shown.extend_from_slice(data);
            }
            Piece::Answer(answer) => shown.extend([b"[", &answer[..], b"]"].concat()),
            Piece::EndOfLine => shown.push(b'$'),
            Piece::Interrupt => shown.push(b'!'),
        };
        for packet in packets {
            let mut rest = *packet;
            while let Some(piece) = decoder.next_piece(&mut rest) {
                show(piece);
            }
            assert!(rest.is_empty());
        }
        decoder.finish().into_iter().for_each(&mut show);
        shown
    }

    #[test]
    fn what_is_not_a_command_is_data() {
        assert_eq!(decode(b"a\xffb\r\n\xef\xff\x00"), b"a\xffb\r\n\xef\xff\x00");
        assert_eq!(decode(b"a\xff\xff\xff\xffb"), b"a\xff\xffb");
        assert_eq!(decode(b"a\xff"), b"a\xff", "nothing follows");
        assert_eq!(decode(b"\xff\r\x00b"), b"\xff\r$b");
    }

    #[test]
    fn requests_are_refused_except_for_the_timing_mark() {
        assert_eq!(decode(b"a\xff\xfd\x01b"), b"a[\xff\xfc\x01]b");
        assert_eq!(decode(b"\xff\xfd\x06\xff\xfb\x06"), b"[\xff\xfb\x06][\xff\xfe\x06]");
        assert_eq!(decode(b"a\xff\xfc\x01\xff\xfe\xffb"), b"ab");
        assert_eq!(decode(b"a\xff\xfd"), b"a", "cut off in the middle");
    }

    #[test]
    fn other_commands_are_dropped() {
        assert_eq!(decode(b"ab\xff\xf1cd\xff\xf2\xff\xf0\xff\xf9\r\n"), b"abcd\r\n");
        assert_eq!(decode(b"junk\xff\xf4\xff\xfd\x06x"), b"junk![\xff\xfb\x06]x");
        assert_eq!(decode(b"a\xff\xfa\x18\x00x\r\n\xff\xff\xf0\xff\xfd\x01\xff\xf0b"), b"ab");
        assert_eq!(decode(b"a\xff\xfa\x18 never ends \xff"), b"a");
    }

    #[test]
    fn a_nul_directly_after_a_carriage_return_completes_the_end_of_line() {
        assert_eq!(decode(b"\x00a\r\x00b\r\x00\x00c\r\n\x00"), b"\x00a\r$b\r$\x00c\r\n\x00");
        assert_eq!(decode(b"a\r\xff\xf1\x00b"), b"a\r$b", "commands do not stand between them");
        assert_eq!(decode(b"a\r\xff\x00"), b"a\r\xff\x00", "an FF as data does");
    }
}
