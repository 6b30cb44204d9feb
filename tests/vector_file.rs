//! Interchange files as other programs write them: with ids, with rows that mean nothing.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use maxfold::Error;
use maxfold::multivector::{Interchange, MultiVectors, RowCleanup, VectorFile};
use rand::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A file that numpy and Python's safetensors wrote, see `fixtures/interchange/make.py`.
fn from_python() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/interchange/ids.safetensors"].iter().collect()
}

const IDS: [&str; 3] = ["doc-1", "naïve", "with \"quotes\""];

fn write(path: &Path, values: &[f32], offsets: &[u8], dim: usize, metadata: &[(&str, &str)]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let table = || TensorView::new(Dtype::F32, vec![values.len() / dim, dim], &bytes).unwrap();
    let starts = TensorView::new(Dtype::U8, vec![offsets.len()], offsets).unwrap();
    let tensors = [("tokens", table()), ("offsets", starts)];
    let metadata = metadata.iter().map(|(key, text)| ((*key).into(), (*text).into()));
    let metadata: HashMap<String, String> = metadata.collect();
    fs::write(path, safetensors::serialize(tensors, Some(metadata)).unwrap()).unwrap();
}

#[test]
fn ids_that_python_wrote_are_read() {
    let read = Interchange::read(from_python()).unwrap();
    assert_eq!(read.ids.as_deref().unwrap(), IDS);
    assert_eq!(VectorFile::tokens(from_python()).unwrap().ids().unwrap(), IDS);
    assert_eq!(Interchange::from_bytes(&read.to_bytes().unwrap()).unwrap(), read);
}

#[test]
fn files_without_ids_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path, &[1.0, 0.0], &[0, 1], 2, &[("format", "np")]);
    assert_eq!(Interchange::read(&path).unwrap().ids, None);
    assert_eq!(VectorFile::tokens(&path).unwrap().ids(), None);
}

