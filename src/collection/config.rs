//! [`CollectionConfig`]: which vectors the points of a collection have.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::multivector::NORM_COLUMNS;
use crate::recall::{Distance, HnswParams};
use crate::{Error, Result};

/// The vectors that points may have, by name; in JSON the body of Qdrant's request to create a
/// collection.
///
/// ```
/// use maxfold::collection::{CollectionConfig, VectorConfig};
/// use maxfold::recall::Distance;
///
/// let config = CollectionConfig::new()
///     .vector("dense", VectorConfig::dense(384, Distance::Cosine))
///     .vector("tokens", VectorConfig::multi(128, Distance::Cosine));
/// let json = r#"{"vectors": {
///     "dense": {"size": 384, "distance": "Cosine", "hnsw_config": {"m": 16}},
///     "tokens": {
///         "size": 128, "distance": "Cosine",
///         "multivector_config": {"comparator": "max_sim"}, "hnsw_config": {"m": 0}
///     }
/// }}"#;
/// assert_eq!(config, json.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CollectionConfig {
    pub(super) vectors: BTreeMap<String, VectorConfig>,
    pub(super) hints: Map<String, Value>,
}

/// One named vector.
///
/// ```
/// use maxfold::recall::HnswParams;
/// use maxfold::{Distance, VectorConfig};
///
/// let dense = VectorConfig::dense(384, Distance::Cosine).hnsw(Some(HnswParams::new().m(32)));
/// let tokens = VectorConfig::multi(128, Distance::Dot);
/// assert_eq!((dense.size, tokens.size), (384, 128));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VectorConfig {
    /// The dimension: 1 to 65,536; of sparse vectors, which may have any index, 0.
    pub size: usize,
    /// Distance by which vectors are compared; of multivectors, of their rows; of sparse vectors the dot
    /// product. Multivectors are compared fastest, and on a GPU, by Cosine and Dot.
    pub distance: Distance,
    /// One vector a point, many, or a sparse one.
    pub kind: VectorKind,
    /// Type in which the values of a multivector are kept; others are kept in f32.
    pub datatype: Datatype,
    pub(super) hints: Map<String, Value>,
}

/// Kind of a vector: one or many a point, or a sparse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VectorKind {
    /// One, kept in f32; in an HNSW graph, if there are parameters of one.
    Dense(Option<HnswParams>),
    /// Many, compared by MaxSim; never in a graph.
    Multi,
    /// One of which only some columns are not 0, in an inverted index.
    Sparse(SparseConfig),
}

/// Type in which values are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Datatype {
    /// As they are given: they are given back so, and scores are those of f32. Multivectors have a copy in
    /// f16 too, from which most are scored.
    #[default]
    Float32,
    /// Rounded to f16, for a third of the disk.
    Float16,
}

/// Parameters of a sparse vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SparseConfig {
    /// Change of a query's values before they are compared.
    pub modifier: Modifier,
}

/// Change of a sparse query's values before they are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Modifier {
    /// None.
    #[default]
    None,
    /// Inverse document frequency: a value is multiplied by ln((N − n + 0.5) / (n + 0.5) + 1), if N points
    /// have the vector and n of them this index, whatever a filter says.
    Idf,
}

/// A kind without its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Dense,
    Multi,
    Sparse,
}

/// Qdrant's limit.
const MAX_SIZE: usize = 65_536;

/// More would need more than two bytes in a key.
const MAX_VECTORS: usize = 256;
/// Bytes of a vector's name: Qdrant's limit.
const MAX_NAME: usize = 200;

impl CollectionConfig {
    /// No vectors yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vector, or replaces the one of this name. It is as it is given, whatever the `hnsw_config` of all
    /// vectors says.
    pub fn vector(mut self, name: impl Into<String>, config: VectorConfig) -> Self {
        self.vectors.insert(name.into(), config.without_an_empty_graph());
        self
    }

    /// Adds a sparse vector, or replaces the vector of this name.
    ///
    /// ```
    /// use maxfold::collection::{CollectionConfig, Modifier, SparseConfig};
    ///
    /// let words = SparseConfig { modifier: Modifier::Idf };
    /// let config = CollectionConfig::new().sparse_vector("words", words);
    /// let json = r#"{"sparse_vectors": {"words": {"modifier": "idf"}}}"#;
    /// assert_eq!(config, json.parse()?);
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    pub fn sparse_vector(self, name: impl Into<String>, config: SparseConfig) -> Self {
        self.vector(name, VectorConfig::sparse(config))
    }

    /// Fields of Qdrant's JSON that were given beside vectors: hints, which change no answer, only what it may
    /// cost there, as `on_disk_payload` and `optimizers_config`; and the `hnsw_config` of all vectors. They are
    /// kept, and written with the rest.
    pub fn hints(&self) -> &Map<String, Value> {
        &self.hints
    }

