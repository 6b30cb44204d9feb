//! A collection keeps what was written, all of a batch or nothing, and never gives anything else.
//!
//! The judge is a map in memory, that every batch is applied to as well.
#![cfg(feature = "collection")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use half::f16;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, EnvOpenOptions, RwTxn};
use maxfold::collection::{
    Collection, CollectionConfig, Datatype, Modifier, PayloadIndex, Point, PointLines, Selector,
    Snapshot, SparseConfig, Vector, VectorConfig, VectorKind,
};
use maxfold::filter::{Filter, IndexKind, Payload, PointId, PointNumber, Subject, payload};
use maxfold::recall::{Distance, HnswParams};
use maxfold::{Error, ErrorKind, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use roaring::RoaringBitmap;
use serde_json::{Value, json};

fn fields(value: Value) -> Payload {
    value.as_object().unwrap().clone()
}

fn config() -> CollectionConfig {
    CollectionConfig::new()
        .vector("cosine", VectorConfig::dense(5, Distance::Cosine))
        .vector("plain", VectorConfig::dense(3, Distance::Euclid).hnsw(None))
        .vector("tokens", VectorConfig::multi(7, Distance::Cosine))
        .vector("raw", VectorConfig::multi(4, Distance::Dot).datatype(Datatype::Float16).int8())
        .sparse_vector("words", SparseConfig { modifier: Modifier::Idf })
}

// --- The model ------------------------------------------------------------------------------------

/// What was written, by id.
#[derive(Clone, Default)]
struct Model {
    points: BTreeMap<PointId, Point>,
    indexes: BTreeSet<PayloadIndex>,
}

/// Vectors, as they should be read again.
fn kept(name: &str, vector: &Vector) -> Vector {
    let unit = |row: &[f32]| {
        let norm = row.iter().map(|it| f64::from(*it) * f64::from(*it)).sum::<f64>().sqrt();
        let norm = if norm == 0.0 { 1.0 } else { norm };
        row.iter().map(|it| (f64::from(*it) / norm) as f32).collect::<Vec<f32>>()
    };
    let half = |it: f32| f16::from_f32(it).to_f32();
    match (name, vector) {
        ("cosine", Vector::Dense(values)) => Vector::Dense(unit(values)),
        ("tokens", Vector::Multi { values, dim }) => {
            let rows = values.chunks(*dim).flat_map(unit);
            Vector::Multi { values: rows.map(half).collect(), dim: *dim }
        }
        ("raw", Vector::Multi { values, dim }) => {
            Vector::Multi { values: values.iter().copied().map(half).collect(), dim: *dim }
        }
        _ => vector.clone(),
    }
}

fn close(a: &Vector, b: &Vector) -> bool {
    let near = |a: &[f32], b: &[f32], by: f32| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= by)
    };
    match (a, b) {
        (Vector::Dense(a), Vector::Dense(b)) => near(a, b, 1e-6),
        // A last bit of f16, for values up to 1; others are exact.
        (Vector::Multi { values: a, dim: d }, Vector::Multi { values: b, dim: e }) => {
            d == e && near(a, b, 0.0005)
        }
        (Vector::Sparse { .. }, Vector::Sparse { .. }) => a == b,
        _ => false,
    }
}

impl Model {
    fn select(&self, which: &Selector) -> Vec<PointId> {
        match which {
            Selector::Ids(ids) => ids.clone(),
            Selector::Filter(filter) => {
                let matches = |point: &&Point| {
                    let vectors: Vec<&str> = point.vectors.keys().map(String::as_str).collect();
                    let (id, payload) = (point.id, &point.payload);
                    filter.matches(&Subject { id, payload, vectors: &vectors, texts: &[] }).unwrap()
                };
                self.points.values().filter(matches).map(|point| point.id).collect()
            }
        }
    }

    fn change(&mut self, which: &Selector, change: impl Fn(&mut Payload)) -> Option<u64> {
        let ids = self.select(which);
        if ids.iter().any(|id| !self.points.contains_key(id)) {
            return None;
        }
        for id in &ids {
            change(&mut self.points.get_mut(id).unwrap().payload);
        }
        Some(ids.len() as u64)
    }

    /// The collection has these points, and no others.
    fn check(&self, collection: &Collection, rng: &mut StdRng) {
        let snapshot = collection.snapshot().unwrap();
        assert_eq!(snapshot.len(), self.points.len());
        assert_eq!(snapshot.indexes().cloned().collect::<BTreeSet<_>>(), self.indexes);
        for (id, expected) in &self.points {
            let point = snapshot.get(*id).unwrap().unwrap_or_else(|| panic!("no {id}"));
            assert_eq!((point.id, &point.payload), (*id, &expected.payload));
            let names = |point: &Point| point.vectors.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&point), names(expected));
            for (name, vector) in &expected.vectors {
                let (got, expected) = (&point.vectors[name], kept(name, vector));
                assert!(close(got, &expected), "{id} {name}: {got:?} instead of {expected:?}");
            }
        }
        let ids: BTreeSet<PointId> =
            snapshot.numbers().iter().map(|it| snapshot.payload(it).unwrap().0).collect();
        assert_eq!(ids, self.points.keys().copied().collect());
        for _ in 0..20 {
            let filter = filter(rng);
            let got = found(&snapshot, &filter);
            let mut expected = self.select(&Selector::Filter(filter.clone()));
            expected.sort_unstable();
            assert_eq!(got, expected, "{}", serde_json::to_string(&filter).unwrap());
        }
    }
}

