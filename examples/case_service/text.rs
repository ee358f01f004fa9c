//! Case mappings of one line and its printable forms: bytes in, ASCII bytes or a log text out.
//!
//! Used by `session`. A line need not be UTF-8: each byte that is not part of a well-formed sequence is a
//! "lone byte" XX and stands for the code point U+DCXX, as Python's `surrogateescape` has it. A Rust `str`
//! cannot hold such a code point, so a line stays the bytes that came, and is taken apart on the way into
//! its answer: into runs of characters with lone bytes between them.
//!
//! The mappings are those of Python's `str.upper`, `str.title` and `ascii`, without rules of any locale.
//!
//! Invariants: everything is linear in the length of the line, nothing recurses, and nothing is kept of a
//! line but the answer (and the lower-case form of a run that has a capital sigma).

use unicode_titlecase::TitleCase;

/// The line without its trailing white space, which is Unicode's and the four ASCII separators 1C to 1F.
pub fn trim_end(mut line: &[u8]) -> &[u8] {
    while let Some(last) = last_char(line) {
        if !(last.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&last)) {
            break;
        }
        line = &line[..line.len() - last.len_utf8()];
    }
    line
}

/// The character at the end of the line, if it is not a lone byte.
fn last_char(line: &[u8]) -> Option<char> {
    let near = &line[line.len().saturating_sub(4)..];
    let start = near.iter().rposition(|byte| byte & 0xC0 != 0x80)?;
    str::from_utf8(&near[start..]).ok()?.chars().next()
}

/// Appends the quoted ASCII form of the line in upper case to `output`.
pub fn push_upper_case(line: &[u8], output: &mut Vec<u8>) {
    let mut quoted = Quoted::open(output);
    for part in line.utf8_chunks() {
        for char in part.valid().chars() {
            match char.is_ascii() {
                true => quoted.char(char.to_ascii_uppercase()),
                false => char.to_uppercase().for_each(|upper| quoted.char(upper)),
            }
        }
        part.invalid().iter().for_each(|&byte| quoted.lone_byte(byte));
    }
    quoted.close();
}

/// Appends the quoted ASCII form of the line in title case to `output`.
///
/// A character begins a word unless the one before it is cased: so apostrophes, digits, marks and lone
/// bytes all end a word, and `they're` becomes `They'Re`.
pub fn push_title_case(line: &[u8], output: &mut Vec<u8>) {
    let mut quoted = Quoted::open(output);
    let mut inside_word = false;
    for part in line.utf8_chunks() {
        let run = part.valid();
        // A capital sigma has two small forms, chosen by the letters around it, as far as the next lone
        // byte. The standard library knows the rule, so its lower-case form of the run is asked; sigmas
        // come only from sigmas, so both have the same number of them.
        let lowered = if run.contains('Σ') { run.to_lowercase() } else { String::new() };
        let mut small_sigmas = lowered.chars().filter(|char| matches!(char, 'σ' | 'ς'));
        for char in run.chars() {
            let small_sigma = match char {
                'Σ' | 'σ' | 'ς' => small_sigmas.next(),
                _ => None,
            };
            match small_sigma {
                _ if !inside_word => char.to_titlecase().for_each(|title| quoted.char(title)),
                Some(sigma) => quoted.char(sigma),
                None => char.to_lowercase().for_each(|lower| quoted.char(lower)),
            }
            inside_word = is_cased(char);
        }
        for &byte in part.invalid() {
            quoted.lone_byte(byte);
            inside_word = false;
        }
    }
    quoted.close();
}

/// Unicode's property Cased: upper case, lower case, or one of the 31 letters of category Lt.
fn is_cased(char: char) -> bool {
    char.is_lowercase()
        || char.is_uppercase()
        || matches!(char, '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}')
        || matches!(char, '\u{1f88}'..='\u{1f8f}' | '\u{1f98}'..='\u{1f9f}' | '\u{1fa8}'..='\u{1faf}')
        || matches!(char, '\u{1fbc}' | '\u{1fcc}' | '\u{1ffc}')
}

/// The line as it may stand in a log: printable text as it is, everything else escaped as in Python.
///
/// Escaped are controls, line and paragraph separators, formatting characters such as those that turn the
/// direction of writing, spaces other than the common one, code points without a character, and lone
/// bytes: all that could move a cursor, begin a line or hide. Quotes and backslashes stay as they are.
pub fn for_log(line: &[u8]) -> String {
    let mut shown = String::with_capacity(line.len());
    for part in line.utf8_chunks() {
        for char in part.valid().chars() {
            match is_printable(char) {
                true => shown.push(char),
                false => shown.extend(escape(u32::from(char)).map(char::from)),
            }
        }
        for &byte in part.invalid() {
            shown.extend(escape(lone_byte_code(byte)).map(char::from));
        }
    }
    shown
}

