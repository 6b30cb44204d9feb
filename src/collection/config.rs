//! [`CollectionConfig`]: which vectors the points of a collection have.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::point::{self, Values};
use super::vector::Vector;
use crate::json::{self, Node, Object};
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
}

/// One named vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorConfig {
    /// The dimension: 1 to 65,536.
    pub size: usize,
    /// What nearness means; of multivectors, of their rows, and then not [`Distance::Euclid`].
    pub distance: Distance,
    /// One vector a point, or many.
    pub kind: VectorKind,
}

/// How many vectors a point has under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

const TOP: &[&str] = &["vectors", "vectors_config", "hnsw_config"];
const VECTOR: &[&str] = &["size", "distance", "hnsw_config", "multivector_config", "datatype"];
const HNSW: &[&str] = &["m", "ef_construct"];

impl CollectionConfig {
    /// No vectors yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vector, or replaces the one of this name.
    pub fn vector(mut self, name: impl Into<String>, config: VectorConfig) -> Self {
        self.vectors.insert(name.into(), config);
        self
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

    /// What `vector` is compared as, were it the vector `name` of a point.
    pub(crate) fn prepare(&self, name: &str, vector: &Vector) -> Result<Values> {
        point::prepare(name.into(), vector.clone(), self).map(|(_, values)| values)
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

    /// Reads Qdrant's JSON, in which what is not said is the default.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(TOP)?;
        let hnsw = read_hnsw(&object)?;
        let Some((_, vectors)) = object.only(&["vectors", "vectors_config"]) else {
            return Err(node.expected("an object with vectors"));
        };
        let one = vectors.any_object()?;
        let vectors = match one.get("size").is_some_and(|size| size.value().is_number()) {
            true => vec![(String::new(), read_vector(&vectors, hnsw)?)],
            false => one
                .entries()
                .map(|(name, node)| Ok((name.into(), read_vector(&node, hnsw)?)))
                .collect::<Result<_>>()?,
        };
        let config = Self { vectors: vectors.into_iter().collect() };
        config.check().map_err(|error| node.wrong(error)).map(|()| config)
    }

    pub(crate) fn to_json(&self) -> Value {
        match self.vectors.get("") {
            Some(config) if self.vectors.len() == 1 => json!({"vectors": config.to_json()}),
            _ => {
                let vectors = self.vectors.iter();
                let vectors = vectors.map(|(name, config)| (name.clone(), config.to_json()));
                json!({"vectors": Value::Object(vectors.collect())})
            }
        }
    }
}

impl VectorConfig {
    /// One vector a point, in a graph of default parameters.
    pub fn dense(size: usize, distance: Distance) -> Self {
        Self { size, distance, kind: VectorKind::Dense(Some(HnswParams::default())) }
    }

    /// Many vectors a point, compared by MaxSim.
    pub fn multi(size: usize, distance: Distance) -> Self {
        Self { size, distance, kind: VectorKind::Multi }
    }

    /// With a graph of these parameters, or without one. Multivectors have none.
    pub fn hnsw(self, hnsw: Option<HnswParams>) -> Self {
        match self.kind {
            VectorKind::Dense(_) => Self { kind: VectorKind::Dense(hnsw), ..self },
            VectorKind::Multi => self,
        }
    }

    fn check(&self) -> Result<()> {
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

    fn to_json(&self) -> Value {
        let Self { size, distance, kind } = self;
        let (multi, datatype, hnsw) = match kind {
            VectorKind::Dense(None) => (Value::Null, Value::Null, json!({"m": 0})),
            VectorKind::Dense(Some(HnswParams { m, ef_construct, .. })) => {
                (Value::Null, Value::Null, json!({"m": m, "ef_construct": ef_construct}))
            }
            VectorKind::Multi => {
                (json!({"comparator": "max_sim"}), json!("float16"), json!({"m": 0}))
            }
        };
        json::object([
            ("size", json!(size)),
            ("distance", json!(distance.name())),
            ("multivector_config", multi),
            ("datatype", datatype),
            ("hnsw_config", hnsw),
        ])
    }
}

/// What `hnsw_config` says; what it doesn't say is `None`.
#[derive(Clone, Copy, Default)]
struct Hnsw {
    m: Option<usize>,
    ef_construct: Option<usize>,
}

fn read_hnsw(object: &Object<'_>) -> Result<Hnsw> {
    let Some(node) = object.get("hnsw_config") else { return Ok(Hnsw::default()) };
    let object = node.object(HNSW)?;
    let count = |key| object.map(key, Node::count);
    Ok(Hnsw { m: count("m")?, ef_construct: count("ef_construct")? })
}

fn read_vector(node: &Node<'_>, all: Hnsw) -> Result<VectorConfig> {
    let object = node.object(VECTOR)?;
    let size = object.required("size")?.count()?;
    let distance = object.required("distance")?.parse("one of Cosine, Dot, Euclid")?;
    let own = read_hnsw(&object)?;
    let kind = match object.get("multivector_config") {
        Some(multi) => read_multi(&multi, &object, own)?,
        None => {
            read_datatype(&object, "float32", "as dense vectors are kept")?;
            let default = HnswParams::default();
            let m = own.m.or(all.m).unwrap_or(default.m);
            let ef_construct = own.ef_construct.or(all.ef_construct);
            let ef_construct = ef_construct.unwrap_or(default.ef_construct);
            VectorKind::Dense((m > 0).then_some(HnswParams { m, ef_construct, ..default }))
        }
    };
    let config = VectorConfig { size, distance, kind };
    config.check().map_err(|error| node.wrong(error)).map(|()| config)
}

fn read_multi(node: &Node<'_>, object: &Object<'_>, hnsw: Hnsw) -> Result<VectorKind> {
    let comparator = node.object(&["comparator"])?.required("comparator")?;
    if comparator.string()? != "max_sim" {
        return Err(comparator.expected("max_sim"));
    }
    read_datatype(object, "float16", "as multivectors are kept")?;
    match object.get("hnsw_config") {
        Some(node) if hnsw.m.is_some_and(|m| m > 0) => {
            Err(node.expected("one with m = 0 (multivectors have no graph)"))
        }
        _ => Ok(VectorKind::Multi),
    }
}

fn read_datatype(object: &Object<'_>, ours: &str, why: &str) -> Result<()> {
    match object.get("datatype") {
        Some(node) if node.string()? != ours => Err(node.expected(format!("{ours} ({why})"))),
        _ => Ok(()),
    }
}

impl std::str::FromStr for CollectionConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::read(&Node::root(&json::parse(text, "a collection's configuration")?, "config"))
    }
}

impl Serialize for CollectionConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CollectionConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, |value| Self::read(&Node::root(value, "config")))
    }
}