fn found(snapshot: &Snapshot<'_>, filter: &Filter) -> Vec<PointId> {
    let numbers = snapshot.select(filter).unwrap().points;
    let mut ids: Vec<_> = numbers.iter().map(|it| snapshot.payload(it).unwrap().0).collect();
    ids.sort_unstable();
    ids
}

// --- Random batches -------------------------------------------------------------------------------

fn id(rng: &mut StdRng) -> PointId {
    let number = rng.random_range(0..120_u64);
    match number % 4 {
        0 => uuid::Uuid::from_u128(u128::from(number) << 100).into(),
        1 => (u64::MAX - number).into(),
        _ => number.into(),
    }
}

fn values(rng: &mut StdRng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn random_payload(rng: &mut StdRng) -> Payload {
    let mut payload = Payload::new();
    let text = |rng: &mut StdRng| {
        json!(["red", "green", "blue", &"long ".repeat(80)].choose(rng).unwrap())
    };
    for key in ["a", "b", "n", "t", "l"] {
        if rng.random_bool(0.7) {
            let value = match rng.random_range(0..8) {
                0 => Value::Null,
                1 => json!(rng.random_bool(0.5)),
                2 => json!(rng.random_range(-3..4)),
                3 => json!(rng.random_range(-2.0..2.0)),
                4 => json!(["2024-01-01", "2024-06-01T12:00:00Z", "soon"].choose(rng).unwrap()),
                5 => (0..rng.random_range(0..4)).map(|_| text(rng)).collect(),
                6 => json!([{"a": text(rng)}, {"a": rng.random_range(0..3)}]),
                _ => text(rng),
            };
            payload.insert(key.into(), value);
        }
    }
    payload
}

fn point(rng: &mut StdRng) -> Point {
    let mut point = Point::new(id(rng)).payload(random_payload(rng));
    if rng.random_bool(0.8) {
        point = point.vector("cosine", values(rng, 5));
    }
    if rng.random_bool(0.5) {
        point = point.vector("plain", values(rng, 3));
    }
    if rng.random_bool(0.8) {
        // Some in a leaf of the tree, some on pages of their own.
        let rows = [1, 2, 17, 700][rng.random_range(0..4)];
        point = point.vector("tokens", Vector::Multi { values: values(rng, rows * 7), dim: 7 });
    }
    if rng.random_bool(0.4) {
        let rows = rng.random_range(1..5);
        point = point.vector("raw", Vector::Multi { values: values(rng, rows * 4), dim: 4 });
    }
    if rng.random_bool(0.5) {
        let indices: BTreeSet<u32> =
            (0..rng.random_range(0..9)).map(|_| rng.random_range(0..30)).collect();
        let values = values(rng, indices.len());
        let indices = indices.into_iter().collect();
        point = point.vector("words", Vector::Sparse { indices, values });
    }
    point
}

fn filter(rng: &mut StdRng) -> Filter {
    let condition = |rng: &mut StdRng| {
        let key = ["a", "b", "n", "t", "l", "l[].a"].choose(rng).unwrap();
        match rng.random_range(0..9) {
            0 => json!({"key": key, "match": {"value": "red"}}),
            1 => json!({"key": key, "match": {"any": ["green", "long ".repeat(80)]}}),
            2 => json!({"key": key, "match": {"except": ["green", "blue"]}}),
            3 => json!({"key": key, "match": {"value": rng.random_range(-3..4)}}),
            4 => json!({"key": key, "range": {"gte": rng.random_range(-2.0..2.0)}}),
            5 => json!({"key": key, "range": {"lt": "2024-03-01"}}),
            6 => json!({"is_empty": {"key": key}}),
            7 => json!({"has_vector": if rng.random_bool(0.5) { "cosine" } else { "raw" }}),
            _ => {
                let ids: Vec<PointId> = (0..10).map(|_| id(rng)).collect();
                json!({"has_id": ids})
            }
        }
    };
    let clause = ["must", "should", "must_not"].choose(rng).unwrap();
    let conditions: Vec<_> = (0..rng.random_range(1..3)).map(|_| condition(rng)).collect();
    json!({*clause: conditions}).to_string().parse().unwrap()
}

fn selector(rng: &mut StdRng, model: &Model) -> Selector {
    if rng.random_bool(0.4) {
        return filter(rng).into();
    }
    let known: Vec<PointId> = model.points.keys().copied().collect();
    let count = rng.random_range(0..4);
    let ids = (0..count).map(|_| match known.choose(rng) {
        Some(known) if rng.random_bool(0.95) => *known,
        _ => id(rng),
    });
    Selector::Ids(ids.collect())
}

/// Applies one random batch to both, which have to agree on its answer.
fn step(collection: &Collection, model: &mut Model, rng: &mut StdRng) {
    let agree = |got: Result<u64>, expected: Option<u64>| match (got, expected) {
        (Ok(got), Some(expected)) => assert_eq!(got, expected),
        (Err(Error::UnknownPoint { .. }), None) => {}
        (got, expected) => panic!("{got:?} instead of {expected:?}"),
    };
    match rng.random_range(0..12) {
        0..=4 => {
            let mut points: Vec<Point> = (0..rng.random_range(0..30)).map(|_| point(rng)).collect();
            // The fixture of version 1 has no sparse vectors.
            let known = |name: &str| collection.config().get(name).is_ok();
            points.iter_mut().for_each(|it| it.vectors.retain(|name, _| known(name)));
            collection.upsert(points.clone()).unwrap();
            model.points.extend(points.into_iter().map(|point| (point.id, point)));
        }
        5 | 6 => {
            let which = selector(rng, model);
            let ids: BTreeSet<PointId> = model.select(&which).into_iter().collect();
            let expected = ids.iter().filter(|id| model.points.remove(id).is_some()).count();
            assert_eq!(collection.delete(which).unwrap(), expected as u64);
        }
        7 => {
            let (which, new) = (selector(rng, model), random_payload(rng));
            let got = collection.set_payload(which.clone(), &new);
            agree(got, model.change(&which, |old| payload::merge(old, &new)));
        }
        8 => {
            let (which, new) = (selector(rng, model), random_payload(rng));
            let got = collection.overwrite_payload(which.clone(), &new);
            agree(got, model.change(&which, |old| *old = new.clone()));
        }
        9 => {
            let which = selector(rng, model);
            let got = collection.delete_payload(which.clone(), &["a".parse().unwrap()]);
            agree(got, model.change(&which, |old| drop(old.remove("a"))));
        }
        10 => {
            let which = Selector::Ids(model.points.keys().take(1).copied().collect());
            let got = collection.clear_payload(which.clone());
            agree(got, model.change(&which, Payload::clear));
        }
        _ => {
            let key = ["a", "n", "t", "l", "l[].a"].choose(rng).unwrap();
            let index =
                PayloadIndex::new(key, IndexKind::ALL.choose(rng).unwrap().clone()).unwrap();
            if model.indexes.remove(&index) {
                // One that is there stays.
                collection.create_index(index.clone()).unwrap();
                match rng.random_bool(0.5) {
                    true => collection.drop_index(index).unwrap(),
                    false => {
                        model.indexes.retain(|it| it.field != index.field);
                        collection.replace_index(index.clone()).unwrap();
                        model.indexes.insert(index);
                    }
                }
            } else {
                assert!(collection.drop_index(index.clone()).is_err());
                collection.create_index(index.clone()).unwrap();
                model.indexes.insert(index);
            }
        }
    }
}

#[test]
fn a_collection_is_what_was_written() {
    for seed in 0..6 {
        let mut rng = StdRng::seed_from_u64(seed);
        let directory = tempfile::tempdir().unwrap();
        let mut collection = Collection::create(directory.path(), config()).unwrap();
        let mut model = Model::default();
        for _ in 0..60 {
            step(&collection, &mut model, &mut rng);
            if rng.random_bool(0.3) {
                model.check(&collection, &mut rng);
            }
            if rng.random_bool(0.15) {
                drop(collection);
                collection = Collection::open(directory.path()).unwrap();
                assert_eq!(*collection.config(), config());
                model.check(&collection, &mut rng);
            }
        }
        model.check(&collection, &mut rng);
    }
}

#[test]
fn a_snapshot_stays_as_it_is() {
    let mut rng = StdRng::seed_from_u64(7);
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    let mut model = Model::default();
    for _ in 0..10 {
        step(&collection, &mut model, &mut rng);
    }
    let (before, then) = (collection.snapshot().unwrap(), model.clone());
    let name =
        |point: &Point| before.tokens("tokens", before.number(point.id).unwrap().unwrap()).unwrap();
    let borrowed: Vec<_> =
        then.points.values().filter_map(|it| Some((it, name(it)?.to_owned()))).collect();
    for _ in 0..40 {
        step(&collection, &mut model, &mut rng);
    }
    for (point, tokens) in borrowed {
        assert_eq!(name(point).unwrap(), tokens.view());
        assert_eq!(before.get(point.id).unwrap().unwrap().payload, point.payload);
    }
    assert_eq!(before.len(), then.points.len());
    assert!(before.transaction() < collection.snapshot().unwrap().transaction());
}

#[test]
fn readers_see_whole_batches() {
    fn assert_send_and_sync<T: Send + Sync>(_: &T) {}
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    assert_send_and_sync(&collection);
    // Every batch gives all points the same payload, and another one of them a vector.
    let batch = |round: u32| {
        let points = (0..20).map(|id| {
            let point = Point::new(id).payload(fields(json!({"round": round})));
            if id == u64::from(round % 20) {
                point.vector("plain", vec![round as f32; 3])
            } else {
                point
            }
        });
        points.collect::<Vec<_>>()
    };
    collection.upsert(batch(0)).unwrap();
    let writing = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..200 {
                collection.upsert(batch(round)).unwrap();
            }
            writing.store(false, Relaxed);
        });
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = 0;
                while writing.load(Relaxed) {
                    let snapshot = collection.snapshot().unwrap();
                    let point = snapshot.get(0.into()).unwrap().unwrap();
                    let round = point.payload["round"].as_u64().unwrap();
                    assert!(round >= last, "back in time");
                    last = round;
                    let all = json!({"must": {"key": "round", "match": {"value": round}}});
                    let filter: Filter = all.to_string().parse().unwrap();
                    assert_eq!(snapshot.select(&filter).unwrap().points.len(), 20);
                    let having = snapshot.having("plain").unwrap();
                    let vector = snapshot.dense("plain", having.min().unwrap()).unwrap().unwrap();
                    assert_eq!((having.len(), vector), (1, vec![round as f32; 3]));
                }
            });
        }
    });
}

