//! Recall and rerank in one request, against a brute force over the same vectors.

#![cfg(feature = "recall")]

mod support;

use maxfold::Error;
use maxfold::maxsim::{CpuMaxSim, reference};
use maxfold::recall::{Distance, HnswIndex, HnswParams, SearchParams, Strategy};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{EngineConfig, Point, Request, SearchEngine};
use rand::prelude::*;
use support::{Values, assert_scores};

const DENSE: usize = 8;
const DIM: usize = 24;

/// Ids are not in the order of documents, and payloads say which is which.
fn points(rng: &mut StdRng, ids: impl IntoIterator<Item = u64>) -> Vec<Point<String>> {
    let point = |id| Point {
        id,
        dense: (0..DENSE).map(|_| rng.random_range(-1.0..1.0)).collect(),
        tokens: {
            let tokens = rng.random_range(1..=40);
            Values::Unit.document(rng, tokens, DIM)
        },
        payload: format!("document {id}"),
    };
    ids.into_iter().map(point).collect()
}

fn engine(points: Vec<Point<String>>) -> SearchEngine<String> {
    let config = EngineConfig::new(DENSE, DIM).reranker(Reranker::on_cpu(CpuMaxSim::new()));
    let mut engine = SearchEngine::new(config.distance(Distance::Dot)).unwrap();
    engine.add(points).unwrap();
    engine
}

