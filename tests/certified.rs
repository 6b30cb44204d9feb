//! Multivectors kept in int8 beside f16: answers are those of a collection without, to the bit, whatever happens to it.
#![cfg(feature = "collection")]

#[cfg(feature = "gpu")]
mod support;

use maxfold::collection::{Collection, CollectionConfig, Datatype, Point, Vector, VectorConfig};
use maxfold::filter::Filter;
use maxfold::maxsim::{CpuMaxSim, InstructionSet};
use maxfold::recall::Distance;
use maxfold::rerank::Reranker;
use maxfold::search::{Certified, Method, QueryRequest, QueryResponse, Searcher, SearcherOptions};
use rand::prelude::*;
use serde_json::json;

const DIM: usize = 32;
const POINTS: u64 = 1_000;

/// Rows around a few topics, as those of texts are; every tenth point is its neighbour's twin.
fn rows(id: u64, count: usize) -> Vector {
    let id = if id % 10 == 9 { id - 1 } else { id };
    let mut rng = StdRng::seed_from_u64(id);
    let mut values = Vec::with_capacity(count * DIM);
    for _ in 0..count {
        let topic = rng.random_range(0..40);
        let mut centre = StdRng::seed_from_u64(1_000_000 + topic);
        let near = |_| centre.random_range(-1.0..1.0_f32) + rng.random_range(-0.5..0.5);
        values.extend((0..DIM).map(near));
    }
    Vector::Multi { values, dim: DIM }
}

fn point(id: u64) -> Point {
    let payload = json!({"group": id % 7});
    let tokens = rows(id, 1 + (id % 10 / 2 * 2) as usize);
    Point::new(id).vector("t", tokens).payload(payload.as_object().unwrap().clone())
}

fn config(vector: VectorConfig) -> CollectionConfig {
    CollectionConfig::new().vector("t", vector)
}

fn searcher(collection: Collection, set: InstructionSet) -> Searcher {
    let reranker = Reranker::on_cpu(CpuMaxSim::new().with_instruction_set(set));
    Searcher::with_options(collection, SearcherOptions::new().reranker(reranker)).unwrap()
}

/// On a GPU that keeps so much; `None` where there is none.
#[cfg(feature = "gpu")]
fn on_gpu(collection: Collection, resident_bytes: u64) -> Option<Searcher> {
    let gpu = support::gpu_context(maxfold::gpu::GpuOptions::default())?;
    let options = SearcherOptions::new().reranker(Reranker::on_gpu(gpu));
    let options = options.resident_bytes(resident_bytes);
    Some(Searcher::with_options(collection, options).unwrap())
}

/// Requests, some with a filter; how many of their answers were certified.
fn check(exact: &Searcher, quantized: &Searcher, name: &str) -> usize {
    compare(exact, quantized, name, |certified, allowed| {
        let Certified { bounded, scored, .. } = certified;
        assert!(bounded as u64 == allowed && scored < bounded / 2, "{name}");
    })
}

/// The same where not all may be bounded.
#[cfg(feature = "gpu")]
fn check_gpu(exact: &Searcher, quantized: &Searcher, name: &str) -> usize {
    compare(exact, quantized, name, |certified, allowed| {
        assert!(
            certified.bounded as u64 <= allowed && certified.scored as u64 <= allowed,
            "{name}"
        );
    })
}

fn compare(
    exact: &Searcher,
    quantized: &Searcher,
    name: &str,
    check: impl Fn(Certified, u64),
) -> usize {
    let mut certified = 0;
    for round in 0..12 {
        let filter: Filter = match round % 3 {
            0 => Filter::new(),
            1 => r#"{"must_not": {"key": "group", "match": {"value": 3}}}"#.parse().unwrap(),
            _ => r#"{"must": {"key": "group", "match": {"any": [1, 2, 4]}}}"#.parse().unwrap(),
        };
        let limit = [1, 5, 17, 400][round % 4];
        let query = rows(50_000 + round as u64, 9);
        let request = QueryRequest::new(query).using("t").filter(filter).limit(limit);
        let (expected, got) = (exact.query(&request).unwrap(), quantized.query(&request).unwrap());
        let bits = |it: &QueryResponse| -> Vec<_> {
            it.points.iter().map(|point| (point.id, point.score.to_bits())).collect()
        };
        assert_eq!(bits(&got), bits(&expected), "{name}: round {round}");
        let Method::MaxSim { certified: None, .. } = expected.plan.query.method else {
            panic!("{name}: {:?}", expected.plan.query.method)
        };
        let Method::MaxSim { certified: it, .. } = got.plan.query.method else { panic!() };
        if let Some(it) = it {
            let Certified { bounded, scored, .. } = it;
            check(it, got.plan.query.allowed);
            assert!(
                got.plan.to_string().contains(&format!("certified: {bounded} bounded, {scored}"))
            );
            certified += 1;
        }
    }
    certified
}