/// More threads than cores, so that some are interrupted anywhere, and a writer that waits for the disk.
#[test]
fn snapshots_do_not_go_back() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    let writing = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut last = 0;
                while writing.load(Relaxed) {
                    let transaction = collection.snapshot().unwrap().transaction();
                    assert!(transaction >= last, "{last}, then {transaction}");
                    last = transaction;
                }
            });
        }
        for round in 0..2000 {
            collection.upsert(vec![Point::new(round)]).unwrap();
        }
        writing.store(false, Relaxed);
    });
}

#[test]
fn there_is_room_for_many_readers() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    let mut snapshots: Vec<_> = (0..500).map(|_| collection.snapshot().unwrap()).collect();
    let refused = (500..2000).find_map(|_| match collection.snapshot() {
        Ok(snapshot) => {
            snapshots.push(snapshot);
            None
        }
        Err(error) => Some(error),
    });
    assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::Busy));
    // Whoever reads doesn't keep others from writing, and room is given back.
    collection.upsert(vec![Point::new(1)]).unwrap();
    drop(snapshots);
    assert_eq!(collection.snapshot().unwrap().len(), 1);
}

// --- Refusals --------------------------------------------------------------------------------------

/// Levels that no stack has room for are refused at every door, without a copy being made.
#[test]
fn a_payload_of_any_depth_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    collection.upsert(vec![Point::new(1)]).unwrap();
    let deep = || {
        let array = |inside, _| Value::Array(vec![inside]);
        let object = |inside, _| Value::Object([("a".to_owned(), inside)].into_iter().collect());
        [(0..100_000).fold(json!(1), array), (0..100_000).fold(json!(1), object)]
    };
    for value in deep() {
        let point = Point::new(1).payload(Payload::from_iter([("a".into(), value)]));
        let error = collection.upsert(vec![point]).unwrap_err().to_string();
        assert_eq!(error, "point 1: expected a payload of at most 100 levels, got more");
    }
    for value in deep() {
        let payload = Payload::from_iter([("a".into(), value)]);
        for error in [
            collection.set_payload([1], &payload).unwrap_err(),
            collection.overwrite_payload([1], &payload).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), "expected a payload of at most 100 levels, got more");
        }
        // serde_json would need stack for each level.
        std::mem::forget(payload);
    }
    assert!(collection.snapshot().unwrap().get(1.into()).unwrap().unwrap().payload.is_empty());
}

