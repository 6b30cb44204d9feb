//! Multivectors with the distances Euclid and Manhattan, against their definition in f64.
#![cfg(feature = "collection")]

use half::f16;
use maxfold::Distance;
use maxfold::collection::{Collection, CollectionConfig, Datatype, Point, Vector, VectorConfig};
use maxfold::search::{Method, QueryRequest, Searcher};
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
