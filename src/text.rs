//! Text files, decoded in one place.
//!
//! UTF-8 is read, with or without a byte-order mark, plain or compressed by gzip, with lines that end
//! in LF or CRLF. Everything else is refused by its name, because half of it would read as something.
//!
//! ```
//! use maxfold::text;
//!
//! let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
//! std::fs::write(&path, "\u{feff}one\r\n\r\nthree").unwrap();
//! let lines = text::lines(&path)?.collect::<maxfold::Result<Vec<_>>>()?;
//! assert_eq!((lines[1].number, lines[1].text.as_str()), (3, "three"));
//! # Ok::<(), maxfold::Error>(())
//! ```

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::{Error, Result};

/// The mark that some programs put before UTF-8.
const MARK: char = '\u{feff}';

const GZIP: &[u8] = &[0x1f, 0x8b];

/// The first bytes of other files; of two that fit, the first is right.
const OTHERS: [(&[u8], &str); 9] = [
    (GZIP, "gzip in gzip"),
    (&[0xff, 0xfe, 0, 0], "UTF-32"),
    (&[0, 0, 0xfe, 0xff], "UTF-32"),
    (&[0xff, 0xfe], "UTF-16"),
    (&[0xfe, 0xff], "UTF-16"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "a zstd archive"),
    (&[0xfd, b'7', b'z', b'X'], "an xz archive"),
    (b"BZh", "a bzip2 archive"),
    (b"PK\x03\x04", "a zip archive"),
];

/// A line of a text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// Its text, without the line end.
    pub text: String,
}

/// The lines of a text file that are not blank, read one after the other.
pub struct Lines {
    path: PathBuf,
    from: Box<dyn BufRead + Send>,
    number: usize,
}

/// Reads a whole text file.
///
/// # Errors
/// [`Error::Io`]; [`Error::NotText`] within an [`Error::InFile`].
pub fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    let read = open(path)?.read_to_end(&mut bytes);
    read.map_err(|source| Error::io("read", path, source))?;
    let text = decode(bytes, 1).map_err(|error| error.in_file(path))?;
    Ok(if without_mark(&text).len() < text.len() { without_mark(&text).into() } else { text })
}

/// Opens a text file, to read it line by line.
///
/// # Errors
/// [`Error::Io`]; [`Error::NotText`] within an [`Error::InFile`].
pub fn lines(path: impl AsRef<Path>) -> Result<Lines> {
    let path = path.as_ref();
    Ok(Lines { path: path.into(), from: open(path)?, number: 0 })
}

impl Iterator for Lines {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_line().transpose()? {
                Ok(line) if line.text.trim().is_empty() => {}
                line => return Some(line),
            }
        }
    }
}

impl Lines {
    fn next_line(&mut self) -> Result<Option<Line>> {
        let mut bytes = Vec::new();
        let read = self.from.read_until(b'\n', &mut bytes);
        if read.map_err(|source| Error::io("read", &self.path, source))? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let text = decode(bytes, self.number).map_err(|error| error.in_file(&self.path))?;
        let text = without_mark(text.trim_end_matches(['\n', '\r'])).into();
        Ok(Some(Line { number: self.number, text }))
    }
}

/// A text less the byte-order mark that it may begin with. Files that were joined may have one
/// before any line.
pub(crate) fn without_mark(text: &str) -> &str {
    text.trim_start_matches(MARK)
}

/// The bytes of a text, decompressed.
fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let failed = |source| Error::io("read", path, source);
    let file = File::open(path).map_err(failed)?;
    let (mut start, mut bytes) = begin(BufReader::new(file)).map_err(failed)?;
    if start.starts_with(GZIP) {
        let unpacked = BufReader::new(MultiGzDecoder::new(bytes));
        (start, bytes) = begin(unpacked).map_err(failed)?;
    }
    match other(&start) {
        None => Ok(bytes),
        Some(name) => Err(Error::NotText { got: name.into() }.in_file(path)),
    }
}

/// The first four bytes, or all if there are fewer, and all bytes.
fn begin(
    mut bytes: impl BufRead + Send + 'static,
) -> io::Result<(Vec<u8>, Box<dyn BufRead + Send>)> {
    let mut start = Vec::new();
    bytes.by_ref().take(4).read_to_end(&mut start)?;
    let all = io::Cursor::new(start.clone()).chain(bytes);
    Ok((start, Box::new(all)))
}

/// The name of a file that begins with these bytes, if it is not text in UTF-8.
fn other(start: &[u8]) -> Option<&'static str> {
    let marked = OTHERS.iter().find(|(mark, _)| start.starts_with(mark));
    let unmarked = match start {
        [a, b, ..] if (*a == 0) != (*b == 0) => Some("UTF-16"),
        _ => None,
    };
    marked.map(|(_, name)| *name).or(unmarked)
}

/// The text that begins in line `first`.
fn decode(bytes: Vec<u8>, first: usize) -> Result<String> {
    match String::from_utf8(bytes) {
        Ok(text) => match text.bytes().position(|byte| byte == 0) {
            None => Ok(text),
            Some(at) => Err(not_text(text.as_bytes(), at, first)),
        },
        Err(error) => Err(not_text(error.as_bytes(), error.utf8_error().valid_up_to(), first)),
    }
}

fn not_text(bytes: &[u8], fault: usize, first: usize) -> Error {
    let line = first + bytes[..fault].iter().filter(|byte| **byte == b'\n').count();
    Error::NotText { got: format!("a byte {:#04x} in line {line}", bytes[fault]) }
}