/// As in Qdrant: the points of one call are a list of commands, not a table.
#[test]
fn of_points_with_one_id_in_a_call_the_last_counts() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    collection.create_index(PayloadIndex::new("n", IndexKind::Integer).unwrap()).unwrap();
    let first = Point::new(1).vector("plain", vec![1.0, 2.0, 3.0]);
    let first = first.payload(fields(json!({"n": 1, "only here": true})));
    let last = Point::new(1).payload(fields(json!({"n": 2})));
    collection.upsert(vec![first, Point::new(2), last.clone()]).unwrap();
    let count = |n| {
        let filter = json!({"must": {"key": "n", "match": {"value": n}}}).to_string();
        collection.count(&filter.parse().unwrap()).unwrap()
    };
    assert_eq!((count(1), count(2)), (0, 1));
    let snapshot = collection.snapshot().unwrap();
    assert_eq!((snapshot.get(1.into()).unwrap(), snapshot.len()), (Some(last), 2));
    assert!(snapshot.having("plain").unwrap().is_empty());
}

#[test]
fn a_refused_batch_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    let good = || Point::new(1).vector("plain", vec![1.0, 2.0, 3.0]);
    collection.upsert(vec![good()]).unwrap();
    let multi = |values: Vec<f32>, dim| Vector::Multi { values, dim };
    let mut deep = json!(1);
    for _ in 0..101 {
        deep = json!([deep]);
    }
    let uuid = uuid::Uuid::from_u128(5);
    let cases = [
        (
            Point::new(2).vector("plain", vec![1.0]),
            "point 2: vector \"plain\": expected a dense vector of dimension 3, got dimension 1",
        ),
        (
            Point::new(uuid).vector("cosine", vec![0.0, 0.0, f32::NAN, 0.0, 0.0]),
            "point 00000000-0000-0000-0000-000000000005: vector \"cosine\": expected finite values, got NaN in row 0, column 2",
        ),
        (
            Point::new(2).vector("other", vec![1.0]),
            "point 2: expected the name of a vector (cosine, plain, raw, tokens, words), got \"other\"",
        ),
        (
            Point::new(2).vector("tokens", multi(vec![], 7)),
            "point 2: vector \"tokens\": expected at least one token in item 0, got none",
        ),
        (
            Point::new(2).vector("raw", multi(vec![1.0; 5], 4)),
            "point 2: vector \"raw\": expected a multiple of 4 values (the dimension), got 5 values",
        ),
        (
            Point::new(2).vector("raw", multi(vec![1.0; 4], 2)),
            "point 2: vector \"raw\": expected rows of dimension 4, got dimension 2",
        ),
        (
            Point::new(2).vector("raw", multi(vec![1.0, 2.0, 1e6, 3.0], 4)),
            "point 2: vector \"raw\": expected values within f16's range (-65504 to 65504), got 1000000 in row 0, column 2",
        ),
        (
            Point::new(2).vector("raw", multi(vec![], 0)),
            "point 2: vector \"raw\": expected rows of dimension 4, got dimension 0",
        ),
        (
            Point::new(2).vector("raw", vec![1.0]),
            "point 2: vector \"raw\": expected rows of dimension 4, got dimension 1",
        ),
        (
            Point::new(2).vector("plain", multi(vec![1.0; 3], 3)),
            "point 2: expected one vector as vector \"plain\", got many",
        ),
        (
            Point::new(2).payload(fields(json!({"a": deep}))),
            "point 2: expected a payload of at most 100 levels, got more",
        ),
    ];
    for (bad, expected) in cases {
        let error = collection.upsert(vec![Point::new(9), good(), bad]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let ids = Selector::from([1, 3]);
    let error = collection.set_payload(ids, &fields(json!({"a": 1}))).unwrap_err();
    assert_eq!(error.to_string(), "expected the id of a point, got 3, which no point has");
    let snapshot = collection.snapshot().unwrap();
    assert_eq!((snapshot.len(), snapshot.next_number()), (1, 1));
    assert!(snapshot.get(1.into()).unwrap().unwrap().payload.is_empty());
    let (none, only) = (PointNumber::new(77), PointNumber::new(0));
    let error = snapshot.payload(none).unwrap_err().to_string();
    assert_eq!(error, "expected the number to be that of a point, got 77");
    assert!(snapshot.dense("raw", only).is_err() && snapshot.tokens("plain", only).is_err());
    assert!(snapshot.dense("nothing", only).is_err() && snapshot.having("nothing").is_err());
    assert_eq!(snapshot.dense("cosine", only).unwrap(), None);
    assert_eq!(snapshot.dense("plain", none).unwrap(), None);
}

#[test]
fn creating_and_opening() {
    let directory = tempfile::tempdir().unwrap();
    let missing = |path: &Path| matches!(Collection::open(path), Err(Error::NoCollection { .. }));
    let deeper = directory.path().join("a/b");
    assert!(missing(directory.path()) && missing(&deeper));
    let collection = Collection::create(&deeper, config()).unwrap();
    for again in [Collection::open(&deeper), Collection::create(&deeper, config())] {
        assert!(matches!(again, Err(Error::CollectionInUse { .. })));
    }
    drop(collection);
    let again = Collection::create(&deeper, config());
    assert!(matches!(again, Err(Error::CollectionExists { .. })));
    // What an interrupted creation leaves.
    fs::write(deeper.join("data.mdb"), "").unwrap();
    assert!(missing(&deeper));
    drop(Collection::create(&deeper, config()).unwrap());
    drop(Collection::open(&deeper).unwrap());
    let wrong = CollectionConfig::new().vector("v", VectorConfig::dense(0, Distance::Dot));
    assert!(Collection::create(directory.path().join("c"), wrong).is_err());
    assert!(!directory.path().join("c").exists());
    let named = |bytes: usize| {
        CollectionConfig::new().vector("é".repeat(bytes / 2), VectorConfig::dense(1, Distance::Dot))
    };
    let error = Collection::temporary(named(202)).unwrap_err().to_string();
    assert_eq!(error, "expected a vector's name to be at most 200 bytes, got 202");
    let named = Collection::temporary(named(200)).unwrap();
    let more = named.create_vector(&"v".repeat(201), VectorConfig::dense(1, Distance::Dot));
    assert!(more.unwrap_err().to_string().contains("at most 200 bytes, got 201"));
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Collection::create(file.join("x"), config()), Err(Error::Io { .. })));
}

