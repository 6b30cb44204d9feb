//! Doors: configurations in JSON, and points a line.

use std::fs;

use maxfold::Result;
use maxfold::collection::{
    Collection, CollectionConfig, ConfigChange, Point, PointLines, Vector, VectorKind,
};
use maxfold::search::QueryRequest;
use rand::prelude::*;
use serde_json::{Value, json};

use crate::{mutate, sample, trees, trials};

fn configs() -> Vec<Value> {
    vec![
        serde_json::from_str(sample::CONFIG).unwrap(),
        json!({"vectors": {"size": 4, "distance": "Dot"}, "on_disk_payload": true}),
        json!({"vectors": {"a": {"size": 7, "distance": "Euclid", "datatype": "float32", "on_disk": true}},
            "hnsw_config": {"m": 8, "ef_construct": 9, "ef_search": 5}, "optimizers_config": {"flush_interval_sec": 1}}),
    ]
}

/// A collection with any configuration that is read is made, opened again, and answers.
#[test]
fn configurations_work() {
    let _alone = trials::alone();
    let seeds = configs();
    let input = |rng: &mut StdRng| {
        let tree = trees::tree(rng, &seeds);
        trees::text(rng, &tree)
    };
    trials::door("configurations", input, |text| {
        let Ok(config) = text.parse::<CollectionConfig>() else { return false };
        assert_comes_back(&config);
        let directory = tempfile::tempdir().unwrap();
        let collection = Collection::create(directory.path(), config.clone()).unwrap();
        let vectors = || config.vectors().map(|(name, it)| (name, constant(it.kind, it.size)));
        let point = vectors().fold(Point::new(1), |point, (name, it)| point.vector(name, it));
        collection.upsert(vec![point]).unwrap();
        drop(collection);
        let collection = Collection::open(directory.path()).unwrap();
        assert_eq!(*collection.config(), config);
        let searcher = sample::searcher_of(collection).unwrap();
        for (name, vector) in vectors() {
            let response = searcher.query(&QueryRequest::new(vector).using(name)).unwrap();
            assert_eq!(response.points.len(), 1, "{name}");
        }
        true
    });
}

/// It is the same in JSON, and shown the same again.
fn assert_comes_back(config: &CollectionConfig) {
    let shown = serde_json::to_string(config).unwrap();
    let again = shown.parse::<CollectionConfig>().unwrap();
    assert_eq!(again, *config);
    assert_eq!(serde_json::to_string(&again).unwrap(), shown);
}

fn changes() -> Vec<Value> {
    vec![
        json!({"vectors": {"v": {"hnsw_config": {"m": 8, "ef_construct": 9}, "on_disk": true}, "": {"quantization_config": "Disabled"}}}),
        json!({"sparse_vectors": {"w": {"modifier": "idf", "index": {}}}, "params": {"on_disk_payload": true}}),
        json!({"hnsw_config": {"m": 0, "ef_search": 7}, "metadata": {"a": null, "b": [1]}, "optimizer_config": {}}),
    ]
}

/// A change is made as a whole, to a configuration that comes back, or not at all.
#[test]
fn changes_of_configurations_work() {
    let _alone = trials::alone();
    let seeds = changes();
    let mut config: Value = serde_json::from_str(sample::CONFIG).unwrap();
    config["sparse_vectors"] = json!({"w": {}});
    let collection = Collection::temporary(config.to_string().parse().unwrap()).unwrap();
    let input = |rng: &mut StdRng| {
        let tree = trees::tree(rng, &seeds);
        trees::text(rng, &tree)
    };
    trials::door("changes of configurations", input, |text| {
        let Ok(change) = text.parse::<ConfigChange>() else { return false };
        let before = collection.config();
        let made = collection.update_config(&change).is_ok();
        assert!(made || collection.config() == before);
        assert_comes_back(&collection.config());
        made
    });
}

fn constant(kind: VectorKind, size: usize) -> Vector {
    let values = vec![0.5; size];
    match kind {
        VectorKind::Dense(_) => values.into(),
        VectorKind::Sparse(_) => Vector::Sparse { indices: vec![7], values: vec![0.5] },
        _ => Vector::Multi { values, dim: size },
    }
}

fn points() -> Vec<Value> {
    let mut points = vec![
        json!({"id": 1, "vector": {"v": [1, 0.5, -1], "": [0.25, 3], "t": [[1, 0], [0, 1]]}}),
        json!({"id": "550e8400-e29b-41d4-a716-446655440000", "vector": [1, 2], "payload": {"a": 1}}),
    ];
    points.extend(sample::payloads().into_iter().map(|it| json!({"id": 2, "payload": it})));
    points
}

/// Points of a file are in the collection as they stand in the file, the last of each id; or nothing is.
#[test]
fn points_are_kept_as_given() {
    let _alone = trials::alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("points.jsonl");
    let config = sample::CONFIG.replace("Cosine", "Dot").parse().unwrap();
    let collection = Collection::create(directory.path().join("c"), config).unwrap();
    let seeds = points();
    let input = |rng: &mut StdRng| {
        let lines = (0..rng.random_range(1..4)).map(|_| trees::tree(rng, &seeds).to_string());
        let text = lines.collect::<Vec<_>>().join("\n").into_bytes();
        if rng.random_bool(0.5) { text } else { mutate::bytes(rng, text) }
    };
    let shown = |rng: &mut StdRng| String::from_utf8_lossy(&input(rng)).into_owned();
    trials::door("points", shown, |text| {
        fs::write(&path, text).unwrap();
        let Ok(points) = PointLines::open(&path).and_then(Iterator::collect::<Result<Vec<Point>>>)
        else {
            return false;
        };
        let kept = collection.upsert(points.clone()).is_ok();
        let snapshot = collection.snapshot().unwrap();
        for (at, point) in points.iter().enumerate() {
            let last = points[at + 1..].iter().all(|it| it.id != point.id);
            match snapshot.get(point.id).unwrap() {
                Some(found) if last => same(&found, point),
                found => assert!(!kept && found.is_none() || !last),
            }
        }
        drop(snapshot);
        collection.delete(maxfold::filter::Filter::new()).unwrap();
        kept
    });
}

/// One row of tokens is a multivector too.
fn same(found: &Point, given: &Point) {
    let mut given = given.clone();
    if let Some(vector) = given.vectors.get_mut("t")
        && let Vector::Dense(row) = vector
    {
        let values = std::mem::take(row);
        *vector = Vector::Multi { dim: values.len(), values };
    }
    assert_eq!(*found, given);
}
