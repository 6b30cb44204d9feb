//! A batch whose scores are known.
//!
//! The values are small integers, so that every product and every sum is exact in f32, in any
//! order: a right device gives exactly these scores.

use super::device::Gpu;
use super::engine::{Wish, Work};
use super::source::Given;
use super::statistics::Statistics;
use super::wait::Polling;
use crate::multivector::{MultiVectors, TokenMatrix, TokenMatrixRef};
use crate::{Error, Result};

/// A query, documents, and their scores.
pub(super) struct Known {
    query: TokenMatrix,
    documents: MultiVectors,
    expected: Vec<f32>,
}

impl Known {
    /// A query of so many tokens, and documents of these. Every similarity of the third document is
    /// negative, so that a zero that wins a maximum shows.
    pub(super) fn new(dim: usize, query_tokens: usize, tokens: &[usize]) -> Result<Self> {
        let mut state = 1;
        let query: Vec<f32> = (0..query_tokens * dim).map(|_| integer(&mut state, 0, 12)).collect();
        let query = TokenMatrix::new(&query, dim)?;
        let mut documents = MultiVectors::empty(dim)?;
        for (number, tokens) in tokens.iter().enumerate() {
            // The query is not negative, so a document below zero has negative similarities only.
            let highest = if number == 2 { -1 } else { 20 };
            let values: Vec<f32> =
                (0..tokens * dim).map(|_| integer(&mut state, -20, highest)).collect();
            documents.push(TokenMatrix::new(&values, dim)?.view())?;
        }
        let expected = documents.iter().map(|document| exact(query.view(), document) as f32);
        let expected = expected.collect();
        Ok(Self { query, documents, expected })
    }

    /// What a request of text is like.
    pub(super) fn short_query() -> Result<Self> {
        Self::new(128, 32, &[300; 16])
    }

    /// A page as query.
    pub(super) fn long_query() -> Result<Self> {
        Self::new(128, 256, &[1_030; 2])
    }

    /// Documents that differ.
    pub(super) fn documents(&self) -> usize {
        self.documents.len()
    }

    pub(super) fn query(&self) -> TokenMatrixRef<'_> {
        self.query.view()
    }

    pub(super) fn views(&self) -> Vec<TokenMatrixRef<'_>> {
        self.documents.iter().collect()
    }

    pub(super) fn scores(&self) -> &[f32] {
        &self.expected
    }

    /// Scores `candidates`, the documents in turn, and refuses a device that is wrong.
    pub(super) async fn check(
        &self,
        gpu: &Gpu,
        candidates: usize,
        polling: Polling,
    ) -> Result<Statistics> {
        let views = self.views();
        let all: Vec<_> = views.iter().copied().cycle().take(candidates).collect();
        let (queries, counts) = ([self.query()], [candidates]);
        let (source, wish) = (&Given(&all), Wish::Scores);
        let work = Work { queries: &queries, candidates: &counts, source, wish };
        let (results, statistics) = gpu.run(&work, polling).await?;
        let expected: Vec<f32> = self.expected.iter().copied().cycle().take(candidates).collect();
        compare(gpu, &expected, &results.scores.concat())?;
        Ok(statistics)
    }
}

/// Refuses a device whose scores are not these.
pub(super) fn compare(gpu: &Gpu, expected: &[f32], got: &[f32]) -> Result<()> {
    match expected.iter().zip(got).position(|(expected, got)| expected != got) {
        None => Ok(()),
        Some(document) => {
            let (variant, expected, got) = (gpu.variant, expected[document], got[document]);
            Err(Error::ProbeFailed { variant, document, expected, got })
        }
    }
}

/// The next of a fixed sequence of integers within bounds (Knuth's linear congruential generator).
fn integer(state: &mut u64, lowest: i64, highest: i64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let range = (highest - lowest + 1) as u64;
    (lowest + ((*state >> 33) % range) as i64) as f32
}

/// MaxSim in integers.
fn exact(query: TokenMatrixRef<'_>, document: TokenMatrixRef<'_>) -> i64 {
    let integers = |matrix: TokenMatrixRef<'_>| -> Vec<i32> {
        matrix.values().iter().map(|value| value.to_f32() as i32).collect()
    };
    let (query, document, dim) = (integers(query), integers(document), query.dim());
    let dot = |q: &[i32], d: &[i32]| -> i32 { q.iter().zip(d).map(|(a, b)| a * b).sum() };
    let maxima =
        query.chunks_exact(dim).filter_map(|q| document.chunks_exact(dim).map(|d| dot(q, d)).max());
    maxima.map(i64::from).sum()
}
