//! Many items' token vectors in one allocation.

use half::f16;

use super::TokenMatrixRef;
use super::element::{self, Element};
use crate::{Error, Result};

/// Many token matrices, packed: values `[sum of tokens, dim]` and offsets `[items + 1]`.
///
/// Item `i` owns rows `offsets[i] .. offsets[i + 1]`; no item is padded. Offsets are 64-bit, so
/// that collections beyond 2³¹ values work.
///
/// ```
/// use maxfold::MultiVectors;
///
/// // Two items of one and of two tokens.
/// let items = MultiVectors::new(&[0.5_f32, 1.0, 2.0, 4.0, 8.0, 16.0], &[0, 1, 3], 2)?;
/// assert_eq!(items.get(1).unwrap().tokens(), 2);
/// # Ok::<(), maxfold::Error>(())
/// ```
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
        Self::from_vec(Vec::new(), vec![0], dim)
    }

    /// Takes packed values as they are, rounded to f16.
    ///
    /// # Errors
    /// Those of [`TokenMatrix::new`](super::TokenMatrix::new); offsets that don't start at 0, go back
    /// or don't end at the number of rows; an item without tokens.
    pub fn new<E: Element>(values: &[E], offsets: &[u64], dim: usize) -> Result<Self> {
        let values = element::to_half(values, dim).map_err(|error| error.in_item(offsets))?;
        Self::checked(values, offsets.to_vec(), dim)
    }

    /// Takes packed values, each row scaled to unit length as by
    /// [`TokenMatrix::normalized`](super::TokenMatrix::normalized).
    ///
    /// # Errors
    /// As [`MultiVectors::new`].
    pub fn normalized<E: Element>(values: &[E], offsets: &[u64], dim: usize) -> Result<Self> {
        let values = element::to_unit_half(values, dim).map_err(|error| error.in_item(offsets))?;
        Self::checked(values, offsets.to_vec(), dim)
    }

    /// Takes packed f16 values without a copy.
    ///
    /// # Errors
    /// As [`MultiVectors::new`].
    pub fn from_vec(values: Vec<f16>, offsets: Vec<u64>, dim: usize) -> Result<Self> {
        element::rows(values.len(), dim)?;
        let checked = element::check_rounded(&values, dim, |index| values[index].to_f32());
        checked.map_err(|error| error.in_item(&offsets))?;
        Self::checked(values, offsets, dim)
    }

    /// `values` have passed the door.
    pub(super) fn checked(values: Vec<f16>, offsets: Vec<u64>, dim: usize) -> Result<Self> {
        let rows = element::rows(values.len(), dim)?;
        check_offsets(offsets.iter().map(|&offset| i128::from(offset)), rows)?;
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

    /// Checks that `matrix` could be one of these: the same dimension.
    pub(crate) fn check(&self, matrix: TokenMatrixRef<'_>) -> Result<()> {
        element::check_dimension(|| "a token matrix".into(), self.dim, matrix.dim())
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

    /// Returns `true` if there are no items.
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

    /// Offsets at which items begin, in rows, and at last where all end: `[items + 1]`.
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }
}

/// Checks that offsets partition `rows` rows into items of at least one row each.
pub(super) fn check_offsets(offsets: impl Iterator<Item = i128>, rows: usize) -> Result<()> {
    let mut previous = None;
    let mut count = 0;
    for (index, got) in offsets.enumerate() {
        match previous {
            None if got != 0 => return Err(invalid(index, "0".into(), got)),
            Some(last) if got == last => return Err(Error::NoTokens { item: index - 1 }),
            Some(last) if got < last || got > rows as i128 => {
                return Err(invalid(index, format!("between {} and {rows}", last + 1), got));
            }
            _ => (previous, count) = (Some(got), index + 1),
        }
    }
    match previous {
        None => Err(Error::CountMismatch { what: "offsets or more", expected: 1, got: 0 }),
        Some(last) if last != rows as i128 => {
            Err(invalid(count - 1, format!("{rows}, the number of rows"), last))
        }
        Some(_) => Ok(()),
    }
}

fn invalid(index: usize, expected: String, got: i128) -> Error {
    Error::InvalidOffsets { index, expected, got }
}
