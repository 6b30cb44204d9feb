//! The last few query tokens: columns in the lanes.
//!
//! Lanes hold columns instead where query tokens would fill less than half of a register, and
//! each similarity is a sum over lanes at the end. A tile multiplies `R` document tokens, widened in
//! registers, with `Q` query tokens and keeps its `R · Q` sums in registers over the whole dimension.

use std::ops::Range;

use half::f16;

use super::lanes::FloatLanes;
use super::tile::CHAIN;

/// Registers that [`FloatLanes::sums`] takes.
const SUMMED: usize = 4;

/// Sums of a tile at most.
const TILE: usize = 24;

/// Lanes of a register at most.
const WIDEST: usize = 16;

/// Values from a row to what is fetched into the cache meanwhile: 16 KiB.
const DISTANCE: usize = 8 * 1024;

/// Values of a cache line.
const LINE: usize = 32;

/// Folds rows `[rows, dim]`, which `next` come after, into the maxima of query tokens
/// `[maxima, stride]`.
#[inline(always)]
pub(super) fn fold<L: FloatLanes>(
    lanes: L,
    rows: &[f16],
    next: &[f16],
    dim: usize,
    tokens: &[f32],
    maxima: &mut [f32],
) {
    let stride = dim.next_multiple_of(L::WIDTH);
    let group = if L::REGISTERS == 32 { 8 } else { 4 };
    for (tokens, maxima) in tokens.chunks(group * stride).zip(maxima.chunks_mut(group)) {
        // The sums of a tile, its rows and one register more fill the registers and no more.
        match (maxima.len(), L::REGISTERS) {
            (1, 32) => fold_group::<L, 8, 1>(lanes, rows, next, dim, tokens, maxima),
            (2, 32) => fold_group::<L, 8, 2>(lanes, rows, next, dim, tokens, maxima),
            (3, 32) => fold_group::<L, 7, 3>(lanes, rows, next, dim, tokens, maxima),
            (4, 32) => fold_group::<L, 6, 4>(lanes, rows, next, dim, tokens, maxima),
            (5, 32) => fold_group::<L, 4, 5>(lanes, rows, next, dim, tokens, maxima),
            (6, 32) => fold_group::<L, 4, 6>(lanes, rows, next, dim, tokens, maxima),
            (7, 32) => fold_group::<L, 3, 7>(lanes, rows, next, dim, tokens, maxima),
            (_, 32) => fold_group::<L, 3, 8>(lanes, rows, next, dim, tokens, maxima),
            (1, _) => fold_group::<L, 6, 1>(lanes, rows, next, dim, tokens, maxima),
            (2, _) => fold_group::<L, 4, 2>(lanes, rows, next, dim, tokens, maxima),
            (3, _) => fold_group::<L, 3, 3>(lanes, rows, next, dim, tokens, maxima),
            (_, _) => fold_group::<L, 3, 4>(lanes, rows, next, dim, tokens, maxima),
        }
    }
}

/// Folds in tiles of `R` rows, and what is left row by row.
#[inline(always)]
fn fold_group<L: FloatLanes, const R: usize, const Q: usize>(
    lanes: L,
    rows: &[f16],
    next: &[f16],
    dim: usize,
    tokens: &[f32],
    maxima: &mut [f32],
) {
    let ahead = |at: usize| match (at + DISTANCE).checked_sub(rows.len()) {
        None => rows.as_ptr().wrapping_add(at + DISTANCE),
        Some(at) => next.as_ptr().wrapping_add(at),
    };
    let (tall, low) = rows.split_at(rows.len() - rows.len() % (R * dim));
    for (index, tile) in tall.chunks_exact(R * dim).enumerate() {
        fold_tile::<L, R, Q>(lanes, tile, ahead(index * R * dim), dim, tokens, maxima);
    }
    for row in low.chunks_exact(dim) {
        fold_tile::<L, 1, Q>(lanes, row, low.as_ptr(), dim, tokens, maxima);
    }
}

/// Sums of a tile in memory, one a lane, row by row.
type Sums = [[f32; WIDEST]; TILE];

