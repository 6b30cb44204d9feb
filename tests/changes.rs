//! Changes of points: several in one transaction, single vectors, conditions; versions; the order of ids.
#![cfg(feature = "collection")]

use std::collections::{BTreeMap, BTreeSet};

use maxfold::collection::{
    Operation, PayloadIndex, PointVectors, Selector, SparseConfig, UpdateMode, UpsertOptions,
};
use maxfold::filter::{Filter, IndexKind, Payload, payload};
use maxfold::{
    Collection, CollectionConfig, Distance, Error, Point, PointId, QueryRequest, Searcher, Vector,
    VectorConfig,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

fn config() -> CollectionConfig {
    CollectionConfig::new()
        .vector("dense", VectorConfig::dense(3, Distance::Dot))
        .vector("tokens", VectorConfig::multi(2, Distance::Dot))
        .sparse_vector("words", SparseConfig::default())
}

fn object(value: Value) -> Payload {
    value.as_object().unwrap().clone()
}

// --- Random lists of operations, beside a model -----------------------------------------------------

type Model = BTreeMap<PointId, Point>;

/// A condition in JSON, and what it means.
type Condition = (Value, Box<dyn Fn(&Point) -> bool>);

fn condition(rng: &mut StdRng) -> Condition {
    let (color, number) = (*COLORS.choose(rng).unwrap(), rng.random_range(0..6));
    let name = *["dense", "tokens", "words"].choose(rng).unwrap();
    match rng.random_range(0..3) {
        0 => (
            json!({"key": "color", "match": {"value": color}}),
            Box::new(move |it| it.payload.get("color") == Some(&json!(color))),
        ),
        1 => (
            json!({"key": "n", "range": {"gte": number}}),
            Box::new(move |it| it.payload.get("n").is_some_and(|n| n.as_i64() >= Some(number))),
        ),
        _ => (json!({"has_vector": name}), Box::new(move |it| it.vectors.contains_key(name))),
    }
}

fn parsed(condition: &Value) -> Filter {
    json!({"must": condition}).to_string().parse().unwrap()
}

const COLORS: [&str; 3] = ["red", "green", "blue"];

fn id(rng: &mut StdRng) -> PointId {
    let number = rng.random_range(0..40_u64);
    if number % 3 == 0 {
        uuid::Uuid::from_u128(u128::from(number) << 90).into()
    } else {
        number.into()
    }
}

fn fields(rng: &mut StdRng) -> Payload {
    let mut fields = Payload::new();
    if rng.random_bool(0.7) {
        fields.insert("color".into(), json!(COLORS.choose(rng).unwrap()));
    }
    if rng.random_bool(0.7) {
        fields.insert("n".into(), json!(rng.random_range(0..6)));
    }
    fields
}

/// Of values that f16 holds.
fn vectors(rng: &mut StdRng) -> BTreeMap<String, Vector> {
    let values = |rng: &mut StdRng, count: usize| -> Vec<f32> {
        (0..count).map(|_| f32::from(rng.random_range(-8_i8..8)) / 4.0).collect()
    };
    let mut vectors = BTreeMap::new();
    if rng.random_bool(0.5) {
        vectors.insert("dense".into(), Vector::Dense(values(rng, 3)));
    }
    if rng.random_bool(0.5) {
        let rows = rng.random_range(1..4);
        vectors.insert("tokens".into(), Vector::Multi { values: values(rng, rows * 2), dim: 2 });
    }
    if rng.random_bool(0.6) {
        let indices: BTreeSet<u32> = (0..4).map(|_| rng.random_range(0..9)).collect();
        let values = values(rng, indices.len());
        vectors.insert(
            "words".into(),
            Vector::Sparse { indices: indices.into_iter().collect(), values },
        );
    }
    vectors
}

/// Points that an operation selects; `None` where it names one that isn't there.
fn selected(rng: &mut StdRng, model: &Model) -> (Selector, Option<Vec<PointId>>) {
    if rng.random_bool(0.5) {
        let (json, holds) = condition(rng);
        let ids = model.values().filter(|it| holds(it)).map(|it| it.id).collect();
        return (parsed(&json).into(), Some(ids));
    }
    let known: Vec<PointId> = model.keys().copied().collect();
    let ids: Vec<PointId> = (0..rng.random_range(0..4))
        .map(|_| match known.choose(rng) {
            Some(known) if rng.random_bool(0.85) => *known,
            _ => id(rng),
        })
        .collect();
    let there = ids.iter().all(|id| model.contains_key(id)).then(|| ids.clone());
    (Selector::Ids(ids), there)
}

/// A random operation, made in the model too; `None` instead of the number of points where it fails.
fn operation(rng: &mut StdRng, model: &mut Model) -> (Operation, Option<u64>) {
    match rng.random_range(0..9) {
        0..=2 => upsert(rng, model),
        3 => {
            let (which, ids) = selected(rng, model);
            let ids: Vec<PointId> = match &which {
                Selector::Ids(ids) => ids.clone(),
                _ => ids.unwrap(),
            };
            let deleted = ids.iter().filter(|id| model.remove(id).is_some()).count();
            (Operation::Delete(which), Some(deleted as u64))
        }
        4 => {
            let (points, count) = update_vectors(rng, model);
            (Operation::UpdateVectors { points, filter: None }, count)
        }
        5 => {
            let (which, ids) = selected(rng, model);
            let names = vec![["dense", "tokens", "words"].choose(rng).unwrap().to_string()];
            for id in ids.iter().flatten() {
                model.get_mut(id).unwrap().vectors.remove(&names[0]);
            }
            (Operation::DeleteVectors { which, names }, ids.map(|it| it.len() as u64))
        }
        6 => {
            let (which, ids) = selected(rng, model);
            let fields = fields(rng);
            for id in ids.iter().flatten() {
                payload::merge(&mut model.get_mut(id).unwrap().payload, &fields);
            }
            (Operation::SetPayload { which, fields, key: None }, ids.map(|it| it.len() as u64))
        }
        7 => {
            let (which, ids) = selected(rng, model);
            let payload = fields(rng);
            for id in ids.iter().flatten() {
                model.get_mut(id).unwrap().payload = payload.clone();
            }
            (Operation::OverwritePayload { which, payload }, ids.map(|it| it.len() as u64))
        }
        _ => {
            let (which, ids) = selected(rng, model);
            for id in ids.iter().flatten() {
                model.get_mut(id).unwrap().payload.remove("color");
            }
            let keys = vec!["color".parse().unwrap()];
            (Operation::DeletePayload { which, keys }, ids.map(|it| it.len() as u64))
        }
    }
}

fn upsert(rng: &mut StdRng, model: &mut Model) -> (Operation, Option<u64>) {
    let points: Vec<Point> = (0..rng.random_range(0..8))
        .map(|_| Point { id: id(rng), vectors: vectors(rng), payload: fields(rng) })
        .collect();
    let mode =
        *[UpdateMode::Upsert, UpdateMode::InsertOnly, UpdateMode::UpdateOnly].choose(rng).unwrap();
    let (json, holds) = condition(rng);
    let filtered = rng.random_bool(0.4);
    let before = model.clone();
    let mut count = 0;
    for point in &points {
        let writes = match before.get(&point.id) {
            None => mode != UpdateMode::UpdateOnly,
            Some(old) => mode != UpdateMode::InsertOnly && (!filtered || holds(old)),
        };
        if writes {
            model.insert(point.id, point.clone());
            count += 1;
        }
    }
    let options = UpsertOptions::new().mode(mode);
    let options = if filtered { options.filter(parsed(&json)) } else { options };
    (Operation::Upsert { points, options }, Some(count))
}

fn update_vectors(rng: &mut StdRng, model: &mut Model) -> (Vec<PointVectors>, Option<u64>) {
    let known: Vec<PointId> = model.keys().copied().collect();
    let mut points = Vec::new();
    for id in known.choose_multiple(rng, 3) {
        let vectors = vectors(rng);
        model.get_mut(id).unwrap().vectors.extend(vectors.clone());
        points.push(PointVectors { id: *id, vectors });
    }
    let count = points.len() as u64;
    (points, Some(count))
}

fn check(searcher: &Searcher, model: &Model, rng: &mut StdRng) {
    let snapshot = searcher.collection().snapshot().unwrap();
    assert_eq!(snapshot.len(), model.len());
    for (id, expected) in model {
        assert_eq!(snapshot.get(*id).unwrap().as_ref(), Some(expected));
    }
    for _ in 0..4 {
        let (json, holds) = condition(rng);
        let page = snapshot.scroll(Some(&parsed(&json)), None, 100).unwrap();
        let ids: Vec<PointId> = page.points.iter().map(|(id, _)| *id).collect();
        let expected: Vec<PointId> =
            model.values().filter(|it| holds(it)).map(|it| it.id).collect();
        assert_eq!(ids, expected, "{json}");
    }
    // The inverted index has what the vectors say.
    let index = rng.random_range(0..9);
    let query = Vector::Sparse { indices: vec![index], values: vec![1.0] };
    let found = searcher.query(&QueryRequest::new(query).using("words").limit(100)).unwrap();
    let found: BTreeMap<PointId, f32> = found.points.iter().map(|it| (it.id, it.score)).collect();
    let value = |point: &Point| match point.vectors.get("words") {
        Some(Vector::Sparse { indices, values }) => {
            indices.iter().position(|it| *it == index).map(|at| values[at])
        }
        _ => None,
    };
    let expected = model.values().filter_map(|it| Some((it.id, value(it)?)));
    assert_eq!(found, expected.collect());
}

#[test]
fn a_list_of_operations_does_what_they_do_one_by_one_or_nothing() {
    let mut rng = StdRng::seed_from_u64(4);
    let searcher = Searcher::new(Collection::temporary(config()).unwrap()).unwrap();
    let collection = searcher.collection();
    collection.create_index(PayloadIndex::new("color", IndexKind::Keyword).unwrap()).unwrap();
    let mut model = Model::new();
    let (mut made, mut refused) = (0, 0);
    for _ in 0..400 {
        let before = model.clone();
        let list: Vec<_> =
            (0..rng.random_range(1..6)).map(|_| operation(&mut rng, &mut model)).collect();
        let expected: Option<Vec<u64>> = list.iter().map(|(_, count)| *count).collect();
        let got = collection.apply(list.into_iter().map(|(operation, _)| operation).collect());
        match (got, expected) {
            (Ok(got), Some(expected)) => {
                assert_eq!(got, expected);
                made += 1;
            }
            (Err(Error::UnknownPoint { .. }), None) => {
                model = before;
                refused += 1;
            }
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
        check(&searcher, &model, &mut rng);
    }
    assert!(made > 100 && refused > 10, "{made} lists made, {refused} refused: too few to tell");
}

#[test]
fn single_vectors_change_and_the_others_stay() {
    let collection = Collection::temporary(config()).unwrap();
    let tokens = Vector::Multi { values: vec![1.0, 0.5, -2.0, 0.25], dim: 2 };
    let point = Point::new(1)
        .vector("dense", vec![1.0, 2.0, 3.0])
        .vector("tokens", tokens.clone())
        .payload(object(json!({"a": 1})));
    collection.upsert(vec![point.clone()]).unwrap();
    let dense = PointVectors::new(1).vector("dense", vec![7.0, 8.0, 9.0]);
    assert_eq!(collection.update_vectors(vec![dense]).unwrap(), 1);
    let changed = collection.snapshot().unwrap().get(1.into()).unwrap().unwrap();
    assert_eq!(changed, point.clone().vector("dense", vec![7.0, 8.0, 9.0]));
    assert_eq!(collection.delete_vectors([1], &["tokens", "words"]).unwrap(), 1);
    let changed = collection.snapshot().unwrap().get(1.into()).unwrap().unwrap();
    assert_eq!(changed.vectors.keys().collect::<Vec<_>>(), ["dense"]);
    assert_eq!(changed.payload, point.payload);

    let unknown = collection.update_vectors(vec![PointVectors::new(2)]).unwrap_err();
    assert!(matches!(unknown, Error::UnknownPoint { .. }));
    let wrong = PointVectors::new(1).vector("dense", vec![1.0]);
    let wrong = collection.update_vectors(vec![wrong]).unwrap_err().to_string();
    assert!(wrong.starts_with("point 1: vector \"dense\": "), "{wrong}");
    assert!(matches!(collection.delete_vectors([1], &["x"]), Err(Error::UnknownVector { .. })));
}

#[test]
fn fields_are_set_at_a_key() {
    // Expected from qdrant-client 1.20.0 in its local mode.
    let collection = Collection::temporary(config()).unwrap();
    for (before, key, after) in [
        (json!({}), "a", json!({"a": {"x": 9}})),
        (json!({"a": 1}), "a", json!({"a": {"x": 9}})),
        (json!({"a": {"x": 1, "z": 2}}), "a", json!({"a": {"x": 9}})),
        (json!({"a": {"b": {"x": 0}}}), "a.b", json!({"a": {"b": {"x": 9}}})),
        (json!({"a": 3}), "a.b", json!({"a": {"b": {"x": 9}}})),
        (json!({}), "a.b.c", json!({"a": {"b": {"c": {"x": 9}}}})),
        (
            json!({"l": [{"x": 0}, {"w": 1}, 5]}),
            "l[]",
            json!({"l": [{"x": 9}, {"w": 1, "x": 9}, {"x": 9}]}),
        ),
        (json!({"l": [{"x": 0}, {"w": 1}]}), "l[1]", json!({"l": [{"x": 0}, {"w": 1, "x": 9}]})),
        (json!({"l": [1]}), "l[3]", json!({"l": [1]})),
        (
            json!({"l": [{"o": {"x": 3}}, {}]}),
            "l[].o",
            json!({"l": [{"o": {"x": 9}}, {"o": {"x": 9}}]}),
        ),
        (json!({}), "l[]", json!({"l": []})),
        (json!({"l": 7}), "l[0]", json!({"l": []})),
        (json!({"l": [[{"x": 1}], 2]}), "l[][]", json!({"l": [[{"x": 9}], []]})),
        (json!({"a": [1]}), "a.b", json!({"a": {"b": {"x": 9}}})),
        (json!({"a": {"b": 1}}), "a[].b", json!({"a": []})),
    ] {
        collection.upsert(vec![Point::new(1).payload(object(before.clone()))]).unwrap();
        let fields = object(json!({"x": 9, "z": null}));
        collection.set_payload_at([1], key.parse().unwrap(), &fields).unwrap();
        let got = collection.snapshot().unwrap().get(1.into()).unwrap().unwrap().payload;
        assert_eq!(Value::Object(got), after, "{key} of {before}");
    }
}

#[test]
fn operations_are_read_from_json() {
    let list = json!({"operations": [
        {"upsert": {"points": [{"id": 1, "vector": {"dense": [1, 2, 3]}, "payload": {"a": 1}}],
            "update_mode": "update_only", "update_filter": {"must": {"has_id": [1]}}}},
        {"upsert": {"batch": {"ids": [1, 2], "vectors": {"dense": [[1, 2, 3], [4, 5, 6]]},
            "payloads": [null, {"a": 2}]}}},
        {"delete": {"points": [1, "550e8400e29b41d4a716446655440000"]}},
        {"delete": {"filter": {"must": {"has_id": [1]}}, "shard_key": null}},
        {"set_payload": {"payload": {"a": 1}, "key": "a.b", "points": [1]}},
        {"overwrite_payload": {"payload": {"a": 1}, "points": [1]}},
        {"delete_payload": {"keys": ["a", "b[].c"], "points": [1]}},
        {"clear_payload": {"points": [1]}},
        {"update_vectors": {"points": [{"id": 1, "vector": {"dense": [1, 2, 3]}}]}},
        {"delete_vectors": {"vector": ["dense"], "points": [1]}}
    ]});
    let one: Filter = r#"{"must": {"has_id": [1]}}"#.parse().unwrap();
    let uuid: PointId = "550e8400-e29b-41d4-a716-446655440000".parse().unwrap();
    let (which, fields) = (Selector::Ids(vec![1.into()]), object(json!({"a": 1})));
    let first = Point::new(1).vector("dense", vec![1.0, 2.0, 3.0]);
    let second =
        Point::new(2).vector("dense", vec![4.0, 5.0, 6.0]).payload(object(json!({"a": 2})));
    let expected = vec![
        Operation::Upsert {
            points: vec![first.clone().payload(fields.clone())],
            options: UpsertOptions::new().mode(UpdateMode::UpdateOnly).filter(one.clone()),
        },
        Operation::upsert(vec![first.clone(), second]),
        Operation::Delete(Selector::Ids(vec![1.into(), uuid])),
        Operation::Delete(one.into()),
        Operation::SetPayload {
            which: which.clone(),
            fields: fields.clone(),
            key: Some("a.b".parse().unwrap()),
        },
        Operation::OverwritePayload { which: which.clone(), payload: fields },
        Operation::DeletePayload {
            which: which.clone(),
            keys: vec!["a".parse().unwrap(), "b[].c".parse().unwrap()],
        },
        Operation::ClearPayload(which.clone()),
        Operation::UpdateVectors {
            points: vec![PointVectors { id: 1.into(), vectors: first.vectors }],
            filter: None,
        },
        Operation::DeleteVectors { which, names: vec!["dense".into()] },
    ];
    assert_eq!(Operation::read_all(&list.to_string()).unwrap(), expected);

    for (json, expected) in [
        (json!({"drop": {}}), "expected operation to be an object with one of upsert, delete,"),
        (
            json!({"delete": {"points": [1]}, "upsert": {}}),
            "expected only upsert in operation, got \"delete\"",
        ),
        (
            json!({"delete": {}}),
            "expected operation.delete to be an object with points or with a filter",
        ),
        (
            json!({"delete": {"points": [-1]}}),
            "expected operation.delete.points[0] to be an unsigned integer or a UUID",
        ),
        (
            json!({"upsert": {"points": [], "update_mode": "x"}}),
            "expected operation.upsert.update_mode to be upsert, insert_only or update_only",
        ),
        (
            json!({"upsert": {"batch": {"ids": [1], "vectors": []}}}),
            "expected operation.upsert.batch.vectors to be an array of 1, one for each id",
        ),
        (
            json!({"set_payload": {"points": [1]}}),
            "expected operation.set_payload.payload to be given",
        ),
        (
            json!({"delete": {"points": [1], "shard_key": "a"}}),
            "operation.delete.shard_key: sharding is not supported",
        ),
    ] {
        let got = json.to_string().parse::<Operation>().unwrap_err().to_string();
        assert!(got.starts_with(expected), "expected {expected}, got {got}");
    }
}

#[test]
fn ids_are_read_in_every_form() {
    let uuid: PointId = uuid::uuid!("550e8400-e29b-41d4-a716-446655440000").into();
    for text in [
        "550e8400-e29b-41d4-a716-446655440000",
        "550E8400-E29B-41D4-A716-446655440000",
        "550e8400e29b41d4a716446655440000",
        "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
    ] {
        let read: PointId = serde_json::from_value(json!(text)).unwrap();
        assert_eq!((read, read.to_string()), (uuid, "550e8400-e29b-41d4-a716-446655440000".into()));
    }
    assert_eq!(serde_json::from_value::<PointId>(json!(u64::MAX)).unwrap(), u64::MAX.into());
    assert_eq!(serde_json::from_value::<PointId>(json!(0)).unwrap(), 0.into());
}

#[test]
fn a_point_has_the_version_of_its_last_change() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), config()).unwrap();
    let version = |collection: &Collection, id: u64| {
        let snapshot = collection.snapshot().unwrap();
        let number = snapshot.number(id.into()).unwrap().unwrap();
        (snapshot.version(number).unwrap(), snapshot.transaction())
    };
    collection.upsert(vec![Point::new(1), Point::new(2)]).unwrap();
    let (first, now) = version(&collection, 1);
    assert_eq!(first, now);
    collection.set_payload([2], &object(json!({"a": 1}))).unwrap();
    let (second, now) = version(&collection, 2);
    assert!(second == now && second > first);
    collection.update_vectors(vec![PointVectors::new(2).vector("dense", vec![1.0; 3])]).unwrap();
    let (third, now) = version(&collection, 2);
    assert!(third == now && third > second);
    assert_eq!(version(&collection, 1).0, first);
    drop(collection);
    let collection = Collection::open(directory.path()).unwrap();
    assert_eq!((version(&collection, 1).0, version(&collection, 2).0), (first, third));
}

