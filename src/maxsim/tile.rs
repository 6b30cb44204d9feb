//! The tile: rows times registers of query tokens, folded into maxima.
//!
//! A tile multiplies `R` document tokens with `C` registers of query tokens and keeps its `R · C` sums
//! in registers over the columns, so that each value loaded is used `R` or `C` times; then it folds
//! them into the query tokens' maxima. No similarity is written to memory.
//!
//! Lanes say what a value is: an f32, or two integers of 16 bits. A column is a value.

use std::ops::Range;

use half::f16;

use super::lanes::Lanes;
use super::query::Panel;

/// Multiple of every tile's height: rows widened at a time are a multiple of it.
pub(super) const HIGH: usize = 24;

/// Multiple of the lowest tiles' heights: the rows of a document are rounded up to a multiple of
/// it.
const LOW: usize = 8;

/// 32-bit values of converted rows held at a time: 12 KiB, so that they share the L1 cache with a query.
const CHUNK_VALUES: usize = 3 * 1024;

/// Values of converted rows held at most, however long a row is.
const MOST_CHUNK_VALUES: usize = 8 * 1024;

/// Additions in a row at most, before their sum is added to others: equal numbers are all rounded
/// the same way, and so the error of one long chain would grow with its length.
pub(super) const CHAIN: usize = 256;

/// Rows converted at a time: as many as fit, and whole tiles of any height.
pub(super) fn chunk_rows(stride: usize) -> usize {
    let fitting = CHUNK_VALUES / stride;
    let least = if HIGH * stride <= MOST_CHUNK_VALUES { HIGH } else { LOW };
    (fitting - fitting % HIGH).max(least)
}

/// Fills the last tile of `rows` rows `[rows, stride]` with copies of the last row.
///
/// A maximum over a row taken twice is the same maximum; zeros would beat negative similarities.
#[inline(always)]
pub(super) fn repeat_last<V: Copy>(values: &mut [V], rows: usize, stride: usize) -> &[V] {
    let rounded = rows.next_multiple_of(LOW);
    for row in rows..rounded {
        values.copy_within((rows - 1) * stride..rows * stride, row * stride);
    }
    &values[..rounded * stride]
}

/// Token vectors to fetch into the cache, as many as a tile has rows while it is multiplied: spread
/// over its columns, they arrive while the arithmetic units are busy.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// Only fetched, never read: it may point past the end of what is there.
    values: *const f16,
    /// The same of what comes later, fetched into a cache further away.
    later: *const f16,
    /// Values of a row.
    row: usize,
    /// Values fetched a row while a column is multiplied.
    column: usize,
}

impl Ahead {
    /// The rows that begin here, of `dim` values, during tiles of `columns` columns.
    pub(super) fn new(values: *const f16, dim: usize, columns: usize) -> Self {
        Self { values, later: values, row: dim, column: dim.div_ceil(columns) }
    }

    /// Nothing new: something that is in the cache already.
    pub(super) fn nothing(values: *const f16) -> Self {
        Self { values, later: values, row: 0, column: 0 }
    }

    /// After so many rows.
    pub(super) fn after(self, rows: usize) -> Self {
        let after = |values: *const f16| values.wrapping_add(rows * self.row);
        Self { values: after(self.values), later: after(self.later), ..self }
    }

    /// With rows that come later.
    pub(super) fn and_later(self, later: *const f16) -> Self {
        Self { later, ..self }
    }
}

