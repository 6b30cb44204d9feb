//! Collections of earlier versions of the format, written once and kept: every later library has to open them, or refuse
//! them.
//!
//! `tests/collection.rs` has the same for version 1. `make_the_fixture` made it; made anew, it would say nothing of
//! what earlier libraries wrote.
#![cfg(feature = "collection")]

use std::fs;

use half::f16;
use maxfold::collection::{Collection, Datatype, PayloadIndex, Vector};
use maxfold::filter::{Filter, IndexKind, PointId, TextParams};
use maxfold::search::{Method, SearcherOptions};
use maxfold::{
    Backend, CollectionConfig, Distance, Error, Point, QueryRequest, Reranker, Searcher,
    VectorConfig,
};
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
    keep(&directory, "collection-v4");
}

/// Keeps a collection as a fixture.
fn keep(directory: &TempDir, name: &str) {
    Collection::compact(directory.path()).unwrap();
    let fixture = format!("{FIXTURES}/{name}");
    fs::create_dir_all(&fixture).unwrap();
    fs::copy(directory.path().join("data.mdb"), format!("{fixture}/data.mdb")).unwrap();
}

/// Points with multivectors whose rows are compared by their distances.
fn distant(id: u64) -> Point {
    let multi = |id: u64| {
        let values = (0..3 * (1 + id % 3)).map(|at| (id * 7 + at) as f32 / 10.0).collect();
        Vector::Multi { values, dim: 3 }
    };
    let point = Point::new(id).vector("whole", multi(id)).vector("other", multi(id));
    // In f16, which rounds most of them.
    if id % 4 == 3 { point } else { point.vector("half", multi(id + 1)) }
}

#[test]
#[ignore = "writes the fixture"]
fn make_the_fixture_of_distances() {
    let whole = VectorConfig::multi(3, Distance::Euclid);
    let half = whole.clone().datatype(Datatype::Float16);
    let other = VectorConfig::multi(3, Distance::Manhattan).datatype(Datatype::Float16);
    let config = CollectionConfig::new().vector("whole", whole);
    let config = config.vector("half", half).vector("other", other);
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config).unwrap();
    collection.upsert((0..24).map(distant).collect()).unwrap();
    collection.delete((20..24).map(PointId::from).collect::<Vec<_>>()).unwrap();
    drop(collection);
    keep(&directory, "collection-v4-distances");
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
fn copy(version: &str) -> TempDir {
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
fn check_upgrade(version: &str, number: u32, check: impl Fn(Collection)) {
    let directory = copy(version);
    let error = Collection::open_read_only(directory.path()).unwrap_err();
    let told = matches!(error, Error::FormatVersion { expected: 4, got, .. } if got == number);
    assert!(told, "{error}");
    drop(Collection::open(directory.path()).unwrap());
    check(Collection::open_read_only(directory.path()).unwrap());
    check(Collection::open(directory.path()).unwrap());
}

#[test]
fn version_2_is_opened_and_upgraded() {
    check_upgrade("2", 2, |collection| check(&searcher(collection), POINTS));
}

#[test]
fn version_3_is_opened_and_upgraded() {
    check_upgrade("3", 3, |collection| check(&searcher(collection), POINTS));
    check_upgrade("3-distances", 3, |collection| check_distances(&searcher(collection), 20));
}

#[test]
fn version_4_is_opened_read_and_written() {
    let directory = copy("4");
    let reader = searcher(Collection::open_read_only(directory.path()).unwrap());
    check(&reader, POINTS);
    assert!(reader.collection().statistics().unwrap().bytes["quantized"] > 0);
    let near = json!({"must": {"key": "at", "geo_bounding_box":
        {"top_left": {"lon": 0.9, "lat": 0.0}, "bottom_right": {"lon": 2.1, "lat": -5.0}}}});
    let filter: Filter = near.to_string().parse().unwrap();
    assert_eq!(reader.collection().count(&filter).unwrap(), 5);
    drop(reader);
    check_and_write(Collection::open(directory.path()).unwrap());

    let directory = copy("4-distances");
    check_distances(&searcher(Collection::open_read_only(directory.path()).unwrap()), 20);
    let writer = searcher(Collection::open(directory.path()).unwrap());
    check_distances(&writer, 20);
    writer.collection().upsert((20..30).map(distant).collect()).unwrap();
    check_distances(&writer, 30);
}

/// Points are as they were written, and ranked by the distances of their rows, computed here.
fn check_distances(searcher: &Searcher, count: u64) {
    let snapshot = searcher.collection().snapshot().unwrap();
    assert_eq!(snapshot.len() as u64, count);
    let row = [4.0_f32, 4.5, 5.0];
    let near = |distance: Distance, document: &[f32]| -> f64 {
        let apart = row.iter().zip(document).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
        match distance {
            Distance::Euclid => apart.map(|it| it * it).sum::<f64>().sqrt(),
            _ => apart.sum(),
        }
    };
    for (name, distance) in
        [("whole", Distance::Euclid), ("half", Distance::Euclid), ("other", Distance::Manhattan)]
    {
        let mut expected = Vec::new();
        for id in 0..count {
            let mut point = distant(id);
            let Some(Vector::Multi { values, .. }) = point.vectors.get_mut(name) else { continue };
            if name != "whole" {
                values.iter_mut().for_each(|it| *it = f16::from_f32(*it).to_f32());
            }
            let best =
                values.chunks(3).map(|row| near(distance, row)).fold(f64::INFINITY, f64::min);
            expected.push((id, best));
            let kept = snapshot.get(id.into()).unwrap().unwrap();
            assert_eq!(kept.vectors[name], point.vectors[name]);
        }
        expected.sort_by(|a, b| a.1.total_cmp(&b.1));
        let request = QueryRequest::new(Vector::Multi { values: row.to_vec(), dim: 3 });
        let answer = searcher.query(&request.using(name).limit(5)).unwrap();
        let is_by_kernel = matches!(answer.plan.query.method, Method::MaxSim { .. });
        assert_eq!(is_by_kernel, distance == Distance::Euclid);
        assert_eq!(answer.points.len(), 5);
        for (got, (id, score)) in answer.points.iter().zip(expected) {
            assert_eq!(got.id, id.into());
            assert!((f64::from(got.score) - score).abs() <= 1e-5 * score, "{got:?} {score}");
        }
    }
}
