//! A query in integers of 8 bits, and what its bound costs.

use crate::maxsim::query::{Panel, Panels};
use crate::maxsim::rounding::{MOST_TOKENS, OF_F64, UNIT_ROUNDOFF, of_additions};
use crate::multivector::{Quantizer, TokenMatrixRef};

/// A query, rotated and quantized, and the constants of its bound; the module says what they are.
pub(in crate::maxsim) struct QuantizedQuery {
    panels: Panels<[u8; 4]>,
    /// Value of an integer 1 in each token.
    units: Vec<f64>,
    /// Excess of each lane's sums, as document codes are stored plus 128.
    pub(super) excess: Vec<i32>,
    /// Length of each lane's token in its unit, rounded up.
    pub(super) lengths: Vec<f32>,
    /// Sum of the tokens' f, an addend of a bound a longest row of the document.
    pub(super) errors: f64,
    /// The same of what roundings may do.
    pub(super) rounding: f64,
    dim: usize,
}

impl QuantizedQuery {
    /// Quantizes a query for registers of `width` lanes and integers of at most `largest`; `None` where bounds would be
    /// of no use.
    pub(in crate::maxsim) fn new(
        query: TokenMatrixRef<'_>,
        width: usize,
        largest: f32,
    ) -> Option<Self> {
        let (dim, tokens) = (query.dim(), query.tokens());
        let quantizer = Quantizer::new(dim).ok().filter(|_| tokens <= MOST_TOKENS)?;
        let panels = Panels::new(tokens, dim.div_ceil(4), width);
        let (excess, lengths) = (vec![0; panels.lanes()], vec![0.0; panels.lanes()]);
        let mut quantized =
            Self { panels, units: Vec::new(), excess, lengths, errors: 0.0, rounding: 0.0, dim };
        let (mut rotated, mut packed) = (vec![0.0; dim], vec![[0; 4]; dim.div_ceil(4)]);
        let rounding = 8.0 * UNIT_ROUNDOFF + of_additions(dim + tokens) + OF_F64;
        for (token, values) in query.rows().enumerate() {
            let integers: &mut [i8] = bytemuck::cast_slice_mut(&mut packed);
            let row = quantizer.quantize_row(values, largest, &mut rotated, &mut integers[..dim]);
            let sum: i32 = integers.iter().map(|it| i32::from(*it)).sum();
            let unit = f64::from(row.scale);
            quantized.panels.put(token, &packed);
            quantized.excess[token] = 128 * sum;
            // A token of zeros is as similar to every row, and has no length in its unit.
            quantized.lengths[token] = if unit > 0.0 { above(row.length / unit) } else { 0.0 };
            quantized.errors += row.residual;
            quantized.rounding += rounding * (row.length + row.residual);
            quantized.units.push(unit);
        }
        Some(quantized)
    }

    /// The panels, in the order of their tokens.
    pub(super) fn panels(&self) -> impl Iterator<Item = Panel<'_, [u8; 4]>> {
        self.panels.iter()
    }

    /// Number of lanes.
    pub(super) fn lanes(&self) -> usize {
        self.panels.lanes()
    }

    /// Groups of four columns.
    pub(super) fn quads(&self) -> usize {
        self.dim.div_ceil(4)
    }

    /// The upper bound of a score, from the maxima of its document and its longest row.
    pub(super) fn bound(&self, maxima: &[f32], longest: f32) -> f64 {
        let maxima = maxima.iter().zip(&self.units);
        let most: f64 = maxima.map(|(&max, unit)| f64::from(max) * unit).sum();
        most + (self.errors + self.rounding) * f64::from(longest)
    }
}

/// An f32 that is no less.
fn above(value: f64) -> f32 {
    (value as f32).next_up()
}
