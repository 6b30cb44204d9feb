//! A sparse query finds what a scan of all points in f64 finds, whatever was written and deleted before.
#![cfg(feature = "collection")]

use std::collections::BTreeMap;
use std::path::Path;

use maxfold::collection::{
    Collection, CollectionConfig, Modifier, Point, SparseConfig, Vector, VectorConfig, VectorKind,
};
use maxfold::filter::{Filter, PointId};
use maxfold::recall::Distance;
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{Method, Prefetch, QueryRequest, Searcher, SearcherOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

const IDF: SparseConfig = SparseConfig { modifier: Modifier::Idf };

fn config() -> CollectionConfig {
    CollectionConfig::new()
        .vector("dense", VectorConfig::dense(2, Distance::Dot))
        .sparse_vector("plain", SparseConfig::default())
        .sparse_vector("words", IDF)
}

fn sparse(pairs: &[(u32, f32)]) -> Vector {
    let (indices, values) = pairs.iter().copied().unzip();
    Vector::Sparse { indices, values }
}

// --- Against a scan --------------------------------------------------------------------------------

type Pairs = BTreeMap<u32, f32>;

/// The vectors of a point, by name, and the part of the collection it is in.
type Kept = (BTreeMap<&'static str, Pairs>, u64);

/// Common indices, rare ones, and the last. Values whose products and sums are exact in f32.
fn pairs(rng: &mut StdRng) -> Pairs {
    let count = rng.random_range(0..12);
    let pair = |_| {
        let index = match rng.random_range(0..10) {
            0 => u32::MAX,
            1..6 => rng.random_range(0..5),
            _ => rng.random_range(0..3000),
        };
        (index, rng.random_range(-64..65) as f32 / 64.0)
    };
    (0..count).map(pair).collect()
}

/// In any order.
fn shuffled(pairs: &Pairs, rng: &mut StdRng) -> Vector {
    let mut pairs: Vec<_> = pairs.iter().map(|(index, value)| (*index, *value)).collect();
    rand::seq::SliceRandom::shuffle(&mut pairs[..], rng);
    sparse(&pairs)
}

struct World {
    searcher: Searcher,
    kept: BTreeMap<u64, Kept>,
}

fn open(path: &Path) -> Searcher {
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(Collection::open(path).unwrap(), options).unwrap()
}

impl World {
    /// Writes points, some of which are there, or twice in the call.
    fn upsert(&mut self, count: u64, rng: &mut StdRng) {
        let mut points = Vec::new();
        for _ in 0..count {
            let (id, part) = (rng.random_range(0..4000), rng.random_range(0..10));
            let mut point = Point::new(id);
            let mut kept = BTreeMap::new();
            for name in ["plain", "words"] {
                if rng.random_bool(0.8) {
                    let pairs = pairs(rng);
                    point = point.vector(name, shuffled(&pairs, rng));
                    kept.insert(name, pairs);
                }
            }
            let payload = json!({"part": part});
            points.push(point.payload(payload.as_object().unwrap().clone()));
            self.kept.insert(id, (kept, part));
        }
        self.searcher.collection().upsert(points).unwrap();
    }

    fn delete(&mut self, count: u64, rng: &mut StdRng) {
        let ids: Vec<u64> = (0..count).map(|_| rng.random_range(0..4000)).collect();
        ids.iter().for_each(|id| drop(self.kept.remove(id)));
        let ids: Vec<PointId> = ids.into_iter().map(PointId::from).collect();
        self.searcher.collection().delete(ids).unwrap();
    }

    /// Scores of all points that have an index of the query, in f64, best first, and how far a sum in
    /// f32 may be from each.
    /// Frequencies are those in the part `corpus`.
    fn expected(
        &self,
        name: &str,
        query: &Pairs,
        part: Option<u64>,
        corpus: Option<u64>,
    ) -> Vec<(u64, f64, f64)> {
        let counted = self.kept.values().filter(|(_, its)| corpus.is_none_or(|it| it == *its));
        let vectors: Vec<_> = counted.filter_map(|(it, _)| it.get(name)).collect();
        let idf = |index: &u32| {
            let df = vectors.iter().filter(|it| it.contains_key(index)).count() as f64;
            ((vectors.len() as f64 - df + 0.5) / (df + 0.5) + 1.0).ln()
        };
        let factor = |index: &u32| if name == "words" { idf(index) } else { 1.0 };
        let query: Vec<_> = query
            .iter()
            .map(|(index, value)| (*index, f64::from(*value) * factor(index)))
            .collect();
        let mut scores = Vec::new();
        for (id, (vectors, its)) in &self.kept {
            let Some(vector) = vectors.get(name).filter(|_| part.is_none_or(|it| it == *its))
            else {
                continue;
            };
            let common = query
                .iter()
                .filter_map(|(index, value)| Some(value * f64::from(*vector.get(index)?)));
            let products: Vec<f64> = common.collect();
            if !products.is_empty() {
                // Roundings of a factor, its product, and each sum.
                let roundings = if name == "words" { products.len() as f64 + 3.0 } else { 0.0 };
                let size: f64 = products.iter().map(|it| it.abs()).sum();
                scores.push((
                    *id,
                    products.iter().sum::<f64>() + 0.0,
                    size * roundings * f64::from(f32::EPSILON),
                ));
            }
        }
        scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scores
    }

    fn check(&self, name: &'static str, limit: usize, part: Option<u64>, rng: &mut StdRng) {
        let query = pairs(rng);
        let counts = name == "words" && rng.random_bool(0.5);
        let corpus = counts.then(|| rng.random_range(0..11));
        let expected = self.expected(name, &query, part, corpus);
        let mut request = QueryRequest::new(shuffled(&query, rng)).using(name).limit(limit);
        let of_part = |part| json!({"must": {"key": "part", "match": {"value": part}}});
        if let Some(part) = part {
            request = request.filter(of_part(part).to_string().parse::<Filter>().unwrap());
        }
        if let Some(corpus) = corpus {
            let json = json!({"query": {"indices": [], "values": []}, "params": {"idf": {"corpus": of_part(corpus)}}});
            let read: QueryRequest = json.to_string().parse().unwrap();
            request.idf_corpus = read.idf_corpus;
            let again: QueryRequest = serde_json::to_string(&request).unwrap().parse().unwrap();
            assert_eq!(again.idf_corpus, request.idf_corpus);
        }
        let response = self.searcher.query(&request).unwrap();
        let Method::Sparse { indices, .. } = response.plan.query.method else { panic!() };
        assert_eq!(indices, query.len());
        assert_eq!(response.points.len(), expected.len().min(limit));
        for (at, point) in response.points.iter().enumerate() {
            let PointId::Number(id) = point.id else { panic!() };
            let (_, score, within) = expected.iter().find(|it| it.0 == id).unwrap();
            assert!(
                (f64::from(point.score) - score).abs() <= *within,
                "{} is not {score}",
                point.score
            );
            // The place is that of an equal score; of an exact one, its own.
            let (there, other, over) = expected[at];
            assert!((other - score).abs() <= within + over, "{id} in the place of {there}");
            assert!(name == "words" || id == there, "{id} in the place of {there}");
        }
    }
}

#[test]
fn sparse_queries_find_what_a_scan_finds() {
    let mut rng = StdRng::seed_from_u64(1);
    let directory = tempfile::tempdir().unwrap();
    drop(Collection::create(directory.path(), config()).unwrap());
    let mut world = World { searcher: open(directory.path()), kept: BTreeMap::new() };
    // Numbers of points are never given again: they run through many blocks.
    for round in 0..30 {
        world.upsert(1200, &mut rng);
        world.delete([0, 30, 3000][round % 3], &mut rng);
        if round % 7 == 0 {
            world.searcher.close().unwrap();
            world.searcher = open(directory.path());
        }
        for name in ["plain", "words"] {
            for limit in [1, 10, 100_000] {
                world.check(name, limit, None, &mut rng);
                world.check(name, limit, Some(rng.random_range(0..10)), &mut rng);
            }
        }
    }
    let collection = world.searcher.collection();
    let snapshot = collection.snapshot().unwrap();
    assert!(snapshot.next_number() > 2 * 16_384);
    for (id, (vectors, _)) in &world.kept {
        let got = snapshot.get((*id).into()).unwrap().unwrap().vectors;
        assert_eq!(got.len(), vectors.len());
        for (name, pairs) in vectors {
            // In the order of their indices.
            let pairs: Vec<_> = pairs.iter().map(|(index, value)| (*index, *value)).collect();
            assert_eq!(got[*name], sparse(&pairs));
        }
    }
    // When all are gone, nothing is left of the index.
    let all: Vec<PointId> = world.kept.keys().map(|it| PointId::from(*it)).collect();
    drop(snapshot);
    collection.delete(all).unwrap();
    assert_eq!(collection.statistics().unwrap().bytes["postings"], 0);
}

/// What two stages find, one by a sparse vector, is ranked by the other.
#[test]
fn a_sparse_prefetch_is_reranked() {
    let collection = Collection::temporary(config()).unwrap();
    let point = |id: u64, word: f32| {
        let dense = vec![id as f32, 1.0];
        Point::new(id).vector("dense", dense).vector("plain", sparse(&[(7, word)]))
    };
    collection.upsert((0..20).map(|id| point(id, -(id as f32))).collect()).unwrap();
    let searcher = Searcher::new(collection).unwrap();
    let prefetch = Prefetch::new(sparse(&[(7, 1.0), (9, 1.0)])).using("plain").limit(4);
    let request = QueryRequest::new(vec![1.0, 0.0]).using("dense").prefetch(prefetch).limit(2);
    let response = searcher.query(&request).unwrap();
    let ids: Vec<PointId> = response.points.iter().map(|it| it.id).collect();
    assert_eq!(ids, [3.into(), 2.into()]);
    assert!(response.plan.to_string().contains("20 postings of 2 indices"), "{}", response.plan);
}

// --- What is given ----------------------------------------------------------------------------------

#[test]
fn sparse_vectors_of_a_configuration_are_read_and_written() {
    let text = json!({
        "vectors": {"dense": {"size": 2, "distance": "Dot", "hnsw_config": {"m": 16, "ef_construct": 100}}},
        "sparse_vectors": {
            "plain": {"index": {"full_scan_threshold": 5000, "on_disk": true}},
            "words": {"modifier": "idf"},
        },
    });
    let read: CollectionConfig = text.to_string().parse().unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), text);
    assert_eq!(read.get("words").unwrap().kind, VectorKind::Sparse(IDF));
    assert_eq!(read.get("plain").unwrap().kind, VectorKind::Sparse(SparseConfig::default()));
    let directory = tempfile::tempdir().unwrap();
    drop(Collection::create(directory.path(), read.clone()).unwrap());
    assert_eq!(*Collection::open(directory.path()).unwrap().config(), read);
    let other: CollectionConfig =
        r#"{"vectors": {}, "sparse_vectors": {"words": {}}}"#.parse().unwrap();
    assert!(read.difference(&other).is_some());

    let refused = [
        (json!({"a": {"modifier": "tf"}}), "config.sparse_vectors.a.modifier to be none or idf"),
        (json!({"a": {"size": 3}}), "expected only modifier in config.sparse_vectors.a"),
        (json!({"": {}}), "a sparse vector's name to be one that is not empty"),
        (json!({"dense": {}}), "config.sparse_vectors.dense to be a name that no other vector has"),
        (json!({"a": {"index": {"datatype": "turbo4"}}}), "sparse vectors do not support others"),
        (json!({"a": {"index": "fast"}}), "config.sparse_vectors.a.index to be an object"),
    ];
    for (sparse, expected) in refused {
        let mut config = text.clone();
        config["sparse_vectors"] = sparse;
        let error = config.to_string().parse::<CollectionConfig>().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn sparse_vectors_are_checked() {
    let collection = Collection::temporary(config()).unwrap();
    let refused = |vector: Vector, expected: &str| {
        let point = Point::new(1).vector("plain", vector);
        let error = collection.upsert(vec![Point::new(2), point]).unwrap_err().to_string();
        assert!(error.starts_with("point 1: ") && error.contains(expected), "{error}");
    };
    refused(Vector::Sparse { indices: vec![1, 2], values: vec![1.0] }, "2 values, got 1");
    refused(sparse(&[(5, 1.0), (1, 1.0), (5, 2.0)]), "each index once, got 5 again");
    refused(sparse(&[(5, 1.0), (1, f32::NAN)]), "NaN");
    refused(vec![1.0].into(), "expected a sparse vector as vector \"plain\", got one");
    let point = Point::new(1).vector("dense", sparse(&[]));
    let error = collection.upsert(vec![point]).unwrap_err().to_string();
    assert!(error.contains("expected one vector as vector \"dense\", got a sparse one"), "{error}");
    assert!(collection.snapshot().unwrap().is_empty());

    let read = |text: &str| text.parse::<Point>().map_err(|error| error.to_string());
    let point =
        read(r#"{"id": 1, "vector": {"plain": {"values": [0.1, 2], "indices": [4294967295, 3]}}}"#);
    let point = point.unwrap();
    assert_eq!(point.vectors["plain"], sparse(&[(3, 2.0), (u32::MAX, 0.1)]));
    let written: Value = serde_json::to_value(&point.vectors["plain"]).unwrap();
    assert_eq!(written.to_string(), r#"{"indices":[3,4294967295],"values":[2.0,0.1]}"#);
    for (vector, expected) in [
        (r#"{"indices": [4294967296], "values": [1]}"#, "indices[0] to be an integer of 32 bits"),
        (r#"{"indices": [1]}"#, "values"),
        (r#"{"indices": [1, 1], "values": [1, 2]}"#, "each index once"),
    ] {
        let error = read(&format!(r#"{{"id": 1, "vector": {{"plain": {vector}}}}}"#)).unwrap_err();
        assert!(error.contains("point.vector.plain") && error.contains(expected), "{error}");
    }
}
