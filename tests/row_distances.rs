//! Multivectors with the distances Euclid and Manhattan, against their definition in f64.
#![cfg(feature = "collection")]

#[cfg(feature = "gpu")]
mod support;

use half::f16;
use maxfold::collection::{Collection, CollectionConfig, Datatype, Point, Vector, VectorConfig};
use maxfold::maxsim::{CpuMaxSim, InstructionSet};
use maxfold::search::{Method, QueryRequest, Searcher, SearcherOptions};
use maxfold::{Distance, Reranker};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIM: usize = 19;
const RELATIVE: f64 = 1e-5;

/// The similarity of two rows, in f64.
fn similarity(distance: Distance, a: &[f32], b: &[f32]) -> f64 {
    let apart = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
    match distance {
        Distance::Euclid => -apart.map(|it| it * it).sum::<f64>(),
        _ => -apart.sum::<f64>(),
    }
}

/// The best of a row, and where it is.
fn best(distance: Distance, row: &[f32], document: &[f32]) -> (u32, f64) {
    let all = (0..).zip(document.chunks(DIM).map(|it| similarity(distance, row, it)));
    all.reduce(|best, it| if it.1 > best.1 { it } else { best }).unwrap()
}

/// The score as it is reported.
fn score(distance: Distance, query: &[f32], document: &[f32]) -> f64 {
    let sum: f64 = query.chunks(DIM).map(|row| best(distance, row, document).1).sum();
    if distance == Distance::Euclid { sum.abs().sqrt() } else { sum.abs() }
}

fn near(got: f32, expected: f64) -> bool {
    (f64::from(got) - expected).abs() <= RELATIVE * expected.abs()
}

/// Documents far from 0 and near to each other and to the query, where ‖q‖² + ‖d‖² − 2q·d would lose
/// all digits, and others.
fn documents(rng: &mut StdRng) -> Vec<Vec<f32>> {
    let scale = |id: usize| [1.0, 1e-3, 1e-6, 30.0][id % 4];
    let value = |rng: &mut StdRng, id: usize| 300.0 + scale(id) * rng.random_range(-1.0..1.0_f32);
    (0..200).map(|id| (0..(1 + id % 5) * DIM).map(|_| value(rng, id)).collect()).collect()
}

#[test]
fn rows_are_compared_by_their_distances() {
    let mut rng = StdRng::seed_from_u64(1);
    let given = documents(&mut rng);
    let multi = |values: &[f32]| Vector::Multi { values: values.to_vec(), dim: DIM };
    for distance in [Distance::Euclid, Distance::Manhattan] {
        for datatype in [Datatype::Float32, Datatype::Float16] {
            let config = VectorConfig::multi(DIM, distance).datatype(datatype);
            let config = CollectionConfig::new().vector("v", config);
            let collection = Collection::temporary(config).unwrap();
            let points =
                (0_u64..).zip(&given).map(|(id, it)| Point::new(id).vector("v", multi(it)));
            collection.upsert(points.collect()).unwrap();
            let searcher = Searcher::new(collection).unwrap();
            let kept = |values: &[f32]| match datatype {
                Datatype::Float32 => values.to_vec(),
                Datatype::Float16 => values.iter().map(|it| f16::from_f32(*it).to_f32()).collect(),
            };
            let documents: Vec<_> = given.iter().map(|it| kept(it)).collect();
            let query = given[61][..DIM].to_vec();
            let query =
                [query, (0..2 * DIM).map(|_| rng.random_range(299.0..301.0)).collect()].concat();
            let request = QueryRequest::new(multi(&query)).using("v").limit(200).with_matches();
            let response = searcher.query(&request).unwrap();
            assert_eq!(response.plan.query.method, Method::RowDistances { distance });
            let query = kept(&query);
            assert_eq!(response.points.len(), 200);
            assert!(response.points.is_sorted_by_key(|it| it.score));
            for point in &response.points {
                let maxfold::PointId::Number(id) = point.id else { panic!() };
                let document = &documents[id as usize];
                let expected = score(distance, &query, document);
                assert!(near(point.score, expected), "{id}: {} not {expected}", point.score);
                let matches = point.matches.as_ref().unwrap();
                assert_eq!(matches.len(), 3);
                for (row, it) in query.chunks(DIM).zip(matches) {
                    let (_, expected) = best(distance, row, document);
                    let at = similarity(
                        distance,
                        row,
                        document.chunks(DIM).nth(it.token as usize).unwrap(),
                    );
                    assert!(near(it.similarity, expected) && near(it.similarity, at), "{it:?}");
                }
            }
            // The threshold is a distance, and leaves out what is as far.
            let bar = response.points[20].score;
            let within = request.score_threshold(bar);
            let within = searcher.query(&within).unwrap().points;
            let nearer = response.points.iter().filter(|it| it.score < bar);
            assert_eq!(within.len(), nearer.count());
            let matrix = searcher.similarities(61.into(), "v", &multi(&query)).unwrap().unwrap();
            for (row, got) in query.chunks(DIM).zip(matrix.rows()) {
                let expected = documents[61].chunks(DIM).map(|it| similarity(distance, row, it));
                assert!(got.iter().zip(expected).all(|(got, it)| near(*got, it)));
            }
        }
    }
}