/// What was set is still set after the collection was closed, hints included.
#[test]
fn a_configuration_survives_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let searched = HnswParams::new().ef_search(1000);
    let json = r#"{"vectors": {"t": {"size": 4, "distance": "Dot", "on_disk": true,
        "multivector_config": {"comparator": "max_sim"}, "datatype": "float32"}},
        "optimizers_config": {"indexing_threshold": 5}}"#;
    let config = json.parse::<CollectionConfig>().unwrap();
    let config = config.vector("d", VectorConfig::dense(4, Distance::Dot).hnsw(Some(searched)));
    let created = Collection::create(directory.path(), config.clone()).unwrap();
    assert_eq!(*created.config(), config);
    drop(created);
    let opened = Collection::open(directory.path()).unwrap();
    assert_eq!(*opened.config(), config);
    assert_eq!(opened.config().get("d").unwrap().kind, VectorKind::Dense(Some(searched)));
}

#[test]
fn a_collection_that_is_read_alone_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert!(matches!(Collection::open_read_only(path), Err(Error::NoCollection { .. })));
    let collection = Collection::create(path, config()).unwrap();
    collection.upsert(vec![Point::new(1).vector("plain", vec![1.0, 2.0, 3.0])]).unwrap();
    // The process that has it open takes snapshots there.
    assert!(matches!(Collection::open_read_only(path), Err(Error::CollectionInUse { .. })));
    drop(collection);
    let files = || -> Vec<_> {
        let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|it| it.unwrap().path()).collect();
        files.sort();
        files.into_iter().filter(|it| !it.ends_with("lock.mdb")).map(fs::read).collect()
    };
    let before: Vec<_> = files().into_iter().map(Result::unwrap).collect();
    let reader = Collection::open_read_only(path).unwrap();
    assert!(reader.is_read_only());
    assert_eq!(reader.count(&Filter::new()).unwrap(), 1);
    let index = PayloadIndex::new("a", IndexKind::Bool).unwrap();
    let refused = [
        reader.upsert(vec![Point::new(2)]),
        reader.delete([1]).map(drop),
        reader.clear_payload([1]).map(drop),
        reader.create_index(index.clone()),
        reader.drop_index(index),
    ];
    for refused in refused {
        let told = format!("cannot write to {}: it was opened to be read", path.display());
        assert_eq!(refused.unwrap_err().to_string(), told);
    }
    assert!(matches!(reader.remove(), Err(Error::ReadOnly { .. })));
    let after: Vec<_> = files().into_iter().map(Result::unwrap).collect();
    assert!(before == after, "nothing was written");
    drop(Collection::open(path).unwrap());
}

