//! A query in integers, and what its bound costs.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::lanes::{Columns, OFFSET};
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

/// The largest integer of 8 bits that is used; its negative is the least.
const LARGEST_OF_8_BITS: f64 = i8::MAX as f64;

/// Columns at most of sums of 8 bits: so many products of 255 and 127 are less than 2³¹.
const MOST_COLUMNS_OF_8_BITS: usize = 1 << 16;

/// A query in integers of 16 bits, or of 8, and the constants of its bound; the module says what they are.
pub(in crate::maxsim) struct QuantizedQuery {
    panels: Panels<i32>,
    /// Value of an integer 1 in each token.
    units: Vec<f64>,
    /// Distance of a bound from its estimate, a largest magnitude of the document.
    slack: f64,
    /// The same a longest row of the document in integers.
    slack_of_rows: f64,
    /// Excess of each lane's sums, by what is added to integers of 8 bits.
    excess: Vec<i32>,
    /// The largest integer that a document's value becomes.
    limit: f32,
    dim: usize,
    columns: Columns,
}

impl QuantizedQuery {
    /// Quantizes a query for registers of `width` lanes; `None` where bounds would be of no use.
    pub(in crate::maxsim) fn new(
        query: TokenMatrixRef<'_>,
        (width, columns): (usize, Columns),
    ) -> Option<Self> {
        let (dim, tokens) = (query.dim(), query.tokens());
        let groups = dim.div_ceil(columns.count());
        let limit = limit(dim, columns).filter(|_| tokens <= MOST_TOKENS)?;
        let panels = Panels::new(tokens, groups, width);
        let (units, excess) = (Vec::with_capacity(tokens), vec![0; panels.lanes()]);
        let (slack, slack_of_rows, limit_in_f32) = (0.0, 0.0, limit as f32);
        let mut quantized =
            Self { panels, units, slack, slack_of_rows, excess, limit: limit_in_f32, dim, columns };
        let rounding = of_additions(dim + tokens) + OF_F64;
        let (mut token, mut packed) = (Token::new(dim), vec![0; groups]);
        for (number, values) in query.rows().enumerate() {
            let unit = token.quantize(values, limit, columns);
            quantized.add_slack(&token, (unit, limit), rounding);
            quantized.units.push(unit);
            token.pack(columns, &mut packed);
            quantized.panels.put(number, &packed);
            if columns == Columns::Quads {
                quantized.excess[number] = OFFSET * token.sum(|_, integer| integer) as i32;
            }
        }
        Some(quantized)
    }

    /// Adds a token's terms of the sums that the module derives.
    fn add_slack(&mut self, token: &Token, (unit, limit): (f64, f64), rounding: f64) {
        let given = token.sum(|x, _| x.abs());
        let quantized = token.sum(|_, z| z.abs()) * unit;
        self.slack += quantized * (0.5 / limit + 8.0 * UNIT_ROUNDOFF) + given * rounding;
        match self.columns {
            Columns::Pairs => self.slack += token.sum(|x, z| (x - z * unit).abs()),
            Columns::Quads => {
                let error = token.sum(|x, z| (x - z * unit) * (x - z * unit)).sqrt();
                let rounded = (self.dim as f64).sqrt() * (0.5 / limit + 4.0 * UNIT_ROUNDOFF);
                self.slack += error * rounded;
                self.slack_of_rows += error;
            }
        }
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

    /// Integers of a lane.
    pub(super) fn columns(&self) -> Columns {
        self.columns
    }

    /// Lanes that a row takes.
    pub(super) fn groups(&self) -> usize {
        self.dim.div_ceil(self.columns.count())
    }

    /// What each lane's sums are too much by.
    pub(super) fn excess(&self) -> &[i32] {
        &self.excess
    }

    /// The largest integer that a document's value becomes.
    pub(super) fn limit(&self) -> f32 {
        self.limit
    }

    /// Bounds on a score, from estimates of each query token's similarity, and the largest magnitude and
    /// the longest row of the document.
    pub(super) fn bounds(&self, maxima: &[f32], largest: f32, longest: f64) -> Bounds {
        let maxima = maxima.iter().zip(&self.units);
        let estimate: f64 = maxima.map(|(&max, unit)| f64::from(max) * unit).sum();
        let slack = self.slack * f64::from(largest) + self.slack_of_rows * longest;
        Bounds { lower: estimate - slack, upper: estimate + slack }
    }
}

/// Lower and upper bound of a score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::maxsim) struct Bounds {
    pub lower: f64,
    pub upper: f64,
}

