//! The bound's kernel: chunks of rows, quantized one after the other, in the tiles of the exact one.

use half::f16;

use super::lanes::PairLanes;
use super::query::{Bounds, QuantizedQuery};
use crate::maxsim::tile::{Ahead, chunk_rows, fold_panel, repeat_last};

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
        let rows = vec![0; chunk_rows(query.pairs()) * query.pairs()];
        Self { rows, chunk: vec![0; query.lanes()], estimates: Estimates::new(query) }
    }

    /// Forgets an earlier document.
    pub(super) fn reset(&mut self) {
        self.estimates.maxima.fill(f32::NEG_INFINITY);
        self.estimates.largest = 0.0;
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
}

impl Estimates {
    /// Of nothing yet.
    pub(super) fn new(query: &QuantizedQuery) -> Self {
        Self { maxima: vec![f32::NEG_INFINITY; query.lanes()], largest: 0.0 }
    }

    /// Estimates over the rows of both.
    pub(super) fn merge(mut self, other: &Self) -> Self {
        for (max, other) in self.maxima.iter_mut().zip(&other.maxima) {
            *max = max.max(*other);
        }
        self.largest = self.largest.max(other.largest);
        self
    }

    /// Bounds on the score of what they are of.
    pub(super) fn bounds(&self, query: &QuantizedQuery) -> Bounds {
        query.bounds(&self.maxima, self.largest)
    }

    /// Takes in a chunk: its maxima, its largest magnitude, and what 1 of its integers stands for.
    #[inline(always)]
    fn take(&mut self, chunk: &[i32], largest: f32, unit: f32) {
        self.largest = self.largest.max(largest);
        for (max, chunk) in self.maxima.iter_mut().zip(chunk) {
            let similarity = *chunk as f32 * unit;
            *max = if similarity > *max { similarity } else { *max };
        }
    }
}

/// Folds the token vectors `[tokens, dim]` of a document, or of a part of one, into the estimates.
///
/// `scratch` was made for this query; `next` is what will be folded after, of which the beginning is
/// fetched into the cache meanwhile.
#[inline(always)]
pub(super) fn fold<L: PairLanes>(
    lanes: L,
    query: &QuantizedQuery,
    tokens: &[f16],
    next: &[f16],
    scratch: &mut Scratch,
) {
    let (dim, pairs) = (query.dim(), query.pairs());
    let mut rest = tokens;
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(rest.len().min(chunk_rows(pairs) * dim));
        let next = if later.is_empty() { next } else { later };
        let largest = lanes.largest(chunk);
        let rows = quantize(lanes, chunk, query, largest, &mut scratch.rows);
        scratch.chunk.fill(i32::MIN);
        let mut ahead = Ahead::new(next.as_ptr(), dim, pairs);
        for panel in query.panels() {
            fold_panel(lanes, rows, pairs, &panel, ahead, &mut scratch.chunk);
            ahead = Ahead::nothing(chunk.as_ptr());
        }
        scratch.estimates.take(&scratch.chunk, largest, largest / query.limit());
        rest = later;
    }
}

/// Quantizes rows `[rows, dim]` to pairs `[rows, pairs]`, and fills the last tile.
///
/// Of an odd number of columns, the last pair's second stays zero.
#[inline(always)]
fn quantize<'a, L: PairLanes>(
    lanes: L,
    chunk: &[f16],
    query: &QuantizedQuery,
    largest: f32,
    quantized: &'a mut [i32],
) -> &'a [i32] {
    let (dim, pairs) = (query.dim(), query.pairs());
    // Of zeros alone, any scale makes zeros.
    let scale = if largest > 0.0 { query.limit() / largest } else { 0.0 };
    let values: &mut [i16] = bytemuck::cast_slice_mut(quantized);
    if dim == 2 * pairs {
        lanes.quantize(chunk, scale, &mut values[..chunk.len()]);
    } else {
        for (from, to) in chunk.chunks_exact(dim).zip(values.chunks_exact_mut(2 * pairs)) {
            lanes.quantize(from, scale, &mut to[..dim]);
        }
    }
    repeat_last(quantized, chunk.len() / dim, pairs)
}