/// A file that is cut off under an open collection is an error, not a fault of memory.
#[test]
fn a_file_that_was_cut_off_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    collection.upsert(vec![Point::new(1).vector("plain", vec![1.0, 2.0, 3.0])]).unwrap();
    let file = fs::File::options().write(true).open(directory.path().join("data.mdb")).unwrap();
    let length = file.metadata().unwrap().len();
    for cut in [length - 1, 4096, 0] {
        file.set_len(cut).unwrap();
        let told = format!("got {cut} bytes of at least {length}");
        for error in [
            collection.snapshot().map(drop).unwrap_err(),
            collection.upsert(vec![Point::new(2)]).unwrap_err(),
            collection.count(&Filter::new()).map(drop).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Damaged { .. }), "{error}");
            assert!(error.to_string().ends_with(&told), "{error}");
        }
    }
}

#[test]
fn a_removed_collection_leaves_nothing_but_what_is_not_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let create = || Collection::create(&path, config()).unwrap();
    create().remove().unwrap();
    assert!(!path.exists());
    let collection = create();
    fs::write(path.join("graph-0"), "").unwrap();
    fs::write(path.join("notes.txt"), "mine").unwrap();
    collection.remove().unwrap();
    let left: Vec<_> = fs::read_dir(&path).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    create();
}

/// Points in a file, one a line.
#[test]
fn points_are_read_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("points.jsonl");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        let points = PointLines::open(&path).and_then(|lines| lines.collect::<Result<Vec<_>>>());
        points.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "file"))
    };
    let uuid = uuid::Uuid::from_u128(5);
    let expected = vec![
        Point::new(1).payload(fields(json!({"a": [1, null]}))),
        Point::new(uuid).vector("", vec![0.5, 1.0]),
        Point::new(3)
            .vector("dense", vec![1.0])
            .vector("tokens", Vector::Multi { values: vec![1.0, 2.0], dim: 1 }),
    ];
    let text = format!(
        "\u{feff}{{\"id\": 1, \"payload\": {{\"a\": [1, null]}}, \"vector\": null}}\r\n\r\n\
         {{\"id\": \"{uuid}\", \"vector\": [0.5, 1]}}\r\n\
         {{\"id\": 3, \"vector\": {{\"dense\": [1], \"tokens\": [[1], [2]]}}}}\r\n\r\n"
    );
    assert_eq!(read(&text), Ok(expected));
    let refused = [
        (
            "{\"id\": 1}\n\n{\"id\" 2}",
            "file: expected a point in JSON: expected `:` in line 3, column 7",
        ),
        (
            "\n{\"id\": 1, \"id\": 2}",
            "file: expected point.id once, got it again in line 2, column 14",
        ),
        (
            "{\"id\": 1, \"payload\": {\"a\": {\"b\": 1, \"b\": 2}}}",
            "file: expected point.payload.a.b once, got it again in line 1, column 39",
        ),
        (
            "{\"id\": 1}\n{\"id\": -1}",
            "file: line 2: expected point.id to be an unsigned integer or a UUID, got -1",
        ),
        (
            "{\"id\": 1, \"tags\": []}",
            "file: line 1: expected only id, payload, vector in point, got \"tags\"",
        ),
        (
            "{\"id\": 1}\n{\"id\": 2}\n\n{\"id\": 1, \"payload\": {\"a\": 2}}",
            "file: line 4: expected each id once, got 1, which stands in line 1",
        ),
        (
            "{\"id\": 1}\n{\"id\": 2, \"payload\": {\"a\": [18446744073709551616, -18446744073709551617]}}",
            "file: line 2: expected point.payload.a[1] to be an integer of 64 bits, or any other number that f64 holds, got -18446744073709551617",
        ),
        (
            "{\"id\": 1, \"payload\": []}",
            "file: line 1: expected point.payload to be an object, got []",
        ),
    ];
    for (text, expected) in refused {
        assert_eq!(read(text).unwrap_err(), expected);
    }
}

/// A process that is forked has the lock too, until it is another program.
#[cfg(unix)]
#[test]
fn a_closed_collection_opens_again_while_processes_start() {
    let directory = tempfile::tempdir().unwrap();
    drop(Collection::create(directory.path(), config()).unwrap());
    let opening = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while opening.load(Relaxed) {
                std::process::Command::new("true").status().unwrap();
            }
        });
        let opened: Result<()> = (0..300).try_for_each(|_| Collection::open(&directory).map(drop));
        opening.store(false, Relaxed);
        opened.unwrap();
    });
}

// --- What is in the file -----------------------------------------------------------------------------

/// A change of a closed collection's tables `meta`, `ids` and `index` that FORMAT.md allows, if not
/// more: all checksums are right, and the state names the transaction.
fn forge(path: &Path, change: impl FnOnce([Database<Bytes, Bytes>; 3], &mut RwTxn<'_>)) {
    // SAFETY: the collection is closed, and nobody else knows of it.
    let env = unsafe { EnvOpenOptions::new().map_size(1 << 30).max_dbs(7).open(path) }.unwrap();
    let opened = env.open_databases_and_commit(env.read_txn().unwrap(), |opener, txn| {
        let table = |name| opener.open_database(txn, Some(name)).map(Option::unwrap);
        let tables = [table("meta")?, table("ids")?, table("index")?];
        heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(tables))
    });
    let tables = opened.unwrap().commit().unwrap();
    let mut txn = env.write_txn().unwrap();
    change(tables, &mut txn);
    let [meta, ..] = tables;
    let mut state = meta.get(&txn, b"state").unwrap().unwrap()[4..].to_vec();
    state[..8].copy_from_slice(&(txn.id() as u64).to_le_bytes());
    meta.put(&mut txn, b"state", &sealed(0, b"state", &state)).unwrap();
    txn.commit().unwrap();
    env.prepare_for_closing().wait();
}