/// A point that has the query's rows is at distance 0, and not at -0.
#[test]
fn equal_rows_are_at_no_distance() {
    for distance in [Distance::Euclid, Distance::Manhattan] {
        let config = CollectionConfig::new().vector("", VectorConfig::multi(2, distance));
        let collection = Collection::temporary(config).unwrap();
        let rows = Vector::from_rows(&[[0.1_f32, 0.2], [3.0, 4.0]]).unwrap();
        collection.upsert(vec![Point::new(1).vector("", rows.clone())]).unwrap();
        let response = Searcher::new(collection).unwrap().query(&QueryRequest::new(rows)).unwrap();
        assert_eq!(response.points[0].score.to_bits(), 0.0_f32.to_bits());
    }
}

/// Rows of one length and of many, zero rows, twins, and rows that lie nearer to one another than f16 says.
fn within_reach(rng: &mut StdRng) -> Vec<Vec<f32>> {
    let row = |rng: &mut StdRng, id: usize| -> Vec<f32> {
        let mut centre = StdRng::seed_from_u64(id as u64 % 9);
        let scale = [0.2_f32, 30.0, 1e-3][id % 3];
        let apart = [1.0_f32, 1e-2, 1e-4, 0.0][id / 9 % 4];
        let value =
            |_| scale * (centre.random_range(-1.0..1.0_f32) + apart * rng.random_range(-1.0..1.0));
        match id % 50 {
            49 => vec![0.0; DIM],
            _ => (0..DIM).map(value).collect(),
        }
    };
    (0..700).map(|id| (0..1 + id % 5).flat_map(|_| row(rng, id)).collect()).collect()
}

fn collection(config: VectorConfig, documents: &[Vec<f32>]) -> Collection {
    let collection = Collection::temporary(CollectionConfig::new().vector("v", config)).unwrap();
    let multi = |values: &[f32]| Vector::Multi { values: values.to_vec(), dim: DIM };
    let points = (0_u64..).zip(documents).map(|(id, it)| Point::new(id).vector("v", multi(it)));
    collection.upsert(points.collect()).unwrap();
    collection
}

/// Asks for the nearest, by a kernel, and compares ranks and scores with all distances in f64; how many points
/// were scored pair by pair.
fn check_nearest(
    searcher: &Searcher,
    query: &[f32],
    documents: &[Vec<f32>],
    limit: usize,
) -> usize {
    let request = QueryRequest::new(Vector::Multi { values: query.to_vec(), dim: DIM });
    let request = request.using("v").limit(limit);
    let response = searcher.query(&request).unwrap();
    let Method::MaxSim { rescored, .. } = response.plan.query.method else { panic!() };
    let scores = documents.iter().map(|it| score(Distance::Euclid, query, it));
    let scores: Vec<f64> = scores.collect();
    let mut sorted = scores.clone();
    sorted.sort_by(f64::total_cmp);
    assert_eq!(response.points.len(), limit.min(documents.len()));
    for (point, expected) in response.points.iter().zip(sorted) {
        let maxfold::PointId::Number(id) = point.id else { panic!() };
        // Neither another score than the point's, nor than that of its rank.
        assert!(near(point.score, scores[id as usize]), "{id}: {}", point.score);
        assert!(near(point.score, expected), "{id}: {} for {expected}", point.score);
    }
    rescored
}

