//! Pooling: Ward's clusters are scipy's, as PyLate pools; windows, rows and columns are means of what they say.
//!
//! `tests/fixtures/pooling/make.py` made the clusters.

use maxfold::Error;
use maxfold::multivector::Pooling;

fn floats(value: &serde_json::Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap() as f32).collect()
}

#[test]
fn wards_clusters_are_scipys() {
    let stored = include_str!("fixtures/pooling/ward.json");
    let cases: Vec<serde_json::Value> = serde_json::from_str(stored).unwrap();
    assert_eq!(cases.len(), 21);
    let mut values = Vec::new();
    for case in &cases {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let (dim, factor) = (number("dim"), number("factor"));
        // Given once for the factors of the same vectors.
        if case["values"].is_array() {
            values = floats(&case["values"]);
        }
        let pooled = Pooling::ward(factor).unwrap().apply(&values, dim).unwrap();
        let expected = floats(&case["pooled"]);
        let tokens = values.len() / dim;
        assert_eq!(pooled.len(), expected.len(), "{tokens} tokens, factor {factor}");
        for (index, (got, expected)) in pooled.iter().zip(&expected).enumerate() {
            let off = (got - expected).abs();
            assert!(off < 1e-6, "{tokens} tokens, factor {factor}: value {index} is off by {off}");
        }
    }
}

#[test]
fn windows_are_means_of_neighbours() {
    let values = [1.0, 2.0, 3.0, 6.0, 10.0, 20.0];
    assert_eq!(Pooling::windows(2).unwrap().apply(&values, 2).unwrap(), [2.0, 4.0, 10.0, 20.0]);
    assert_eq!(Pooling::windows(1).unwrap().apply(&values, 2).unwrap(), values);
    assert_eq!(Pooling::windows(9).unwrap().apply(&values, 1).unwrap(), [7.0]);
}

#[test]
fn rows_and_columns_are_those_of_the_page() {
    // Two lines of three patches, and a token that is none.
    let page = [1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 9.0];
    let rows = "rows:3x2".parse::<Pooling>().unwrap();
    assert_eq!(rows.apply(&page, 1).unwrap(), [2.0, 6.0, 9.0]);
    let columns = "columns:3x2".parse::<Pooling>().unwrap();
    assert_eq!(columns.apply(&page, 1).unwrap(), [3.0, 4.0, 5.0, 9.0]);
    let missing = rows.apply(&page[..5], 1).unwrap_err();
    assert!(matches!(missing, Error::CountMismatch { expected: 6, got: 5, .. }), "{missing}");
}

#[test]
fn what_cannot_be_pooled_is_refused() {
    assert!(matches!(Pooling::windows(2).unwrap().apply(&[], 2), Err(Error::NoTokens { .. })));
    let ragged = Pooling::windows(2).unwrap().apply(&[1.0; 3], 2);
    assert!(matches!(ragged, Err(Error::RaggedRows { .. })));
    for text in ["ward:0", "windows:0", "rows:0x3", "ward", "ward:x", "rows:3", "mean:2", ""] {
        assert!(text.parse::<Pooling>().is_err(), "{text:?}");
    }
}
