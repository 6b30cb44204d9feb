//! Every instruction set and every shader variant against the f64 reference.

mod support;

use std::sync::Arc;

use maxfold::maxsim::{CpuMaxSim, InstructionSet};
use maxfold::multivector::TokenMatrixRef;
use rand::prelude::*;
use support::{Values, assert_scores, check_every, cpu_scorers, scorers};

const DIMS: [usize; 8] = [1, 3, 48, 96, 100, 128, 320, 768];

/// Around the sizes of registers, tiles and segments.
const DOCUMENT_TOKENS: [usize; 14] = [1, 3_000, 2, 7, 180, 8, 12, 13, 63, 64, 65, 511, 513, 1_030];

#[test]
fn shapes_of_late_interaction() {
    let scorers = scorers();
    let mut rng = StdRng::seed_from_u64(1);
    for dim in DIMS {
        for values in Values::ALL {
            let documents = values.documents(&mut rng, &DOCUMENT_TOKENS, dim);
            let documents: Vec<_> = documents.iter().collect();
            for query_tokens in [1, rng.random_range(2..=31), rng.random_range(32..=70)] {
                let query = values.query(&mut rng, query_tokens, dim);
                check_every(&scorers, &query, &documents);
            }
        }
    }
}

#[test]
fn every_number_of_query_tokens_to_seventy() {
    let scorers = scorers();
    let mut rng = StdRng::seed_from_u64(2);
    let documents = Values::Unit.documents(&mut rng, &[1, 5, 40, 129], 20);
    let documents: Vec<_> = documents.iter().collect();
    for query_tokens in 1..=70 {
        let query = Values::Unit.query(&mut rng, query_tokens, 20);
        check_every(&scorers, &query, &documents);
    }
}

#[test]
fn a_page_as_query() {
    let scorers = scorers();
    let mut rng = StdRng::seed_from_u64(3);
    for (dim, values) in DIMS.into_iter().zip(Values::ALL.into_iter().cycle()) {
        let query = values.query(&mut rng, 1_024, dim);
        let documents = values.documents(&mut rng, &[1, 700, 33], dim);
        let documents: Vec<_> = documents.iter().collect();
        check_every(&scorers, &query, &documents);
    }
}

/// Every remainder of rows, columns and lanes that a kernel can meet.
#[test]
fn thousands_of_shifted_shapes() {
    let scorers = cpu_scorers();
    let mut rng = StdRng::seed_from_u64(4);
    for round in 0..2_000 {
        let values = Values::ALL[round % 4];
        let (query_tokens, dim) = (rng.random_range(1..=67), rng.random_range(1..=70));
        let tokens: Vec<usize> = (0..3).map(|_| rng.random_range(1..=60)).collect();
        let query = values.query(&mut rng, query_tokens, dim);
        let documents = values.documents(&mut rng, &tokens, dim);
        let documents: Vec<_> = documents.iter().collect();
        check_every(&scorers, &query, &documents);
    }
}

/// The kernel widens a few rows at a time: the borders of those blocks, and rows beyond a block.
#[test]
fn documents_around_a_block_of_widened_rows() {
    let scorers = cpu_scorers();
    let mut rng = StdRng::seed_from_u64(5);
    for (dim, tokens) in [(128, [47, 48, 49]), (64, [95, 96, 97]), (2_500, [11, 12, 25])] {
        let query = Values::Unit.query(&mut rng, 33, dim);
        let documents = Values::Unit.documents(&mut rng, &tokens, dim);
        let documents: Vec<_> = documents.iter().collect();
        check_every(&scorers, &query, &documents);
    }
}

/// Sums of thousands of numbers, equal ones too.
#[test]
fn thousands_of_dimensions() {
    let scorers = scorers();
    let mut rng = StdRng::seed_from_u64(8);
    for dim in [1_024, 4_096, 8_191, 16_384] {
        for values in Values::ALL {
            let documents = values.documents(&mut rng, &[1, 70], dim);
            let documents: Vec<_> = documents.iter().collect();
            for query_tokens in [1, 37] {
                let query = values.query(&mut rng, query_tokens, dim);
                check_every(&scorers, &query, &documents);
            }
        }
    }
}

