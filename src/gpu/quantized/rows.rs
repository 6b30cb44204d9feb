//! Rows in int8 as they go up: codes with signs, whole octets of them, and a word beside each row.

use std::ops::Range;

use crate::gpu::shader::{Format, OCTET_BYTES};
use crate::multivector::{QuantizedMatrixRef, QuantizedRows};

/// Largest f16 that a device may take for 0.
const SUBNORMAL: f64 = 1.0 / (1 << 14) as f64;

/// Appends the codes of some rows of a matrix.
pub(in crate::gpu) fn append_codes(
    matrix: QuantizedMatrixRef<'_>,
    rows: Range<usize>,
    mut append: impl FnMut(&[u8]),
) {
    let quads = matrix.dim().div_ceil(4);
    let codes = &matrix.parts().codes[rows.start * quads..rows.end * quads];
    let mut row = vec![0_u8; Format::Int8.octets(matrix.dim()) * OCTET_BYTES];
    for codes in codes.chunks_exact(quads) {
        // They are stored plus 128: the highest bit is another for each.
        let values = row.iter_mut().zip(codes.as_flattened());
        values.for_each(|(value, code)| *value = code ^ 0x80);
        append(&row);
    }
}

/// Appends the words beside some rows of a matrix.
pub(in crate::gpu) fn append_scales(
    matrix: QuantizedMatrixRef<'_>,
    rows: Range<usize>,
    mut append: impl FnMut(&[u8]),
) {
    let parts = matrix.parts();
    rows.for_each(|row| append(&word_beside(&parts, row, matrix.dim()).to_le_bytes()));
}

/// Scale and residual of a row: 20 bits of an f32 without its sign, and 12.
pub(super) fn word_beside(rows: &QuantizedRows<'_>, row: usize, dim: usize) -> u32 {
    let longest = f64::from(rows.longest);
    let scale = f32::from_le_bytes(rows.scales[row]);
    // Rounded, not cut off: half the error.
    let kept = scale.to_bits().wrapping_add(1 << 10) >> 11;
    let rounded = f32::from_bits(kept << 11);
    let moved = if scale > 0.0 {
        f64::from((rounded - scale).abs()) / f64::from(scale) * longest
    } else {
        0.0
    };
    let left_out = (SUBNORMAL * (dim as f64).sqrt()).min(longest);
    let residual = half::bf16::from_le_bytes(rows.residuals[row]).to_f64() + moved + left_out;
    (kept << 12) | twelve_bits(residual)
}

/// The highest bits of an f32 that is no less, without its sign.
pub(super) fn twelve_bits(value: f64) -> u32 {
    let above = (value as f32).next_up();
    (above.to_bits().wrapping_add((1 << 19) - 1) >> 19) & 0xfff
}
