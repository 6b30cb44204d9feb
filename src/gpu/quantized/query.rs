//! Query tokens in integers of 8 bits, with the constants of their bounds.

use bytemuck::bytes_of;
use half::f16;

use crate::gpu::shader::{Format, OCTET_BYTES};
use crate::multivector::{QuantizedRow, Quantizer, TokenMatrixRef};

/// Query tokens at most: the roundings of more would be worth too much.
const MOST_TOKENS: usize = 1 << 16;

/// Largest rounding error of an f32, relative to it, as WGSL allows it.
const UNIT_ROUNDOFF: f64 = 1.0 / (1 << 23) as f64;

/// Allowance for the rounding errors of constants in f64, relative to what they are sums of.
const OF_F64: f64 = 1e-9;

/// Rest of a scale that is kept to 13 digits, relative to it.
const OF_SCALE: f64 = 1.0 / (1 << 13) as f64;

/// Terms of a bound of one token, without their signs, relative to the token's length and the longest row.
const TERMS: f64 = 5.0;

/// Least f16 that no device takes for 0.
const LEAST_NORMAL: f64 = 1.0 / (1 << 14) as f64;

/// Constants of a token, which follow its integers: the fourth is unused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constants {
    /// Value of an integer 1: b.
    pub unit: f32,
    /// Length of the token in its unit, rounded up: c.
    pub length: f32,
    /// Error that a longest row of length 1 may add, in that unit, rounded up: e.
    pub error: f32,
}

/// The tokens of a query as a device takes them: integers, zeros up to a whole octet, an octet of constants; `None` where
/// bounds would be of no use.
pub(in crate::gpu) fn int8_tokens(query: TokenMatrixRef<'_>) -> Option<Vec<u8>> {
    let (dim, tokens) = (query.dim(), query.tokens());
    let quantizer = Quantizer::new(dim).ok().filter(|_| tokens <= MOST_TOKENS)?;
    let columns = Format::Int8.octets(dim) * OCTET_BYTES;
    let mut bytes = vec![0; tokens * (columns + OCTET_BYTES)];
    let mut rotated = vec![0.0; dim];
    let rows = query.rows().zip(bytes.chunks_exact_mut(columns + OCTET_BYTES));
    for (values, token) in rows {
        let (codes, constants) = token.split_at_mut(columns);
        let codes: &mut [i8] = bytemuck::cast_slice_mut(&mut codes[..dim]);
        let row = quantizer.quantize_row(values, 127.0, &mut rotated, codes);
        let Constants { unit, length, error } = constants_of(&row, values, tokens);
        constants.copy_from_slice(bytes_of(&[unit, length, error, 0.0]));
    }
    Some(bytes)
}

/// The constants of one of so many tokens.
pub(super) fn constants_of(row: &QuantizedRow, values: &[f16], tokens: usize) -> Constants {
    let QuantizedRow { scale: unit, residual, length } = *row;
    if unit == 0.0 {
        // A token of zeros is as similar to every row.
        return Constants { unit, length: 0.0, error: 0.0 };
    }
    let score = of_additions(values.len() + tokens, 2.0 * UNIT_ROUNDOFF);
    let bound = TERMS * of_additions(tokens + 8, UNIT_ROUNDOFF);
    let roundings = (score + bound + OF_F64) * (length + residual);
    let error = (1.0 + OF_SCALE) * residual + length_of_subnormal(values) + roundings;
    let of_unit = |value: f64| (value / f64::from(unit)) as f32;
    Constants { unit, length: of_unit(length).next_up(), error: of_unit(error).next_up() }
}

/// Length of the values that a device may take for 0.
fn length_of_subnormal(values: &[f16]) -> f64 {
    let subnormal = values.iter().map(|it| it.to_f64()).filter(|it| it.abs() < LEAST_NORMAL);
    subnormal.map(|it| it * it).sum::<f64>().sqrt()
}

/// Largest error of a sum, relative to the sum of magnitudes, if no term passes through more than so many roundings of
/// `unit` each (Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 4.2).
pub(super) fn of_additions(additions: usize, unit: f64) -> f64 {
    let roundings = additions as f64 * unit;
    roundings / (1.0 - roundings)
}