#[inline(always)]
fn fold_tile<L: FloatLanes, const R: usize, const Q: usize>(
    lanes: L,
    tile: &[f16],
    ahead: *const f16,
    dim: usize,
    tokens: &[f32],
    maxima: &mut [f32],
) {
    let mut sums = [[0.0; WIDEST]; TILE];
    let whole = dim - dim % L::WIDTH;
    let columns = CHAIN * L::WIDTH;
    for start in (0..whole).step_by(columns) {
        let block = start..whole.min(start + columns);
        let more = multiply_block::<L, R, Q>(lanes, tile, ahead, dim, tokens, block);
        add(lanes, &mut sums, more);
    }
    if whole < dim {
        add(lanes, &mut sums, multiply_last::<L, R, Q>(lanes, tile, dim, tokens, whole));
    }
    let similarities = similarities::<L, R, Q>(lanes, &sums);
    for row in similarities[..R * Q].chunks_exact(Q) {
        for (max, similarity) in maxima.iter_mut().zip(row) {
            *max = if similarity > max { *similarity } else { *max };
        }
    }
}

/// Adds to sums in memory: in registers, those of the next block would find no room.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Iterators here cost the lanes their registers.
fn add<L: FloatLanes, const R: usize, const Q: usize>(
    lanes: L,
    sums: &mut Sums,
    more: [[L::Register; Q]; R],
) {
    for r in 0..R {
        for q in 0..Q {
            let sum = &mut sums[r * Q + q];
            // SAFETY: it has WIDEST values, of which WIDTH are no more.
            let before = unsafe { lanes.load(sum.as_ptr()) };
            lanes.store(lanes.add(before, more[r][q]), sum);
        }
    }
}

/// Sums over the lanes, row by row.
#[inline(always)]
fn similarities<L: FloatLanes, const R: usize, const Q: usize>(
    lanes: L,
    sums: &Sums,
) -> [f32; TILE] {
    let mut similarities = [0.0; TILE];
    let sums = sums[..(R * Q).next_multiple_of(SUMMED)].chunks_exact(SUMMED);
    for (sums, similarities) in sums.zip(similarities.chunks_exact_mut(SUMMED)) {
        // SAFETY: it has WIDEST values, of which WIDTH are no more.
        let sum = |at: usize| unsafe { lanes.load(sums[at].as_ptr()) };
        similarities.copy_from_slice(&lanes.sums([sum(0), sum(1), sum(2), sum(3)]));
    }
    similarities
}

/// Partial sums, one a lane, of the dot products of `R` rows with `Q` query tokens over a block of
/// columns, which begins and ends with a register.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn multiply_block<L: FloatLanes, const R: usize, const Q: usize>(
    lanes: L,
    tile: &[f16],
    ahead: *const f16,
    dim: usize,
    tokens: &[f32],
    block: Range<usize>,
) -> [[L::Register; Q]; R] {
    let stride = dim.next_multiple_of(L::WIDTH);
    assert!(tile.len() == R * dim && tokens.len() == Q * stride);
    assert!(block.end <= dim && block.len().is_multiple_of(L::WIDTH));
    let mut sums = [[lanes.splat(0.0); Q]; R];
    for k in block.step_by(L::WIDTH) {
        // SAFETY: r < R, q < Q and k + WIDTH ≤ block.end ≤ dim ≤ stride, so by the assertions above
        // WIDTH values from r · dim + k are inside `tile`, and those from q · stride + k in `tokens`.
        let row = |r: usize| unsafe { lanes.load_widened(tile.as_ptr().add(r * dim + k)) };
        let token = |q: usize| unsafe { lanes.load(tokens.as_ptr().add(q * stride + k)) };
        for line in (0..R * L::WIDTH).step_by(LINE) {
            lanes.prefetch(ahead.wrapping_add(k * R + line));
        }
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

/// [`multiply_block`] over the last columns, fewer than a register has lanes.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn multiply_last<L: FloatLanes, const R: usize, const Q: usize>(
    lanes: L,
    tile: &[f16],
    dim: usize,
    tokens: &[f32],
    first: usize,
) -> [[L::Register; Q]; R] {
    let mut last = [[f16::ZERO; WIDEST]; R];
    for (last, row) in last.iter_mut().zip(tile.chunks_exact(dim)) {
        last[..dim - first].copy_from_slice(&row[first..]);
    }
    let stride = first + L::WIDTH;
    assert!(tokens.len() == Q * stride);
    let mut sums = [[lanes.splat(0.0); Q]; R];
    for q in 0..Q {
        // SAFETY: q < Q, so by the assertion above WIDTH values from q · stride + first are inside
        // `tokens`; `last[r]` has WIDEST values, of which WIDTH are no more.
        let token = unsafe { lanes.load(tokens.as_ptr().add(q * stride + first)) };
        for r in 0..R {
            let row = unsafe { lanes.load_widened(last[r].as_ptr()) };
            sums[r][q] = lanes.mul_add(row, token, sums[r][q]);
        }
    }
    sums
}