/// Whether a character has a visible form of its own, combining marks and the common space among them.
fn is_printable(char: char) -> bool {
    if char.is_ascii() {
        return !char.is_ascii_control();
    }
    if char.is_alphanumeric() {
        return true;
    }
    // The standard library has the table, but shows it only through `escape_debug`, which for a string
    // (other than for a char) leaves a combining mark alone if something stands before it.
    let mut buffer = [b'a'; 5];
    let length = char.encode_utf8(&mut buffer[1..]).len();
    str::from_utf8(&buffer[..=length]).is_ok_and(|pair| pair.escape_debug().nth(1) == Some(char))
}

/// The code point that stands for a byte outside of well-formed UTF-8.
fn lone_byte_code(byte: u8) -> u32 {
    0xDC00 + u32::from(byte)
}

/// Python's escape of a code point.
fn escape(code: u32) -> impl Iterator<Item = u8> {
    let (letter, digits) = match code {
        0x09 => (b't', 0),
        0x0A => (b'n', 0),
        0x0D => (b'r', 0),
        0..=0xFF => (b'x', 2),
        0x100..=0xFFFF => (b'u', 4),
        _ => (b'U', 8),
    };
    let digit = move |place: u32| b"0123456789abcdef"[(code >> (4 * place)) as usize & 0xF];
    [b'\\', letter].into_iter().chain((0..digits).rev().map(digit))
}

/// Writes one text the way Python's `ascii()` shows it: in quotes, all but printable ASCII escaped.
struct Quoted<'a> {
    /// Where it goes; the opening quote stands at `start`.
    output: &'a mut Vec<u8>,
    /// How long the output was before.
    start: usize,
    /// The text has had a `'`.
    has_single: bool,
    /// The text has had a `"`.
    has_double: bool,
}

impl<'a> Quoted<'a> {
    fn open(output: &'a mut Vec<u8>) -> Self {
        let start = output.len();
        output.push(b'\'');
        Quoted { output, start, has_single: false, has_double: false }
    }

    fn char(&mut self, char: char) {
        match char {
            '\\' => self.output.extend_from_slice(b"\\\\"),
            ' '..='~' => {
                self.has_single |= char == '\'';
                self.has_double |= char == '"';
                self.output.push(char as u8);
            }
            _ => self.output.extend(escape(u32::from(char))),
        }
    }

    fn lone_byte(&mut self, byte: u8) {
        self.output.extend(escape(lone_byte_code(byte)));
    }

