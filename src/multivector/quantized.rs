//! Token matrices in integers of 8 bits, and how far each row may be from what it stands for.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::rotation::Rotation;
use super::{TokenMatrixRef, element};
use crate::{Error, Result};

/// Columns of the largest rows that are quantized: sums of their products fit into 32 bits.
const MOST_COLUMNS: usize = 1 << 16;

/// Largest code; its negative is the least.
const LARGEST: f32 = 127.0;

/// Code that stands for 0: codes are stored without a sign.
const ZERO: u8 = 128;

/// Bytes before the rows: the length of the longest.
const HEADER: usize = size_of::<f32>();

/// Bytes of a row beside its codes: scale and residual.
const BESIDE: usize = size_of::<f32>() + size_of::<bf16>();

/// Allowance for rounding in f64, relative to what is rounded.
const OF_F64: f64 = 1e-9;

/// A token matrix in about half of its memory: 8 bits a value, and 6 bytes a row that say how far the row may be from
/// what it was.
///
/// From it alone, [`CpuMaxSim`](crate::maxsim::CpuMaxSim) knows for most documents that they are not among the best; so
/// only a few are read in f16, and the answer is the same.
///
/// A row x is rotated (random signs and a Walsh–Hadamard transform, see
/// [QuaRot](https://arxiv.org/abs/2404.00456)) to R·x and rounded to codes z from −127 to 127 of one scale a, the one of
/// the least squares for these codes. R is orthogonal, so R·x and a·z are as far from each other as x and what the codes
/// say, and that distance is kept: the *residual*, rounded up.
///
/// ```
/// use maxfold::TokenMatrix;
/// use maxfold::multivector::QuantizedMatrix;
///
/// let matrix = TokenMatrix::normalized(&vec![0.5_f32; 100 * 128], 128)?;
/// let quantized = QuantizedMatrix::new(matrix.view())?;
/// assert_eq!(quantized.bytes().len(), 100 * (128 + 6) + 4);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantizedMatrix {
    bytes: Vec<u8>,
    dim: usize,
}

impl QuantizedMatrix {
    /// Quantizes a token matrix.
    ///
    /// # Errors
    /// More than 65,536 columns.
    pub fn new(matrix: TokenMatrixRef<'_>) -> Result<Self> {
        Quantizer::new(matrix.dim()).map(|quantizer| quantizer.quantize(matrix))
    }

    /// The matrix, borrowed.
    pub fn view(&self) -> QuantizedMatrixRef<'_> {
        QuantizedMatrixRef::trusted(&self.bytes, self.dim)
    }

    /// All of it, to be kept and read by [`QuantizedMatrixRef::new`]: little-endian, the longest length (f32), the
    /// scales (f32), the residuals (bf16), then the codes plus 128 `[tokens, columns]`, where `columns` is the
    /// dimension, rounded up to a multiple of 4.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Quantizes matrices of one dimension.
pub(crate) struct Quantizer {
    rotation: Rotation,
    dim: usize,
}

impl Quantizer {
    /// # Errors
    /// As [`QuantizedMatrix::new`].
    pub fn new(dim: usize) -> Result<Self> {
        check_columns(dim).map(|()| Self { rotation: Rotation::new(dim), dim })
    }

    /// Quantizes a matrix of this dimension.
    pub fn quantize(&self, matrix: TokenMatrixRef<'_>) -> QuantizedMatrix {
        let (tokens, columns) = (matrix.tokens(), columns(self.dim));
        let mut bytes = vec![ZERO; HEADER + tokens * (BESIDE + columns)];
        let (header, rows) = bytes.split_at_mut(HEADER);
        let (scales, rows) = rows.split_at_mut(tokens * size_of::<f32>());
        let (residuals, codes) = rows.split_at_mut(tokens * size_of::<bf16>());
        let (scales, _) = scales.as_chunks_mut();
        let (residuals, _) = residuals.as_chunks_mut();
        let mut longest: f64 = 0.0;
        let (mut rotated, mut integers) = (vec![0.0; self.dim], vec![0; self.dim]);
        let rows = matrix.rows().zip(codes.chunks_exact_mut(columns)).enumerate();
        for (token, (row, codes)) in rows {
            let row = self.quantize_row(row, LARGEST, &mut rotated, &mut integers);
            let codes = codes.iter_mut().zip(&integers);
            codes.for_each(|(to, code)| *to = ZERO.wrapping_add_signed(*code));
            scales[token] = row.scale.to_le_bytes();
            residuals[token] = rounded_up(row.residual).to_le_bytes();
            longest = longest.max(row.length + row.residual);
        }
        header.copy_from_slice(&(longest as f32).next_up().to_le_bytes());
        QuantizedMatrix { bytes, dim: self.dim }
    }

    /// Rounds a row to codes from −`largest` to `largest`; `rotated` becomes what they stand for.
    pub fn quantize_row(
        &self,
        row: &[f16],
        largest: f32,
        rotated: &mut [f32],
        codes: &mut [i8],
    ) -> QuantizedRow {
        self.rotate(row, rotated);
        let QuantizedRow { scale, residual, length } = quantize(rotated, largest, codes);
        let error = Rotation::error(self.dim);
        QuantizedRow {
            scale,
            residual: residual + error * length * (1.0 + OF_F64),
            length: length * (1.0 + error + OF_F64),
        }
    }

    /// Widens a row and rotates it.
    pub fn rotate(&self, row: &[f16], rotated: &mut [f32]) {
        row.convert_to_f32_slice(rotated);
        self.rotation.apply(rotated);
    }