#[test]
fn a_point_of_version_1_of_the_format_has_version_0() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/collection-v1/data.mdb");
    std::fs::copy(fixture, directory.path().join("data.mdb")).unwrap();
    let collection = Collection::open(directory.path()).unwrap();
    let versions = |collection: &Collection| -> Vec<u64> {
        let snapshot = collection.snapshot().unwrap();
        snapshot.numbers().iter().map(|number| snapshot.version(number).unwrap()).collect()
    };
    let before = versions(&collection);
    assert!(!before.is_empty() && before.iter().all(|version| *version == 0));
    collection.set_payload(Filter::new(), &object(json!({"new": true}))).unwrap();
    assert!(versions(&collection).iter().all(|version| *version > 0));
}

#[test]
fn pages_follow_on_one_another_while_points_are_written() {
    let mut rng = StdRng::seed_from_u64(6);
    let collection = Collection::temporary(config()).unwrap();
    let ids: BTreeSet<PointId> = (0..2000_u64)
        .map(|number| match number % 3 {
            0 => uuid::Uuid::from_u128(u128::from(number * 7919) << 80).into(),
            _ => (number * 104_729 % 100_003).into(),
        })
        .collect();
    let point =
        |(at, id): (usize, &PointId)| Point::new(*id).payload(object(json!({"n": at % 50})));
    collection.upsert(ids.iter().enumerate().map(point).collect()).unwrap();
    let few: Filter = r#"{"must": {"key": "n", "match": {"value": 3}}}"#.parse().unwrap();
    let many: Filter = r#"{"must": {"key": "n", "range": {"lt": 40}}}"#.parse().unwrap();
    let matching = |least: usize, most: usize| {
        let matches = move |(at, _): &(usize, &PointId)| (least..most).contains(&(at % 50));
        ids.iter().enumerate().filter(matches).map(|(_, id)| *id).collect::<Vec<_>>()
    };
    for (filter, expected) in
        [(None, matching(0, 50)), (Some(&few), matching(3, 4)), (Some(&many), matching(0, 40))]
    {
        let (mut offset, mut read) = (None, Vec::new());
        loop {
            let page = collection.snapshot().unwrap().scroll(filter, offset, 37).unwrap();
            assert!(page.points.len() == 37 || page.next.is_none());
            read.extend(page.points.iter().map(|(id, _)| *id));
            offset = page.next;
            if offset.is_none() {
                break;
            }
            // Each gets a new number; new ids that come before are not met any more.
            let again = *ids.iter().collect::<Vec<_>>().choose(&mut rng).unwrap();
            let at = ids.iter().position(|id| id == again).unwrap();
            collection.upsert(vec![point((at, again))]).unwrap();
        }
        assert_eq!(read, expected);
    }
    let snapshot = collection.snapshot().unwrap();
    let from = snapshot.scroll(None, Some(50_000.into()), 1).unwrap();
    assert_eq!(from.points[0].0, *ids.range(PointId::from(50_000)..).next().unwrap());
    assert!(snapshot.scroll(None, None, 0).is_err());
}