    /// Which quote is right is known only now: double ones if that saves escaping the single ones.
    fn close(self) {
        if self.has_single && !self.has_double {
            self.output[self.start] = b'"';
            self.output.push(b'"');
            return;
        }
        if self.has_single {
            let text = self.output.split_off(self.start + 1);
            for byte in text {
                if byte == b'\'' {
                    self.output.push(b'\\');
                }
                self.output.push(byte);
            }
        }
        self.output.push(b'\'');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upper(line: impl AsRef<[u8]>) -> String {
        let mut output = Vec::new();
        push_upper_case(line.as_ref(), &mut output);
        String::from_utf8(output).expect("answers are ASCII")
    }

    fn title(line: impl AsRef<[u8]>) -> String {
        let mut output = Vec::new();
        push_title_case(line.as_ref(), &mut output);
        String::from_utf8(output).expect("answers are ASCII")
    }

    #[test]
    fn words_begin_after_anything_that_is_not_cased() {
        assert_eq!(title("they're x86_64 3rd hELLO"), r#""They'Re X86_64 3Rd Hello""#);
        assert_eq!(title("e\u{301}a x\u{345}y"), r"'E\u0301A X\u0345y'");
        assert_eq!(title(b"ab\xffcd"), r"'Ab\udcffCd'");
    }

    #[test]
    fn one_character_may_become_several() {
        assert_eq!(upper("straße ﬁ ŉ"), r"'STRASSE FI \u02bcN'");
        assert_eq!(title("ßa ﬁne ǆa ᾳ"), r"'Ssa Fine \u01c5a \u1fbc'");
        assert_eq!(title("aİ"), r"'Ai\u0307'");
    }

    #[test]
    fn a_sigma_at_the_end_of_a_word_has_its_own_form() {
        assert_eq!(title("ΟΔΥΣΣΕΥΣ"), r"'\u039f\u03b4\u03c5\u03c3\u03c3\u03b5\u03c5\u03c2'");
        assert_eq!(title("ΑΣ.Α"), r"'\u0391\u03c3.\u0391'");
        // The lone byte ends the word for the sigma too, and the small sigmas come out as they went in.
        assert_eq!(title("ΑΣ\u{345}ΑςΣσ"), r"'\u0391\u03c3\u0345\u03b1\u03c2\u03c3\u03c3'");
        assert_eq!(title(b"\xce\x91\xce\xa3\xff\xce\xa3\xce\xa3"), r"'\u0391\u03c2\udcff\u03a3\u03c2'");
    }

    /// Each word: a character, and behind it its title case, where that is neither itself nor a neighbour.
    const EXPANDED: &str = "\u{df}Ss \u{587}\u{535}\u{582} \u{1fb2}\u{1fba}\u{345} \u{1fb3}\u{1fbc} \
        \u{1fb4}\u{386}\u{345} \u{1fb7}\u{391}\u{342}\u{345} \u{1fbc}\u{1fbc} \
        \u{1fc2}\u{1fca}\u{345} \u{1fc3}\u{1fcc} \u{1fc4}\u{389}\u{345} \
        \u{1fc7}\u{397}\u{342}\u{345} \u{1fcc}\u{1fcc} \u{1ff2}\u{1ffa}\u{345} \
        \u{1ff3}\u{1ffc} \u{1ff4}\u{38f}\u{345} \u{1ff7}\u{3a9}\u{342}\u{345} \u{1ffc}\u{1ffc} \
        \u{fb00}Ff \u{fb01}Fi \u{fb02}Fl \u{fb03}Ffi \u{fb04}Ffl \u{fb05}St \u{fb06}St \
        \u{fb13}\u{544}\u{576} \u{fb14}\u{544}\u{565} \u{fb15}\u{544}\u{56b} \
        \u{fb16}\u{54e}\u{576} \u{fb17}\u{544}\u{56d}";

    #[test]
    fn all_135_title_cases_that_are_not_the_upper_case_are_known() {
        let mut rows: Vec<(char, String)> = Vec::new();
        for middle in "ǅǈǋǲ".chars() {
            let around = [-1, 0, 1].map(|step| (middle as u32).saturating_add_signed(step));
            rows.extend(around.map(|code| (char::from_u32(code).unwrap(), middle.to_string())));
        }
        let georgian = ('ა'..='ჺ').chain('ჽ'..='ჿ');
        rows.extend(georgian.map(|letter| (letter, letter.to_string())));
        rows.extend(('\u{1f80}'..='\u{1faf}').map(|greek| {
            let capital = char::from_u32(greek as u32 | 8).unwrap();
            (greek, capital.to_string())
        }));
        rows.extend(EXPANDED.split(' ').map(|word| {
            let (letter, expanded) = word.split_at(word.chars().next().unwrap().len_utf8());
            (letter.chars().next().unwrap(), expanded.to_string())
        }));
        assert_eq!(rows.len(), 135);
        for (letter, expected) in rows {
            assert_eq!(letter.to_titlecase().collect::<String>(), expected, "{letter:?}");
            assert_ne!(letter.to_uppercase().collect::<String>(), expected, "{letter:?}");
        }
    }

    #[test]
    fn quotes_are_chosen_as_python_does() {
        for (line, shown) in [
            ("", "''"),
            ("'", r#""'""#),
            ("\"", r#"'"'"#),
            ("'\"'", r#"'\'"\''"#),
            ("\\'", r#""\\'""#),
            ("\t\x0b\x1b\x7f\u{80}\u{a0}", r"'\t\x0b\x1b\x7f\x80\xa0'"),
            ("漢😀", r"'\u6f22\U0001f600'"),
        ] {
            assert_eq!(upper(line), shown, "{line:?}");
        }
        assert_eq!(upper(b"a\xffb \xed\xa0\x80 \xe2\x82"), r"'A\udcffB \udced\udca0\udc80 \udce2\udc82'");
    }

    #[test]
    fn trailing_white_space_is_unicodes_and_the_separators() {
        for space in "\t\u{b}\u{c}\u{1c}\u{1f} \u{85}\u{a0}\u{1680}\u{2003}\u{2028}\u{202f}\u{3000}".chars() {
            assert_eq!(trim_end(format!(" a{space}{space}").as_bytes()), b" a");
        }
        for other in ["\u{200b}", "\u{feff}", "\u{180e}", "\0"] {
            assert_eq!(trim_end(other.as_bytes()), other.as_bytes());
        }
        assert_eq!(trim_end(b"a\x85 "), b"a\x85");
        assert_eq!(trim_end(b"\xe3\x80 "), b"\xe3\x80");
        assert_eq!(trim_end(b"\xf0\xe3\x80\x80"), b"\xf0");
        assert_eq!(trim_end(b" \t"), b"");
    }

    #[test]
    fn a_log_line_can_neither_forge_nor_hide_anything() {
        let harmless = r#"it's "naïve" \ 漢字 e\u0301 😀"#.replace(r"\u0301", "\u{301}");
        assert_eq!(for_log(harmless.as_bytes()), harmless);
        assert_eq!(for_log(b"\t\x1b[31m\x7f\xc2\x9b\xff"), r"\t\x1b[31m\x7f\x9b\udcff");
        let hidden = "\u{2028}\u{202e}\u{200d}\u{2066}\u{feff}\u{ad}\u{e0041}\u{1d173}";
        let escapes = r"\u2028\u202e\u200d\u2066\ufeff\xad\U000e0041\U0001d173";
        assert_eq!(for_log(hidden.as_bytes()), escapes);
    }
}
