//! Token vectors that a model hardly meant: zeros, and lengths other than 1.

use std::ops::{Add, AddAssign};

use super::element;
use crate::Result;

/// Tolerance of a unit length. Rounding each value to bf16 changes it by up to 0.004.
const TOLERANCE: f64 = 0.01;

/// Cleanup of token vectors, row by row.
///
/// Rows of zeros are most often padding that was taken for tokens: one of them in a document hides
/// all its negative similarities. Late-interaction models compare by the cosine; where rows aren't of
/// unit length, the dot product is something else, and long rows win.
///
/// ```
/// use maxfold::multivector::RowCleanup;
///
/// let mut values = vec![3.0, 4.0, 0.0, 0.0, 1.0, 0.0];
/// let cleanup = RowCleanup::new().normalize(true).drop_zero_rows(true);
/// let found = cleanup.apply(&mut values, 2)?;
/// assert_eq!((found.rows, found.zero, found.not_unit), (3, 1, 1));
/// assert_eq!(values, [0.6, 0.8, 1.0, 0.0]);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCleanup {
    normalize: bool,
    drop_zero_rows: bool,
}

/// Counts of rows, as they were before a [`RowCleanup`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowCounts {
    /// All rows.
    pub rows: usize,
    /// Rows of zeros.
    pub zero: usize,
    /// Rows of a length that is neither 0 nor, within 0.01, 1.
    pub not_unit: usize,
}

impl RowCleanup {
    /// Counts rows, and changes none.
    pub const fn new() -> Self {
        Self { normalize: false, drop_zero_rows: false }
    }

    /// Scales rows to unit length. Those of zeros stay as they are.
    pub const fn normalize(self, normalize: bool) -> Self {
        Self { normalize, ..self }
    }

    /// Leaves out rows of zeros.
    pub const fn drop_zero_rows(self, drop_zero_rows: bool) -> Self {
        Self { drop_zero_rows, ..self }
    }

    /// Cleans `[rows, dim]` values in place, and says what was found. Rows with values that are not
    /// finite stay as they are.
    ///
    /// # Errors
    /// No columns, or a ragged last row.
    pub fn apply(self, values: &mut Vec<f32>, dim: usize) -> Result<RowCounts> {
        let rows = element::rows(values.len(), dim)?;
        let mut found = RowCounts { rows, ..Default::default() };
        let mut end = 0;
        for start in (0..values.len()).step_by(dim) {
            let length = element::norm(&values[start..start + dim]);
            if length == 0.0 {
                found.zero += 1;
                if self.drop_zero_rows {
                    continue;
                }
            }
            found.not_unit += usize::from(length > 0.0 && (length - 1.0).abs() > TOLERANCE);
            values.copy_within(start..start + dim, end);
            if self.normalize && length > 0.0 && length.is_finite() {
                let row = values[end..end + dim].iter_mut();
                row.for_each(|value| *value = (f64::from(*value) / length) as f32);
            }
            end += dim;
        }
        values.truncate(end);
        Ok(found)
    }
}

impl RowCounts {
    /// Counts `[rows, dim]` values. In f32, as it is done in passing: a length is known to a millionth.
    #[cfg(feature = "collection")]
    pub(crate) fn of(values: &[f32], dim: usize) -> Self {
        let mut found = Self::default();
        for row in values.chunks(dim.max(1)) {
            let squares = element::squares(row);
            let is_zero = squares == 0.0 && row.iter().all(|value| *value == 0.0);
            found.rows += 1;
            found.zero += usize::from(is_zero);
            let length = f64::from(squares).sqrt();
            found.not_unit += usize::from(!is_zero && (length - 1.0).abs() > TOLERANCE);
        }
        found
    }
}

impl Add for RowCounts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for RowCounts {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.zero += other.zero;
        self.not_unit += other.not_unit;
    }
}