#[test]
fn kernels_find_the_nearest_by_euclid() {
    let mut rng = StdRng::seed_from_u64(2);
    let given = within_reach(&mut rng);
    for datatype in [Datatype::Float32, Datatype::Float16] {
        let kept = |values: &[f32]| match datatype {
            Datatype::Float32 => values.to_vec(),
            Datatype::Float16 => values.iter().map(|it| f16::from_f32(*it).to_f32()).collect(),
        };
        let documents: Vec<_> = given.iter().map(|it| kept(it)).collect();
        let config = VectorConfig::multi(DIM, Distance::Euclid).datatype(datatype);
        for set in InstructionSet::available() {
            let reranker = Reranker::on_cpu(CpuMaxSim::new().with_instruction_set(set));
            let options = SearcherOptions::new().reranker(reranker);
            let collection = collection(config.clone(), &given);
            let searcher = Searcher::with_options(collection, options).unwrap();
            for (at, limit) in [1, 10, 100, 1000].into_iter().cycle().take(24).enumerate() {
                // Rows of a document, of another, or nobody's.
                let query = match at % 3 {
                    0 => kept(&given[at * 29]),
                    1 => kept(&given[at * 29].iter().map(|it| it * 1.001).collect::<Vec<_>>()),
                    _ => {
                        kept(&(0..3 * DIM).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<_>>())
                    }
                };
                check_nearest(&searcher, &query, &documents, limit);
            }
        }
    }
}

/// Of rows of unit length, few have to be compared pair by pair.
#[test]
fn few_are_compared_again_where_kernels_tell_them_apart() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut unit = |rows: usize| -> Vec<f32> {
        let mut values: Vec<f32> = (0..rows * DIM).map(|_| rng.random_range(-1.0..1.0)).collect();
        for row in values.chunks_mut(DIM) {
            let norm = row.iter().map(|it| it * it).sum::<f32>().sqrt();
            row.iter_mut().for_each(|it| *it /= norm);
        }
        values
    };
    let documents: Vec<_> = (0..1000).map(|id| unit(1 + id % 20)).collect();
    let config = VectorConfig::multi(DIM, Distance::Euclid);
    let searcher = Searcher::new(collection(config, &documents)).unwrap();
    for _ in 0..10 {
        let rescored = check_nearest(&searcher, &unit(8), &documents, 10);
        assert!((10..=30).contains(&rescored), "{rescored}");
    }
}

/// Points with longer rows are found, too; and so they are once none is left.
#[test]
fn rows_too_long_for_kernels_are_compared_pair_by_pair() {
    let mut rng = StdRng::seed_from_u64(4);
    let mut documents = within_reach(&mut rng);
    documents[17].iter_mut().for_each(|it| *it = 400.0);
    let config = VectorConfig::multi(DIM, Distance::Euclid).datatype(Datatype::Float16);
    let searcher = Searcher::new(collection(config, &documents)).unwrap();
    let multi = |values: &[f32]| Vector::Multi { values: values.to_vec(), dim: DIM };
    let request = QueryRequest::new(multi(&documents[17][..DIM])).using("v").limit(1);
    let response = searcher.query(&request).unwrap();
    assert_eq!((response.points[0].id, response.points[0].score), (17.into(), 0.0));
    assert!(matches!(response.plan.query.method, Method::RowDistances { .. }));
    searcher.collection().delete([17]).unwrap();
    let nearest = searcher.query(&request).unwrap().points.remove(0);
    let kept = |it: &f32| f16::from_f32(*it).to_f32();
    let query: Vec<f32> = documents[17][..DIM].iter().map(kept).collect();
    let rest = documents.iter().enumerate().filter(|it| it.0 != 17);
    let all = rest
        .map(|(_, it)| score(Distance::Euclid, &query, &it.iter().map(kept).collect::<Vec<_>>()));
    assert!(near(nearest.score, all.fold(f64::INFINITY, f64::min)));
}

/// Documents that a GPU keeps are compared there.
#[cfg(feature = "gpu")]
#[test]
fn a_gpu_finds_the_nearest_by_euclid() {
    let mut rng = StdRng::seed_from_u64(5);
    let documents = within_reach(&mut rng);
    for gpu in support::gpu_contexts(maxfold::gpu::GpuOptions::default()) {
        let options = SearcherOptions::new().reranker(Reranker::on_gpu(gpu));
        let collection = collection(VectorConfig::multi(DIM, Distance::Euclid), &documents);
        let searcher = Searcher::with_options(collection, options).unwrap();
        searcher.flush().unwrap();
        for limit in [1, 10, 100] {
            let query = documents[limit * 3].clone();
            check_nearest(&searcher, &query, &documents, limit);
        }
    }
}
