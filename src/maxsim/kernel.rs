//! The blocked kernel: one algorithm, generic over lanes.
//!
//! Query tokens lie in the lanes, document tokens in the rows of a tile. A tile multiplies `R`
//! document tokens with `C` registers of query tokens and keeps its `R · C` sums, 9 or 12, in registers
//! over the whole dimension, so that each value loaded is used `R` or `C` times; then it folds them
//! into the query tokens' maxima. No similarity is written to memory.
//!
//! Document tokens are widened to f32 a few rows at a time, into a buffer that stays in the L1
//! cache, and used for all panels of the query before the next rows are widened.

use super::lanes::Lanes;
use super::query::{PackedQuery, Panel};
use crate::multivector::TokenMatrixRef;

/// Rows of the tallest tile, and so the granularity of the widened rows.
const MAX_ROWS: usize = 12;

/// f32 values of widened rows held at a time: 24 KiB, three quarters of a small L1 cache.
const WIDENED_VALUES: usize = 6 * 1024;

/// Partial sums of a score. Adding in eight chains keeps the rounding error of 1,024 query tokens
/// near that of 128.
const SUM_CHAINS: usize = 8;

/// A thread's working memory for queries of one shape.
pub(super) struct Scratch {
    widened: Vec<f32>,
    maxima: Vec<f32>,
}

impl Scratch {
    /// Memory for scoring `query`.
    pub(super) fn new(query: &PackedQuery) -> Self {
        Self {
            widened: vec![0.0; chunk_rows(query.dim()) * query.dim()],
            maxima: vec![f32::NEG_INFINITY; query.lanes()],
        }
    }
}

/// Rows widened at a time: as many as fit, and whole tiles of any height.
fn chunk_rows(dim: usize) -> usize {
    let fitting = WIDENED_VALUES / dim;
    (fitting - fitting % MAX_ROWS).max(MAX_ROWS)
}

/// The MaxSim score of one document.
///
/// `scratch` was made for a query of this shape, and `document` has the query's dimension.
#[inline(always)]
pub(super) fn score<L: Lanes>(
    lanes: L,
    query: &PackedQuery,
    document: TokenMatrixRef<'_>,
    scratch: &mut Scratch,
) -> f32 {
    let dim = query.dim();
    let Scratch { widened, maxima } = scratch;
    maxima.fill(f32::NEG_INFINITY);
    for chunk in document.values().chunks(chunk_rows(dim) * dim) {
        lanes.widen(chunk, &mut widened[..chunk.len()]);
        let rows = repeat_last_row(widened, chunk.len() / dim, dim);
        for panel in query.panels() {
            fold_panel(lanes, &widened[..rows * dim], dim, &panel, maxima);
        }
    }
    sum(&maxima[..query.tokens()])
}

/// Fills the last tile with copies of the last row, and returns the number of rows then.
///
/// A maximum over a row taken twice is the same maximum; zeros would beat negative similarities.
#[inline(always)]
fn repeat_last_row(widened: &mut [f32], rows: usize, dim: usize) -> usize {
    let whole_tiles = rows.next_multiple_of(MAX_ROWS);
    for row in rows..whole_tiles {
        widened.copy_within((rows - 1) * dim..rows * dim, row * dim);
    }
    whole_tiles
}

/// Folds widened rows into the maxima of one panel's query tokens.
#[inline(always)]
fn fold_panel<L: Lanes>(lanes: L, rows: &[f32], dim: usize, panel: &Panel<'_>, maxima: &mut [f32]) {
    let maxima = &mut maxima[panel.first_lane..];
    match panel.vectors {
        1 => fold_rows::<L, 12, 1>(lanes, rows, dim, panel.columns, maxima),
        2 => fold_rows::<L, 6, 2>(lanes, rows, dim, panel.columns, maxima),
        // Not 4 rows: with twelve sums and three queries, LLVM spills where it need not.
        3 => fold_rows::<L, 3, 3>(lanes, rows, dim, panel.columns, maxima),
        _ => fold_rows::<L, 3, 4>(lanes, rows, dim, panel.columns, maxima),
    }
}

/// Folds widened rows, `R` at a time, into the maxima of `C` registers of query tokens.
#[inline(always)]
fn fold_rows<L: Lanes, const R: usize, const C: usize>(
    lanes: L,
    rows: &[f32],
    dim: usize,
    columns: &[f32],
    maxima: &mut [f32],
) {
    for tile in rows.chunks_exact(R * dim) {
        let sums = multiply::<L, R, C>(lanes, tile, dim, columns);
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

/// The dot products of `R` rows `[R, dim]` with `C` registers of query tokens `[dim, C · width]`.
///
/// Of rows and registers, the fewer are held while the others pass: with twelve sums, no more than
/// sixteen registers are live.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Iterators here cost the portable lanes their registers.
fn multiply<L: Lanes, const R: usize, const C: usize>(
    lanes: L,
    tile: &[f32],
    dim: usize,
    columns: &[f32],
) -> [[L::Register; C]; R] {
    assert!(tile.len() == R * dim && columns.len() == dim * C * L::WIDTH);
    let mut sums = [[lanes.splat(0.0); C]; R];
    for k in 0..dim {
        // SAFETY: r < R, c < C and k < dim, so by the lengths asserted above r · dim + k is inside
        // `tile`, and WIDTH values from (k · C + c) · WIDTH are inside `columns`.
        let row = |r: usize| unsafe { lanes.splat(*tile.get_unchecked(r * dim + k)) };
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
    let (blocks, rest) = maxima.as_chunks::<SUM_CHAINS>();
    let mut chains = [0.0; SUM_CHAINS];
    for block in blocks {
        for (chain, max) in chains.iter_mut().zip(block) {
            *chain += max;
        }
    }
    chains.iter().sum::<f32>() + rest.iter().sum::<f32>()
}
