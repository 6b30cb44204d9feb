//! Text layouts of qrels and runs, as far as they are alike: numbered lines of a fixed number of
//! fields.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use crate::text::{self, without_mark};
use crate::{Error, Result};

/// The first line of BEIR's tables.
const BEIR_HEADER: &str = "query-id\tcorpus-id\tscore";

/// A line of a text layout, which knows where it is so that errors can say so.
pub(super) struct Line<'a> {
    format: &'static str,
    number: usize,
    text: &'a str,
}

/// The lines of a text, less the blank ones.
pub(super) fn lines<'a>(format: &'static str, text: &'a str) -> impl Iterator<Item = Line<'a>> {
    let numbered = (1..).zip(text.lines());
    let line = move |(number, text)| Line { format, number, text: without_mark(text) };
    let lines = numbered.map(line);
    lines.filter(|line| !line.text.trim().is_empty())
}

/// Tells whether a text is a BEIR table, by its first line.
pub(super) fn is_beir(text: &str) -> bool {
    lines("", text).next().is_some_and(|line| line.text == BEIR_HEADER)
}

/// The lines of a BEIR table after its header.
pub(super) fn beir_rows<'a>(
    format: &'static str,
    text: &'a str,
) -> Result<impl Iterator<Item = Line<'a>>> {
    let mut lines = lines(format, text);
    let nothing = Line { format, number: 1, text: "" };
    let header = lines.next().unwrap_or(nothing);
    match header.text {
        BEIR_HEADER => Ok(lines),
        _ => Err(header.malformed("the header query-id, corpus-id, score (tab-separated)")),
    }
}

impl<'a> Line<'a> {
    /// The error that this line is not as expected.
    pub fn malformed(&self, expected: &'static str) -> Error {
        self.malformed_at(self.text, expected)
    }

    fn malformed_at(&self, part: &str, expected: &'static str) -> Error {
        Error::MalformedLine {
            format: self.format,
            line: self.number,
            expected,
            got: part.to_owned(),
        }
    }

    /// The fields of a TREC line, which white space separates.
    pub fn words<const N: usize>(&self, expected: &'static str) -> Result<[&'a str; N]> {
        exactly(self.text.split_ascii_whitespace()).ok_or_else(|| self.malformed(expected))
    }

    /// The fields of a BEIR line, which tabs separate.
    pub fn columns<const N: usize>(&self, expected: &'static str) -> Result<[Cow<'a, str>; N]> {
        let columns: Option<Vec<_>> = self.text.split('\t').map(unquoted).collect();
        columns.and_then(exactly).ok_or_else(|| self.malformed(expected))
    }

    /// The number that a field holds.
    pub fn number<T: FromStr>(&self, field: &str, expected: &'static str) -> Result<T> {
        field.parse().map_err(|_| self.malformed_at(field, expected))
    }

    /// The finite number that a field holds.
    pub fn finite(&self, field: &str, expected: &'static str) -> Result<f64> {
        let number: f64 = self.number(field, expected)?;
        if number.is_finite() { Ok(number) } else { Err(self.malformed_at(field, expected)) }
    }
}

fn exactly<T, const N: usize>(items: impl IntoIterator<Item = T>) -> Option<[T; N]> {
    items.into_iter().collect::<Vec<_>>().try_into().ok()
}

/// A table's field without its quotes; `None` if the second is missing, or nothing is there.
fn unquoted(field: &str) -> Option<Cow<'_, str>> {
    let content = match field.strip_prefix('"') {
        None => Cow::from(field),
        Some(opened) => opened.strip_suffix('"')?.replace("\"\"", "\"").into(),
    };
    (!content.is_empty()).then_some(content)
}

/// A BEIR table of queries, documents, and what is said of each pair.
pub(super) fn beir_table<'a>(
    rows: impl Iterator<Item = (&'a str, &'a str, impl Display)>,
) -> Result<String> {
    let mut table = format!("{BEIR_HEADER}\n");
    for (query, document, value) in rows {
        let (query, document) = (quoted(query)?, quoted(document)?);
        table += &format!("{query}\t{document}\t{value}\n");
    }
    Ok(table)
}

/// An id as a BEIR table can hold it: as Python's csv module writes it, in quotes if one is in it.
fn quoted(id: &str) -> Result<Cow<'_, str>> {
    if id.is_empty() || id.contains(['\t', '\r', '\n', '\0']) || has_mark(id) {
        let expected = "non-empty text without tabs, line ends and NUL, and no mark before it";
        return Err(unfit(id, &format!("{expected} (BEIR layout)")));
    }
    let quotes = id.contains('"');
    Ok(if quotes { format!("\"{}\"", id.replace('"', "\"\"")).into() } else { id.into() })
}

/// An id, or a tag, as a TREC line can hold it.
pub(super) fn word(id: &str) -> Result<&str> {
    let splits = |c: char| c.is_ascii_whitespace() || c == '\0';
    if id.is_empty() || id.contains(splits) || has_mark(id) {
        let expected = "non-empty text without white space and NUL, and no mark before it";
        return Err(unfit(id, &format!("{expected} (TREC layout)")));
    }
    Ok(id)
}

/// Tells whether an id begins with what readers take for a byte-order mark.
fn has_mark(id: &str) -> bool {
    without_mark(id).len() < id.len()
}

fn unfit(id: &str, expected: &str) -> Error {
    Error::InvalidParameter { name: "id", expected: expected.to_owned(), got: format!("{id:?}") }
}

/// Parses a file; errors carry its path.
pub(super) fn read<T>(path: &Path, parse: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    parse(&text::read(path)?).map_err(|error| error.in_file(path))
}