#[test]
fn ids_have_to_be_one_an_item_and_all_different() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let list = "expected the metadata's ids to be a JSON list of strings, got \"";
    let cases = [
        (r#"["a"]"#, "expected 2 ids, got 1"),
        (r#"["a", "b", "c"]"#, "expected 2 ids, got 3"),
        (r#"["a", "a"]"#, "expected ids to be all different, got \"a\" twice"),
        ("[1, 2]", list),
        ("a, b", list),
        ("", list),
    ];
    for (ids, expected) in cases {
        write(&path, &[1.0, 0.0, 0.0, 1.0], &[0, 1, 2], 2, &[("ids", ids)]);
        let Err(by_item) = VectorFile::tokens(&path) else { panic!("{ids} was read") };
        for error in [Interchange::read(&path).unwrap_err(), by_item] {
            assert!(matches!(error, Error::InFile { .. }), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
    let tokens = MultiVectors::new(&[1.0_f32], &[0, 1], 1).unwrap();
    let two = Interchange::new(tokens).ids(vec!["a".into(), "b".into()]);
    assert_eq!(two.to_bytes().unwrap_err().to_string(), "expected 1 ids, got 2");
}

const AS_IT_IS: RowCleanup = RowCleanup::new();
const ALL: RowCleanup = AS_IT_IS.normalize(true).drop_zero_rows(true);

#[test]
fn rows_are_counted_as_they_were() {
    for normalize in [false, true] {
        for drop_zero_rows in [false, true] {
            let cleanup = AS_IT_IS.normalize(normalize).drop_zero_rows(drop_zero_rows);
            let mut file = VectorFile::tokens(from_python()).unwrap();
            let found = file.read_all(cleanup).unwrap().1;
            assert_eq!((found.rows, found.zero, found.not_unit), (5, 1, 1));
        }
    }
}

#[test]
fn cleanup_does_what_was_asked_for() {
    let read = |cleanup| {
        let (tokens, _) = VectorFile::tokens(from_python()).unwrap().read_all(cleanup).unwrap();
        let values: Vec<f32> = tokens.values().iter().map(|value| value.to_f32()).collect();
        (values, tokens.offsets().to_vec())
    };
    let half = |value: f32| half::f16::from_f32(value).to_f32();
    let (short, long) = ([half(0.6), half(0.8)], [3.0, 4.0]);
    let whole = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
    let (unit, zeros) = (&whole[..4], &whole[..]);
    let cases: [(RowCleanup, Vec<f32>, [u64; 4]); 4] = [
        (AS_IT_IS, [&short, zeros, &long].concat(), [0, 1, 4, 5]),
        (AS_IT_IS.normalize(true), [&short, zeros, &short].concat(), [0, 1, 4, 5]),
        (AS_IT_IS.drop_zero_rows(true), [&short, unit, &long].concat(), [0, 1, 3, 4]),
        (ALL, [&short, unit, &short].concat(), [0, 1, 3, 4]),
    ];
    for (cleanup, values, offsets) in cases {
        assert_eq!(read(cleanup), (values, offsets.to_vec()), "{cleanup:?}");
    }
    assert_eq!(Interchange::read(from_python()).unwrap().tokens.values().len(), 10);
}

/// The length is taken out before numbers are rounded: of any length, the same comes out.
#[test]
fn any_length_can_be_scaled() {
    let mut rng = StdRng::seed_from_u64(5);
    let row: Vec<f32> = (0..8).map(|_| rng.random_range(-1.0..1.0)).collect();
    let length = row.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>().sqrt();
    for scale in [1e-30_f32, 1e-7, 1.0, 1e6, 1e30] {
        let mut scaled: Vec<f32> = row.iter().map(|value| value * scale).collect();
        assert_eq!(ALL.apply(&mut scaled, 8).unwrap().not_unit, 1);
        for (got, value) in scaled.iter().zip(&row) {
            let expected = f64::from(*value) / length;
            assert!((f64::from(*got) - expected).abs() < 1e-6, "{scale}: {got}, not {expected}");
        }
    }
}

/// Rounded to bf16, a row of unit length is one still.
#[test]
fn rounding_makes_no_row_suspicious() {
    let mut rng = StdRng::seed_from_u64(6);
    for dim in [1, 2, 3, 16, 128, 768] {
        let row: Vec<f32> = (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect();
        let mut values = row;
        ALL.apply(&mut values, dim).unwrap();
        values.iter_mut().for_each(|value| *value = half::bf16::from_f32(*value).to_f32());
        assert_eq!(AS_IT_IS.apply(&mut values, dim).unwrap().not_unit, 0, "{dim}");
    }
    for (length, expected) in [(0.98, 1), (1.0, 0), (1.02, 1), (1e-30, 1), (f32::MAX, 1)] {
        let found = AS_IT_IS.apply(&mut vec![0.0, length], 2).unwrap();
        assert_eq!((found.not_unit, found.zero), (expected, 0), "{length}");
    }
}

#[test]
fn what_is_no_matrix_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let refused = |cleanup| {
        let error = VectorFile::tokens(&path).unwrap().read_all(cleanup).unwrap_err();
        assert!(matches!(error, Error::InFile { .. }), "{error}");
        error.to_string()
    };
    write(&path, &[1.0, 0.0, 0.0, 0.0], &[0, 1, 2], 2, &[]);
    assert!(refused(ALL).ends_with("expected at least one token in item 1, got none"));
    for value in [f32::NAN, f32::INFINITY] {
        write(&path, &[1.0, 0.0, 0.5, value], &[0, 1, 2], 2, &[]);
        let expected = format!("item 1: expected finite values, got {value} in row 0, column 1");
        assert!(refused(AS_IT_IS).ends_with(&expected));
        assert!(refused(ALL).ends_with(&expected));
    }
    write(&path, &[1.0, 1e6], &[0, 1], 2, &[]);
    assert!(refused(AS_IT_IS).contains("got 1000000 in row 0, column 1"));
    assert!(VectorFile::tokens(&path).unwrap().read_all(ALL).is_ok());
    assert!(ALL.apply(&mut vec![1.0], 2).is_err());
    assert!(ALL.apply(&mut vec![1.0], 0).is_err());
}
