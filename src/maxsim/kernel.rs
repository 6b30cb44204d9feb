//! The blocked kernel: one algorithm, generic over lanes.
//!
//! Query tokens lie in the lanes, document tokens in the rows of a tile. A tile multiplies `R`
//! document tokens with `C` registers of query tokens and keeps its `R · C` sums in registers over
//! the columns, so that each value loaded is used `R` or `C` times; then it folds them into the query
//! tokens' maxima. No similarity is written to memory. The last few query tokens, which would leave
//! lanes unused, are left to `narrow.rs`.
//!
//! Document tokens are widened to f32 a few rows at a time, into a buffer that stays in the L1
//! cache, and used for all query tokens before the next rows are widened.

use std::ops::Range;

use half::f16;

use super::lanes::Lanes;
use super::narrow;
use super::query::{PackedQueries, Panel};

/// What every tile's height divides: rows widened at a time are a multiple of it.
const HIGH: usize = 24;

/// What the lowest tiles' heights divide: the rows of a document are rounded up to a multiple of it.
const LOW: usize = 8;

/// f32 values of widened rows held at a time: 12 KiB, so that they share the L1 cache with a query.
const WIDENED_VALUES: usize = 3 * 1024;

/// f32 values of widened rows held at most, however long a row is.
const MOST_WIDENED_VALUES: usize = 8 * 1024;

/// Additions in a row at most, before their sum is added to others: equal numbers are all rounded
/// the same way, and so the error of one long chain would grow with its length.
pub(super) const CHAIN: usize = 256;

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

    /// What has been folded since.
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

/// Rows widened at a time: as many as fit, and whole tiles of any height.
fn chunk_rows(stride: usize) -> usize {
    let fitting = WIDENED_VALUES / stride;
    let least = if HIGH * stride <= MOST_WIDENED_VALUES { HIGH } else { LOW };
    (fitting - fitting % HIGH).max(least)
}

/// Folds the token vectors `[tokens, dim]` of a document, or of a part of one, into the maxima.
///
/// `scratch` was made for these queries; `next` is what will be folded after, of which the beginning
/// is fetched into the cache meanwhile.
#[inline(always)]
pub(super) fn fold<L: Lanes>(
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
            let mut ahead = Ahead { values: next.as_ptr(), dim };
            for panel in queries.panels() {
                fold_panel(lanes, rows, stride, &panel, ahead, in_lanes);
                ahead = Ahead { values: chunk.as_ptr(), dim: 0 };
            }
        }
        narrow::fold(lanes, chunk, next, dim, queries.rows(), in_rows);
        rest = later;
    }
}

/// Token vectors to fetch into the cache, as many as a tile has rows while it is multiplied: spread
/// over its columns, they arrive while the arithmetic units are busy.
#[derive(Clone, Copy)]
struct Ahead {
    /// Only fetched, never read: it may point past the end of what is there.
    values: *const f16,
    /// Values of a row; 0 to fetch nothing new.
    dim: usize,
}

impl Ahead {
    /// After so many rows.
    fn after(self, rows: usize) -> Self {
        Self { values: self.values.wrapping_add(rows * self.dim), ..self }
    }
}

/// Widens rows `[rows, dim]` to `[rows, stride]`, and fills the last tile with copies of the last
/// row.
///
/// A maximum over a row taken twice is the same maximum; zeros would beat negative similarities.
/// The columns past `dim` stay zero.
#[inline(always)]
fn widen<'a, L: Lanes>(
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
    let rows = chunk.len() / dim;
    let rounded = rows.next_multiple_of(LOW);
    for row in rows..rounded {
        widened.copy_within((rows - 1) * stride..rows * stride, row * stride);
    }
    &widened[..rounded * stride]
}

/// Folds widened rows into the maxima of one panel's query tokens.
#[inline(always)]
fn fold_panel<L: Lanes>(
    lanes: L,
    rows: &[f32],
    stride: usize,
    panel: &Panel<'_>,
    ahead: Ahead,
    maxima: &mut [f32],
) {
    let maxima = &mut maxima[panel.first_lane..];
    let columns = panel.columns;
    // The sums of a tall tile, and what they are made of, fill the registers and no more.
    match (panel.vectors, L::REGISTERS) {
        (1, 32) => fold_tiles::<L, 24, 16, 8, 1>(lanes, rows, stride, columns, ahead, maxima),
        (2, 32) => fold_tiles::<L, 12, 8, 4, 2>(lanes, rows, stride, columns, ahead, maxima),
        (3, 32) => fold_tiles::<L, 8, 4, 4, 3>(lanes, rows, stride, columns, ahead, maxima),
        (_, 32) => fold_tiles::<L, 6, 4, 2, 4>(lanes, rows, stride, columns, ahead, maxima),
        (1, _) => fold_tiles::<L, 12, 8, 4, 1>(lanes, rows, stride, columns, ahead, maxima),
        (2, _) => fold_tiles::<L, 6, 4, 2, 2>(lanes, rows, stride, columns, ahead, maxima),
        (3, _) => fold_tiles::<L, 4, 2, 2, 3>(lanes, rows, stride, columns, ahead, maxima),
        (_, _) => fold_tiles::<L, 3, 2, 1, 4>(lanes, rows, stride, columns, ahead, maxima),
    }
}

