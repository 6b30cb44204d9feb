//! The bound's kernel: rows in tiles as of the exact one, each raised by its residual before it meets the maxima.

use half::bf16;

use super::lanes::{QuadLanes, Row, Tokens};
use super::query::QuantizedQuery;
use crate::maxsim::query::Panel;
use crate::maxsim::tile::{Ahead, multiply};
use crate::multivector::QuantizedRows;

/// A thread's working memory for a query.
pub(in crate::maxsim) struct Scratch {
    pub(super) maxima: Vec<f32>,
}

impl Scratch {
    /// Memory for bounding scores of `query`.
    pub(in crate::maxsim) fn new(query: &QuantizedQuery) -> Self {
        Self { maxima: vec![0.0; query.lanes()] }
    }
}

/// Folds the rows of a document into its maxima, one a lane; `next` is what will be read after.
#[inline(always)]
pub(super) fn fold<L: QuadLanes>(
    lanes: L,
    query: &QuantizedQuery,
    rows: &QuantizedRows<'_>,
    next: *const u8,
    maxima: &mut [f32],
) {
    let quads = query.quads();
    let mut ahead = Ahead::new(next.cast(), 2 * quads, quads);
    for panel in query.panels() {
        fold_panel(lanes, query, rows, &panel, ahead, maxima);
        ahead = Ahead::nothing(next.cast());
    }
}

/// Folds the rows into the maxima of one panel's query tokens, in tiles that fill the registers.
#[inline(always)]
fn fold_panel<L: QuadLanes>(
    lanes: L,
    query: &QuantizedQuery,
    rows: &QuantizedRows<'_>,
    panel: &Panel<'_, [u8; 4]>,
    ahead: Ahead,
    maxima: &mut [f32],
) {
    match (panel.vectors, L::REGISTERS) {
        (1, 32) => fold_tiles::<L, 16, 4, 1>(lanes, query, rows, panel, ahead, maxima),
        (2, 32) => fold_tiles::<L, 12, 4, 2>(lanes, query, rows, panel, ahead, maxima),
        (3, 32) => fold_tiles::<L, 8, 3, 3>(lanes, query, rows, panel, ahead, maxima),
        (_, 32) => fold_tiles::<L, 6, 2, 4>(lanes, query, rows, panel, ahead, maxima),
        (1, 12) => fold_tiles::<L, 8, 3, 1>(lanes, query, rows, panel, ahead, maxima),
        (2, 12) => fold_tiles::<L, 4, 2, 2>(lanes, query, rows, panel, ahead, maxima),
        (3, 12) => fold_tiles::<L, 3, 1, 3>(lanes, query, rows, panel, ahead, maxima),
        (_, 12) => fold_tiles::<L, 2, 1, 4>(lanes, query, rows, panel, ahead, maxima),
        (1, _) => fold_tiles::<L, 12, 4, 1>(lanes, query, rows, panel, ahead, maxima),
        (2, _) => fold_tiles::<L, 6, 2, 2>(lanes, query, rows, panel, ahead, maxima),
        (3, _) => fold_tiles::<L, 4, 2, 3>(lanes, query, rows, panel, ahead, maxima),
        (_, _) => fold_tiles::<L, 3, 1, 4>(lanes, query, rows, panel, ahead, maxima),
    }
}

/// Folds rows in tiles of `TALL` rows, then of `LOW`, then row by row.
#[inline(always)]
fn fold_tiles<L: QuadLanes, const TALL: usize, const LOW: usize, const C: usize>(
    lanes: L,
    query: &QuantizedQuery,
    rows: &QuantizedRows<'_>,
    panel: &Panel<'_, [u8; 4]>,
    ahead: Ahead,
    maxima: &mut [f32],
) {
    let lanes_of_panel = panel.first_lane..panel.first_lane + C * L::WIDTH;
    let (excess, lengths) =
        (&query.excess[lanes_of_panel.clone()], &query.lengths[lanes_of_panel.clone()]);
    let maxima = &mut maxima[lanes_of_panel];
    let tokens: [Tokens<L>; C] = std::array::from_fn(|c| Tokens {
        excess: lanes.load_integers(&excess[c * L::WIDTH..]),
        lengths: lanes.load_floats(&lengths[c * L::WIDTH..]),
    });
    let mut all = [lanes.load_floats(&[f32::NEG_INFINITY; 16]); C];
    let tall = rows.scales.len() - rows.scales.len() % TALL;
    let low = rows.scales.len() - (rows.scales.len() - tall) % LOW;
    for first in (0..tall).step_by(TALL) {
        fold_tile::<L, TALL, C>(lanes, rows, first, panel, ahead.after(first), &tokens, &mut all);
    }
    for first in (tall..low).step_by(LOW) {
        fold_tile::<L, LOW, C>(lanes, rows, first, panel, ahead.after(first), &tokens, &mut all);
    }
    for first in low..rows.scales.len() {
        fold_tile::<L, 1, C>(lanes, rows, first, panel, ahead.after(first), &tokens, &mut all);
    }
    for (max, maxima) in all.into_iter().zip(maxima.chunks_exact_mut(L::WIDTH)) {
        lanes.store_floats(max, maxima);
    }
}

/// Folds `R` rows into the maxima of `C` registers of query tokens.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Iterators here cost the portable lanes their registers.
fn fold_tile<L: QuadLanes, const R: usize, const C: usize>(
    lanes: L,
    rows: &QuantizedRows<'_>,
    first: usize,
    panel: &Panel<'_, [u8; 4]>,
    ahead: Ahead,
    tokens: &[Tokens<L>; C],
    maxima: &mut [L::Floats; C],
) {
    let quads = rows.codes.len() / rows.scales.len();
    let tile = &rows.codes[first * quads..(first + R) * quads];
    let sums = multiply::<L, R, C>(lanes, tile, quads, panel.columns, ahead);
    let (scales, residuals) = (&rows.scales[first..first + R], &rows.residuals[first..first + R]);
    for r in 0..R {
        let row = Row {
            scale: f32::from_le_bytes(scales[r]),
            residual: bf16::from_le_bytes(residuals[r]).to_f32(),
        };
        for c in 0..C {
            maxima[c] = lanes.raise(maxima[c], sums[r][c], row, tokens[c]);
        }
    }
}
