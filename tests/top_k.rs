//! The best k documents are those of scoring everything, to the last bit.

mod support;

use maxfold::maxsim::{CpuMaxSim, InstructionSet};
use maxfold::multivector::{MultiVectors, TokenMatrix, TokenMatrixRef};
use maxfold::rerank::Reranker;
use rand::prelude::*;
use support::Values;

/// All documents, by score and then by index; scores as bits.
fn sorted(
    cpu: &CpuMaxSim,
    query: &TokenMatrix,
    documents: &[TokenMatrixRef<'_>],
) -> Vec<(usize, u32)> {
    let scores = cpu.score(query.view(), documents).unwrap();
    let mut all: Vec<_> = scores.into_iter().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.into_iter().map(|(at, score)| (at, score.to_bits())).collect()
}

fn check(query: &TokenMatrix, documents: &MultiVectors, ks: &[usize]) {
    let documents: Vec<_> = documents.iter().collect();
    for set in InstructionSet::available() {
        let cpu = CpuMaxSim::new().with_instruction_set(set);
        let sorted = sorted(&cpu, query, &documents);
        for &k in ks {
            let got = cpu.top_k(query.view(), &documents, k).unwrap();
            let got: Vec<_> = got.into_iter().map(|(at, score)| (at, score.to_bits())).collect();
            let shape = (query.tokens(), query.dim(), documents.len(), k);
            assert_eq!(got, sorted[..k.min(sorted.len())], "{set} {shape:?}");
        }
    }
}

/// Documents of 16 to 40 tokens, one in four given twice.
fn documents(values: Values, rng: &mut StdRng, many: usize, dim: usize) -> MultiVectors {
    let mut documents = MultiVectors::empty(dim).unwrap();
    while documents.len() < many {
        let tokens = rng.random_range(16..=40);
        let document = values.document(rng, tokens, dim);
        for _ in 0..1 + usize::from(rng.random_ratio(1, 4)) {
            documents.push(document.view()).unwrap();
        }
    }
    documents
}

#[test]
fn random_requests() {
    let mut rng = StdRng::seed_from_u64(51);
    for dim in [1, 15, 16, 33, 45, 100, 128, 384] {
        for values in Values::ALL {
            for _ in 0..2 {
                let tokens = rng.random_range(1..=70);
                let query = values.query(&mut rng, tokens, dim);
                let many = rng.random_range(200..=400);
                let documents = documents(values, &mut rng, many, dim);
                let any = rng.random_range(0..=documents.len());
                check(&query, &documents, &[0, 1, 10, 30, any, usize::MAX]);
            }
        }
    }
}

#[test]
fn one_huge_document_among_small_ones() {
    let mut rng = StdRng::seed_from_u64(52);
    let query = Values::Unit.query(&mut rng, 32, 128);
    let tokens: Vec<usize> =
        (0..300).map(|at| if at == 140 { 9_000 } else { 1 + at % 60 }).collect();
    check(&query, &Values::Unit.documents(&mut rng, &tokens, 128), &[1, 10, 30]);
}

#[test]
fn a_pool_of_one_thread_and_a_call_from_inside_a_pool() {
    let mut rng = StdRng::seed_from_u64(53);
    let query = Values::Unit.query(&mut rng, 32, 64);
    let documents = documents(Values::Unit, &mut rng, 400, 64);
    let documents: Vec<_> = documents.iter().collect();
    let cpu = CpuMaxSim::new().with_threads(1).unwrap();
    let expected = CpuMaxSim::new().top_k(query.view(), &documents, 10).unwrap();
    assert_eq!(cpu.top_k(query.view(), &documents, 10).unwrap(), expected);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let inside = || CpuMaxSim::new().top_k(query.view(), &documents, 10).unwrap();
    assert_eq!(pool.install(inside), expected);
}

#[test]
fn ties_of_a_rerank_go_to_the_lower_id_not_to_the_earlier_candidate() {
    let mut rng = StdRng::seed_from_u64(54);
    let query = Values::Unit.query(&mut rng, 32, 64);
    let distinct = Values::Unit.documents(&mut rng, &[24; 100], 64);
    let candidates: Vec<(u64, _)> =
        (0..400).map(|at| (1_000 - at, distinct.get(at as usize % 100).unwrap())).collect();
    let matrices: Vec<_> = candidates.iter().map(|&(_, matrix)| matrix).collect();
    let scores = CpuMaxSim::new().score(query.view(), &matrices).unwrap();
    let mut expected: Vec<_> = scores.into_iter().zip(candidates.iter().map(|c| c.0)).collect();
    expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let ranking = Reranker::on_cpu(CpuMaxSim::new()).rerank(query.view(), &candidates, 10).unwrap();
    let got: Vec<_> = ranking.hits.iter().map(|hit| (hit.score, hit.id)).collect();
    assert_eq!(got, expected[..10]);
}

#[test]
fn another_dimension_is_an_error() {
    let query = TokenMatrix::new(&[1.0_f32; 4], 4).unwrap();
    let document = TokenMatrix::new(&[1.0_f32; 3], 3).unwrap();
    for k in [0, 1] {
        let error = CpuMaxSim::new().top_k(query.view(), &[document.view()], k).unwrap_err();
        assert!(matches!(error, maxfold::Error::DimensionMismatch { .. }), "{error}");
    }
}

/// One column of a query is large, so that all others round to 0 in integers: what they would add is
/// in the bound's error alone. One document has nothing but those.
#[test]
fn what_rounding_takes_from_a_query_is_in_its_bound() {
    let dim = 128;
    let row = |first: f32, others: f32| [vec![first], vec![others; dim - 1]].concat();
    // 1 of the integers is a 32,767th; this is less than half of it, and far from 0 in f16.
    let query = TokenMatrix::new(&row(1.0, 0.4 / 32_767.0).repeat(20), dim).unwrap();
    let mut documents = MultiVectors::empty(dim).unwrap();
    for at in 0..400 {
        let values = match at {
            300 => row(0.5, 1.0),
            301 => [vec![0.501, 1.0], vec![0.0; dim - 2]].concat(),
            _ => row((at % 100) as f32 / 250.0, 0.0),
        };
        documents.push(TokenMatrix::new(&values.repeat(30), dim).unwrap().view()).unwrap();
    }
    let best = sorted(&CpuMaxSim::new(), &query, &documents.iter().collect::<Vec<_>>());
    assert_eq!((best[0].0, best[1].0), (300, 301));
    check(&query, &documents, &[1, 2, 3]);
}
