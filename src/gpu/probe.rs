//! Known batches that a device has to score correctly before it is trusted.
//!
//! The values are small integers, so that every product and every sum is exact in f32, in any order: a
//! right device gives exactly these scores. Sums go past 2,048, where f16 accumulation would show.
//!
//! Nothing is subnormal. WGSL lets a device take f16 below 6.1e-5 for zero. That changes a column by no
//! more than twice what rounding a column of 0.1 to f16 did, and few columns of an embedding are so small:
//! no reason to turn a GPU away.

use std::fmt::Display;
use std::ops::Range;
use std::sync::RwLockReadGuard;

use wgpu::BindGroup;

use super::batch::{QueryTokens, Work};
use super::device::Gpu;
use super::plan::{Plan, Wish};
use super::results::Results;
use super::source::{Found, Source};
use super::statistics::Statistics;
use crate::multivector::{MultiVectors, TokenMatrix, TokenMatrixRef};
use crate::ranking::by_rank;
use crate::{Error, Result};

/// Rows of documents where tiles end: of a lane, a tile, a team, parts.
const DOCUMENT_TOKENS: [usize; 11] = [1, 70, 3, 600, 8, 15, 16, 17, 33, 64, 131];

/// Query tokens and columns that are proven at the start: short, long and longest blocks, columns that fill
/// no tile, and more than one chain of them.
const SHAPES: [(usize, usize); 6] = [(67, 20), (7, 20), (32, 128), (67, 128), (17, 263), (65, 263)];

/// Finds out whether a device is right with the shapes of [`SHAPES`], with the best and with matches.
///
/// # Errors
/// It isn't.
pub(super) fn check(gpu: &Gpu) -> Result<()> {
    let fits = |(_, dim): &(usize, usize)| *dim <= gpu.limits.most_columns();
    for (tokens, dim) in SHAPES.into_iter().filter(fits) {
        let known = Known::new(dim, tokens, &DOCUMENT_TOKENS)?;
        known.check(gpu, DOCUMENT_TOKENS.len())?;
        gpu.note_proven(&known.plan(gpu, Wish::Scores)?);
    }
    let known = Known::new(20.min(gpu.limits.most_columns()), 7, &DOCUMENT_TOKENS)?;
    known.check_best(gpu)?;
    known.check_matches(gpu)
}

/// Finds out whether a device is right with the kernel of a plan, once.
///
/// # Errors
/// It isn't.
pub(super) fn prove(gpu: &Gpu, plan: &Plan) -> Result<()> {
    if plan.wish == Wish::Matches || gpu.is_proven(plan) {
        return Ok(());
    }
    // Beyond that, a query has more blocks, and no other ones.
    let known = Known::new(plan.dim, plan.tokens.min(67), &DOCUMENT_TOKENS[..3])?;
    known.check(gpu, 3)?;
    gpu.note_proven(plan);
    Ok(())
}

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
        // Of thousands of columns most are zero: sums have to stay exact.
        let sparse = dim.div_ceil(1024) as i64;
        let query: Vec<f32> = (0..query_tokens * dim)
            .map(|_| integer(&mut state, 0, 12) * f32::from(integer(&mut state, 1, sparse) == 1.0))
            .collect();
        let query = TokenMatrix::new(&query, dim)?;
        let mut documents = MultiVectors::empty(dim)?;
        for (number, tokens) in tokens.iter().enumerate() {
            // The query is not negative, so a document below zero has negative similarities only.
            let highest = if number == 2 { -1 } else { 20 };
            let values: Vec<f32> =
                (0..tokens * dim).map(|_| integer(&mut state, -20, highest)).collect();
            documents.push(TokenMatrix::new(&values, dim)?.view())?;
        }
        let expected = documents.iter().map(|document| exact(&query, document) as f32).collect();
        Ok(Self { query, documents, expected })
    }

    /// Query and documents as of a request of text.
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

    fn plan(&self, gpu: &Gpu, wish: Wish) -> Result<Plan> {
        gpu.plan(wish, &[self.query.view()], self.query.dim())
    }

    fn run(&self, gpu: &Gpu, (wish, candidates): (Wish, usize)) -> Result<(Results, Statistics)> {
        let plan = self.plan(gpu, wish)?;
        let ids: Vec<usize> = (0..candidates).map(|at| at % self.documents.len()).collect();
        let queries = [QueryTokens::F16(self.query.view())];
        let groups = plan.groups([(self.query.tokens(), ids.len())].into_iter(), |_| false);
        let source = &Given { documents: &self.documents, candidates: &ids };
        gpu.run(&Work { plan: &plan, queries: &queries, groups: &groups, source })
    }

    /// Scores `candidates`, the documents in turn, and refuses a device that is wrong.
    pub(super) fn check(&self, gpu: &Gpu, candidates: usize) -> Result<Statistics> {
        let (results, statistics) = self.run(gpu, (Wish::Scores, candidates))?;
        let scores =
            if let Results::Scores(scores) = results { scores.concat() } else { Vec::new() };
        let expected: Vec<f32> = self.expected.iter().copied().cycle().take(candidates).collect();
        compare(gpu.variant, &expected, &scores)?;
        Ok(statistics)
    }

    fn check_best(&self, gpu: &Gpu) -> Result<()> {
        let count = self.documents.len();
        let (results, _) = self.run(gpu, (Wish::Best(count - 1), count))?;
        let best = if let Results::Best(best) = results { best.lists.concat() } else { Vec::new() };
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|a, b| by_rank((self.expected[*a], *a), (self.expected[*b], *b)));
        let expected: Vec<f32> = order.iter().map(|at| self.expected[*at]).collect();
        let best: Vec<f32> = best.iter().map(|(_, score)| *score).collect();
        compare(gpu.variant, &expected[..count - 1], &best)
    }

    fn check_matches(&self, gpu: &Gpu) -> Result<()> {
        let (results, _) = self.run(gpu, (Wish::Matches, self.documents.len()))?;
        let matches = if let Results::Matches(all) = results { all.concat() } else { Vec::new() };
        let sums = matches.iter().map(|all| all.iter().map(|it| it.similarity).sum());
        compare(gpu.variant, &self.expected, &sums.collect::<Vec<f32>>())
    }
}

