//! [`Vector`]: a vector as it is given, before a collection knows its distance.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::config::Shape;
use super::sparse::SparseVector;
use crate::decimal::spelled;
use crate::json::{Elements, Json, Node};
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
    /// One of which only some columns are not 0; in JSON an object of these two arrays. A collection
    /// gives it back in the order of its indices.
    Sparse {
        /// Columns, each once.
        indices: Vec<u32>,
        /// The value of each.
        values: Vec<f32>,
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

    /// Rows of a multivector, or the one row of a dense vector; of a sparse vector none.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        match self {
            Self::Dense(values) => values.chunks(values.len().max(1)),
            Self::Multi { values, dim } => values.chunks(*dim.max(&1)),
            Self::Sparse { .. } => [].chunks(1),
        }
    }

    pub(super) fn shape(&self) -> Shape {
        match self {
            Self::Dense(_) => Shape::Dense,
            Self::Multi { .. } => Shape::Multi,
            Self::Sparse { .. } => Shape::Sparse,
        }
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let expected = "numbers, arrays of numbers, or indices and values";
        let elements = match node.json() {
            Json::Array(elements) => elements,
            Json::Object(_) => return read_sparse(node),
            _ => return Err(node.expected(expected)),
        };
        match elements.iter().next() {
            None => Err(node.expected("a vector with values: a dense vector must not be empty")),
            Some(Json::Array(_)) => read_rows(node, elements),
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
            Some(Self::Sparse { .. }) => {
                let mut sum = BTreeMap::new();
                let share = |of: &[V], weight: f32| weight / of.len().max(1) as f32;
                let twice = if negative.is_empty() { 1.0 } else { 2.0 };
                add_sparse(&mut sum, positive, share(positive, twice));
                add_sparse(&mut sum, negative, share(negative, -1.0));
                let (indices, values) = sum.into_iter().unzip();
                Ok(Self::Sparse { indices, values })
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
            Self::Dense(values) | Self::Multi { values, .. } | Self::Sparse { values, .. } => {
                values
            }
        }
    }

    /// Refuses what could not be read again from JSON.
    pub(crate) fn check(&self) -> Result<()> {
        let (values, dim) = match self {
            Self::Dense(values) => (values, values.len()),
            Self::Multi { values, dim } => (values, *dim),
            Self::Sparse { indices, values } => {
                return SparseVector::new(indices.clone(), values.clone()).map(drop);
            }
        };
        if rows(values.len(), dim)? == 0 {
            return Err(Error::NoTokens { item: 0 });
        }
        check_finite(values, dim)
    }
}

/// Adds sparse vectors, each with a weight.
fn add_sparse<V: Borrow<Vector>>(sum: &mut BTreeMap<u32, f32>, vectors: &[V], weight: f32) {
    for vector in vectors {
        if let Vector::Sparse { indices, values } = vector.borrow() {
            for (index, value) in indices.iter().zip(values) {
                *sum.entry(*index).or_default() += weight * value;
            }
        }
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

/// So that 0.1 is written as 0.1, also by way of a [`serde_json::Value`], which holds f64.
impl Serialize for Vector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Dense(values) => Row(values).serialize(serializer),
            Self::Multi { .. } => serializer.collect_seq(self.rows().map(Row)),
            Self::Sparse { indices, values } => {
                let mut vector = serializer.serialize_struct("SparseVector", 2)?;
                vector.serialize_field("indices", indices)?;
                vector.serialize_field("values", &Row(values))?;
                vector.end()
            }
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

fn read_rows(node: &Node<'_>, rows: Elements<'_>) -> Result<Vector> {
    let (mut values, mut dim) = (Vec::new(), 0);
    for (at, row) in rows.iter().enumerate() {
        let length = row.append_to(&mut values);
        if at == 0 {
            dim = length.unwrap_or(0);
        }
        if length != Some(dim) || dim == 0 {
            let row = node.element(at, row);
            return row.f32s().and(Err(row.expected(format!("a row of {} numbers", dim.max(1)))));
        }
    }
    Ok(Vector::Multi { values, dim })
}

fn read_sparse(node: &Node<'_>) -> Result<Vector> {
    let object = node.object(&["indices", "values"])?;
    let index = |node: &Node<'_>| {
        let index = node.json().as_u64().and_then(|it| u32::try_from(it).ok());
        index.ok_or_else(|| node.expected("an integer of 32 bits"))
    };
    let indices = object.required("indices")?.array()?;
    let indices = indices.iter().map(index).collect::<Result<Vec<_>>>()?;
    let values = object.required("values")?.f32s()?;
    let vector = SparseVector::new(indices, values).map_err(|error| node.wrong(error))?;
    Ok(vector.into())
}

impl From<SparseVector> for Vector {
    fn from(vector: SparseVector) -> Self {
        let (indices, values) = vector.into_parts();
        Self::Sparse { indices, values }
    }
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