/// A value, after its checksum.
fn sealed(table: u8, key: &[u8], body: &[u8]) -> Vec<u8> {
    let head = [table, key.len() as u8, (key.len() >> 8) as u8];
    let checksum = crc32fast::hash(&[&head, key, body].concat());
    [&checksum.to_le_bytes(), body].concat()
}

#[test]
fn an_id_that_is_lost_or_leads_nowhere_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let whole = directory.path().join("whole");
    let collection = Collection::create(&whole, config()).unwrap();
    collection.upsert((0..5_u64).map(Point::new).collect()).unwrap();
    drop(collection);
    let data = fs::read(whole.join("data.mdb")).unwrap();
    let key = [[0].as_slice(), &3_u64.to_be_bytes()].concat();
    let opened = |change: &dyn Fn(Database<Bytes, Bytes>, &mut RwTxn<'_>)| {
        fs::write(whole.join("data.mdb"), &data).unwrap();
        forge(&whole, |[_, ids, _], txn| change(ids, txn));
        Collection::open(&whole).map(drop)
    };
    opened(&|_, _| ()).unwrap();
    let lost = opened(&|ids, txn| assert!(ids.delete(txn, &key).unwrap()));
    assert!(matches!(lost, Err(Error::Damaged { .. })), "{lost:?}");
    let to_nowhere = sealed(1, &key, &77_u32.to_le_bytes());
    let nowhere = opened(&|ids, txn| ids.put(txn, &key, &to_nowhere).unwrap());
    assert!(matches!(nowhere, Err(Error::Damaged { .. })), "{nowhere:?}");
}

/// The numbers that stand in the payload indexes of a closed collection.
fn indexed(path: &Path) -> RoaringBitmap {
    let mut numbers = RoaringBitmap::new();
    forge(path, |[.., index], txn| {
        for record in index.iter(txn).unwrap() {
            let (_, value) = record.unwrap();
            numbers |= RoaringBitmap::deserialize_from(&value[4..]).unwrap();
        }
    });
    numbers
}

#[test]
fn payload_indexes_have_no_point_that_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    for (key, kind) in [("a", IndexKind::Keyword), ("n", IndexKind::Integer)] {
        collection.create_index(PayloadIndex::new(key, kind).unwrap()).unwrap();
    }
    let point = |id: u64| {
        Point::new(id).payload(fields(json!({"a": format!("of {}", id % 7), "n": [id, null]})))
    };
    collection.upsert((0..100).map(point).collect()).unwrap();
    collection.upsert((50..150).map(point).collect()).unwrap();
    collection.delete((0..20_u64).map(PointId::from).collect::<Vec<_>>()).unwrap();
    let few: Filter =
        json!({"must": {"key": "n", "range": {"gte": 130}}}).to_string().parse().unwrap();
    assert_eq!(collection.delete(few).unwrap(), 20);
    let there = RoaringBitmap::from(collection.snapshot().unwrap().numbers().clone());
    drop(collection);
    assert_eq!(there.len(), 110);
    assert_eq!(indexed(directory.path()), there);

    let collection = Collection::open(directory.path()).unwrap();
    collection.delete(Filter::new()).unwrap();
    drop(collection);
    forge(directory.path(), |[.., index], txn| assert!(index.is_empty(txn).unwrap()));
}

// --- Damage ----------------------------------------------------------------------------------------

/// Reads everything, in every way: an error, or what was written.
fn read_all(path: &Path, model: &Model) -> Result<()> {
    let reader = Collection::open_read_only(path).and_then(|it| read_points(&it, model));
    let collection = Collection::open(path)?;
    read_points(&collection, model)?;
    // Nothing that a writer finds whole is damaged to a reader.
    reader.unwrap();
    // Writing follows pages too: of everything, and of what was free.
    collection.upsert(vec![
        Point::new(500_000).vector("tokens", Vector::Multi { values: vec![0.5; 7000], dim: 7 }),
    ])?;
    collection.delete(Filter::new())?;
    assert!(collection.snapshot()?.is_empty());
    drop(collection);
    drop(Collection::open(path)?);
    Ok(())
}

fn read_points(collection: &Collection, model: &Model) -> Result<()> {
    let snapshot = collection.snapshot()?;
    assert_eq!(snapshot.len(), model.points.len());
    for (id, expected) in &model.points {
        let point = snapshot.get(*id)?.unwrap_or_else(|| panic!("lost {id}"));
        assert_eq!(point.payload, expected.payload);
        for (name, vector) in &expected.vectors {
            assert!(close(&point.vectors[name], &kept(name, vector)), "{id} {name}");
        }
    }
    for json in [
        json!({"must": {"key": "a", "match": {"value": "red"}}}),
        json!({"must_not": {"key": "n", "range": {"gt": 0.5}}}),
    ] {
        let filter: Filter = json.to_string().parse().unwrap();
        let numbers = snapshot.select(&filter)?.points;
        let ids: Result<BTreeSet<PointId>> =
            numbers.iter().map(|it| Ok(snapshot.payload(it)?.0)).collect();
        assert_eq!(ids?, model.select(&filter.into()).into_iter().collect());
    }
    Ok(())
}