impl Bounds {
    /// What the score is estimated to be.
    pub(in crate::maxsim) fn middle(self) -> f64 {
        self.lower / 2.0 + self.upper / 2.0
    }
}

/// The largest integer that a document's value becomes; `None` where too few are left, or too many are added up.
fn limit(dim: usize, columns: Columns) -> Option<f64> {
    match columns {
        Columns::Pairs => {
            let limit = (LARGEST_SUM / dim as f64).sqrt().floor().min(LARGEST);
            (limit >= LEAST_LIMIT).then_some(limit)
        }
        Columns::Quads => (dim <= MOST_COLUMNS_OF_8_BITS).then_some(LARGEST_OF_8_BITS),
    }
}

/// The largest integer that a query's value becomes.
fn limit_of_query(columns: Columns) -> f64 {
    match columns {
        Columns::Pairs => LARGEST,
        Columns::Quads => LARGEST_OF_8_BITS,
    }
}

/// A query token, and the integers that it is rounded to.
struct Token {
    values: Vec<f64>,
    integers: Vec<f64>,
    in_f32: Vec<f32>,
}

impl Token {
    /// Room for a token.
    fn new(dim: usize) -> Self {
        Self { values: vec![0.0; dim], integers: vec![0.0; dim], in_f32: vec![0.0; dim] }
    }

    /// Rounds a token's values to integers, and gives their unit.
    fn quantize(&mut self, values: &[f16], limit: f64, columns: Columns) -> f64 {
        // Numbers beside this one are integers, and sums are rounded to them: `round_ties_even` would be a call for each.
        const INTEGERS: f64 = 1.5 * (1_u64 << 52) as f64;
        values.convert_to_f32_slice(&mut self.in_f32);
        self.values.iter_mut().zip(&self.in_f32).for_each(|(to, &from)| *to = f64::from(from));
        let (unit, most) = (self.unit(limit, columns), limit_of_query(columns));
        for (integer, value) in self.integers.iter_mut().zip(&self.values) {
            let scaled = if unit > 0.0 { value / unit } else { 0.0 };
            *integer = (scaled.clamp(-most, most) + INTEGERS) - INTEGERS;
        }
        unit
    }

    /// Value of an integer 1: as little as neither 16 bits nor a sum overflows with.
    fn unit(&self, limit: f64, columns: Columns) -> f64 {
        let largest = self.values.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        if columns == Columns::Quads {
            return largest / LARGEST_OF_8_BITS;
        }
        // Rounding to integers adds at most ½ a column.
        let most = LARGEST_SUM / limit * (1.0 - OF_F64) - self.values.len() as f64 / 2.0;
        (largest / LARGEST).max(self.sum(|x, _| x.abs()) / most)
    }

    /// Sum over the columns of what `term` makes of a value and its integer, in lanes, which are added at once.
    #[inline(always)]
    fn sum(&self, term: impl Fn(f64, f64) -> f64) -> f64 {
        let (values, values_tail) = self.values.as_chunks::<8>();
        let (integers, integers_tail) = self.integers.as_chunks::<8>();
        let mut lanes = [0.0; 8];
        for (values, integers) in values.iter().zip(integers) {
            lanes = std::array::from_fn(|lane| lanes[lane] + term(values[lane], integers[lane]));
        }
        let tail = values_tail.iter().zip(integers_tail).map(|(&x, &z)| term(x, z));
        lanes.into_iter().chain(tail).sum()
    }

    /// The integers as they lie in lanes.
    fn pack(&self, columns: Columns, to: &mut [i32]) {
        match columns {
            Columns::Pairs => {
                let to: &mut [i16] = bytemuck::cast_slice_mut(to);
                to.iter_mut().zip(&self.integers).for_each(|(to, &it)| *to = it as i16);
            }
            Columns::Quads => {
                let to: &mut [i8] = bytemuck::cast_slice_mut(to);
                to.iter_mut().zip(&self.integers).for_each(|(to, &it)| *to = it as i8);
            }
        }
    }
}
