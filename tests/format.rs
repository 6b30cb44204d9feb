//! Collections of earlier versions of the format, written once and kept: every later library has to open them, or refuse
//! them.
//!
//! `tests/collection.rs` has the same for version 1. `make_the_fixture` made it; made anew, it would say nothing of
//! what earlier libraries wrote.
#![cfg(feature = "collection")]

use std::fs;

use maxfold::collection::{Collection, PayloadIndex, Vector};
use maxfold::filter::{Filter, IndexKind, PointId, TextParams};
use maxfold::search::SearcherOptions;
use maxfold::{Backend, CollectionConfig, Error, Point, QueryRequest, Reranker, Searcher};
use serde_json::{Value, json};
use tempfile::TempDir;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

const CONFIG: &str = r#"{"vectors": {
    "dense": {"size": 3, "distance": "Euclid", "hnsw_config": {"m": 8}},
    "whole": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
    "half": {"size": 2, "distance": "Dot", "datatype": "float16",
        "multivector_config": {"comparator": "max_sim"},
        "quantization_config": {"scalar": {"type": "int8"}}}
}, "sparse_vectors": {"words": {"modifier": "idf"}}}"#;

const POINTS: u64 = 40;

fn payload(id: u64) -> Value {
    let place = json!({"lon": id as f64 / 4.0, "lat": -(id as f64) / 8.0});
    json!({"n": id, "parts": [id % 5, "five"], "text": format!("Züge, number {id} of many"), "at": place})
}

fn point(id: u64) -> Point {
    // Not exact in f16.
    let whole = (0..2 * (1 + id % 3)).map(|at| (id * 7 + at) as f32 / 10.0).collect();
    let half = vec![id as f32 / 2.0, -1.5];
    let words = Vector::Sparse { indices: vec![id as u32 % 4, 1_000_000], values: vec![1.0, 0.25] };
    let point = Point::new(id)
        .vector("whole", Vector::Multi { values: whole, dim: 2 })
        .vector("half", Vector::Multi { values: half, dim: 2 })
        .payload(payload(id).as_object().unwrap().clone());
    // Some points lack vectors.
    let point = if id.is_multiple_of(3) { point } else { point.vector("words", words) };
    if id.is_multiple_of(7) { point } else { point.vector("dense", vec![id as f32, 0.5, -3.25]) }
}

fn indexes() -> Vec<PayloadIndex> {
    let mut folded = TextParams::default();
    folded.ascii_folding = true;
    let kinds = [
        ("n", IndexKind::Integer),
        ("parts", IndexKind::Keyword),
        ("text", IndexKind::Text(folded)),
        ("at", IndexKind::Geo),
    ];
    kinds.map(|(key, kind)| PayloadIndex::new(key, kind).unwrap()).into()
}

#[test]
#[ignore = "writes the fixture"]
fn make_the_fixture() {
    let config: CollectionConfig = CONFIG.parse().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config).unwrap();
    for index in indexes() {
        collection.create_index(index).unwrap();
    }
    collection.upsert((0..POINTS + 10).map(point).collect()).unwrap();
    collection.delete((POINTS..POINTS + 10).map(PointId::from).collect::<Vec<_>>()).unwrap();
    drop(collection);
    Collection::compact(directory.path()).unwrap();
    let fixture = format!("{FIXTURES}/collection-v3");
    fs::create_dir_all(&fixture).unwrap();
    fs::copy(directory.path().join("data.mdb"), format!("{fixture}/data.mdb")).unwrap();
}