/// Documents that are sent along.
struct Given<'a> {
    documents: &'a MultiVectors,
    candidates: &'a [usize],
}

impl Source for Given<'_> {
    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>> {
        None
    }

    fn locate(&self, _: usize, candidates: Range<usize>, visit: &mut dyn FnMut(Found<'_>)) {
        candidates.for_each(|_| visit(Found::Absent));
    }

    fn page(&self, _: u32) -> Option<BindGroup> {
        None
    }

    fn matrix(&self, _: usize, candidate: usize) -> Result<TokenMatrixRef<'_>> {
        let matrix = self.documents.get(self.candidates[candidate]);
        matrix.ok_or_else(|| Error::NotResident { id: candidate.to_string() })
    }
}

/// Refuses a device whose scores are not these.
pub(super) fn compare(kernel: impl Display, expected: &[f32], got: &[f32]) -> Result<()> {
    let nothing = std::iter::repeat(&f32::NAN);
    let wrong = expected.iter().zip(got.iter().chain(nothing)).position(|(a, b)| a != b);
    match wrong {
        None => Ok(()),
        Some(document) => {
            let (variant, expected) = (kernel.to_string(), expected[document]);
            let got = got.get(document).copied().unwrap_or(f32::NAN);
            Err(Error::ProbeFailed { variant, document, expected, got })
        }
    }
}

/// The next of a fixed sequence of integers within bounds (Knuth's linear congruential generator).
pub(super) fn integer(state: &mut u64, lowest: i64, highest: i64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let range = (highest - lowest + 1) as u64;
    (lowest + ((*state >> 33) % range) as i64) as f32
}

/// MaxSim in integers.
fn exact(query: &TokenMatrix, document: TokenMatrixRef<'_>) -> i64 {
    let integers = |values: &[half::f16]| -> Vec<i32> {
        values.iter().map(|value| value.to_f32() as i32).collect()
    };
    let (dim, query) = (query.dim(), integers(query.view().values()));
    let document = integers(document.values());
    let dot = |q: &[i32], d: &[i32]| -> i32 { q.iter().zip(d).map(|(a, b)| a * b).sum() };
    let maxima =
        query.chunks_exact(dim).filter_map(|q| document.chunks_exact(dim).map(|d| dot(q, d)).max());
    maxima.map(i64::from).sum()
}