/// Changes of all kinds, the same for both.
fn change(collection: &Collection) {
    collection
        .delete((0..POINTS).filter(|id| id % 11 == 0).map(Into::into).collect::<Vec<_>>())
        .unwrap();
    collection.upsert((900..1_100).map(point).collect()).unwrap();
    let new = |id: u64| maxfold::collection::PointVectors {
        id: id.into(),
        vectors: [("t".to_owned(), rows(id + 7_000, 5))].into(),
    };
    collection.update_vectors((100..200).filter(|id| id % 11 != 0).map(new).collect()).unwrap();
    collection
        .delete_vectors(
            (300..310).filter(|id| id % 11 != 0).map(Into::into).collect::<Vec<_>>(),
            &["t"],
        )
        .unwrap();
}

#[test]
fn answers_are_the_same() {
    let sets = InstructionSet::available();
    for (datatype, distance) in [
        (Datatype::Float16, Distance::Cosine),
        (Datatype::Float32, Distance::Cosine),
        (Datatype::Float32, Distance::Dot),
    ] {
        let vector = VectorConfig::multi(DIM, distance).datatype(datatype);
        let collection = |vector: VectorConfig| {
            let directory = tempfile::tempdir().unwrap();
            let collection = Collection::create(directory.path(), config(vector)).unwrap();
            collection.upsert((0..POINTS).map(point).collect()).unwrap();
            change(&collection);
            drop(collection);
            directory
        };
        let (exact, quantized) = (collection(vector.clone()), collection(vector.int8()));
        for &set in &sets {
            let open = |at: &tempfile::TempDir| searcher(Collection::open(at.path()).unwrap(), set);
            let certified = check(&open(&exact), &open(&quantized), &format!("{set} {datatype:?}"));
            let has_integers = ["avx2", "avx512"].contains(&set.name());
            assert!(!has_integers || certified >= 6, "{set}: {certified}");
            assert!(has_integers || certified == 0, "{set}: {certified}");
        }
    }
}

/// `update_config` makes them for what is there, and drops them.
#[test]
fn int8_comes_and_goes() {
    let vector = VectorConfig::multi(DIM, Distance::Cosine);
    let exact = Collection::temporary(config(vector.clone())).unwrap();
    let quantized = Collection::temporary(config(vector)).unwrap();
    for collection in [&exact, &quantized] {
        collection.upsert((0..POINTS).map(point).collect()).unwrap();
    }
    let bytes =
        |searcher: &Searcher| searcher.collection().statistics().unwrap().bytes["quantized"];
    let set = InstructionSet::detect();
    let (exact, quantized) = (searcher(exact, set), searcher(quantized, set));
    assert_eq!(check(&exact, &quantized, "before"), 0);
    assert_eq!(bytes(&quantized), 0);

    let int8 = json!({"vectors": {"t": {"quantization_config": {"scalar": {"type": "int8"}}}}});
    quantized.collection().update_config(&int8.to_string().parse().unwrap()).unwrap();
    let rows: u64 = (0..POINTS).map(|id| 1 + id % 10 / 2 * 2).sum();
    assert!(bytes(&quantized) >= rows * (DIM as u64 + 6), "{}", bytes(&quantized));
    let certified = check(&exact, &quantized, "made");
    change(exact.collection());
    change(quantized.collection());
    assert_eq!(check(&exact, &quantized, "changed"), certified);

    let off = json!({"vectors": {"t": {"quantization_config": "Disabled"}}});
    quantized.collection().update_config(&off.to_string().parse().unwrap()).unwrap();
    assert_eq!(bytes(&quantized), 0);
    assert_eq!(check(&exact, &quantized, "dropped"), 0);

    // Said of the whole collection, it is meant, too.
    let all = json!({"quantization_config": {"scalar": {"type": "int8"}}});
    quantized.collection().update_config(&all.to_string().parse().unwrap()).unwrap();
    assert_eq!(check(&exact, &quantized, "said of all"), certified);
}

/// Of other kinds of quantization, of dense vectors and of distances that are no products, it is a hint, as before.
#[test]
fn other_quantization_is_a_hint() {
    for json in [
        r#"{"vectors": {"t": {"size": 4, "distance": "Dot", "quantization_config": {"scalar": {"type": "int8"}}}}}"#,
        r#"{"vectors": {"t": {"size": 4, "distance": "Euclid", "multivector_config": {"comparator": "max_sim"},
            "quantization_config": {"scalar": {"type": "int8"}}}}}"#,
        r#"{"vectors": {"t": {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"},
            "quantization_config": {"binary": {}}}}}"#,
    ] {
        let config: CollectionConfig = json.parse().unwrap();
        let given: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(
            serde_json::to_value(&config).unwrap()["vectors"]["t"]["quantization_config"],
            given["vectors"]["t"]["quantization_config"]
        );
        let is_multi = json.contains("max_sim");
        let collection = Collection::temporary(config).unwrap();
        let vector = match is_multi {
            true => Vector::Multi { values: vec![0.5; 8], dim: 4 },
            false => Vector::Dense(vec![0.5; 4]),
        };
        collection.upsert(vec![Point::new(1).vector("t", vector)]).unwrap();
        assert_eq!(collection.statistics().unwrap().bytes["quantized"], 0);
    }
}