/// Folds rows into the maxima of one panel's query tokens.
#[inline(always)]
pub(super) fn fold_panel<L: Lanes>(
    lanes: L,
    rows: &[L::Value],
    stride: usize,
    panel: &Panel<'_, L::Value>,
    ahead: Ahead,
    maxima: &mut [L::Value],
) {
    let maxima = &mut maxima[panel.first_lane..];
    let columns = panel.columns;
    // The sums of a tall tile, and what they are made of, fill the registers and no more. (Of 16, some
    // lanes leave 12: the others hold products.)
    match (panel.vectors, L::REGISTERS) {
        (1, 32) => fold_tiles::<L, 24, 16, 8, 1>(lanes, rows, stride, columns, ahead, maxima),
        (2, 32) => fold_tiles::<L, 12, 8, 4, 2>(lanes, rows, stride, columns, ahead, maxima),
        (3, 32) => fold_tiles::<L, 8, 4, 4, 3>(lanes, rows, stride, columns, ahead, maxima),
        (_, 32) => fold_tiles::<L, 6, 4, 2, 4>(lanes, rows, stride, columns, ahead, maxima),
        (1, 12) => fold_tiles::<L, 8, 8, 4, 1>(lanes, rows, stride, columns, ahead, maxima),
        (2, 12) => fold_tiles::<L, 4, 4, 2, 2>(lanes, rows, stride, columns, ahead, maxima),
        (3, 12) => fold_tiles::<L, 4, 2, 2, 3>(lanes, rows, stride, columns, ahead, maxima),
        (_, 12) => fold_tiles::<L, 2, 2, 1, 4>(lanes, rows, stride, columns, ahead, maxima),
        (1, _) => fold_tiles::<L, 12, 8, 4, 1>(lanes, rows, stride, columns, ahead, maxima),
        (2, _) => fold_tiles::<L, 6, 4, 2, 2>(lanes, rows, stride, columns, ahead, maxima),
        (3, _) => fold_tiles::<L, 4, 2, 2, 3>(lanes, rows, stride, columns, ahead, maxima),
        (_, _) => fold_tiles::<L, 3, 2, 1, 4>(lanes, rows, stride, columns, ahead, maxima),
    }
}

/// Folds rows in tiles of `TALL` rows, and what is left in one tile, `MIDDLE` or `SHORT`.
#[inline(always)]
fn fold_tiles<
    L: Lanes,
    const TALL: usize,
    const MIDDLE: usize,
    const SHORT: usize,
    const C: usize,
>(
    lanes: L,
    rows: &[L::Value],
    stride: usize,
    columns: &[L::Value],
    ahead: Ahead,
    maxima: &mut [L::Value],
) {
    let (tall, rest) = rows.split_at(rows.len() - rows.len() % (TALL * stride));
    let (middle, short) = rest.split_at(rest.len() - rest.len() % (MIDDLE * stride));
    fold_rows::<L, TALL, C>(lanes, tall, stride, columns, ahead, maxima);
    let ahead = ahead.after(tall.len() / stride);
    fold_rows::<L, MIDDLE, C>(lanes, middle, stride, columns, ahead, maxima);
    let ahead = ahead.after(middle.len() / stride);
    fold_rows::<L, SHORT, C>(lanes, short, stride, columns, ahead, maxima);
}

/// Folds rows, `R` at a time, into the maxima of `C` registers of query tokens.
#[inline(always)]
fn fold_rows<L: Lanes, const R: usize, const C: usize>(
    lanes: L,
    rows: &[L::Value],
    stride: usize,
    columns: &[L::Value],
    ahead: Ahead,
    maxima: &mut [L::Value],
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
pub(super) fn multiply<L: Lanes, const R: usize, const C: usize>(
    lanes: L,
    tile: &[L::Value],
    stride: usize,
    columns: &[L::Value],
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
    tile: &[L::Value],
    stride: usize,
    columns: &[L::Value],
    ahead: Ahead,
    block: Range<usize>,
) -> [[L::Register; C]; R] {
    assert!(tile.len() == R * stride && block.end <= stride);
    assert!(block.end * C * L::WIDTH <= columns.len());
    let mut sums = [[lanes.splat(L::Value::default()); C]; R];
    let fetched = R * ahead.column;
    for k in block {
        lanes.prefetch(ahead.values.wrapping_add(k * fetched));
        lanes.prefetch_later(ahead.later.wrapping_add(k * fetched));
        // SAFETY: r < R, c < C and k < block.end, so by the assertions above r · stride + k is inside
        // `tile`, and WIDTH values from (k · C + c) · WIDTH are inside `columns`.
        let row = |r: usize| unsafe { lanes.splat(*tile.get_unchecked(r * stride + k)) };
        let query = |c: usize| unsafe { lanes.load(columns.as_ptr().add((k * C + c) * L::WIDTH)) };
        if C < R {
            let mut queries = [lanes.splat(L::Value::default()); C];
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
            let mut rows = [lanes.splat(L::Value::default()); R];
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