/// Folds widened rows in tiles of `TALL` rows, and what is left in one tile, `MIDDLE` or `SHORT`.
#[inline(always)]
fn fold_tiles<
    L: Lanes,
    const TALL: usize,
    const MIDDLE: usize,
    const SHORT: usize,
    const C: usize,
>(
    lanes: L,
    rows: &[f32],
    stride: usize,
    columns: &[f32],
    ahead: Ahead,
    maxima: &mut [f32],
) {
    let (tall, rest) = rows.split_at(rows.len() - rows.len() % (TALL * stride));
    let (middle, short) = rest.split_at(rest.len() - rest.len() % (MIDDLE * stride));
    fold_rows::<L, TALL, C>(lanes, tall, stride, columns, ahead, maxima);
    let ahead = ahead.after(tall.len() / stride);
    fold_rows::<L, MIDDLE, C>(lanes, middle, stride, columns, ahead, maxima);
    let ahead = ahead.after(middle.len() / stride);
    fold_rows::<L, SHORT, C>(lanes, short, stride, columns, ahead, maxima);
}

/// Folds widened rows, `R` at a time, into the maxima of `C` registers of query tokens.
#[inline(always)]
fn fold_rows<L: Lanes, const R: usize, const C: usize>(
    lanes: L,
    rows: &[f32],
    stride: usize,
    columns: &[f32],
    ahead: Ahead,
    maxima: &mut [f32],
) {
    for (index, tile) in rows.chunks_exact(R * stride).enumerate() {
        let sums = multiply::<L, R, C>(lanes, tile, stride, columns, ahead.after(index * R));
        for c in 0..C {
            let maxima = &mut maxima[c * L::WIDTH..(c + 1) * L::WIDTH];
            // SAFETY: `maxima` was cut to WIDTH values.
            let mut max = unsafe { lanes.load(maxima.as_ptr()) };
            for row in &sums {
                max = lanes.max(max, row[c]);
            }
            lanes.store(max, maxima);
        }
    }
}

/// The dot products of `R` rows `[R, stride]` with `C` registers of query tokens `[dim, C · width]`.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Iterators here cost the portable lanes their registers.
fn multiply<L: Lanes, const R: usize, const C: usize>(
    lanes: L,
    tile: &[f32],
    stride: usize,
    columns: &[f32],
    ahead: Ahead,
) -> [[L::Register; C]; R] {
    let dim = columns.len() / (C * L::WIDTH);
    assert!(tile.len() == R * stride && dim <= stride);
    let mut sums =
        multiply_block::<L, R, C>(lanes, tile, stride, columns, ahead, 0..dim.min(CHAIN));
    for start in (CHAIN..dim).step_by(CHAIN) {
        let block = start..dim.min(start + CHAIN);
        let more = multiply_block::<L, R, C>(lanes, tile, stride, columns, ahead, block);
        for r in 0..R {
            for c in 0..C {
                sums[r][c] = lanes.add(sums[r][c], more[r][c]);
            }
        }
    }
    sums
}

/// [`multiply`] over a block of columns.
///
/// Of rows and registers, the fewer are held while the others pass: with their sums, no more are
/// live than there are registers.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn multiply_block<L: Lanes, const R: usize, const C: usize>(
    lanes: L,
    tile: &[f32],
    stride: usize,
    columns: &[f32],
    ahead: Ahead,
    block: Range<usize>,
) -> [[L::Register; C]; R] {
    assert!(tile.len() == R * stride && block.end <= stride);
    assert!(block.end * C * L::WIDTH <= columns.len());
    let mut sums = [[lanes.splat(0.0); C]; R];
    let fetched = if ahead.dim == 0 { 0 } else { R };
    for k in block {
        lanes.prefetch(ahead.values.wrapping_add(k * fetched));
        // SAFETY: r < R, c < C and k < block.end, so by the assertions above r · stride + k is inside
        // `tile`, and WIDTH values from (k · C + c) · WIDTH are inside `columns`.
        let row = |r: usize| unsafe { lanes.splat(*tile.get_unchecked(r * stride + k)) };
        let query = |c: usize| unsafe { lanes.load(columns.as_ptr().add((k * C + c) * L::WIDTH)) };
        if C < R {
            let mut queries = [lanes.splat(0.0); C];
            for c in 0..C {
                queries[c] = query(c);
            }
            for r in 0..R {
                let row = row(r);
                for c in 0..C {
                    sums[r][c] = lanes.mul_add(row, queries[c], sums[r][c]);
                }
            }
        } else {
            let mut rows = [lanes.splat(0.0); R];
            for r in 0..R {
                rows[r] = row(r);
            }
            for c in 0..C {
                let query = query(c);
                for r in 0..R {
                    sums[r][c] = lanes.mul_add(rows[r], query, sums[r][c]);
                }
            }
        }
    }
    sums
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
