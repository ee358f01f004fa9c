//! Code that a page of prose quotes, and whether it stands so in the file.
//!
//! A fenced block is a quote if its first line is a comment with nothing but a path, `// examples/echo.rs`. The
//! lines after it stand in that file one after the other. A line with nothing but `…` stands for any number of
//! lines, or for none; what is between two of them may be indented less than in the file.

/// The mark of lines that are left out.
const LEFT_OUT: &str = "…";

/// How many columns less than in the file lines may be indented.
const INDENTS: [usize; 6] = [0, 4, 8, 12, 16, 20];

/// A block that quotes a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Quote<'a> {
    /// The file, from the project's root.
    pub path: &'a str,
    /// The line of the page, from 1, in which the path stands.
    pub line: usize,
    /// What is quoted.
    lines: Vec<&'a str>,
}

/// Everything that the page quotes.
pub fn quotes<'a>(page: &'a str) -> Vec<Quote<'a>> {
    let lines: Vec<&str> = page.lines().collect();
    let is_fence = |line: &&str| line.trim_start().starts_with("```");
    let fences: Vec<usize> = (0..lines.len()).filter(|&at| is_fence(&lines[at])).collect();
    let blocks = fences.chunks_exact(2).map(|fence| (fence[0] + 1, &lines[fence[0] + 1..fence[1]]));
    let quote = |(at, block): (usize, &[&'a str])| {
        let path = block.first()?.strip_prefix("// ")?;
        let is_path = path.ends_with(".rs") && !path.contains(' ');
        is_path.then(|| Quote { path, line: at + 1, lines: block[1..].to_vec() })
    };
    blocks.filter_map(quote).collect()
}

impl Quote<'_> {
    /// What is wrong with it, if anything is: `file` is the text of the file, if there is one.
    pub fn problem(&self, page: &str, file: Option<&str>) -> Option<String> {
        let Quote { path, line, lines } = self;
        let Some(file) = file else { return Some(format!("{page}:{line}: {path} does not exist")) };
        if lines.iter().all(|line| is_left_out(line)) {
            return Some(format!("{page}:{line}: nothing of {path} is quoted"));
        }
        let file: Vec<&str> = file.lines().collect();
        let good = self.good_lines(&file);
        let bad = lines.get(good)?;
        Some(format!("{page}:{}: this does not stand so in {path}: {}", line + 1 + good, bad.trim()))
    }

    /// How many of the lines stand in the file.
    fn good_lines(&self, file: &[&str]) -> usize {
        let (mut good, mut rest) = (0, file);
        for piece in self.lines.split(|line| is_left_out(line)) {
            let places = || (0..=rest.len()).map(|at| (at, same_lines(piece, &rest[at..])));
            let Some((at, _)) = places().find(|&(_, count)| count == piece.len()) else {
                return good + places().map(|(_, count)| count).max().unwrap_or(0);
            };
            rest = &rest[at + piece.len()..];
            good += piece.len() + 1;
        }
        self.lines.len()
    }
}

/// How many lines of a piece are those that the file goes on with, all of them indented less by the same.
fn same_lines(piece: &[&str], file: &[&str]) -> usize {
    let count =
        |indent| piece.iter().zip(file).take_while(|(quoted, line)| is_same(quoted, line, indent)).count();
    INDENTS.into_iter().map(count).max().unwrap_or(0)
}

/// Whether the line says that others are left out.
fn is_left_out(line: &str) -> bool {
    line.trim() == LEFT_OUT
}

/// Whether a quoted line is that of the file, which has so many columns before it.
fn is_same(quoted: &str, line: &str, indent: usize) -> bool {
    if quoted.trim().is_empty() {
        return line.trim().is_empty();
    }
    line.len() >= indent && line.is_char_boundary(indent) && {
        let (before, after) = line.split_at(indent);
        before.trim().is_empty() && after == quoted
    }
}
