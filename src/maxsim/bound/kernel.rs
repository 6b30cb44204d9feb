//! The bound's kernel: chunks of rows, quantized one after the other, in the tiles of the exact one.

use half::f16;

use super::lanes::{Columns, IntegerLanes};
use super::query::{Bounds, QuantizedQuery};
use crate::maxsim::tile::{Ahead, HIGH, chunk_rows, fold_panel, repeat_last};

/// A thread's working memory for queries of one shape.
pub(super) struct Scratch {
    /// Quantized rows.
    rows: Vec<i32>,
    /// Maxima over the rows of a chunk, in its unit.
    chunk: Vec<i32>,
    estimates: Estimates,
}

impl Scratch {
    /// Memory for bounding scores of `query`.
    pub(super) fn new(query: &QuantizedQuery) -> Self {
        let rows = vec![0; rows_at_a_time(query) * query.groups()];
        Self { rows, chunk: vec![0; query.lanes()], estimates: Estimates::new(query) }
    }

    /// Forgets an earlier document.
    pub(super) fn reset(&mut self) {
        self.estimates.maxima.fill(f32::NEG_INFINITY);
        (self.estimates.largest, self.estimates.longest) = (0.0, 0.0);
    }

    /// Result of what has been folded since.
    pub(super) fn estimates(&self) -> &Estimates {
        &self.estimates
    }
}

/// Estimates of a document, or of a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Estimates {
    /// Of each query token in integers, the largest similarity.
    pub maxima: Vec<f32>,
    /// The largest magnitude of the document.
    pub largest: f32,
    /// The longest row in integers; 0 where bounds don't need it.
    pub longest: f64,
}

impl Estimates {
    /// Of nothing yet.
    pub(super) fn new(query: &QuantizedQuery) -> Self {
        Self { maxima: vec![f32::NEG_INFINITY; query.lanes()], largest: 0.0, longest: 0.0 }
    }

    /// Estimates over the rows of both.
    pub(super) fn merge(mut self, other: &Self) -> Self {
        for (max, other) in self.maxima.iter_mut().zip(&other.maxima) {
            *max = max.max(*other);
        }
        self.largest = self.largest.max(other.largest);
        self.longest = self.longest.max(other.longest);
        self
    }

    /// Bounds on the score of what they are of.
    pub(super) fn bounds(&self, query: &QuantizedQuery) -> Bounds {
        query.bounds(&self.maxima, self.largest, self.longest)
    }

    /// Takes in a chunk: its maxima, its largest magnitude, and the largest sum of a row's squares.
    #[inline(always)]
    fn take(&mut self, query: &QuantizedQuery, chunk: &[i32], largest: f32, squares: i32) {
        self.largest = self.largest.max(largest);
        let unit = f64::from(largest) / f64::from(query.limit());
        self.longest = self.longest.max(f64::from(squares).sqrt() * unit);
        // What 1 of its integers stands for.
        let unit = largest / query.limit();
        for ((max, chunk), excess) in self.maxima.iter_mut().zip(chunk).zip(query.excess()) {
            let similarity = (*chunk - excess) as f32 * unit;
            *max = if similarity > *max { similarity } else { *max };
        }
    }
}

/// Rows quantized at a time. Of quads one tile's, as no more of what comes next are fetched meanwhile; measured.
fn rows_at_a_time(query: &QuantizedQuery) -> usize {
    let fitting = chunk_rows(query.groups());
    if query.columns() == Columns::Quads { fitting.min(HIGH) } else { fitting }
}

/// Folds the token vectors `[tokens, dim]` of a document, or of a part of one, into the estimates.
///
/// `scratch` was made for this query; `next` is what will be folded after, of which the beginning is
/// fetched into the cache meanwhile.
#[inline(always)]
pub(super) fn fold<L: IntegerLanes>(
    lanes: L,
    query: &QuantizedQuery,
    tokens: &[f16],
    next: &[f16],
    scratch: &mut Scratch,
) {
    let (dim, groups) = (query.dim(), query.groups());
    let mut rest = tokens;
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(rest.len().min(rows_at_a_time(query) * dim));
        let first = if later.is_empty() { next } else { later };
        let largest = lanes.largest(chunk);
        // Of zeros alone, any scale makes zeros.
        let scale = if largest > 0.0 { query.limit() / largest } else { 0.0 };
        let squares = lanes.quantize(chunk, dim, scale, &mut scratch.rows);
        let rows = repeat_last(&mut scratch.rows, chunk.len() / dim, groups);
        scratch.chunk.fill(i32::MIN);
        let mut ahead = Ahead::new(first.as_ptr(), dim, groups);
        // As far into what is next as this chunk is into this: memory answers later than a tile takes.
        ahead = ahead.and_later(next.as_ptr().wrapping_add(tokens.len() - rest.len()));
        for panel in query.panels() {
            fold_panel(lanes, rows, groups, &panel, ahead, &mut scratch.chunk);
            ahead = Ahead::nothing(chunk.as_ptr());
        }
        scratch.estimates.take(query, &scratch.chunk, largest, squares);
        rest = later;
    }
}