#[test]
fn damage_is_an_error_or_does_no_harm() {
    let mut rng = StdRng::seed_from_u64(8);
    let directory = tempfile::tempdir().unwrap();
    let (whole, hurt) = (directory.path().join("whole"), directory.path().join("hurt"));
    let collection = Collection::create(&whole, config()).unwrap();
    let mut model = Model::default();
    for (key, kind) in [("a", IndexKind::Keyword), ("n", IndexKind::Integer)] {
        collection.create_index(PayloadIndex::new(key, kind).unwrap()).unwrap();
    }
    model.indexes = collection.snapshot().unwrap().indexes().cloned().collect();
    for _ in 0..25 {
        step(&collection, &mut model, &mut rng);
    }
    drop(collection);
    let data = fs::read(whole.join("data.mdb")).unwrap();
    fs::create_dir(&hurt).unwrap();
    let (mut refused, mut harmless) = (0, 0);
    for round in 0..1000 {
        let mut bytes = data.clone();
        match round % 4 {
            // One bit.
            0 => bytes[rng.random_range(0..data.len())] ^= 1 << rng.random_range(0..8),
            // A few bytes, where the structure is.
            1 => {
                let page = rng.random_range(0..data.len() / 4096) * 4096;
                (0..3).for_each(|_| bytes[page + rng.random_range(0..200)] = rng.random());
            }
            // A page of something else.
            2 => {
                let page = |rng: &mut StdRng| rng.random_range(0..data.len() / 4096) * 4096;
                let (from, to) = (page(&mut rng), page(&mut rng));
                bytes.copy_within(from..from + 4096, to);
            }
            _ => bytes.truncate(rng.random_range(0..data.len())),
        }
        for file in fs::read_dir(&hurt).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        fs::write(hurt.join("data.mdb"), &bytes).unwrap();
        // The other files hold nothing.
        let noise: Vec<u8> = (0..rng.random_range(0..10_000)).map(|_| rng.random()).collect();
        fs::write(hurt.join("lock.mdb"), noise).unwrap();
        match read_all(&hurt, &model) {
            Ok(()) => harmless += 1,
            Err(Error::Damaged { .. } | Error::NoCollection { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    println!("{refused} refused, {harmless} harmless");
    assert!(refused > 500);
}

#[test]
fn another_format_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    drop(Collection::create(directory.path(), config()).unwrap());
    // The record of the format, by FORMAT.md: a CRC-32 of the table, the key and the body; the body.
    let file = directory.path().join("data.mdb");
    let mut bytes = fs::read(&file).unwrap();
    let key = bytes.windows(6).position(|it| it == b"format").unwrap();
    let checksum = |version: u32| {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&[0, 6, 0]);
        crc.update(b"format");
        crc.update(&version.to_le_bytes());
        crc.finalize().to_le_bytes()
    };
    let value = key + 6;
    assert_eq!(bytes[value..value + 8], [checksum(4), 4_u32.to_le_bytes()].concat());
    bytes[value..value + 8].copy_from_slice(&[checksum(5), 5_u32.to_le_bytes()].concat());
    fs::write(&file, bytes).unwrap();
    let error = Collection::open(directory.path()).unwrap_err();
    assert!(matches!(error, Error::FormatVersion { expected: 4, got: 5, .. }), "{error}");
}

// --- Version 1 --------------------------------------------------------------------------------------

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/collection-v1/data.mdb");

/// What is in the fixture.
fn fixture() -> Model {
    let mut model = Model::default();
    let tokens = |rows: usize| {
        let values = (0..rows * 7).map(|it| ((it * 37 % 41) as f32 - 20.0) / 16.0);
        Vector::Multi { values: values.collect(), dim: 7 }
    };
    let points = [
        Point::new(3).payload(fields(json!({"a": "red", "n": 1, "t": "2024-02-29T12:00:00Z"}))),
        Point::new(u64::MAX)
            .vector("cosine", vec![3.0, 0.0, 0.0, 0.0, -4.0])
            .vector("tokens", tokens(2)),
        Point::new(uuid::Uuid::from_u128(0x5eed << 64))
            .vector("plain", vec![1.5, -2.25, 1e30])
            .vector("tokens", tokens(700))
            .vector("raw", Vector::Multi { values: vec![0.1, 0.2, 0.3, 60_000.0], dim: 4 })
            .payload(fields(
                json!({"a": ["blue", null, "long ".repeat(80)], "n": -2.5, "l": [{"a": 7}]}),
            )),
    ];
    model.points = points.into_iter().map(|point| (point.id, point)).collect();
    for (key, kind) in ["a", "n", "n", "t", "l[].a"].iter().zip([
        IndexKind::Keyword,
        IndexKind::Integer,
        IndexKind::Float,
        IndexKind::Datetime,
        IndexKind::Bool,
    ]) {
        model.indexes.insert(PayloadIndex::new(key, kind).unwrap());
    }
    model
}

/// A reader may not change a file: it says of which version it is, until a writer has opened it.
#[test]
fn version_1_is_opened_and_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(FIXTURE, directory.path().join("data.mdb")).unwrap();
    let error = Collection::open_read_only(directory.path()).unwrap_err();
    assert!(matches!(error, Error::FormatVersion { expected: 4, got: 1, .. }), "{error}");
    let upgraded = Collection::open(directory.path()).unwrap();
    // Its numbers had been rounded.
    assert_eq!(upgraded.config().get("tokens").unwrap().datatype, Datatype::Float16);
    drop(upgraded);
    fixture().check(
        &Collection::open_read_only(directory.path()).unwrap(),
        &mut StdRng::seed_from_u64(8),
    );
    let collection = Collection::open(directory.path()).unwrap();
    let mut rng = StdRng::seed_from_u64(9);
    let mut model = fixture();
    model.check(&collection, &mut rng);
    for _ in 0..20 {
        step(&collection, &mut model, &mut rng);
    }
    model.check(&collection, &mut rng);
}
