//! [`CollectionConfig`]: which vectors the points of a collection have.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

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
///         "size": 128, "distance": "Cosine", "datatype": "float16",
///         "multivector_config": {"comparator": "max_sim"}, "hnsw_config": {"m": 0}
///     }
/// }}"#;
/// assert_eq!(config, json.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VectorConfig {
    /// The dimension: 1 to 65,536.
    pub size: usize,
    /// Distance by which vectors are compared; of multivectors, of their rows, and then not
    /// [`Distance::Euclid`].
    pub distance: Distance,
    /// One vector a point, or many.
    pub kind: VectorKind,
    pub(super) hints: Map<String, Value>,
}

/// Kind of a vector: one or many a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VectorKind {
    /// One, kept in f32; in an HNSW graph, if there are parameters of one.
    Dense(Option<HnswParams>),
    /// Many, compared by MaxSim and kept in f16; never in a graph.
    Multi,
}

/// Qdrant's limit.
const MAX_SIZE: usize = 65_536;

/// More would need more than two bytes in a key.
const MAX_VECTORS: usize = 256;

impl CollectionConfig {
    /// No vectors yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vector, or replaces the one of this name.
    pub fn vector(mut self, name: impl Into<String>, config: VectorConfig) -> Self {
        self.vectors.insert(name.into(), config.without_an_empty_graph());
        self
    }

    /// Hints of Qdrant's JSON, which change no answer, only what it may cost there:
    /// `on_disk_payload`, `optimizers_config` and the like. It is kept, and written with the rest.
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
        self.vectors.values().try_for_each(VectorConfig::check)
    }
}

impl VectorConfig {
    /// One vector a point, in a graph of default parameters.
    pub fn dense(size: usize, distance: Distance) -> Self {
        Self {
            size,
            distance,
            kind: VectorKind::Dense(Some(HnswParams::default())),
            hints: Map::new(),
        }
    }

    /// Many vectors a point, compared by MaxSim.
    pub fn multi(size: usize, distance: Distance) -> Self {
        Self { size, distance, kind: VectorKind::Multi, hints: Map::new() }
    }

    /// Hints of Qdrant's JSON, which change no answer: `on_disk`, `quantization_config` and
    /// the like.
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
        if !(1..=MAX_SIZE).contains(&self.size) {
            let (expected, got) = (format!("1 to {MAX_SIZE}"), self.size.to_string());
            return Err(Error::InvalidParameter { name: "size", expected, got });
        }
        match self.kind {
            VectorKind::Dense(Some(hnsw)) => hnsw.check(),
            VectorKind::Multi if self.distance == Distance::Euclid => {
                let (expected, got) = ("Cosine or Dot for multivectors".into(), "Euclid".into());
                Err(Error::InvalidParameter { name: "distance", expected, got })
            }
            _ => Ok(()),
        }
    }
}
