//! [`Point`], and which points a call selects.

use std::borrow::Cow;
use std::collections::BTreeMap;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::Vector;
use super::config::{CollectionConfig, Shape, VectorConfig};
use super::schema::Schema;
use super::sparse::SparseVector;
use crate::filter::{FieldPath, Filter, Payload, PointId};
use crate::json;
use crate::multivector::{
    DenseVectors, NormedRows, QuantizedMatrix, TokenMatrix, check_dimension, check_finite, unit,
};
use crate::recall::Distance;
use crate::{Error, Result};

/// A point: an id, any of the collection's vectors, and a payload. In JSON as Qdrant writes it, with
/// `id`, `vector` and `payload`.
///
/// ```
/// use maxfold::Point;
///
/// let point = Point::new(7).vector("dense", vec![0.5, 1.0]);
/// assert_eq!(point, r#"{"id": 7, "vector": {"dense": [0.5, 1.0]}}"#.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Id, by which it is replaced, read and deleted.
    pub id: PointId,
    /// Its vectors, by name.
    pub vectors: BTreeMap<String, Vector>,
    /// Payload: any JSON object.
    pub payload: Payload,
}

impl Point {
    /// A point without vectors and payload.
    pub fn new(id: impl Into<PointId>) -> Self {
        Self { id: id.into(), vectors: BTreeMap::new(), payload: Payload::new() }
    }

    /// With this vector.
    pub fn vector(mut self, name: impl Into<String>, vector: impl Into<Vector>) -> Self {
        self.vectors.insert(name.into(), vector.into());
        self
    }

    /// With this payload.
    pub fn payload(self, payload: Payload) -> Self {
        Self { payload, ..self }
    }
}

/// Points that a call is about: by ids, or by a filter.
///
/// ```
/// use maxfold::filter::{Condition, Filter, Match};
/// use maxfold::{Collection, CollectionConfig, Point};
///
/// let collection = Collection::temporary(CollectionConfig::new())?;
/// collection.upsert([1, 2, 3_u64].map(Point::new).into())?;
/// let old = serde_json::json!({"old": true});
/// // Ids, and a filter.
/// assert_eq!(collection.set_payload([1, 2], old.as_object().unwrap())?, 2);
/// let filter = Filter::new().must(Condition::field("old", Match::value(true))?);
/// assert_eq!(collection.delete(filter)?, 2);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    /// Points of these ids.
    Ids(Vec<PointId>),
    /// Points that match a filter.
    Filter(Filter),
}

impl From<Filter> for Selector {
    fn from(filter: Filter) -> Self {
        Self::Filter(filter)
    }
}

impl<I: Into<PointId>, const N: usize> From<[I; N]> for Selector {
    fn from(ids: [I; N]) -> Self {
        Self::Ids(ids.into_iter().map(I::into).collect())
    }
}

impl From<Vec<PointId>> for Selector {
    fn from(ids: Vec<PointId>) -> Self {
        Self::Ids(ids)
    }
}

/// A point as it will be kept: everything checked, vectors as they are compared.
pub(super) struct Prepared {
    pub id: PointId,
    /// By slot.
    pub vectors: Vec<(u8, Values)>,
    pub payload: Payload,
    /// The payload in JSON.
    pub json: Vec<u8>,
}

/// The values of a vector, as they are compared.
pub(crate) enum Values {
    Dense(Vec<f32>),
    Tokens(Tokens),
    Sparse(SparseVector),
}

/// A multivector: in f16, and in f32 and int8 where it is kept so.
pub(crate) struct Tokens {
    pub matrix: TokenMatrix,
    pub rows: Option<Vec<f32>>,
    /// Made for a point of which it is kept.
    pub quantized: Option<QuantizedMatrix>,
    /// The matrix as it is kept of a point, where that has more columns.
    pub normed: Option<NormedRows>,
}

impl Tokens {
    /// The matrix `[tokens, dim]`, and the rows in f32 that it was rounded from.
    pub fn new(matrix: TokenMatrix, rows: Option<Vec<f32>>) -> Self {
        Self { matrix, rows, quantized: None, normed: None }
    }

    /// The matrix as it is kept of a point.
    fn kept(&self) -> &TokenMatrix {
        self.normed.as_ref().map_or(&self.matrix, |it| &it.matrix)
    }

    /// Its rows as precise as they are kept.
    pub fn in_f32(&self) -> Cow<'_, [f32]> {
        match &self.rows {
            Some(rows) => rows.into(),
            None => self.matrix.values().to_f32_vec().into(),
        }
    }
}

impl Values {
    /// The values of a dense vector.
    pub fn dense(&self) -> Option<&[f32]> {
        if let Self::Dense(values) = self { Some(values) } else { None }
    }

    /// The rows of a multivector.
    pub fn tokens(&self) -> Option<&Tokens> {
        if let Self::Tokens(tokens) = self { Some(tokens) } else { None }
    }

    /// The rows of a multivector that is kept in f32.
    pub fn rows(&self) -> Option<&[f32]> {
        self.tokens()?.rows.as_deref()
    }

    /// A sparse vector.
    pub fn sparse(&self) -> Option<&SparseVector> {
        if let Self::Sparse(vector) = self { Some(vector) } else { None }
    }

    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Dense(values) => bytemuck::cast_slice(values).into(),
            Self::Tokens(it) => bytemuck::cast_slice::<f16, u8>(it.kept().values()).into(),
            Self::Sparse(vector) => vector.bytes().into(),
        }
    }
}