    /// The vectors, by name.
    pub fn vectors(&self) -> impl ExactSizeIterator<Item = (&str, &VectorConfig)> {
        self.vectors.iter().map(|(name, config)| (name.as_str(), config))
    }

    /// The vector of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<&VectorConfig> {
        self.vectors.get(name).ok_or_else(|| Error::UnknownVector {
            name: name.into(),
            known: self.vectors.keys().cloned().collect(),
        })
    }

    /// Refuses what no collection can have.
    pub(super) fn check(&self) -> Result<()> {
        let count = self.vectors.len();
        if count > MAX_VECTORS {
            let expected = format!("at most {MAX_VECTORS}");
            let got = count.to_string();
            return Err(Error::InvalidParameter { name: "the number of vectors", expected, got });
        }
        if let Some(VectorKind::Sparse(_)) = self.vectors.get("").map(|it| it.kind) {
            return Err(nameless());
        }
        if let Some(name) = self.vectors.keys().find(|name| name.len() > MAX_NAME) {
            let (expected, got) = (format!("at most {MAX_NAME} bytes"), name.len().to_string());
            return Err(Error::InvalidParameter { name: "a vector's name", expected, got });
        }
        self.vectors.values().try_for_each(VectorConfig::check)
    }
}

/// The fault of a sparse vector without a name.
pub(super) fn nameless() -> Error {
    let (expected, got) = ("one that is not empty".into(), "\"\"".into());
    Error::InvalidParameter { name: "a sparse vector's name", expected, got }
}

impl VectorKind {
    pub(super) fn shape(self) -> Shape {
        match self {
            Self::Dense(_) => Shape::Dense,
            Self::Multi => Shape::Multi,
            Self::Sparse(_) => Shape::Sparse,
        }
    }
}

impl Shape {
    /// Error of a vector `name` that is to be of this shape, and is of another.
    pub fn expected(self, name: &str, got: Self) -> Error {
        let expected = match self {
            Self::Dense => "one vector",
            Self::Multi => "many vectors",
            Self::Sparse => "a sparse vector",
        };
        let got = match got {
            Self::Dense => "one",
            Self::Multi => "many",
            Self::Sparse => "a sparse one",
        };
        Error::VectorKind { name: name.into(), expected, got }
    }
}

impl VectorConfig {
    /// One vector a point, in a graph of default parameters.
    pub fn dense(size: usize, distance: Distance) -> Self {
        Self {
            size,
            distance,
            kind: VectorKind::Dense(Some(HnswParams::default())),
            datatype: Datatype::Float32,
            hints: Map::new(),
        }
    }

    /// Many vectors a point, compared by MaxSim.
    pub fn multi(size: usize, distance: Distance) -> Self {
        Self { kind: VectorKind::Multi, ..Self::dense(size, distance) }
    }

    /// Keeps the values of a multivector in this type.
    pub fn datatype(mut self, datatype: Datatype) -> Self {
        self.hints.remove("datatype");
        Self { datatype, ..self }
    }

    /// Tells whether f32 rows are kept beside those in f16.
    pub(super) fn has_rows(&self) -> bool {
        self.kind == VectorKind::Multi && self.datatype == Datatype::Float32
    }

    /// Tells whether token matrices have the columns of their rows' norms, by which kernels compute distances.
    pub(super) fn has_norms(&self) -> bool {
        self.kind == VectorKind::Multi && self.distance == Distance::Euclid
    }

    /// Number of columns of a multivector as it is kept in f16.
    pub(crate) fn columns(&self) -> usize {
        self.size + if self.has_norms() { NORM_COLUMNS } else { 0 }
    }

    /// A sparse vector a point.
    pub fn sparse(config: SparseConfig) -> Self {
        let (distance, kind) = (Distance::Dot, VectorKind::Sparse(config));
        Self { kind, ..Self::dense(0, distance) }
    }

    /// Fields of Qdrant's JSON that were given: hints, which change no answer, as `on_disk` and
    /// `quantization_config`; and `hnsw_config`, `datatype` and `modifier`, whose meaning is in `kind` and
    /// `datatype`.
    pub fn hints(&self) -> &Map<String, Value> {
        &self.hints
    }

    /// A graph without links is none, and its other parameters mean nothing.
    fn without_an_empty_graph(self) -> Self {
        match self.kind {
            VectorKind::Dense(Some(HnswParams { m: 0, .. })) => self.hnsw(None),
            _ => self,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let is_sparse = matches!(self.kind, VectorKind::Sparse(_));
        if !is_sparse && !(1..=MAX_SIZE).contains(&self.size) {
            let (expected, got) = (format!("1 to {MAX_SIZE}"), self.size.to_string());
            return Err(Error::InvalidParameter { name: "size", expected, got });
        }
        match self.kind {
            VectorKind::Dense(Some(hnsw)) => hnsw.check(),
            _ => Ok(()),
        }
    }
}
