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
        round(values, &mut to[start..]);
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

/// Rounds values to as many f16.
fn round(values: &[f32], to: &mut [f16]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx") && is_x86_feature_detected!("f16c") {
        // SAFETY: both are there.
        return unsafe { round_f16c(values, to) };
    }
    to.convert_from_f32_slice(values);
}

/// [`HalfFloatSliceExt::convert_from_f32_slice`] in one loop, where that calls a function for every eight values.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,f16c")]
fn round_f16c(values: &[f32], to: &mut [f16]) {
    use std::arch::x86_64::*;

    let (values, values_tail) = values.as_chunks::<8>();
    let (to, to_tail) = to.as_chunks_mut::<8>();
    for (values, to) in values.iter().zip(to) {
        // SAFETY: `values` is 32 bytes, and `to` 16; loadu and storeu need no alignment.
        unsafe {
            let values = _mm256_loadu_ps(values.as_ptr());
            let rounded = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(values);
            _mm_storeu_si128(to.as_mut_ptr().cast(), rounded);
        }
    }
    to_tail.iter_mut().zip(values_tail).for_each(|(to, value)| *to = f16::from_f32(*value));
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
    let square = |value: &E| f64::from(value.widen()).powi(2);
    let (lanes, rest) = row.as_chunks::<8>();
    // Sums that need not wait for each other.
    let mut sums = [0.0; 8];
    for lane in lanes {
        sums.iter_mut().zip(lane).for_each(|(sum, value)| *sum += square(value));
    }
    (sums.iter().sum::<f64>() + rest.iter().map(square).sum::<f64>()).sqrt()
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

/// The bit of f16 that is set in negative numbers.
const SIGN: u16 = 1 << 15;

/// Infinity's bits: finite magnitudes have less, in the order of what they stand for, others as many or more.
const INFINITY: i16 = f16::INFINITY.to_bits() as i16;

/// Checks that `[rows, dim]` f16 values are finite; `original` gives the value before rounding.
pub(super) fn check_rounded(
    rounded: &[f16],
    dim: usize,
    original: impl Fn(usize) -> f32,
) -> Result<()> {
    // The greatest of all is looked for many at a time, the first that is too great only if there is one.
    let magnitude = |value: &f16| (value.to_bits() & !SIGN) as i16;
    if rounded.iter().fold(0, |most, value| magnitude(value).max(most)) < INFINITY {
        return Ok(());
    }
    let first = rounded.iter().position(|value| !value.is_finite());
    first.map_or(Ok(()), |index| Err(unfit(index / dim, index % dim, original(index))))
}

/// The fault of a value that is not finite in f16.
pub(super) fn unfit(row: usize, column: usize, value: f32) -> Error {
    if value.is_finite() {
        Error::OutOfHalfRange { row, column, value }
    } else {
        Error::NotFinite { row, column, value }
    }
}