impl Prepared {
    pub fn new(point: Point, schema: &Schema) -> Result<Self> {
        let Point { id, vectors, payload } = point;
        Self::checked(id, vectors, payload, schema).map_err(|error| error.in_point(id))
    }

    fn checked(
        id: PointId,
        vectors: BTreeMap<String, Vector>,
        payload: Payload,
        schema: &Schema,
    ) -> Result<Self> {
        let json = match payload_json(&payload) {
            Ok(json) => json,
            Err(error) => {
                json::discard(payload);
                return Err(error);
            }
        };
        Ok(Self { id, vectors: prepare_vectors(vectors, schema)?, payload, json })
    }
}

/// Vectors of a point as they are compared, by slot.
pub(super) fn prepare_vectors(
    vectors: BTreeMap<String, Vector>,
    schema: &Schema,
) -> Result<Vec<(u8, Values)>> {
    let prepared = vectors.into_iter().map(|(name, vector)| {
        let (slot, config) = schema.slot(&name)?;
        let mut values = prepare(&name, vector, config)?;
        if let Values::Tokens(it) = &mut values {
            if schema.config.is_quantized(config) {
                it.quantized = Some(QuantizedMatrix::new(it.matrix.view())?);
            }
            if config.has_norms() {
                it.normed = Some(NormedRows::new(it.matrix.view(), it.rows.as_deref()));
            }
        }
        Ok((slot, values))
    });
    prepared.collect()
}

impl CollectionConfig {
    /// Checks `vector`, and returns it as it is compared with the vectors `name` of points.
    pub(crate) fn prepare(&self, name: &str, vector: &Vector) -> Result<Values> {
        prepare(name, vector.clone(), self.get(name)?)
    }
}

/// A vector as it is compared with those of its name, which a point may have or a query may ask for.
fn prepare(name: &str, vector: Vector, expected: &VectorConfig) -> Result<Values> {
    let in_vector = |source| Error::InVector { name: name.into(), source: Box::new(source) };
    let cosine = expected.distance == Distance::Cosine;
    let values = match (expected.kind.shape(), vector) {
        (Shape::Dense, Vector::Dense(values)) => {
            dense(values, expected.size, cosine).map(Values::Dense)
        }
        (Shape::Multi, Vector::Multi { values, dim }) => {
            tokens(values, dim, expected).map(Values::Tokens)
        }
        // One row is a multivector too.
        (Shape::Multi, Vector::Dense(row)) => {
            let dim = row.len();
            tokens(row, dim, expected).map(Values::Tokens)
        }
        (Shape::Sparse, Vector::Sparse { indices, values }) => {
            SparseVector::new(indices, values).map(Values::Sparse)
        }
        (expected, got) => return Err(expected.expected(name, got.shape())),
    };
    values.map_err(in_vector)
}

fn dense(values: Vec<f32>, size: usize, cosine: bool) -> Result<Vec<f32>> {
    DenseVectors::empty(size)?.check(&values)?;
    Ok(if cosine { unit(&values).collect() } else { values })
}

fn tokens(values: Vec<f32>, dim: usize, config: &VectorConfig) -> Result<Tokens> {
    check_dimension(|| "rows".into(), config.size, dim)?;
    let cosine = config.distance == Distance::Cosine;
    if !config.has_rows() {
        let half = if cosine { TokenMatrix::normalized } else { TokenMatrix::new };
        return Ok(Tokens::new(half(&values, dim)?, None));
    }
    check_finite(&values, dim)?;
    let rows = if cosine { values.chunks(dim).flat_map(unit).collect() } else { values };
    Ok(Tokens::new(TokenMatrix::new(&rows, dim)?, Some(rows)))
}

/// JSON that is nested more deeply than this is not read again.
const DEEPEST: usize = 100;

/// Refuses a payload that is nested too deeply.
pub(super) fn check_depth(payload: &Payload) -> Result<()> {
    match payload.values().any(|value| is_deeper(value, DEEPEST)) {
        true => Err(Error::DeepPayload { expected: DEEPEST }),
        false => Ok(()),
    }
}

/// Refuses a path to where no payload reaches.
pub(super) fn check_path(path: &FieldPath) -> Result<()> {
    if path.depth() > DEEPEST { Err(Error::DeepPayload { expected: DEEPEST }) } else { Ok(()) }
}

/// A payload that is not nested too deeply. One that is may be too deep to be dropped as values are.
pub(super) fn checked_payload(payload: Payload) -> Result<Payload> {
    match check_depth(&payload) {
        Ok(()) => Ok(payload),
        Err(error) => {
            json::discard(payload);
            Err(error)
        }
    }
}

/// A payload as it is kept.
pub(super) fn payload_json(payload: &Payload) -> Result<Vec<u8>> {
    check_depth(payload)?;
    serde_json::to_vec(payload).map_err(|fault| Error::malformed_json("a payload", &fault))
}

fn is_deeper(value: &serde_json::Value, levels: usize) -> bool {
    let deeper = |value| levels == 0 || is_deeper(value, levels - 1);
    match value {
        serde_json::Value::Array(elements) => elements.iter().any(deeper),
        serde_json::Value::Object(fields) => fields.values().any(deeper),
        _ => false,
    }
}