fn ids(searcher: &Searcher, filter: &Value) -> Vec<u64> {
    let snapshot = searcher.collection().snapshot().unwrap();
    let filter: Filter = filter.to_string().parse().unwrap();
    let found = snapshot.select(&filter).unwrap();
    assert_eq!(found.scanned, 0, "an index knows");
    let mut ids: Vec<u64> = found
        .points
        .iter()
        .map(|it| snapshot.id(it).unwrap().to_string().parse().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

fn check(searcher: &Searcher, count: u64) {
    let collection = searcher.collection();
    let snapshot = collection.snapshot().unwrap();
    assert_eq!(snapshot.len() as u64, count);
    for id in 0..count {
        assert_eq!(snapshot.get(id.into()).unwrap().unwrap(), point(id));
    }
    let mut there: Vec<_> = snapshot.indexes().cloned().collect();
    there.sort();
    let mut expected = indexes();
    expected.sort();
    assert_eq!(there, expected);
    let all =
        |wanted: &dyn Fn(u64) -> bool| (0..count).filter(|id| wanted(*id)).collect::<Vec<_>>();
    let few = json!({"must": {"key": "n", "range": {"lt": 4}}});
    assert_eq!(ids(searcher, &few), [0, 1, 2, 3]);
    let text = json!({"must": {"key": "text", "match": {"text": "zuge 17"}}});
    assert_eq!(ids(searcher, &text), [17]);
    let keyword = json!({"must": {"key": "parts", "match": {"value": "five"}}});
    assert_eq!(ids(searcher, &keyword), all(&|_| true));

    let query = |request: QueryRequest| {
        let points = searcher.query(&request.limit(3)).unwrap().points;
        points
            .iter()
            .map(|it| (it.id.to_string().parse().unwrap(), it.score))
            .collect::<Vec<(u64, f32)>>()
    };
    let dense = query(QueryRequest::new(vec![9.0, 0.5, -3.25]).using("dense"));
    assert_eq!(dense, [(9, 0.0), (8, 1.0), (10, 1.0)]);
    let words = Vector::Sparse { indices: vec![2], values: vec![1.0] };
    let words = query(QueryRequest::new(words).using("words"));
    assert_eq!(words.iter().map(|it| it.0).collect::<Vec<_>>(), [2, 10, 14]);
    // The best row of the point with the largest values: its last, or its first column.
    let rows = Vector::Multi { values: vec![1.0, 0.0], dim: 2 };
    let best = |id: u64| (id * 7 + 2 * (id % 3)) as f32 / 10.0;
    let whole = query(QueryRequest::new(rows.clone()).using("whole"));
    let last = count - 1;
    let mut expected: Vec<(u64, f32)> = (last - 4..=last).map(|id| (id, best(id))).collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    assert_eq!(whole, expected[..3]);
    let half = query(QueryRequest::new(rows).using("half"));
    assert_eq!(half[0], (last, last as f32 / 2.0));
}

/// A copy of a fixture.
fn copy(version: u32) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let fixture = format!("{FIXTURES}/collection-v{version}/data.mdb");
    fs::copy(fixture, directory.path().join("data.mdb")).unwrap();
    directory
}

fn searcher(collection: Collection) -> Searcher {
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(collection, options).unwrap()
}

fn check_and_write(collection: Collection) {
    let writer = searcher(collection);
    check(&writer, POINTS);
    writer.collection().upsert((POINTS..POINTS + 10).map(point).collect()).unwrap();
    check(&writer, POINTS + 10);
}

/// A reader may not change a file: it says of which version it is, until a writer has opened it.
#[test]
fn version_2_is_opened_and_upgraded() {
    let directory = copy(2);
    let error = Collection::open_read_only(directory.path()).unwrap_err();
    assert!(matches!(error, Error::FormatVersion { expected: 3, got: 2, .. }), "{error}");
    drop(Collection::open(directory.path()).unwrap());
    check(&searcher(Collection::open_read_only(directory.path()).unwrap()), POINTS);
    check_and_write(Collection::open(directory.path()).unwrap());
}

#[test]
fn version_3_is_opened_read_and_written() {
    let directory = copy(3);
    let reader = searcher(Collection::open_read_only(directory.path()).unwrap());
    check(&reader, POINTS);
    assert!(reader.collection().statistics().unwrap().bytes["quantized"] > 0);
    let near = json!({"must": {"key": "at", "geo_bounding_box":
        {"top_left": {"lon": 0.9, "lat": 0.0}, "bottom_right": {"lon": 2.1, "lat": -5.0}}}});
    let filter: Filter = near.to_string().parse().unwrap();
    assert_eq!(reader.collection().count(&filter).unwrap(), 5);
    drop(reader);
    check_and_write(Collection::open(directory.path()).unwrap());
}