#[test]
fn a_list_with_payloads_of_any_depth_is_refused() {
    let collection = Collection::temporary(config()).unwrap();
    let deep = || {
        let inside = (0..100_000).fold(json!(1), |inside, _| Value::Array(vec![inside]));
        Payload::from_iter([("a".to_owned(), inside)])
    };
    let which = || Selector::Ids(vec![1.into()]);
    let list = vec![
        Operation::DeleteVectors { which: which(), names: vec!["x".into()] },
        Operation::SetPayload { which: which(), fields: deep(), key: None },
        Operation::OverwritePayload { which: which(), payload: deep() },
        Operation::upsert(vec![Point::new(1), Point::new(2).payload(deep())]),
    ];
    assert!(matches!(collection.apply(list), Err(Error::UnknownVector { .. })));
    // A payload that is deep because of where it is set.
    collection.upsert(vec![Point::new(1)]).unwrap();
    for levels in [101, 100_000] {
        let key = vec!["a"; levels].join(".").parse().unwrap();
        let error = collection.set_payload_at([1], key, &Payload::new()).unwrap_err().to_string();
        assert_eq!(error, "expected a payload of at most 100 levels, got more");
    }
    let fields = Payload::from_iter([("a".into(), json!([[1]]))]);
    let key = vec!["a"; 100].join(".").parse().unwrap();
    let error = collection.set_payload_at([1], key, &fields).unwrap_err().to_string();
    assert_eq!(error, "point 1: expected a payload of at most 100 levels, got more");
}
