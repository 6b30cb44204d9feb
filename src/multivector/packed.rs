//! Many items' token vectors in one allocation.

use half::f16;

use super::TokenMatrixRef;
use super::element::{self, Element};
use crate::{Error, Result};

/// Many token matrices, packed: values `[sum of tokens, dim]` and offsets `[items + 1]`.
///
/// Item `i` owns rows `offsets[i] .. offsets[i + 1]`; no item is padded. Offsets are 64-bit, so
/// that collections beyond 2³¹ values work.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiVectors {
    values: Vec<f16>,
    offsets: Vec<u64>,
    dim: usize,
}

impl MultiVectors {
    /// No items yet.
    ///
    /// # Errors
    /// `dim` is 0.
    pub fn empty(dim: usize) -> Result<Self> {
        Self::from_parts(Vec::new(), &[0], dim)
    }

    /// Takes packed values as they are, rounded to f16.
    ///
    /// # Errors
    /// Those of [`TokenMatrix::new`](super::TokenMatrix::new); offsets that don't start at 0, go back or don't end at the
    /// number of rows; an item without tokens.
    pub fn new<E: Element>(values: &[E], offsets: &[u64], dim: usize) -> Result<Self> {
        Self::from_parts(element::to_half(values, dim)?, offsets, dim)
    }

    /// Takes packed values, each row scaled to unit length as by [`TokenMatrix::normalized`](super::TokenMatrix::normalized).
    ///
    /// # Errors
    /// As [`MultiVectors::new`].
    pub fn normalized<E: Element>(values: &[E], offsets: &[u64], dim: usize) -> Result<Self> {
        Self::from_parts(element::to_unit_half(values, dim)?, offsets, dim)
    }

    /// `values` have passed the door.
    fn from_parts(values: Vec<f16>, offsets: &[u64], dim: usize) -> Result<Self> {
        let rows = element::rows(values.len(), dim)?;
        let offsets = checked_offsets(offsets.iter().map(|&offset| i128::from(offset)), rows)?;
        Ok(Self { values, offsets, dim })
    }

    /// Appends one item.
    ///
    /// # Errors
    /// Its dimension is not this collection's.
    pub fn push(&mut self, matrix: TokenMatrixRef<'_>) -> Result<()> {
        self.check(matrix)?;
        self.values.extend_from_slice(matrix.values());
        self.offsets.push(self.tokens() as u64);
        Ok(())
    }

    /// Whether `matrix` could be one of these: the same dimension.
    pub(crate) fn check(&self, matrix: TokenMatrixRef<'_>) -> Result<()> {
        if matrix.dim() == self.dim {
            return Ok(());
        }
        let what = "a token matrix".into();
        Err(Error::DimensionMismatch { what, expected: self.dim, got: matrix.dim() })
    }

    /// Item `index`, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<TokenMatrixRef<'_>> {
        let (start, end) = (*self.offsets.get(index)?, *self.offsets.get(index + 1)?);
        // The offsets were checked against the length of a Vec, so they fit a usize.
        let values = &self.values[start as usize * self.dim..end as usize * self.dim];
        Some(TokenMatrixRef::trusted(values, self.dim))
    }

    /// All items, in order.
    pub fn iter(&self) -> impl Iterator<Item = TokenMatrixRef<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows of all items together.
    pub fn tokens(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, `[sum of tokens, dim]`.
    pub fn values(&self) -> &[f16] {
        &self.values
    }

    /// Where each item begins, in rows, and at last where all end: `[items + 1]`.
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }
}

/// Offsets that partition `rows` rows into items of at least one row each.
pub(super) fn checked_offsets(
    offsets: impl Iterator<Item = i128>,
    rows: usize,
) -> Result<Vec<u64>> {
    let mut checked: Vec<u64> = Vec::with_capacity(offsets.size_hint().0);
    for (index, got) in offsets.enumerate() {
        match checked.last() {
            None if got != 0 => return Err(invalid(index, "0".into(), got)),
            Some(&last) if got == i128::from(last) => {
                return Err(Error::NoTokens { item: index - 1 });
            }
            Some(&last) if got < i128::from(last) || got > rows as i128 => {
                return Err(invalid(index, format!("between {} and {rows}", last + 1), got));
            }
            _ => checked.push(got as u64),
        }
    }
    match checked.last() {
        None => Err(Error::CountMismatch { what: "offsets or more", expected: 1, got: 0 }),
        Some(&last) if last != rows as u64 => {
            let expected = format!("{rows}, the number of rows");
            Err(invalid(checked.len() - 1, expected, i128::from(last)))
        }
        Some(_) => Ok(checked),
    }
}

fn invalid(index: usize, expected: String, got: i128) -> Error {
    Error::InvalidOffsets { index, expected, got }
}
