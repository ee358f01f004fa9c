//! Rust text without what the compiler does not read: comments and the insides of literals blanked.
//!
//! Used by the tests that check the sources themselves, so that a word in a comment or in a string
//! is not taken for code. Lines keep their numbers; nothing here understands more than tokens.

/// One token of code: a word, `::`, or any other single character that is not blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The token as it is written.
    pub text: &'a str,
    /// The line it stands in, from 1.
    pub line: usize,
}

/// The same text with every comment, and what stands between the quotes of every literal, turned
/// into blanks. Line breaks stay where they are.
pub fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = code.chars().next_back().is_some_and(is_word_char);
        // How much of what comes next stays, is blanked, and stays after that.
        let (before, inside, after) = match first {
            '/' if rest.starts_with("//") => (0, rest.find('\n').unwrap_or(rest.len()), 0),
            '/' if rest.starts_with("/*") => (0, block_comment_len(rest), 0),
            '"' => (1, literal_len(&rest[1..], '"'), 1),
            '\'' => char_or_lifetime(rest),
            'r' | 'b' | 'c' if !in_word => raw_string(rest),
            _ => (first.len_utf8(), 0, 0),
        };
        code.push_str(&rest[..before]);
        let blank = &rest[before..before + inside];
        code.extend(blank.chars().map(|c| if c == '\n' { c } else { ' ' }));
        rest = &rest[before + inside..];
        let after = after.min(rest.len());
        code.push_str(&rest[..after]);
        rest = &rest[after..];
    }
    code
}

/// The tokens of text that went through [`code_of`].
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, line_text) in code.lines().enumerate() {
        let mut rest = line_text.trim_start();
        while let Some(first) = rest.chars().next() {
            let len = match first {
                _ if is_word_char(first) => rest.find(|c| !is_word_char(c)).unwrap_or(rest.len()),
                _ if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            tokens.push(Token { text: &rest[..len], line: index + 1 });
            rest = rest[len..].trim_start();
        }
    }
    tokens
}

/// Whether the token is a name or a keyword.
pub fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Whether a word may contain it.
pub fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How long the block comment is that the text begins with; they nest.
fn block_comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let (change, len) = match &text[at..] {
            rest if rest.starts_with("/*") => (1, 2),
            rest if rest.starts_with("*/") => (-1, 2),
            rest => (0, rest.chars().next().map_or(1, char::len_utf8)),
        };
        depth += change;
        at += len;
        if depth == 0 {
            break;
        }
    }
    at
}

/// How much stands before the quote that ends the literal.
fn literal_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at,
            _ => {}
        }
    }
    text.len()
}

/// The parts of a character, or the quote of a lifetime alone.
fn char_or_lifetime(text: &str) -> (usize, usize, usize) {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => (1, literal_len(&text[1..], '\''), 1),
        (Some(c), Some('\'')) => (1, c.len_utf8(), 1),
        _ => (1, 0, 0),
    }
}

/// The parts of a raw string, or the first letter of a word like any other.
fn raw_string(text: &str) -> (usize, usize, usize) {
    let prefix = text.find(|c| !matches!(c, 'r' | 'b' | 'c')).unwrap_or(text.len());
    let hashes = text[prefix..].chars().take_while(|c| *c == '#').count();
    if !text[..prefix].contains('r') || !text[prefix + hashes..].starts_with('"') {
        return (1, 0, 0);
    }
    let start = prefix + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let inside = text[start..].find(&end).unwrap_or(text.len() - start);
    (start, inside, 1)
}
