//! Door: text files, whatever their encoding.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use maxfold::text;
use rand::prelude::*;

use crate::{mutate, trials};

/// Bytes, and the text that they are, if they are what was written.
type Encoded = (Vec<u8>, Option<String>);

/// A text is read as it was written; line by line it has the same lines, or is refused as well.
#[test]
fn texts_and_their_lines_agree() {
    let _alone = trials::alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    trials::door("texts", encoded, |(bytes, written)| {
        fs::write(&path, bytes).unwrap();
        let whole = text::read(&path);
        if let Some(written) = written {
            assert_eq!(whole.as_ref().unwrap(), written);
        }
        let lines = text::lines(&path).and_then(Iterator::collect::<maxfold::Result<Vec<_>>>);
        let Ok(whole) = whole else {
            assert!(lines.is_err(), "{lines:?}");
            return false;
        };
        let expected = whole.split('\n').map(|line| line.trim_end_matches('\r'));
        let expected = expected.map(|line| line.trim_start_matches('\u{feff}'));
        let expected = (1..).zip(expected).filter(|(_, line)| !line.trim().is_empty());
        let lines = lines.unwrap();
        assert!(lines.iter().map(|it| (it.number, it.text.as_str())).eq(expected), "{lines:?}");
        true
    });
}

fn encoded(rng: &mut StdRng) -> Encoded {
    const PIECES: [&str; 9] =
        ["q1 0 d1 1", "{\"id\": 1}", "ü", "😀", " ", "\t", "\n", "\r\n", "\n\n"];
    let text: String = (0..rng.random_range(0..9)).map(|_| *PIECES.choose(rng).unwrap()).collect();
    let mut bytes = text.clone().into_bytes();
    if rng.random_bool(0.3) {
        bytes.splice(0..0, *b"\xef\xbb\xbf");
    }
    let mut written = Some(text);
    if rng.random_bool(0.3) {
        (bytes, written) = (mutate::bytes(rng, bytes), None);
    }
    if rng.random_bool(0.4) {
        let (first, second) = bytes.split_at(rng.random_range(0..=bytes.len()));
        bytes = [gzip(first), gzip(second)].concat();
    }
    match rng.random_range(0..10) {
        0 => (mutate::noise(rng), None),
        1..4 => (mutate::bytes(rng, bytes), None),
        4 => (
            String::from_utf8_lossy(&bytes).encode_utf16().flat_map(u16::to_le_bytes).collect(),
            None,
        ),
        _ => (bytes, written),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