/// Ids by dense score: the best `limit`, by an f64 brute force.
fn recalled(points: &[Point<String>], dense: &[f32], limit: usize) -> Vec<u64> {
    let dot = |point: &Point<String>| -> f64 {
        point.dense.iter().zip(dense).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    let mut scored: Vec<_> = points.iter().map(|point| (dot(point), point.id)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(limit).map(|(_, id)| id).collect()
}

#[test]
fn hits_are_the_best_of_the_prefetched() {
    let mut rng = StdRng::seed_from_u64(1);
    let points = points(&mut rng, (0..500).map(|at| at * 7 % 501 + 1_000_000));
    let engine = engine(points.clone());
    for _ in 0..20 {
        let dense: Vec<f32> = (0..DENSE).map(|_| rng.random_range(-1.0..1.0)).collect();
        let tokens = Values::Unit.query(&mut rng, 9, DIM);
        let request = Request::new(&dense, tokens.view()).prefetch(50).limit(7);
        let response = engine.search(&request).unwrap();

        let prefetched = recalled(&points, &dense, 50);
        let score = |id: u64| {
            let point = points.iter().find(|point| point.id == id).unwrap();
            reference::score(tokens.view(), point.tokens.view())
        };
        let mut expected = prefetched.clone();
        expected.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        let ids: Vec<u64> = response.hits.iter().map(|hit| hit.id).collect();
        assert_eq!(ids, expected[..7]);
        for hit in &response.hits {
            assert_eq!(hit.payload, &format!("document {}", hit.id));
            let recall = hit.recall.unwrap();
            assert_eq!(prefetched[recall.rank - 1], hit.id);
            assert!((f64::from(hit.score) - score(hit.id)).abs() < 1e-5 * 9.0);
        }
        assert_eq!(response.report.candidates, 50);
        assert_eq!(response.report.rerank.backend(), Backend::Cpu);
        assert!(matches!(response.report.recall, Some(Strategy::Scan { .. })));
        assert!(!response.report.rerank_time.is_zero());
    }
}

#[test]
fn a_filter_lets_only_its_documents_through() {
    let mut rng = StdRng::seed_from_u64(2);
    let points = points(&mut rng, 0..300);
    let engine = engine(points.clone());
    let dense = vec![0.5; DENSE];
    let tokens = Values::Unit.query(&mut rng, 4, DIM);
    let request = Request::new(&dense, tokens.view()).prefetch(20).limit(20);
    let even = |id: u64, payload: &String| id.is_multiple_of(2) && payload.ends_with('4');
    let response = engine.search_where(&request, even).unwrap();
    let allowed: Vec<_> = points.iter().filter(|p| even(p.id, &p.payload)).cloned().collect();
    let mut expected = recalled(&allowed, &dense, 20);
    let mut ids: Vec<u64> = response.hits.iter().map(|hit| hit.id).collect();
    expected.sort_unstable();
    ids.sort_unstable();
    assert_eq!(ids, expected);
    let nothing = engine.search_where(&request, |_, _| false).unwrap();
    assert!(nothing.hits.is_empty());
}

#[test]
fn candidates_of_another_recall_are_reranked_by_id() {
    let mut rng = StdRng::seed_from_u64(3);
    let points = points(&mut rng, 0..50);
    let engine = engine(points.clone());
    let tokens = Values::Unit.query(&mut rng, 6, DIM);
    let ids = [40, 3, 17, 9];
    let response = engine.rerank(tokens.view(), &ids, 10).unwrap();
    assert_eq!(response.hits.len(), 4);
    for hit in &response.hits {
        assert!(hit.recall.is_none() && ids.contains(&hit.id));
        let document = &points[hit.id as usize].tokens;
        assert_scores("rerank", tokens.view(), &[document.view()], &[hit.score]);
    }
    assert!(response.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert!(response.report.recall.is_none());
    let unknown = engine.rerank(tokens.view(), &[3, 99], 10);
    assert!(matches!(unknown, Err(Error::UnknownId { id: 99 })), "{unknown:?}");
}

#[test]
fn hnsw_finds_nearly_what_a_scan_finds() {
    let mut rng = StdRng::seed_from_u64(4);
    let points = points(&mut rng, 0..6_000);
    let engine = engine(points);
    let tokens = Values::Unit.query(&mut rng, 4, DIM);
    let (mut found, mut wanted) = (0, 0);
    for _ in 0..20 {
        let dense: Vec<f32> = (0..DENSE).map(|_| rng.random_range(-1.0..1.0)).collect();
        let request = Request::new(&dense, tokens.view()).prefetch(50).limit(50);
        let walk = engine.search(&request).unwrap();
        assert!(matches!(walk.report.recall, Some(Strategy::Graph { .. })), "{}", walk.report);
        let exact = SearchParams { exact: true, ..Default::default() };
        let scan = engine.search(&request.params(exact)).unwrap();
        assert!(matches!(scan.report.recall, Some(Strategy::Scan { .. })));
        wanted += scan.hits.len();
        found += scan.hits.iter().filter(|hit| walk.hits.iter().any(|it| it.id == hit.id)).count();
    }
    // Measured 0.999, six builds alike; parallel builds differ a little from one another.
    assert!(found as f64 >= 0.97 * wanted as f64, "{found} of {wanted}");
}

#[test]
fn limits_of_any_size_are_sensible() {
    let mut rng = StdRng::seed_from_u64(5);
    let engine = engine(points(&mut rng, 0..5));
    let dense = vec![0.1; DENSE];
    let tokens = Values::Unit.query(&mut rng, 2, DIM);
    let hits = |prefetch, limit| {
        let request = Request::new(&dense, tokens.view()).prefetch(prefetch).limit(limit);
        engine.search(&request).unwrap().hits.len()
    };
    assert_eq!(hits(usize::MAX, usize::MAX), 5);
    assert_eq!(hits(3, 10), 3);
    assert_eq!(hits(0, 10), 0);
    assert_eq!(hits(10, 0), 0);
}

#[test]
fn an_empty_engine_answers_with_nothing() {
    let engine = engine(Vec::new());
    assert!(engine.is_empty());
    let tokens = Values::Unit.query(&mut StdRng::seed_from_u64(6), 2, DIM);
    let response = engine.search(&Request::new(&[0.0; DENSE], tokens.view())).unwrap();
    assert!(response.hits.is_empty());
}

#[test]
fn nothing_of_a_refused_batch_is_added() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut engine = engine(points(&mut rng, 0..5));
    let good = || points(&mut StdRng::seed_from_u64(8), 10..13);
    let refused = |engine: &mut SearchEngine<String>, spoil: fn(&mut Point<String>)| {
        let mut batch = good();
        spoil(&mut batch[2]);
        let error = engine.add(batch).unwrap_err();
        assert_eq!(engine.len(), 5);
        assert!(engine.payload(10).is_none());
        error.to_string()
    };
    let error = refused(&mut engine, |point| point.id = 3);
    assert!(error.contains("id 3 already exists"), "{error}");
    let error = refused(&mut engine, |point| point.id = 10);
    assert!(error.contains("id 10 already exists"), "{error}");
    let error = refused(&mut engine, |point| point.dense.truncate(3));
    assert!(error.contains("point 12") && error.contains("dimension 3"), "{error}");
    let error = refused(&mut engine, |point| point.dense[4] = f32::NAN);
    assert!(error.contains("point 12") && error.contains("NaN"), "{error}");
    let error = refused(&mut engine, |point| {
        point.tokens = Values::Unit.document(&mut StdRng::seed_from_u64(9), 2, DIM + 1);
    });
    assert!(error.contains("point 12") && error.contains("dimension 25"), "{error}");
    engine.add(good()).unwrap();
    assert_eq!((engine.len(), engine.payload(11).unwrap().as_str()), (8, "document 11"));
}

#[test]
fn queries_that_do_not_fit_are_refused() {
    let mut rng = StdRng::seed_from_u64(10);
    let engine = engine(points(&mut rng, 0..5));
    let tokens = Values::Unit.query(&mut rng, 2, DIM);
    let wrong = Values::Unit.query(&mut rng, 2, DIM - 1);
    let error = engine.search(&Request::new(&[0.0; 3], tokens.view())).unwrap_err().to_string();
    assert!(error.contains("dimension 8") && error.contains("dimension 3"), "{error}");
    let error = engine.search(&Request::new(&[0.0; DENSE], wrong.view())).unwrap_err().to_string();
    let expected = "expected the query's token matrix of dimension 24, got dimension 23";
    assert_eq!(error, expected);
    // Also where there is nothing to compare it with.
    let nothing = engine.search_where(&Request::new(&[0.0; DENSE], wrong.view()), |_, _| false);
    assert_eq!(nothing.unwrap_err().to_string(), expected);
    assert_eq!(engine.rerank(wrong.view(), &[], 1).unwrap_err().to_string(), expected);
    let infinite = [f32::INFINITY; DENSE];
    assert!(engine.search(&Request::new(&infinite, tokens.view())).is_err());
}

#[test]
fn parameters_out_of_range_are_refused() {
    let hnsw = HnswParams { m: 300, ..Default::default() };
    let refused = SearchEngine::<()>::new(EngineConfig::new(4, 4).hnsw(hnsw)).unwrap_err();
    assert!(refused.to_string().contains("300"), "{refused}");
    assert!(SearchEngine::<()>::new(EngineConfig::new(0, 4)).is_err());
    assert!(SearchEngine::<()>::new(EngineConfig::new(4, 0)).is_err());
}

/// Dimensions and counts that no memory holds are errors, or nothing.
#[test]
fn enormous_sizes_do_not_panic() {
    let cpu = || Reranker::on_cpu(CpuMaxSim::new());
    let mut rng = StdRng::seed_from_u64(7);
    let params = HnswParams { ef_search: usize::MAX, ..HnswParams::default() };
    for huge in [usize::MAX, usize::MAX / 2 + 1, 1 << (usize::BITS - 3)] {
        for config in [EngineConfig::new(huge, DIM), EngineConfig::new(DENSE, huge)] {
            let mut engine = SearchEngine::new(config.reranker(cpu()).hnsw(params)).unwrap();
            assert!(engine.add(points(&mut rng, [1])).is_err());
            let tokens = Values::Unit.query(&mut rng, 3, DIM);
            assert!(engine.search(&Request::new(&[0.5; DENSE], tokens.view())).is_err());
            assert!(engine.is_empty());
        }
        let index = HnswIndex::new(Distance::Dot, params, huge).unwrap();
        assert!(index.insert([(1, [0.5].as_slice())]).is_err());
        assert!(index.search(&[0.5], huge, SearchParams::default(), None).is_err());
        let mut engine = engine(points(&mut rng, 0..20));
        let tokens = Values::Unit.query(&mut rng, 3, DIM);
        let request = Request::new(&[0.5; DENSE], tokens.view()).prefetch(huge).limit(huge);
        assert_eq!(engine.search(&request).unwrap().hits.len(), 20);
        engine.add(points(&mut rng, [99])).unwrap();
    }
}
