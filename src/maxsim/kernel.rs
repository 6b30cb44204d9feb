//! The blocked kernel: one algorithm, generic over lanes.
//!
//! Query tokens lie in the lanes, document tokens in the rows of the tiles of `tile.rs`. The last few
//! query tokens, which would leave lanes unused, are left to `narrow.rs`.
//!
//! Document tokens are widened to f32 a few rows at a time, into a buffer that stays in the L1
//! cache, and used for all query tokens before the next rows are widened.

use half::f16;

use super::lanes::FloatLanes;
use super::narrow;
use super::query::PackedQueries;
use super::tile::{Ahead, CHAIN, chunk_rows, fold_panel, repeat_last};

/// Chains that the maxima of a score are added in.
const SUM_CHAINS: usize = 8;

/// A thread's working memory for queries of one shape.
pub(super) struct Scratch {
    widened: Vec<f32>,
    maxima: Maxima,
}

impl Scratch {
    /// Memory for scoring `queries`.
    pub(super) fn new(queries: &PackedQueries) -> Self {
        let widened = vec![0.0; chunk_rows(queries.stride()) * queries.stride()];
        Self { widened, maxima: Maxima::new(queries) }
    }

    /// Forgets the maxima of an earlier document.
    pub(super) fn reset(&mut self) {
        self.maxima.0.fill(f32::NEG_INFINITY);
    }

    /// Result of what has been folded since.
    pub(super) fn maxima(&self) -> &Maxima {
        &self.maxima
    }
}

/// The maximum of each query token over the document tokens seen: first those of the tokens in
/// lanes, then those of the tokens in rows.
#[derive(Clone)]
pub(super) struct Maxima(Vec<f32>);

impl Maxima {
    /// Over nothing yet.
    pub(super) fn new(queries: &PackedQueries) -> Self {
        Self(vec![f32::NEG_INFINITY; queries.lanes() + queries.tokens_in_rows()])
    }

    /// Over what both have seen.
    pub(super) fn merge(mut self, other: &Self) -> Self {
        for (max, other) in self.0.iter_mut().zip(&other.0) {
            *max = max.max(*other);
        }
        self
    }

    /// Each query's score.
    pub(super) fn sums(&self, queries: &PackedQueries, scores: &mut [f32]) {
        let (in_lanes, in_rows) = self.0.split_at(queries.lanes());
        let mut many = &in_lanes[..queries.tokens_in_lanes()];
        let mut few = in_rows;
        for (score, &tokens) in scores.iter_mut().zip(queries.tokens()) {
            let (lanes, later) = many.split_at(tokens.min(many.len()));
            let (rows, last) = few.split_at(tokens - lanes.len());
            *score = sum(lanes) + sum(rows);
            (many, few) = (later, last);
        }
    }
}

/// Folds the token vectors `[tokens, dim]` of a document, or of a part of one, into the maxima.
///
/// `scratch` was made for these queries; `next` is what will be folded after, of which the beginning
/// is fetched into the cache meanwhile.
#[inline(always)]
pub(super) fn fold<L: FloatLanes>(
    lanes: L,
    queries: &PackedQueries,
    tokens: &[f16],
    next: &[f16],
    scratch: &mut Scratch,
) {
    let (dim, stride) = (queries.dim(), queries.stride());
    let Scratch { widened, maxima } = scratch;
    let (in_lanes, in_rows) = maxima.0.split_at_mut(queries.lanes());
    let chunk_len = if queries.lanes() == 0 { tokens.len() } else { chunk_rows(stride) * dim };
    let mut rest = tokens;
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(rest.len().min(chunk_len));
        let next = if later.is_empty() { next } else { later };
        if queries.lanes() > 0 {
            let rows = widen(lanes, chunk, dim, stride, widened);
            let mut ahead = Ahead::new(next.as_ptr(), dim, dim);
            for panel in queries.panels() {
                fold_panel(lanes, rows, stride, &panel, ahead, in_lanes);
                ahead = Ahead::nothing(chunk.as_ptr());
            }
        }
        narrow::fold(lanes, chunk, next, dim, queries.rows(), in_rows);
        rest = later;
    }
}

/// Widens rows `[rows, dim]` to `[rows, stride]`, and fills the last tile.
///
/// The columns past `dim` stay zero.
#[inline(always)]
fn widen<'a, L: FloatLanes>(
    lanes: L,
    chunk: &[f16],
    dim: usize,
    stride: usize,
    widened: &'a mut [f32],
) -> &'a [f32] {
    if stride == dim {
        lanes.widen(chunk, &mut widened[..chunk.len()]);
    } else {
        for (from, to) in chunk.chunks_exact(dim).zip(widened.chunks_exact_mut(stride)) {
            lanes.widen(from, &mut to[..dim]);
        }
    }
    repeat_last(widened, chunk.len() / dim, stride)
}

/// The sum of the query tokens' maxima.
fn sum(maxima: &[f32]) -> f32 {
    maxima.chunks(SUM_CHAINS * CHAIN).map(sum_block).sum()
}

fn sum_block(maxima: &[f32]) -> f32 {
    let (blocks, rest) = maxima.as_chunks::<SUM_CHAINS>();
    let mut chains = [0.0; SUM_CHAINS];
    for block in blocks {
        for (chain, max) in chains.iter_mut().zip(block) {
            *chain += max;
        }
    }
    chains.iter().sum::<f32>() + rest.iter().sum::<f32>()
}
