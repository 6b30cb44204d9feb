//! The door: how values of any accepted type become finite f16.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::{Error, Result};

/// A type that vectors may be given in: `f32`, [`struct@f16`] or [`bf16`].
///
/// Values are rounded to f16 once, to nearest, ties to even; f16 values are taken as they are.
pub trait Element: Copy + sealed::Sealed {
    /// The value in f32, exactly.
    fn widen(self) -> f32;

    /// Appends the values to `to`, rounded to f16.
    #[doc(hidden)]
    fn round_into(values: &[Self], to: &mut Vec<f16>);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

impl Element for f32 {
    fn widen(self) -> f32 {
        self
    }

    fn round_into(values: &[Self], to: &mut Vec<f16>) {
        let start = to.len();
        to.resize(start + values.len(), f16::ZERO);
        to[start..].convert_from_f32_slice(values);
    }
}

impl Element for f16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }

    fn round_into(values: &[Self], to: &mut Vec<f16>) {
        to.extend_from_slice(values);
    }
}

impl Element for bf16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }

    fn round_into(values: &[Self], to: &mut Vec<f16>) {
        to.extend(values.iter().map(|value| f16::from_f32(value.to_f32())));
    }
}

/// Checks that something has the dimension of what it is multiplied with or stored beside.
pub(crate) fn check_dimension(
    what: impl FnOnce() -> String,
    expected: usize,
    got: usize,
) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::DimensionMismatch { what: what(), expected, got })
}

/// The number of rows of a flat `[rows, dim]` slice.
pub(crate) fn rows(values: usize, dim: usize) -> Result<usize> {
    if dim == 0 {
        return Err(Error::ZeroDimension);
    }
    if !values.is_multiple_of(dim) {
        return Err(Error::RaggedRows { values, dim });
    }
    Ok(values / dim)
}

/// The values of rows, one after the other, and the number of columns.
pub(crate) fn flatten<E: Element, R: AsRef<[E]>, T>(
    rows: &[R],
    convert: impl Fn(E) -> T,
) -> Result<(Vec<T>, usize)> {
    let dim = rows.first().ok_or(Error::NoTokens { item: 0 })?.as_ref().len();
    let mut values = Vec::with_capacity(rows.len() * dim);
    for (at, row) in rows.iter().enumerate() {
        check_dimension(|| format!("row {at}"), dim, row.as_ref().len())?;
        values.extend(row.as_ref().iter().map(|value| convert(*value)));
    }
    Ok((values, dim))
}

/// Rounds `[rows, dim]` values to f16, all of them finite afterwards.
pub(super) fn to_half<E: Element>(values: &[E], dim: usize) -> Result<Vec<f16>> {
    rows(values.len(), dim)?;
    let mut rounded = Vec::with_capacity(values.len());
    E::round_into(values, &mut rounded);
    check_rounded(&rounded, dim, |index| values[index].widen())?;
    Ok(rounded)
}

/// Scales each row of `[rows, dim]` to unit length, then rounds it; a row of zeros stays as it is.
pub(super) fn to_unit_half<E: Element>(values: &[E], dim: usize) -> Result<Vec<f16>> {
    rows(values.len(), dim)?;
    let mut rounded = Vec::with_capacity(values.len());
    let mut scaled = Vec::new();
    for row in values.chunks_exact(dim) {
        scaled.clear();
        scaled.extend(unit(row));
        f32::round_into(&scaled, &mut rounded);
    }
    check_rounded(&rounded, dim, |index| values[index].widen())?;
    Ok(rounded)
}

/// The values of a vector, scaled to length 1; a zero vector stays zero.
pub(crate) fn unit<E: Element>(row: &[E]) -> impl Iterator<Item = f32> {
    let norm = norm(row);
    let divisor = if norm > 0.0 { norm } else { 1.0 };
    row.iter().map(move |value| (f64::from(value.widen()) / divisor) as f32)
}

/// The length of a vector; in f64, because the square of a large f32 overflows f32.
pub(super) fn norm<E: Element>(row: &[E]) -> f64 {
    row.iter().map(|value| f64::from(value.widen()).powi(2)).sum::<f64>().sqrt()
}

/// The sum of squares in f32, in lanes that a compiler gives a register.
#[cfg(feature = "collection")]
pub(super) fn squares(row: &[f32]) -> f32 {
    let (lanes, rest) = row.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for lane in lanes {
        sums.iter_mut().zip(lane).for_each(|(sum, value)| *sum += value * value);
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}

/// Checks that `[rows, dim]` f16 values are finite; `original` gives the value before rounding.
pub(super) fn check_rounded(
    rounded: &[f16],
    dim: usize,
    original: impl Fn(usize) -> f32,
) -> Result<()> {
    let Some(index) = rounded.iter().position(|value| !value.is_finite()) else {
        return Ok(());
    };
    Err(unfit(index / dim, index % dim, original(index)))
}

/// The fault of a value that is not finite in f16.
pub(super) fn unfit(row: usize, column: usize, value: f32) -> Error {
    if value.is_finite() {
        Error::OutOfHalfRange { row, column, value }
    } else {
        Error::NotFinite { row, column, value }
    }
}
