//! One vector per item: what recall works on.

use super::element;
use crate::{Error, Result};

/// Dense vectors, packed: row-major `[items, dim]` in f32, every value finite.
///
/// ```
/// use maxfold::multivector::DenseVectors;
///
/// let vectors = DenseVectors::new(vec![1.0, 0.0, 0.5, 0.5], 2)?;
/// assert_eq!(vectors.get(1).unwrap(), [0.5, 0.5]);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DenseVectors {
    values: Vec<f32>,
    dim: usize,
}

impl DenseVectors {
    /// No vectors yet.
    ///
    /// # Errors
    /// `dim` is 0.
    pub fn empty(dim: usize) -> Result<Self> {
        Self::new(Vec::new(), dim)
    }

    /// Takes `[items, dim]` values as they are.
    ///
    /// # Errors
    /// No columns, a ragged last row, NaN or infinity.
    pub fn new(values: Vec<f32>, dim: usize) -> Result<Self> {
        element::rows(values.len(), dim)?;
        check_finite(&values, dim)?;
        Ok(Self { values, dim })
    }

    /// Appends one vector.
    ///
    /// # Errors
    /// Another dimension, NaN or infinity.
    pub fn push(&mut self, vector: &[f32]) -> Result<()> {
        self.check(vector)?;
        self.values.extend_from_slice(vector);
        Ok(())
    }

    /// Checks that `vector` could be one of these: the same dimension, every value finite.
    pub(crate) fn check(&self, vector: &[f32]) -> Result<()> {
        element::check_dimension(|| "a dense vector".into(), self.dim, vector.len())?;
        check_finite(vector, self.dim)
    }

    /// Vector `index`, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<&[f32]> {
        self.values.chunks_exact(self.dim).nth(index)
    }

    /// All vectors, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim)
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Returns `true` if there are no vectors.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, `[items, dim]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

pub(crate) fn check_finite(values: &[f32], dim: usize) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => {
            let (row, column, value) = (index / dim, index % dim, values[index]);
            Err(Error::NotFinite { row, column, value })
        }
    }
}
