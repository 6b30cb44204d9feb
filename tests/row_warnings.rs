//! Token vectors that hardly any model gives: a collection warns of them, and a searcher of queries, once, with counts.

#![cfg(feature = "collection")]

use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use maxfold::collection::{Collection, CollectionConfig, Point, Vector, VectorConfig};
use maxfold::recall::Distance;
use maxfold::search::{QueryRequest, Searcher};

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keeper;

impl Log for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("maxfold::collection")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            WARNINGS.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn point(id: u64, name: &str, rows: &[[f32; 2]]) -> Point {
    Point::new(id).vector(name, Vector::from_rows(rows).unwrap())
}

/// One test, as a process has one logger.
#[test]
fn unusual_rows_are_warned_of_once_with_counts() {
    log::set_logger(&Keeper).unwrap();
    log::set_max_level(LevelFilter::Warn);
    let config = CollectionConfig::new()
        .vector("cosine", VectorConfig::multi(2, Distance::Cosine))
        .vector("dot", VectorConfig::multi(2, Distance::Dot));
    let collection = Collection::temporary(config).unwrap();
    let upsert = |points| {
        collection.upsert(points).unwrap();
        std::mem::take(&mut *WARNINGS.lock().unwrap())
    };

    let good = [[1.0, 0.0], [0.6, 0.8]];
    assert!(upsert(vec![point(1, "dot", &good), point(1, "cosine", &[[3.0, 4.0]])]).is_empty());
    // Lengths of rows are nothing to the cosine, and 1.005 is a length that rounding gives.
    let rows = [[1.005, 0.0], [3.0, 4.0], [0.0, 0.0], [0.0, 2.0]];
    let warnings =
        upsert(vec![point(2, "dot", &rows), point(3, "dot", &good), point(4, "cosine", &rows)]);
    let starts = [
        "1 of 4 rows of vector \"cosine\" are zeros, ",
        "1 of 6 rows of vector \"dot\" are zeros, ",
        "2 of 6 rows of vector \"dot\" are not of unit length, and its distance is Dot",
    ];
    assert_eq!(warnings.len(), starts.len(), "{warnings:?}");
    for (warning, start) in warnings.iter().zip(starts) {
        assert!(warning.starts_with(start), "{warning}");
    }
    assert!(upsert(vec![point(5, "dot", &rows), point(6, "cosine", &rows)]).is_empty());

    let searcher = Searcher::new(collection).unwrap();
    let query = |name: &str, rows: &[[f32; 2]]| {
        let request = QueryRequest::new(Vector::from_rows(rows).unwrap()).using(name);
        searcher.query(&request).unwrap();
        std::mem::take(&mut *WARNINGS.lock().unwrap())
    };
    assert!(query("dot", &good).is_empty() && query("cosine", &[[3.0, 4.0]]).is_empty());
    let warnings = [query("cosine", &rows), query("dot", &rows)].concat();
    let starts = [
        "1 of 4 rows of queries by vector \"cosine\" are zeros, ",
        "1 of 4 rows of queries by vector \"dot\" are zeros, ",
        "2 of 4 rows of queries by vector \"dot\" are not of unit length, and its distance is Dot",
    ];
    assert_eq!(warnings.len(), starts.len(), "{warnings:?}");
    for (warning, start) in warnings.iter().zip(starts) {
        assert!(warning.starts_with(start), "{warning}");
    }
    assert!(query("dot", &rows).is_empty() && query("cosine", &rows).is_empty());
}
