//! [`Vector`]: a vector as it is given, before a collection knows its distance.

use std::borrow::Borrow;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::decimal::spelled;
use crate::json::Node;
use crate::multivector::{Element, TokenMatrixRef, check_finite, flatten, rows};
use crate::{Error, Result};

/// One vector or many, in f32.
#[derive(Clone, Debug, PartialEq)]
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

    /// The vector that is near to what is like the `positive` ones, of which there is at least one, and
    /// unlike the `negative` ones: twice the mean of the one kind, less that of the other; or all rows,
    /// those of the other kind negated. They are of one dimension.
    pub(crate) fn recommended<V: Borrow<Self>>(positive: &[V], negative: &[V]) -> Result<Self> {
        let first = positive.first().map(Borrow::borrow);
        match first {
            None => Err(Error::NoTokens { item: 0 }),
            Some(Self::Dense(_)) => {
                let mut values = mean(positive);
                if !negative.is_empty() {
                    let other = mean(negative);
                    values.iter_mut().zip(other).for_each(|(value, it)| *value += *value - it);
                }
                Ok(Self::Dense(values))
            }
            Some(Self::Multi { dim, .. }) => {
                let rows = |of: &'_ [V], sign: f32| {
                    let values = of.iter().flat_map(|it| it.borrow().values().to_vec());
                    values.map(move |value| sign * value).collect::<Vec<f32>>()
                };
                let values = [rows(positive, 1.0), rows(negative, -1.0)].concat();
                Ok(Self::Multi { values, dim: *dim })
            }
        }
    }

    fn values(&self) -> &[f32] {
        match self {
            Self::Dense(values) | Self::Multi { values, .. } => values,
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

/// The mean of dense vectors of one dimension.
fn mean<V: Borrow<Vector>>(vectors: &[V]) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    for vector in vectors {
        let values = vector.borrow().values();
        sum.resize(values.len(), 0.0);
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    sum.iter_mut().for_each(|value| *value /= vectors.len() as f32);
    sum
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
