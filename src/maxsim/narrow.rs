//! The last few query tokens: columns in the lanes.
//!
//! Where query tokens would fill less than half of a register, the lanes hold columns instead, and
//! each similarity is a sum over lanes at the end. A tile multiplies `R` document tokens with `Q`
//! query tokens and keeps its `R · Q` sums in registers over the whole dimension.

use std::ops::Range;

use super::kernel::{CHAIN, LOW};
use super::lanes::Lanes;

/// Query tokens of a tile at most: what [`Lanes::sums`] takes.
const GROUP: usize = 4;

/// Folds widened rows `[rows, stride]` into the maxima of query tokens `[maxima, stride]`.
#[inline(always)]
pub(super) fn fold<L: Lanes>(
    lanes: L,
    rows: &[f32],
    stride: usize,
    tokens: &[f32],
    maxima: &mut [f32],
) {
    for (tokens, maxima) in tokens.chunks(GROUP * stride).zip(maxima.chunks_mut(GROUP)) {
        match (maxima.len(), L::REGISTERS) {
            (1, _) => fold_group::<L, 6, 1>(lanes, rows, stride, tokens, maxima),
            (2, _) => fold_group::<L, 6, 2>(lanes, rows, stride, tokens, maxima),
            (3, 32) => fold_group::<L, 6, 3>(lanes, rows, stride, tokens, maxima),
            (_, 32) => fold_group::<L, 6, 4>(lanes, rows, stride, tokens, maxima),
            (3, _) => fold_group::<L, LOW, 3>(lanes, rows, stride, tokens, maxima),
            (_, _) => fold_group::<L, LOW, 4>(lanes, rows, stride, tokens, maxima),
        }
    }
}

/// Folds in tiles of `R` rows, and of [`LOW`] where there are fewer.
#[inline(always)]
fn fold_group<L: Lanes, const R: usize, const Q: usize>(
    lanes: L,
    rows: &[f32],
    stride: usize,
    tokens: &[f32],
    maxima: &mut [f32],
) {
    let (tall, low) = rows.split_at(rows.len() - rows.len() % (R * stride));
    for tile in tall.chunks_exact(R * stride) {
        fold_tile::<L, R, Q>(lanes, tile, stride, tokens, maxima);
    }
    for tile in low.chunks_exact(LOW * stride) {
        fold_tile::<L, LOW, Q>(lanes, tile, stride, tokens, maxima);
    }
}

#[inline(always)]
fn fold_tile<L: Lanes, const R: usize, const Q: usize>(
    lanes: L,
    tile: &[f32],
    stride: usize,
    tokens: &[f32],
    maxima: &mut [f32],
) {
    for row in multiply::<L, R, Q>(lanes, tile, stride, tokens) {
        let mut registers = [lanes.splat(0.0); GROUP];
        registers[..Q].copy_from_slice(&row);
        for (max, similarity) in maxima.iter_mut().zip(lanes.sums(registers)) {
            *max = if similarity > *max { similarity } else { *max };
        }
    }
}

/// Partial sums, one a lane, of the dot products of `R` rows with `Q` query tokens.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Iterators here cost the portable lanes their registers.
fn multiply<L: Lanes, const R: usize, const Q: usize>(
    lanes: L,
    tile: &[f32],
    stride: usize,
    tokens: &[f32],
) -> [[L::Register; Q]; R] {
    let columns = CHAIN * L::WIDTH;
    let first = 0..stride.min(columns);
    let mut sums = multiply_block::<L, R, Q>(lanes, tile, stride, tokens, first);
    for start in (columns..stride).step_by(columns) {
        let block = start..stride.min(start + columns);
        let more = multiply_block::<L, R, Q>(lanes, tile, stride, tokens, block);
        for r in 0..R {
            for q in 0..Q {
                sums[r][q] = lanes.add(sums[r][q], more[r][q]);
            }
        }
    }
    sums
}

/// [`multiply`] over a block of columns, which begins and ends with a register.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn multiply_block<L: Lanes, const R: usize, const Q: usize>(
    lanes: L,
    tile: &[f32],
    stride: usize,
    tokens: &[f32],
    block: Range<usize>,
) -> [[L::Register; Q]; R] {
    assert!(tile.len() == R * stride && tokens.len() == Q * stride);
    assert!(block.end <= stride && block.len().is_multiple_of(L::WIDTH));
    let mut sums = [[lanes.splat(0.0); Q]; R];
    for k in block.step_by(L::WIDTH) {
        // SAFETY: r < R, q < Q and k + WIDTH ≤ block.end ≤ stride, so by the assertions above WIDTH
        // values from r · stride + k are inside `tile`, and those from q · stride + k in `tokens`.
        let row = |r: usize| unsafe { lanes.load(tile.as_ptr().add(r * stride + k)) };
        let token = |q: usize| unsafe { lanes.load(tokens.as_ptr().add(q * stride + k)) };
        let mut rows = [lanes.splat(0.0); R];
        for r in 0..R {
            rows[r] = row(r);
        }
        for q in 0..Q {
            let token = token(q);
            for r in 0..R {
                sums[r][q] = lanes.mul_add(rows[r], token, sums[r][q]);
            }
        }
    }
    sums
}
