//! [`Vector`]: a vector as it is given, before a collection knows its distance.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::decimal::spelled;
use crate::json::Node;
use crate::multivector::{Element, TokenMatrixRef, check_finite, flatten, rows};
use crate::{Error, Result};

/// One vector or many, in f32.
///
/// ```
/// use maxfold::Vector;
///
/// let dense = Vector::from(vec![0.5, 1.0]);
/// let tokens = Vector::from_rows(&[[1.0_f32, 0.0], [0.0, 1.0]])?;
/// assert_eq!((dense.rows().len(), tokens.rows().len()), (1, 2));
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Vector {
    /// One; in JSON an array of numbers.
    Dense(Vec<f32>),
    /// Many, row-major `[rows, dim]`; in JSON an array of such arrays.
    Multi {
        /// All values.
        values: Vec<f32>,
        /// Number of columns.
        dim: usize,
    },
}

impl Vector {
    /// A multivector of these rows.
    ///
    /// ```
    /// use maxfold::Vector;
    ///
    /// let vector = Vector::from_rows(&[vec![1.0_f32, 0.0], vec![0.5, 0.25]])?;
    /// assert_eq!(vector.rows().collect::<Vec<_>>(), [[1.0, 0.0], [0.5, 0.25]]);
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// No rows; rows of different lengths.
    pub fn from_rows<E: Element, R: AsRef<[E]>>(rows: &[R]) -> Result<Self> {
        let (values, dim) = flatten(rows, Element::widen)?;
        Ok(Self::Multi { values, dim })
    }

    /// Rows of a multivector, or the one row of a dense vector.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        match self {
            Self::Dense(values) => values.chunks(values.len().max(1)),
            Self::Multi { values, dim } => values.chunks(*dim.max(&1)),
        }
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let expected = "numbers, or arrays of numbers";
        let first = match node.value() {
            Value::Array(values) => values.first(),
            _ => return Err(node.expected(expected)),
        };
        match first {
            None => Err(node.expected("a vector with values")),
            Some(Value::Array(row)) => read_rows(node, row.len()),
            Some(_) => node.f32s().map(Self::Dense),
        }
    }

    /// Refuses what could not be read again from JSON.
    pub(crate) fn check(&self) -> Result<()> {
        let (values, dim) = match self {
            Self::Dense(values) => (values, values.len()),
            Self::Multi { values, dim } => (values, *dim),
        };
        if rows(values.len(), dim)? == 0 {
            return Err(Error::NoTokens { item: 0 });
        }
        check_finite(values, dim)
    }
}

/// So that 0.1 is written as 0.1, also by way of a [`Value`], which holds f64.
impl Serialize for Vector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Dense(values) => Row(values).serialize(serializer),
            Self::Multi { .. } => serializer.collect_seq(self.rows().map(Row)),
        }
    }
}

struct Row<'a>(&'a [f32]);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_seq(self.0.iter().map(|value| spelled(*value))),
            false => self.0.serialize(serializer),
        }
    }
}

fn read_rows(node: &Node<'_>, dim: usize) -> Result<Vector> {
    let mut values = Vec::new();
    for row in node.array()? {
        let numbers = row.f32s()?;
        if numbers.len() != dim || dim == 0 {
            return Err(row.expected(format!("a row of {} numbers", dim.max(1))));
        }
        values.extend(numbers);
    }
    Ok(Vector::Multi { values, dim })
}

impl From<Vec<f32>> for Vector {
    fn from(values: Vec<f32>) -> Self {
        Self::Dense(values)
    }
}

impl From<TokenMatrixRef<'_>> for Vector {
    fn from(matrix: TokenMatrixRef<'_>) -> Self {
        let values = matrix.values().iter().map(|value| value.to_f32()).collect();
        Self::Multi { values, dim: matrix.dim() }
    }
}