    /// The row whose rotation is nearest to `rotated`, in f16.
    #[cfg(test)]
    pub fn rotated_back(&self, rotated: &[f32]) -> Vec<f16> {
        let column = |at: usize| {
            let (mut one, mut column) = (vec![f16::ZERO; self.dim], vec![0.0; self.dim]);
            one[at] = f16::ONE;
            self.rotate(&one, &mut column);
            f16::from_f32(column.iter().zip(rotated).map(|(a, b)| a * b).sum())
        };
        (0..self.dim).map(column).collect()
    }
}

/// A row in codes.
pub(crate) struct QuantizedRow {
    /// Value of a code 1.
    pub scale: f32,
    /// Length of what the codes leave out, at most.
    pub residual: f64,
    /// Length of the row, at most.
    pub length: f64,
}

/// Rounds a row that is rotated already.
fn quantize(row: &[f32], largest: f32, codes: &mut [i8]) -> QuantizedRow {
    let magnitude = row.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    // Of zeros, all codes are 0.
    let unit = if magnitude > 0.0 { largest / magnitude } else { 0.0 };
    for (value, code) in row.iter().zip(&mut *codes) {
        *code = nearest(value * unit).clamp(-largest, largest) as i8;
    }
    let product = sum(row, codes, |value, code| value * code);
    let square = sum(row, codes, |_, code| code * code);
    let scale = if square > 0.0 { (product / square) as f32 } else { 0.0 };
    let residual = sum(row, codes, |value, code| (value - f64::from(scale) * code).powi(2));
    let length = sum(row, codes, |value, _| value * value);
    let with_rounding = |square: f64| square.sqrt() * (1.0 + OF_F64);
    QuantizedRow { scale, residual: with_rounding(residual), length: with_rounding(length) }
}

/// The sum over the columns: several sums side by side, which a processor adds at a time.
fn sum(row: &[f32], codes: &[i8], term: impl Fn(f64, f64) -> f64) -> f64 {
    let term = |(value, code): (&f32, &i8)| term(f64::from(*value), f64::from(*code));
    let ((values, last_values), (chunks, last_codes)) =
        (row.as_chunks::<8>(), codes.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (values, codes) in values.iter().zip(chunks) {
        sums.iter_mut().zip(values.iter().zip(codes)).for_each(|(sum, pair)| *sum += term(pair));
    }
    sums.iter().sum::<f64>() + last_values.iter().zip(last_codes).map(term).sum::<f64>()
}

/// The nearest integer, of a value far below 2²²: beyond that, an f32 has no place for fractions. (`round_ties_even` is
/// a call where the target is any x86-64.)
fn nearest(value: f32) -> f32 {
    const NO_FRACTIONS: f32 = 1.5 * (1 << 23) as f32;
    (value + NO_FRACTIONS) - NO_FRACTIONS
}

/// A bf16 that is no less.
fn rounded_up(value: f64) -> bf16 {
    let nearest = bf16::from_f64(value);
    if nearest.to_f64() >= value { nearest } else { bf16::from_bits(nearest.to_bits() + 1) }
}

fn check_columns(dim: usize) -> Result<()> {
    match dim {
        0 => Err(Error::ZeroDimension),
        1..=MOST_COLUMNS => Ok(()),
        _ => {
            let (expected, got) = (format!("at most {MOST_COLUMNS}"), dim.to_string());
            Err(Error::InvalidParameter { name: "dim", expected, got })
        }
    }
}

/// Bytes of codes a row has.
fn columns(dim: usize) -> usize {
    dim.next_multiple_of(4)
}

/// A borrowed [`QuantizedMatrix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantizedMatrixRef<'a> {
    bytes: &'a [u8],
    dim: usize,
}

impl<'a> QuantizedMatrixRef<'a> {
    /// Borrows what [`QuantizedMatrix::bytes`] gave. Nothing but its size is checked: bytes that were changed give
    /// bounds that are wrong.
    ///
    /// # Errors
    /// No columns, or more than 65,536; no rows, or not whole ones.
    pub fn new(bytes: &'a [u8], dim: usize) -> Result<Self> {
        check_columns(dim)?;
        let values = bytes.len().saturating_sub(HEADER);
        match element::rows(values, columns(dim) + BESIDE)? {
            0 => Err(Error::NoTokens { item: 0 }),
            _ => Ok(Self { bytes, dim }),
        }
    }

    /// Borrows bytes that passed the checks of [`QuantizedMatrixRef::new`] before.
    pub(crate) fn trusted(bytes: &'a [u8], dim: usize) -> Self {
        Self { bytes, dim }
    }

    /// Number of rows.
    pub fn tokens(&self) -> usize {
        (self.bytes.len() - HEADER) / (columns(self.dim) + BESIDE)
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Parts of the kernel's interest.
    pub(crate) fn parts(&self) -> QuantizedRows<'a> {
        let tokens = self.tokens();
        let (header, rows) = self.bytes.split_at(HEADER);
        let (scales, rows) = rows.split_at(tokens * size_of::<f32>());
        let (residuals, codes) = rows.split_at(tokens * size_of::<bf16>());
        let longest = header.first_chunk().copied().unwrap_or_default();
        QuantizedRows {
            longest: f32::from_le_bytes(longest),
            scales: scales.as_chunks().0,
            residuals: residuals.as_chunks().0,
            codes: codes.as_chunks().0,
        }
    }
}

/// Rows of a matrix, as they lie in memory, at any address.
#[derive(Clone, Copy)]
pub(crate) struct QuantizedRows<'a> {
    /// No row, and none of what codes stand for, is longer.
    pub longest: f32,
    /// f32, one a row.
    pub scales: &'a [[u8; 4]],
    /// bf16, one a row.
    pub residuals: &'a [[u8; 2]],
    /// `[tokens, columns / 4]`.
    pub codes: &'a [[u8; 4]],
}
