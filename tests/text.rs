//! Text files as other programs write them: every way is read the same, or refused by its name.

use std::fs;
use std::path::PathBuf;

use maxfold::Error;
use maxfold::eval::{Gain, Metric, Qrels, Run, evaluate};
use maxfold::text;
use tempfile::TempDir;

const QRELS: &str = "q1 0 a 2\nq1 0 b 0\nq2 0 c 1\n";

/// [`QRELS`], as `gzip` packs it.
const PACKED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2b, 0x34, 0x54, 0x30, 0x50, 0x48,
    0x54, 0x30, 0xe2, 0x2a, 0x04, 0x31, 0x92, 0x14, 0x0c, 0xb8, 0x0a, 0x8d, 0x80, 0x8c, 0x64, 0x05,
    0x43, 0x2e, 0x00, 0xac, 0x1a, 0xd0, 0x90, 0x1b, 0x00, 0x00, 0x00,
];

/// A folder for files.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("file");
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn marked(text: &str) -> Vec<u8> {
    [b"\xef\xbb\xbf", text.as_bytes()].concat()
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn every_way_to_write_qrels_reads_the_same() {
    let folder = Folder::new();
    let expected = Qrels::parse_trec(QRELS).unwrap();
    let windows = format!("\r\n{}\r\n \r\n", QRELS.replace('\n', "\r\n"));
    // Two files in one, as `cat` joins them.
    let (first, second) = QRELS.split_once("q2").unwrap();
    let joined = [marked(first), marked(&format!("q2{second}"))].concat();
    let twice = [PACKED, PACKED].concat();
    for bytes in [QRELS.into(), marked(QRELS), windows.clone().into(), marked(&windows), joined] {
        assert_eq!(Qrels::read_trec(folder.write(&bytes)).unwrap(), expected, "{bytes:?}");
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(Qrels::parse_trec(&text).unwrap(), expected, "{text:?}");
    }
    assert_eq!(Qrels::read_trec(folder.write(PACKED)).unwrap(), expected);
    assert_eq!(text::read(folder.write(&twice)).unwrap(), QRELS.repeat(2));
}

#[test]
fn a_mark_changes_no_measure() {
    let folder = Folder::new();
    let beir = "query-id\tcorpus-id\tscore\nq\ta\t3\nq\tb\t1\n";
    let run = "q Q0 b 1 0.9 t\nq Q0 a 2 0.8 t\n";
    let qrels = Qrels::read_beir(folder.write(&marked(beir))).unwrap();
    let run = Run::read_trec(folder.write(&marked(run))).unwrap();
    let ndcg = evaluate(&qrels, &run, Metric::Ndcg { k: 10, gain: Gain::Linear }).unwrap();
    let second = 1.0 / 3_f64.log2();
    assert!((ndcg.mean - (1.0 + 3.0 * second) / (3.0 + second)).abs() < 1e-12);
}

#[test]
fn lines_keep_their_numbers() {
    let folder = Folder::new();
    let path = folder.write(b"\xef\xbb\xbf\r\none\r\n\n\t\nlast");
    let lines: Vec<_> = text::lines(path).unwrap().map(|line| line.unwrap()).collect();
    let lines: Vec<_> = lines.iter().map(|line| (line.number, line.text.as_str())).collect();
    assert_eq!(lines, [(2, "one"), (5, "last")]);
}

#[test]
fn what_is_no_text_is_refused_by_its_name() {
    let folder = Folder::new();
    let refused = |bytes: &[u8], got: &str| {
        let path = folder.write(bytes);
        let told = format!(
            "{}: expected text in UTF-8, plain or compressed by gzip, got {got}",
            path.display()
        );
        assert_eq!(text::read(&path).unwrap_err().to_string(), told);
        let lines = text::lines(&path).and_then(|lines| lines.collect::<Result<Vec<_>, _>>());
        assert_eq!(lines.unwrap_err().to_string(), told);
        assert_eq!(Run::read_trec(&path).unwrap_err().to_string(), told);
    };
    refused(&utf16("\u{feff}q 0", u16::to_le_bytes), "UTF-16");
    refused(&utf16("\u{feff}q 0", u16::to_be_bytes), "UTF-16");
    refused(&utf16("q 0", u16::to_le_bytes), "UTF-16");
    refused(&utf16("q 0", u16::to_be_bytes), "UTF-16");
    refused(&[0xff, 0xfe, 0, 0, b'q', 0, 0, 0], "UTF-32");
    refused(&[0, 0, 0xfe, 0xff, 0, 0, 0, b'q'], "UTF-32");
    refused(b"\x28\xb5\x2f\xfd and more", "a zstd archive");
    refused(b"PK\x03\x04 and more", "a zip archive");
    refused(b"BZh9 and more", "a bzip2 archive");
    refused(b"\xfd7zXZ and more", "an xz archive");
    refused(b"one\ntwo\ncaf\xe9\n", "a byte 0xe9 in line 3");
    refused(b"one\ntwo\0\n", "a byte 0x00 in line 2");
}

#[test]
fn a_damaged_archive_is_an_error() {
    let folder = Folder::new();
    let mut flipped = PACKED.to_vec();
    flipped[15] ^= 1;
    for bytes in [&PACKED[..PACKED.len() - 1], &PACKED[..5], &flipped] {
        let path = folder.write(bytes);
        assert!(matches!(text::read(&path), Err(Error::Io { .. })), "{bytes:?}");
        assert!(text::lines(&path).and_then(|lines| lines.collect::<Result<Vec<_>, _>>()).is_err());
    }
}

#[test]
fn ids_that_would_read_as_others_are_not_written() {
    for id in ["\u{feff}q", "a\0b"] {
        let mut qrels = Qrels::new();
        qrels.insert(id, "d", 1).unwrap();
        for refused in [qrels.to_trec(), qrels.to_beir()] {
            assert!(matches!(refused, Err(Error::InvalidParameter { name: "id", .. })), "{id:?}");
        }
    }
}
