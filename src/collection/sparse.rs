//! [`SparseVector`]: a sparse vector, checked and in order; and its bytes.

use crate::multivector::check_finite;
use crate::{Error, Result};

/// Indices in ascending order, each once, with a finite value each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SparseVector {
    indices: Vec<u32>,
    values: Vec<f32>,
}

impl SparseVector {
    /// Checks indices and values, and puts them in order.
    pub fn new(indices: Vec<u32>, values: Vec<f32>) -> Result<Self> {
        if indices.len() != values.len() {
            let (expected, got) = (format!("{} values", indices.len()), values.len().to_string());
            return Err(Error::InvalidParameter { name: "a sparse vector", expected, got });
        }
        check_finite(&values, values.len().max(1))?;
        if indices.is_sorted_by(|a, b| a < b) {
            return Ok(Self { indices, values });
        }
        let mut pairs: Vec<_> = indices.into_iter().zip(values).collect();
        pairs.sort_unstable_by_key(|(index, _)| *index);
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (expected, got) = ("each index once".into(), format!("{} again", twice[0].0));
            return Err(Error::InvalidParameter { name: "a sparse vector", expected, got });
        }
        let (indices, values) = pairs.into_iter().unzip();
        Ok(Self { indices, values })
    }

    pub fn into_parts(self) -> (Vec<u32>, Vec<f32>) {
        (self.indices, self.values)
    }

    /// Number of indices.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Indices with their values, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f32)> {
        self.indices.iter().copied().zip(self.values.iter().copied())
    }

    /// All indices, then all values, little-endian as the machine is.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let indices: &[u8] = bytemuck::cast_slice(&self.indices);
        [indices, bytemuck::cast_slice(&self.values)].concat()
    }

    /// Reads what [`SparseVector::bytes`] gave.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (indices, values) = bytes.split_at(bytes.len() / 2);
        let ((indices, rest), (values, over)) = (indices.as_chunks(), values.as_chunks());
        let whole = rest.is_empty() && over.is_empty();
        whole.then(|| Self {
            indices: indices.iter().map(|&it| u32::from_le_bytes(it)).collect(),
            values: values.iter().map(|&it| f32::from_le_bytes(it)).collect(),
        })
    }
}
