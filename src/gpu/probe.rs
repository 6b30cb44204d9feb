//! The known batch that a device has to score correctly before it is trusted.
//!
//! The values are small integers, so that every product and every sum is exact in f32, in any
//! order: a right device gives exactly these scores. Sums go past 2,048, where f16 accumulation
//! would show, and every similarity of one document is negative, so that a zero that wins a maximum
//! shows too.
//!
//! It has no subnormal values. WGSL lets a device take f16 below 6.1e-5 for zero. That changes a
//! column by no more than twice what rounding a column of 0.1 to f16 did, and few columns of an
//! embedding are so small: no reason to turn a GPU away.

use super::device::Gpu;
use super::engine::{Wish, Work};
use super::results::Results;
use super::source::Given;
use super::wait::Polling;
use crate::multivector::{MultiVectors, TokenMatrix, TokenMatrixRef};
use crate::ranking::{Match, by_rank};
use crate::{Error, Result};

/// Not a multiple of a quad, and more than one block of columns.
const DIM: usize = 39;

/// More than one tile of query tokens.
const QUERY_TOKENS: usize = 35;

/// One row, part of a tile, several tiles, several segments.
const DOCUMENT_TOKENS: [usize; 5] = [1, 70, 3, 600, 8];

/// Scores the known batch, finds its best and their matches, and refuses a device that is wrong.
pub(super) async fn check(gpu: &Gpu, polling: Polling) -> Result<()> {
    let (query, documents) = batch()?;
    let documents: Vec<_> = documents.iter().collect();
    let expected: Vec<f32> = documents.iter().map(|d| exact(query.view(), *d) as f32).collect();
    let probe = Probe { gpu, query: query.view(), documents: &documents, polling };
    let scores = probe.run(Wish::Scores).await?.scores.concat();
    probe.compare(&expected, &scores)?;
    let best = probe.run(Wish::Best(DOCUMENT_TOKENS.len() - 1)).await?.best.concat();
    let mut order: Vec<usize> = (0..expected.len()).collect();
    order.sort_by(|a, b| by_rank((expected[*a], *a), (expected[*b], *b)));
    let expected_best: Vec<f32> = order.iter().map(|at| expected[*at]).collect();
    let best: Vec<f32> = best.iter().map(|(_, score)| *score).collect();
    probe.compare(&expected_best[..best.len()], &best)?;
    let matches = probe.run(Wish::Matches).await?.matches.concat();
    let sum = |matches: &Vec<Match>| matches.iter().map(|it| it.similarity).sum();
    probe.compare(&expected, &matches.iter().map(sum).collect::<Vec<f32>>())
}

struct Probe<'a> {
    gpu: &'a Gpu,
    query: TokenMatrixRef<'a>,
    documents: &'a [TokenMatrixRef<'a>],
    polling: Polling,
}

impl Probe<'_> {
    async fn run(&self, wish: Wish) -> Result<Results> {
        let (queries, candidates) = ([self.query], [self.documents.len()]);
        let source = &Given(self.documents);
        let work = Work { queries: &queries, candidates: &candidates, source, wish };
        Ok(self.gpu.run(&work, self.polling).await?.0)
    }

    fn compare(&self, expected: &[f32], got: &[f32]) -> Result<()> {
        match (0..expected.len()).find(|&at| got[at] != expected[at]) {
            None => Ok(()),
            Some(document) => {
                let (variant, expected, got) =
                    (self.gpu.variant, expected[document], got[document]);
                Err(Error::ProbeFailed { variant, document, expected, got })
            }
        }
    }
}

fn batch() -> Result<(TokenMatrix, MultiVectors)> {
    let mut state = 1;
    let query: Vec<f32> = (0..QUERY_TOKENS * DIM).map(|_| integer(&mut state, 0, 12)).collect();
    let mut documents = MultiVectors::empty(DIM)?;
    for (number, tokens) in DOCUMENT_TOKENS.into_iter().enumerate() {
        // The query is not negative, so a document below zero has negative similarities only.
        let highest = if number == 2 { -1 } else { 20 };
        let values: Vec<f32> =
            (0..tokens * DIM).map(|_| integer(&mut state, -20, highest)).collect();
        documents.push(TokenMatrix::new(&values, DIM)?.view())?;
    }
    Ok((TokenMatrix::new(&query, DIM)?, documents))
}

/// The next of a fixed sequence of integers within bounds (Knuth's linear congruential generator).
fn integer(state: &mut u64, lowest: i64, highest: i64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let range = (highest - lowest + 1) as u64;
    (lowest + ((*state >> 33) % range) as i64) as f32
}

/// MaxSim in integers.
fn exact(query: TokenMatrixRef<'_>, document: TokenMatrixRef<'_>) -> i64 {
    let dot = |q: &[half::f16], d: &[half::f16]| -> i64 {
        q.iter().zip(d).map(|(a, b)| a.to_f32() as i64 * b.to_f32() as i64).sum()
    };
    query.rows().filter_map(|q| document.rows().map(|d| dot(q, d)).max()).sum()
}
