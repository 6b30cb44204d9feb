//! The known batches that a device has to score correctly before it is trusted.
//!
//! Sums go past 2,048, where f16 accumulation would show. See `known.rs` for the values.
//!
//! It has no subnormal values. WGSL lets a device take f16 below 6.1e-5 for zero. That changes a
//! column by no more than twice what rounding a column of 0.1 to f16 did, and few columns of an
//! embedding are so small: no reason to turn a GPU away.

use super::device::Gpu;
use super::engine::{Wish, Work};
use super::known::{Known, compare};
use super::results::Results;
use super::source::Given;
use super::wait::Polling;
use crate::Result;
use crate::multivector::TokenMatrixRef;
use crate::ranking::{Match, by_rank};

/// Not a multiple of a quad nor of a matrix unit's tile, and more than one block of columns.
const DIM: usize = 263;

/// Within one tile of query tokens, and more than one of long queries.
const QUERY_TOKENS: [usize; 2] = [7, 67];

/// One row, part of a tile, several tiles, several segments.
const DOCUMENT_TOKENS: [usize; 5] = [1, 70, 3, 600, 8];

/// Scores the known batches, finds the best of the longer query and their matches, and refuses a
/// device that is wrong.
pub(super) async fn check(gpu: &Gpu, polling: Polling) -> Result<()> {
    let [short, long] = QUERY_TOKENS.map(|tokens| Known::new(DIM, tokens, &DOCUMENT_TOKENS));
    let long = long?;
    short?.check(gpu, DOCUMENT_TOKENS.len(), polling).await?;
    let (expected, documents) = (long.scores(), &long.views());
    let probe = Probe { gpu, query: long.query(), documents, polling };
    let scores = probe.run(Wish::Scores).await?.scores.concat();
    compare(gpu, expected, &scores)?;
    let best = probe.run(Wish::Best(DOCUMENT_TOKENS.len() - 1)).await?.best.concat();
    let mut order: Vec<usize> = (0..expected.len()).collect();
    order.sort_by(|a, b| by_rank((expected[*a], *a), (expected[*b], *b)));
    let expected_best: Vec<f32> = order.iter().map(|at| expected[*at]).collect();
    let best: Vec<f32> = best.iter().map(|(_, score)| *score).collect();
    compare(gpu, &expected_best[..best.len()], &best)?;
    let matches = probe.run(Wish::Matches).await?.matches.concat();
    let sum = |matches: &Vec<Match>| matches.iter().map(|it| it.similarity).sum();
    compare(gpu, expected, &matches.iter().map(sum).collect::<Vec<f32>>())
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
}