/// Thousands of query tokens whose maxima are all equal.
#[test]
fn thousands_of_equal_query_tokens() {
    let mut rng = StdRng::seed_from_u64(9);
    let query = Values::Constant.query(&mut rng, 9_000, 3);
    let documents = Values::Constant.documents(&mut rng, &[5], 3);
    let documents: Vec<_> = documents.iter().collect();
    check_every(&scorers(), &query, &documents);
}

#[test]
fn a_batch_of_queries_scores_as_each_query_does() {
    let mut rng = StdRng::seed_from_u64(10);
    let documents = Values::Large.documents(&mut rng, &[1, 180, 5_000, 7, 64], 40);
    let documents: Vec<_> = documents.iter().collect();
    let queries: Vec<_> =
        [1, 5, 32, 8, 1, 33, 17].map(|tokens| Values::Large.query(&mut rng, tokens, 40)).to_vec();
    for set in InstructionSet::available() {
        let cpu = CpuMaxSim::new().with_instruction_set(set);
        for count in 0..=queries.len() {
            let batch: Vec<_> = queries[..count].iter().map(|query| query.view()).collect();
            let scores = cpu.score_batch(&batch, &documents).unwrap();
            assert_eq!(scores.len(), count);
            for (query, scores) in batch.iter().zip(&scores) {
                assert_scores(set.name(), *query, &documents, scores);
            }
        }
    }
    let other = Values::Large.query(&mut rng, 3, 41);
    let mixed = CpuMaxSim::new().score_batch(&[queries[0].view(), other.view()], &documents);
    let expected = "expected query 1 of dimension 40, got dimension 41";
    assert_eq!(mixed.unwrap_err().to_string(), expected);
}

/// A long document is divided among threads; a call from inside a pool uses that pool.
#[test]
fn threads_do_not_change_scores() {
    let mut rng = StdRng::seed_from_u64(11);
    let query = Values::Unit.query(&mut rng, 21, 32);
    let documents = Values::Unit.documents(&mut rng, &[30_000, 5, 2_048, 2_049, 9], 32);
    let documents: Vec<_> = documents.iter().collect();
    for set in InstructionSet::available() {
        let cpu =
            |threads| CpuMaxSim::new().with_instruction_set(set).with_threads(threads).unwrap();
        let alone = cpu(1).score(query.view(), &documents).unwrap();
        assert_scores(set.name(), query.view(), &documents, &alone);
        assert_eq!(cpu(3).score(query.view(), &documents).unwrap(), alone);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let inside = pool.install(|| cpu(2).score(query.view(), &documents).unwrap());
        assert_eq!(inside, alone);
        let shared = CpuMaxSim::new().with_instruction_set(set).with_pool(Arc::new(pool));
        assert_eq!(shared.score(query.view(), &documents).unwrap(), alone);
    }
}

#[test]
fn no_candidates_is_no_scores() {
    let query = Values::Unit.query(&mut StdRng::seed_from_u64(6), 4, 8);
    for scorer in scorers() {
        assert!(scorer.score(query.view(), &[]).is_empty(), "{}", scorer.name);
    }
}

/// A score does not depend on the documents beside it, nor on the threads.
#[test]
fn a_document_scores_the_same_in_any_company() {
    let mut rng = StdRng::seed_from_u64(7);
    let query = Values::Unit.query(&mut rng, 32, 96);
    let documents = Values::Unit.documents(&mut rng, &[180, 3, 900, 64, 1], 96);
    let documents: Vec<TokenMatrixRef<'_>> = documents.iter().collect();
    for scorer in scorers() {
        let together = scorer.score(query.view(), &documents);
        let alone: Vec<f32> =
            documents.iter().flat_map(|d| scorer.score(query.view(), &[*d])).collect();
        assert_eq!(together, alone, "{}", scorer.name);
    }
}
