//! A query in integers, and what its bound costs.

use half::f16;

use crate::maxsim::query::{Panel, Panels};
use crate::maxsim::rounding::{MOST_TOKENS, OF_F64, UNIT_ROUNDOFF, of_additions};
use crate::multivector::TokenMatrixRef;

/// The largest sum that an i32 holds.
const LARGEST_SUM: f64 = i32::MAX as f64;

/// The largest integer of 16 bits that is used; its negative is the least.
const LARGEST: f64 = i16::MAX as f64;

/// Least limit of integers: where a document's values become no larger ones, bounds are too loose
/// to be of use: dimensions beyond 32,767.
const LEAST_LIMIT: f64 = 256.0;

/// A query in integers of 16 bits, and the constants of its bound; the module says what they are.
pub(in crate::maxsim) struct QuantizedQuery {
    panels: Panels<i32>,
    /// Value of an integer 1 in each token.
    units: Vec<f64>,
    /// Distance of a bound from its estimate, a largest magnitude of the document.
    slack: f64,
    /// The largest integer that a document's value becomes.
    limit: f32,
    dim: usize,
}

impl QuantizedQuery {
    /// Quantizes a query for registers of `width` lanes; `None` where bounds would be of no use.
    pub(in crate::maxsim) fn new(query: TokenMatrixRef<'_>, width: usize) -> Option<Self> {
        let dim = query.dim();
        let limit = (LARGEST_SUM / dim as f64).sqrt().floor().min(LARGEST);
        if limit < LEAST_LIMIT || query.tokens() > MOST_TOKENS {
            return None;
        }
        let pairs = dim.div_ceil(2);
        let panels = Panels::new(query.tokens(), pairs, width);
        let mut quantized =
            Self { panels, units: Vec::new(), slack: 0.0, limit: limit as f32, dim };
        let mut packed = vec![0; pairs];
        for (token, values) in query.rows().enumerate() {
            let unit = unit(values, limit);
            let integers: &mut [i16] = bytemuck::cast_slice_mut(&mut packed);
            quantize(values, unit, integers);
            quantized.slack += slack(values, integers, unit, limit, query.tokens());
            quantized.units.push(unit);
            quantized.panels.put(token, &packed);
        }
        Some(quantized)
    }

    /// The panels, in the order of their tokens.
    pub(super) fn panels(&self) -> impl Iterator<Item = Panel<'_, i32>> {
        self.panels.iter()
    }

    /// Number of lanes.
    pub(super) fn lanes(&self) -> usize {
        self.panels.lanes()
    }

    /// Number of columns.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Pairs of columns.
    pub(super) fn pairs(&self) -> usize {
        self.dim.div_ceil(2)
    }

    /// The largest integer that a document's value becomes.
    pub(super) fn limit(&self) -> f32 {
        self.limit
    }

    /// Bounds on a score, from estimates of each query token's similarity and the largest magnitude of
    /// the document.
    pub(super) fn bounds(&self, maxima: &[f32], largest: f32) -> Bounds {
        let maxima = maxima.iter().zip(&self.units);
        let estimate: f64 = maxima.map(|(&max, unit)| f64::from(max) * unit).sum();
        let slack = self.slack * f64::from(largest);
        Bounds { lower: estimate - slack, upper: estimate + slack }
    }
}

/// Lower and upper bound of a score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::maxsim) struct Bounds {
    pub lower: f64,
    pub upper: f64,
}

/// Value of an integer 1 in a token: as little as neither 16 bits nor a sum overflows with.
fn unit(values: &[f16], limit: f64) -> f64 {
    let largest = values.iter().fold(0.0, |largest: f64, x| largest.max(x.to_f64().abs()));
    // Rounding to integers adds at most ½ a column.
    let most = LARGEST_SUM / limit * (1.0 - OF_F64) - values.len() as f64 / 2.0;
    (largest / LARGEST).max(sum_of_magnitudes(values.iter().map(|x| x.to_f64())) / most)
}

/// Rounds to integers of `unit`; beyond the values, nothing is written.
fn quantize(values: &[f16], unit: f64, integers: &mut [i16]) {
    for (integer, value) in integers.iter_mut().zip(values) {
        let rounded = if unit > 0.0 { (value.to_f64() / unit).round_ties_even() } else { 0.0 };
        *integer = rounded.clamp(-LARGEST, LARGEST) as i16;
    }
}

/// Addend of a token to [`QuantizedQuery::slack`]: a term of the sum that the module derives.
fn slack(values: &[f16], integers: &[i16], unit: f64, limit: f64, tokens: usize) -> f64 {
    let columns = || values.iter().zip(integers).map(|(x, &z)| (x.to_f64(), f64::from(z) * unit));
    let given = sum_of_magnitudes(columns().map(|(x, _)| x));
    let quantized = sum_of_magnitudes(columns().map(|(_, z)| z));
    let error = sum_of_magnitudes(columns().map(|(x, z)| x - z));
    quantized * (0.5 / limit + 8.0 * UNIT_ROUNDOFF)
        + error
        + given * (of_additions(values.len() + tokens) + OF_F64)
}

fn sum_of_magnitudes(values: impl Iterator<Item = f64>) -> f64 {
    values.map(f64::abs).sum()
}