/// A backup has them; a collection in which int8 was not kept when it was written gets them when it is opened.
#[test]
fn a_backup_has_them() {
    let vector = VectorConfig::multi(DIM, Distance::Dot).int8();
    let collection = Collection::temporary(config(vector)).unwrap();
    collection.upsert((0..POINTS).map(point).collect()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy");
    collection.backup(&copy).unwrap();
    let bytes = |it: &Collection| it.statistics().unwrap().bytes["quantized"];
    let copied = Collection::open_read_only(&copy).unwrap();
    assert!(bytes(&copied) > 0 && bytes(&copied) <= bytes(&collection));
}

/// Rows of all points.
#[cfg(feature = "gpu")]
const ROWS: u64 = POINTS * 5;

/// Resident in both formats, in int8 alone, and in part.
#[cfg(feature = "gpu")]
#[test]
fn answers_of_a_gpu_are_the_same() {
    let vector = VectorConfig::multi(DIM, Distance::Cosine);
    let collection = |vector: &VectorConfig, points: std::ops::Range<u64>| {
        let collection = Collection::temporary(config(vector.clone())).unwrap();
        collection.upsert(points.map(point).collect()).unwrap();
        collection
    };
    let (int8_bytes, f16_bytes) = (ROWS * (DIM as u64 + 4), ROWS * 2 * DIM as u64);
    for (name, budget, expected_bytes) in [
        ("both", 2 * (int8_bytes + f16_bytes), Some(int8_bytes + f16_bytes)),
        ("int8 alone", int8_bytes * 5 / 4, Some(int8_bytes)),
        ("a part", int8_bytes / 2, None),
    ] {
        let Some(exact) = on_gpu(collection(&vector, 0..POINTS), 1 << 30) else { return };
        let quantized = on_gpu(collection(&vector.clone().int8(), 0..POINTS), budget).unwrap();
        let bytes = || quantized.statistics().unwrap().resident_bytes["t"];
        match expected_bytes {
            Some(expected) => assert_eq!(bytes(), expected, "{name}"),
            None => assert!(bytes() <= budget && bytes() > budget * 9 / 10, "{name}"),
        }
        // What is in both is too few points for bounds to pay.
        let certified = check_gpu(&exact, &quantized, name);
        assert!(
            if name == "both" { certified == 0 } else { certified >= 6 },
            "{name}: {certified}"
        );
        change(exact.collection());
        change(quantized.collection());
        assert!(check_gpu(&exact, &quantized, name) >= certified, "{name}: before it follows");
        exact.flush().unwrap();
        quantized.flush().unwrap();
        assert!(bytes() <= budget, "{name}");
        check_gpu(&exact, &quantized, name);
    }
}

/// Turned on and off while it is searched.
#[cfg(feature = "gpu")]
#[test]
fn int8_comes_and_goes_on_a_gpu() {
    let collection =
        Collection::temporary(config(VectorConfig::multi(DIM, Distance::Dot))).unwrap();
    collection.upsert((0..POINTS).map(point).collect()).unwrap();
    let Some(searcher) = on_gpu(collection, 1 << 30) else { return };
    let bytes = || searcher.statistics().unwrap().resident_bytes["t"];
    let (int8_bytes, f16_bytes) = (ROWS * (DIM as u64 + 4), ROWS * 2 * DIM as u64);
    assert_eq!(bytes(), f16_bytes);
    let configured = |what: serde_json::Value| {
        let change = json!({"vectors": {"t": {"quantization_config": what}}});
        searcher.collection().update_config(&change.to_string().parse().unwrap()).unwrap();
        searcher.flush().unwrap();
    };
    configured(json!({"scalar": {"type": "int8"}}));
    assert_eq!(bytes(), f16_bytes + int8_bytes);
    let request = QueryRequest::new(rows(1, 5)).using("t").limit(5);
    let plan = searcher.query(&request).unwrap().plan.to_string();
    assert!(
        plan.contains("too few candidates for bounds to pay, as they are resident in f16"),
        "{plan}"
    );
    configured(json!("Disabled"));
    assert_eq!(bytes(), f16_bytes);
    let plan = searcher.query(&request).unwrap().plan.to_string();
    assert!(!plan.contains("bounds"), "{plan}");
}
