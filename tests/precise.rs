//! Multivectors kept in f32: given back bit for bit, and ranked as f32 says, though they are scored from
//! f16.
#![cfg(feature = "collection")]

use maxfold::collection::{Collection, CollectionConfig, Datatype, Point, Vector, VectorConfig};
use maxfold::filter::PointId;
use maxfold::maxsim::{CpuMaxSim, InstructionSet};
use maxfold::recall::Distance;
use maxfold::rerank::Reranker;
use maxfold::search::{Method, QueryRequest, Searcher, SearcherOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIM: usize = 24;

fn max_sim(query: &[f32], document: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let best =
        |q: &[f32]| document.chunks(DIM).map(|d| dot(q, d)).fold(f64::NEG_INFINITY, f64::max);
    query.chunks(DIM).map(best).sum()
}

fn unit(rows: &[f32]) -> Vec<f32> {
    let unit = |row: &[f32]| {
        let norm = row.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>().sqrt();
        row.iter().map(|it| (f64::from(*it) / norm) as f32).collect::<Vec<_>>()
    };
    rows.chunks(DIM).flat_map(unit).collect()
}

/// A searcher over documents with ids from 0, on each instruction set of this machine.
fn searcher(set: InstructionSet, config: VectorConfig, documents: &[Vec<f32>]) -> Searcher {
    let collection = Collection::temporary(CollectionConfig::new().vector("", config)).unwrap();
    let point = |(id, values): (u64, &Vec<f32>)| {
        Point::new(id).vector("", Vector::Multi { values: values.clone(), dim: DIM })
    };
    collection.upsert((0..).zip(documents).map(point).collect()).unwrap();
    let reranker = Reranker::on_cpu(CpuMaxSim::new().with_instruction_set(set));
    Searcher::with_options(collection, SearcherOptions::new().reranker(reranker)).unwrap()
}

/// Ids, order and scores are those of f64 over the f32 values.
fn check(searcher: &Searcher, query: &[f32], documents: &[Vec<f32>], limit: usize) -> usize {
    let mut expected: Vec<(u64, f32)> =
        (0..).zip(documents).map(|(id, it)| (id, max_sim(query, it) as f32)).collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let request =
        QueryRequest::new(Vector::Multi { values: query.to_vec(), dim: DIM }).limit(limit);
    let response = searcher.query(&request).unwrap();
    let got: Vec<(PointId, f32)> = response.points.iter().map(|it| (it.id, it.score)).collect();
    let expected: Vec<_> =
        expected.into_iter().take(limit).map(|(id, it)| (id.into(), it)).collect();
    assert_eq!(got, expected);
    let Method::MaxSim { rescored, .. } = response.plan.query.method else { panic!() };
    rescored
}

/// Documents that are alike in f16, and others that rounding puts in their wrong places.
fn alike(rng: &mut StdRng) -> Vec<Vec<f32>> {
    let unit_in_half = (-10_f32).exp2();
    let value = |rng: &mut StdRng, id: usize| {
        let (sign, high) = (rng.random_bool(0.5), rng.random_range(0..4));
        let low = match id % 4 {
            // The same in f16.
            0 => rng.random_range(-0.45..0.45),
            // Rounded up, or down, by nearly half a unit.
            1 => 0.51,
            2 => 0.49,
            _ => rng.random_range(0.0..1.0),
        };
        let value = 1.0 + (high as f32 + low) * unit_in_half;
        if sign { value } else { -value }
    };
    (0..600).map(|id| (0..(1 + id % 5) * DIM).map(|_| value(rng, id)).collect()).collect()
}

#[test]
fn documents_that_f16_cannot_tell_apart_are_in_the_order_of_f32() {
    let mut rng = StdRng::seed_from_u64(1);
    let documents = alike(&mut rng);
    // One document, changed by less than f16 says: all scores are the same there.
    let twins: Vec<Vec<f32>> = (0..300)
        .map(|id| {
            documents[3].iter().map(|it| it * (1.0 + ((id * 7) % 300) as f32 * 1e-7)).collect()
        })
        .collect();
    let large: Vec<Vec<f32>> =
        documents.iter().map(|it| it.iter().map(|value| value * 20_000.0).collect()).collect();
    for set in InstructionSet::available() {
        for (documents, scale) in [(&documents, 1.0), (&twins, 1.0), (&large, 1e-3)] {
            let config = VectorConfig::multi(DIM, Distance::Dot);
            for config in [config.clone(), config.int8()] {
                let searcher = searcher(set, config, documents);
                for limit in [1, 10, 1000] {
                    let query: Vec<f32> =
                        (0..4 * DIM).map(|_| rng.random_range(-1.0..1.0_f32) * scale).collect();
                    let rescored = check(&searcher, &query, documents, limit);
                    assert!(rescored >= limit.min(documents.len()));
                }
            }
        }
    }
}

/// Of documents as they are, few have to be scored again.
#[test]
fn few_are_scored_again_where_f16_tells_them_apart() {
    let mut rng = StdRng::seed_from_u64(2);
    let random = |rng: &mut StdRng, rows: usize| -> Vec<f32> {
        unit(&(0..rows * DIM).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<_>>())
    };
    let documents: Vec<_> = (0..1000).map(|id| random(&mut rng, 1 + id % 20)).collect();
    for set in InstructionSet::available() {
        // They are of length 1 already, to the last bit but one.
        let config = VectorConfig::multi(DIM, Distance::Dot);
        for config in [config.clone(), config.int8()] {
            let searcher = searcher(set, config, &documents);
            let query = random(&mut rng, 8);
            let rescored = check(&searcher, &query, &documents, 10);
            assert!(rescored <= 50, "{rescored}");
        }
    }
}

#[test]
fn values_are_given_back_bit_for_bit() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut values: Vec<f32> = (0..7 * DIM).map(|_| rng.random_range(-1.0..1.0)).collect();
    values[..4].copy_from_slice(&[0.05, -0.0, 1e-30, 65_000.12]);
    let directory = tempfile::tempdir().unwrap();
    let multi = |distance| VectorConfig::multi(DIM, distance);
    let config = CollectionConfig::new()
        .vector("dot", multi(Distance::Dot))
        .vector("cosine", multi(Distance::Cosine))
        .vector("half", multi(Distance::Dot).datatype(Datatype::Float16));
    let collection = Collection::create(directory.path(), config).unwrap();
    let given = || Vector::Multi { values: values.clone(), dim: DIM };
    let point =
        Point::new(1).vector("dot", given()).vector("cosine", given()).vector("half", given());
    // One row is a multivector too.
    let row = Point::new(2).vector("dot", values[..DIM].to_vec());
    collection.upsert(vec![point, row, Point::new(3).vector("dot", given())]).unwrap();
    collection.delete([3]).unwrap();
    drop(collection);
    let collection = Collection::open(directory.path()).unwrap();
    let snapshot = collection.snapshot().unwrap();
    let got = snapshot.get(1.into()).unwrap().unwrap().vectors;
    let bits = |vector: &Vector| {
        let Vector::Multi { values, dim: DIM } = vector else { panic!("{vector:?}") };
        values.iter().map(|it| it.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(bits(&got["dot"]), bits(&given()));
    assert_eq!(got["cosine"], Vector::Multi { values: unit(&values), dim: DIM });
    let half = values.iter().map(|it| half::f16::from_f32(*it).to_f32());
    assert_eq!(got["half"], Vector::Multi { values: half.collect(), dim: DIM });
    let row = snapshot.get(2.into()).unwrap().unwrap().vectors;
    assert_eq!(row["dot"], Vector::Multi { values: values[..DIM].to_vec(), dim: DIM });
    // The third is gone with its rows.
    drop(snapshot);
    collection.delete([1, 2]).unwrap();
    assert_eq!(collection.statistics().unwrap().bytes["rows"], 0);
}
