//! Walks that look at vectors in a byte a value first: what is found is what a scan finds, with its
//! scores.
#![cfg(feature = "recall")]

use maxfold::multivector::DenseVectors;
use maxfold::recall::{
    Allowed, Candidate, Distance, ExactIndex, HnswIndex, HnswLoader, HnswParams,
};
use maxfold::recall::{SearchParams, Strategy};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Not a whole number of registers, nor of the words that bytes are kept in.
const DIM: usize = 131;
const COUNT: usize = 6000;
const QUERIES: usize = 50;
const LIMIT: usize = 50;

fn uniform(rng: &mut StdRng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Vectors and queries around 60 centres; those of one centre differ in all columns.
fn clustered(seed: u64, lengths: std::ops::Range<f32>) -> [DenseVectors; 2] {
    let mut rng = StdRng::seed_from_u64(seed);
    let centres: Vec<_> = (0..60).map(|_| uniform(&mut rng, DIM)).collect();
    let mut near = || {
        let (centre, noise) = (centres.choose(&mut rng).unwrap(), uniform(&mut rng, DIM));
        let length = rng.random_range(lengths.clone());
        centre.iter().zip(noise).map(|(at, by)| length * (at + 0.5 * by)).collect::<Vec<f32>>()
    };
    [COUNT, QUERIES]
        .map(|count| DenseVectors::new((0..count).flat_map(|_| near()).collect(), DIM).unwrap())
}

/// Vectors whose columns are up to 2,000 apart, and whose rows differ by about 1: a byte has steps of 8.
fn alike(seed: u64) -> [DenseVectors; 2] {
    let mut rng = StdRng::seed_from_u64(seed);
    let columns: Vec<_> = uniform(&mut rng, DIM).iter().map(|it| 1000.0 * it).collect();
    let directions: Vec<_> = (0..8).map(|_| uniform(&mut rng, DIM)).collect();
    let mut row = || {
        let mut row = columns.clone();
        for direction in &directions {
            let by = rng.random_range(-1.0..1.0_f32);
            row.iter_mut().zip(direction).for_each(|(value, it)| *value += by * it);
        }
        row
    };
    [COUNT, QUERIES]
        .map(|count| DenseVectors::new((0..count).flat_map(|_| row()).collect(), DIM).unwrap())
}

fn index(distance: Distance, vectors: &DenseVectors) -> HnswIndex {
    HnswIndex::build(distance, HnswParams::default(), vectors).unwrap()
}

/// The mean of what is found of the nearest, all with the scores of a scan.
fn recall(
    index: &HnswIndex,
    exact: &ExactIndex,
    queries: &DenseVectors,
    params: SearchParams,
) -> f64 {
    let mut found = 0;
    for query in queries.iter() {
        let all = exact.search(query, COUNT, None).unwrap();
        let recalled = index.search(query, LIMIT, params, None).unwrap();
        assert!(matches!(recalled.strategy, Strategy::Graph { .. }), "{}", recalled.strategy);
        let one = |candidate: &Candidate| {
            let at = all.iter().position(|it| it == candidate);
            at.expect("a score that a scan does not give") < LIMIT
        };
        found += recalled.candidates.iter().filter(|it| one(it)).count();
    }
    found as f64 / (LIMIT * queries.len()) as f64
}

#[test]
fn a_walk_finds_what_a_scan_finds_with_its_scores() {
    let worlds = [
        (Distance::Cosine, 0.5..2.0),
        (Distance::Dot, 0.5..2.0),
        (Distance::Euclid, 1e-12..2e-12),
        (Distance::Euclid, 1e9..2e9),
        (Distance::Manhattan, 0.9..1.1),
    ];
    for (distance, lengths) in worlds {
        let [vectors, queries] = clustered(3, lengths.clone());
        let index = index(distance, &vectors);
        let recall = recall(
            &index,
            &ExactIndex::new(distance, vectors).unwrap(),
            &queries,
            SearchParams::default(),
        );
        assert!(recall > 0.97, "{distance}, lengths {lengths:?}: {recall}");
    }
}

#[test]
fn a_scan_gives_what_every_vector_gives() {
    let mut rng = StdRng::seed_from_u64(11);
    let worlds = [
        (Distance::Cosine, 0.5..2.0),
        (Distance::Dot, 0.5..2.0),
        (Distance::Dot, 1e18..1e19),
        (Distance::Dot, 1e36..1e38),
        (Distance::Euclid, 1e-22..1e-21),
        (Distance::Euclid, 0.9..1.1),
        (Distance::Euclid, 1e36..1e38),
    ];
    for (distance, lengths) in worlds {
        let [vectors, queries] = clustered(13, lengths.clone());
        let (index, mut all) = (index(distance, &vectors), vectors.iter().collect::<Vec<_>>());
        let exact = ExactIndex::new(distance, vectors.clone()).unwrap();
        all.extend(queries.iter());
        for part in [0.02, 0.1, 0.5, 1.0] {
            let allowed: Allowed = (0..COUNT).filter(|_| rng.random_bool(part)).collect();
            for limit in [1, 10, 100] {
                let query = all.choose(&mut rng).unwrap();
                let params = SearchParams::new().exact(true);
                let found = index.search(query, limit, params, Some(&allowed)).unwrap();
                let expected = exact.search(query, limit, Some(&allowed)).unwrap();
                assert_eq!(found.candidates, expected, "{distance}, {lengths:?}, {part}");
            }
        }
    }
}

#[test]
fn what_bytes_do_not_tell_apart_is_found() {
    let [vectors, queries] = alike(5);
    let index = index(Distance::Euclid, &vectors);
    let exact = ExactIndex::new(Distance::Euclid, vectors).unwrap();
    let recall = recall(&index, &exact, &queries, SearchParams::default());
    assert!(recall > 0.97, "{recall}");
}

/// A node whose vector is gone is no place to go to.
#[test]
fn vectors_that_are_gone_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let [vectors, queries] = clustered(17, 0.5..2.0);
    index(Distance::Dot, &vectors).save(&path).unwrap();
    let params = HnswParams::default();
    let mut loader = HnswLoader::from_snapshot(&path, Distance::Dot, params, DIM).unwrap();
    let mut left = DenseVectors::new(Vec::new(), DIM).unwrap();
    for (at, vector) in vectors.iter().enumerate().filter(|(at, _)| at % 25 != 0) {
        loader.add((at - at / 25 - 1) as u32, vector).unwrap();
        left.push(vector).unwrap();
    }
    let loaded = loader.finish(0).unwrap();
    assert_eq!((loaded.kept, loaded.inserted), (left.len(), 0));
    let exact = ExactIndex::new(Distance::Dot, left).unwrap();
    let recall = recall(&loaded.index, &exact, &queries, SearchParams::new().hnsw_ef(72));
    assert!(recall > 0.95, "{recall}");
}

#[test]
fn a_loaded_graph_is_walked_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    for [vectors, queries] in [clustered(7, 0.5..2.0), alike(7)] {
        let built = index(Distance::Euclid, &vectors);
        built.save(&path).unwrap();
        let params = HnswParams::default();
        let mut loader = HnswLoader::from_snapshot(&path, Distance::Euclid, params, DIM).unwrap();
        for (number, vector) in (0..).zip(vectors.iter()) {
            loader.add(number, vector).unwrap();
        }
        let loaded = loader.finish(0).unwrap();
        assert_eq!((loaded.kept, loaded.inserted), (COUNT, 0));
        for query in queries.iter() {
            let search = |it: &HnswIndex| it.search(query, LIMIT, SearchParams::default(), None);
            assert_eq!(search(&built).unwrap(), search(&loaded.index).unwrap());
        }
    }
}
