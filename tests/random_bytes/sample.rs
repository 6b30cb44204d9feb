//! A small collection with everything: dense vectors and multivectors, with and without a graph, payloads
//! of every kind, payload indexes.

use std::path::Path;

use maxfold::collection::{Collection, PayloadIndex, Point, Vector};
use maxfold::filter::{IndexKind, Payload, PointId};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{Searcher, SearcherOptions};
use rand::prelude::*;
use serde_json::{Value, json};

use crate::trees;

pub const CONFIG: &str = r#"{"vectors": {
    "v": {"size": 3, "distance": "Cosine", "hnsw_config": {"m": 4, "ef_construct": 16}},
    "q": {"size": 3, "distance": "Euclid", "hnsw_config": {"m": 0}},
    "": {"size": 2, "distance": "Dot", "hnsw_config": {"m": 2, "ef_construct": 4}},
    "t": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}
}}"#;

pub const VECTORS: [&str; 4] = ["v", "q", "", "t"];

/// Payloads, to be changed.
pub fn payloads() -> Vec<Value> {
    vec![
        json!({"a": "red", "b": 1, "t": "2024-02-29T12:00:00Z", "l": [{"a": 1, "b": 2.5}, {"a": 3}]}),
        json!({"a": ["red", "a"], "b": [-1, 0.5, null], "o": {"a": true}, "x y": {"a": "red"}}),
        json!({"a": null, "b": 9_007_199_254_740_993_i64, "o": {"a": null, "b": []}, "l": []}),
        json!({"b": 1e300, "t": ["2024-03-01", "no time"], "l": [[1, 2], {"a": ["b"]}, 3, null]}),
    ]
}

/// A collection of 60 points, the same each time.
pub fn searcher(directory: &Path) -> Searcher {
    let collection = Collection::create(directory, CONFIG.parse().unwrap()).unwrap();
    for (key, kind) in [
        ("a", IndexKind::Keyword),
        ("b", IndexKind::Integer),
        ("b", IndexKind::Keyword),
        ("l[].a", IndexKind::Float),
        ("t", IndexKind::Datetime),
        ("o.a", IndexKind::Bool),
    ] {
        collection.create_index(PayloadIndex::new(key, kind).unwrap()).unwrap();
    }
    let mut rng = StdRng::seed_from_u64(1);
    collection.upsert((0..60).map(|at| point(&mut rng, at)).collect()).unwrap();
    searcher_of(collection).unwrap()
}

/// On the CPU, whatever the machine has.
pub fn searcher_of(collection: Collection) -> maxfold::Result<Searcher> {
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(collection, options)
}

fn point(rng: &mut StdRng, at: u64) -> Point {
    let id: PointId = match at % 3 {
        0 => uuid::Uuid::from_u128(u128::from(at) << 64).into(),
        _ => at.into(),
    };
    let payload = loop {
        if let Value::Object(payload) = trees::tree(rng, &payloads()) {
            break payload;
        }
    };
    let mut point = Point::new(id).payload(payload as Payload);
    for name in VECTORS {
        if rng.random_bool(0.8) {
            let rows = rng.random_range(1..5);
            let values = |rng: &mut StdRng, count| {
                (0..count).map(|_| rng.random_range(1..4_i8) as f32 - 1.5).collect::<Vec<_>>()
            };
            let vector = match name {
                "t" => Vector::Multi { values: values(rng, rows * 2), dim: 2 },
                "" => values(rng, 2).into(),
                _ => values(rng, 3).into(),
            };
            point = point.vector(name, vector);
        }
    }
    point
}
