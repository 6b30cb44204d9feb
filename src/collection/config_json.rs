//! [`CollectionConfig`] from Qdrant's JSON, and to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::config::{
    CollectionConfig, Datatype, Modifier, Shape, SparseConfig, VectorConfig, VectorKind, nameless,
};
use super::hnsw_json::{self, GivenHnsw, HNSW};
use crate::json::{self, Foreign, Json, Node, Object};
use crate::recall::HnswParams;
use crate::{Error, Result};

const TOP: &[&str] = &["vectors", "vectors_config", "sparse_vectors", "hnsw_config"];
const BESIDE_TOP: &[Foreign] = &[
    Foreign::hint("optimizers_config"),
    Foreign::hint("optimizer_config"),
    Foreign::hint("quantization_config"),
    Foreign::hint("quantization"),
    Foreign::hint("wal_config"),
    Foreign::flag("on_disk_payload"),
    Foreign::hint("payload"),
    Foreign::hint("id_tracker"),
    Foreign::hint("metadata"),
    Foreign::positive("shard_number"),
    Foreign::positive("replication_factor"),
    Foreign::positive("write_consistency_factor"),
    Foreign::count("read_fan_out_factor"),
    Foreign::count("read_fan_out_delay_ms"),
    Foreign::unless("sharding_method", "sharding by key", |it| it.as_str() == Some("auto")),
    Foreign::unless("strict_mode_config", "strict mode", |mode| {
        mode.is_object() && mode.get("enabled").and_then(Json::as_bool) != Some(true)
    }),
    Foreign::new("init_from", "a copy of another collection"),
];

const VECTOR: &[&str] = &["size", "distance", "hnsw_config", "multivector_config", "datatype"];
const BESIDE_VECTOR: &[Foreign] =
    &[Foreign::flag("on_disk"), Foreign::hint("memory"), Foreign::hint("quantization_config")];

const SPARSE: &[&str] = &["modifier"];
/// Fields of others in a sparse vector. `index` says where its index is kept and how it rounds: ours
/// is exact.
const BESIDE_SPARSE: &[Foreign] = &[Foreign::fitting("index", SPARSE_INDEX, is_sparse_index)];
const SPARSE_INDEX: &str = "an object whose datatype, if any, is float32, float16 or uint8, as \
                            sparse vectors do not support others";

fn is_sparse_index(index: Json<'_>) -> bool {
    let datatype = index.get("datatype").filter(|it| !it.is_null());
    let known = |it: Json<'_>| it.as_str().is_some_and(|it| SPARSE_DATATYPES.contains(&it));
    index.is_object() && datatype.is_none_or(known)
}

const SPARSE_DATATYPES: &[&str] = &["float32", "float16", "uint8"];

impl CollectionConfig {
    /// Reads Qdrant's JSON, in which what is not said is the default.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object_beside(TOP, BESIDE_TOP)?;
        let all = GivenHnsw::read(&object)?;
        let dense = object.either(["vectors", "vectors_config"])?;
        let dense = dense.map(|node| read_vectors(&node, all)).transpose()?;
        let mut vectors = dense.unwrap_or_default();
        if let Some(sparse) = object.get("sparse_vectors") {
            read_sparse_vectors(&sparse, &mut vectors)?;
        }
        let hints = given(&object, &["vectors", "vectors_config", "sparse_vectors"]);
        let config = Self { vectors, hints };
        config.check().map_err(|error| node.wrong(error)).map(|()| config)
    }

    /// Writes JSON: what was given, field for field, and what was set in Rust, where it isn't the
    /// default.
    pub(crate) fn to_json(&self) -> Value {
        let all = GivenHnsw::of(&self.hints);
        json::merged(&self.hints, &self.written(|config| config.to_json(all)))
    }

    /// All that it means, whether it was given or is the default.
    fn meaning(&self) -> Value {
        let mut hints = self.hints.clone();
        hnsw_json::forget(&mut hints);
        json::merged(&hints, &self.written(VectorConfig::meaning))
    }

    /// Dense and sparse vectors; a dense one without a name by itself.
    fn written(&self, write: impl Fn(&VectorConfig) -> Value) -> Value {
        let mut json = self.by_name(write);
        if let Some(fields) = json["vectors"].as_object_mut().filter(|it| it.len() == 1)
            && let Some(unnamed) = fields.remove("")
        {
            json["vectors"] = unnamed;
        }
        json
    }

    /// Dense and sparse vectors, by name.
    pub(super) fn by_name(&self, write: impl Fn(&VectorConfig) -> Value) -> Value {
        let is_sparse =
            |(_, it): &(&String, &VectorConfig)| matches!(it.kind, VectorKind::Sparse(_));
        let (sparse, dense): (Vec<_>, Vec<_>) = self.vectors.iter().partition(is_sparse);
        let written = |vectors: Vec<(&String, &VectorConfig)>| -> Map<String, Value> {
            vectors.into_iter().map(|(name, config)| (name.clone(), write(config))).collect()
        };
        let sparse = (!sparse.is_empty()).then(|| written(sparse));
        json::object([("vectors", written(dense).into()), ("sparse_vectors", json!(sparse))])
    }

    /// Difference from another configuration, the first if there are several, for example
    /// `config.vectors.dense.size is 384, not 768`. A default is the same whether or not it is written.
    pub fn difference(&self, other: &Self) -> Option<String> {
        json::difference("config", &self.meaning(), &other.meaning())
    }
}

impl PartialEq for CollectionConfig {
    /// A default is the same whether or not it is written.
    fn eq(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }
}

impl VectorConfig {
    /// Writes JSON: what was given, or set where it isn't the default; `all` is said of all vectors.
    pub(super) fn to_json(&self, all: GivenHnsw) -> Value {
        let own = match self.kind {
            VectorKind::Dense(hnsw) => {
                let is_said = GivenHnsw::of(&self.hints).params(all) == hnsw;
                json!({"hnsw_config": (!is_said).then(|| hnsw_json::write(hnsw))})
            }
            VectorKind::Multi => {
                json!({"datatype": (self.datatype == Datatype::Float16).then_some("float16")})
            }
            VectorKind::Sparse(SparseConfig { modifier }) => {
                json!({"modifier": (modifier == Modifier::Idf).then_some("idf")})
            }
        };
        json::merged(&self.hints, &json::merged(&self.shape(), &own))
    }

    /// All that it means, whether it was given or is the default.
    fn meaning(&self) -> Value {
        let mut hints = self.hints.clone();
        let own = match self.kind {
            VectorKind::Dense(hnsw) => {
                hnsw_json::forget(&mut hints);
                json!({"hnsw_config": hnsw_json::write(hnsw), "datatype": "float32"})
            }
            VectorKind::Multi => {
                if GivenHnsw::of(&hints).params(GivenHnsw::default()).is_none() {
                    hnsw_json::forget(&mut hints);
                }
                let half = self.datatype == Datatype::Float16;
                json!({"datatype": if half { "float16" } else { "float32" }})
            }
            VectorKind::Sparse(SparseConfig { modifier }) => {
                json!({"modifier": if modifier == Modifier::Idf { "idf" } else { "none" }})
            }
        };
        json::merged(&hints, &json::merged(&self.shape(), &own))
    }

    /// Fields that say what vectors there are.
    fn shape(&self) -> Map<String, Value> {
        let mut shape = Map::new();
        if self.kind.shape() != Shape::Sparse {
            shape.insert("size".into(), self.size.into());
            shape.insert("distance".into(), self.distance.name().into());
        }
        if self.kind == VectorKind::Multi {
            shape.insert("multivector_config".into(), json!({"comparator": "max_sim"}));
        }
        shape
    }

    /// With a graph of these parameters, or without one. Multivectors have none: for them it is a hint;
    /// for sparse vectors it is nothing.
    pub fn hnsw(mut self, hnsw: Option<HnswParams>) -> Self {
        match &mut self.kind {
            VectorKind::Dense(graph) => {
                hnsw_json::forget(&mut self.hints);
                *graph = hnsw;
            }
            VectorKind::Multi => {
                self.hints.remove(HNSW);
                let graph = hnsw.filter(|it| it.m > 0);
                self.hints.extend(graph.map(|it| (HNSW.into(), hnsw_json::write(Some(it)))));
            }
            VectorKind::Sparse(_) => {}
        }
        self
    }
}

impl PartialEq for VectorConfig {
    /// A default is the same whether or not it is written.
    fn eq(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }
}

/// Fields as they were given, but for some, and for what is `null`.
fn given(object: &Object<'_>, without: &[&str]) -> Map<String, Value> {
    let mut given = object.beside(without);
    if let Some(Value::Object(hnsw)) = given.get_mut(HNSW) {
        hnsw.retain(|_, value| !value.is_null());
    }
    given
}

/// Vectors by name, or the one without a name, in whose place only its fields stand.
fn read_vectors(node: &Node<'_>, all: GivenHnsw) -> Result<BTreeMap<String, VectorConfig>> {
    let object = node.any_object()?;
    let is_field = |key: &&str| object.get(key).is_some_and(|it| !it.json().is_object());
    if VECTOR.iter().any(is_field) {
        return Ok([(String::new(), read_vector(node, all)?)].into());
    }
    object.entries().map(|(name, node)| Ok((name.into(), read_vector(&node, all)?))).collect()
}

fn read_vector(node: &Node<'_>, all: GivenHnsw) -> Result<VectorConfig> {
    let object = node.object_beside(VECTOR, BESIDE_VECTOR)?;
    let size = object.required("size")?.count()?;
    let distance = object.required("distance")?.parse("one of Cosine, Dot, Euclid, Manhattan")?;
    let hnsw = GivenHnsw::read(&object)?;
    let hints = given(&object, &["size", "distance", "multivector_config"]);
    let (kind, datatype) = match object.get("multivector_config") {
        Some(multi) => {
            read_comparator(&multi)?;
            (VectorKind::Multi, read_datatype(&object, &["float32", "float16"])?)
        }
        None => (VectorKind::Dense(hnsw.params(all)), read_datatype(&object, &["float32"])?),
    };
    let config = VectorConfig { size, distance, kind, datatype, hints };
    config.check().map_err(|error| node.wrong(error)).map(|()| config)
}

/// Adds sparse vectors, whose names no others have.
fn read_sparse_vectors(
    node: &Node<'_>,
    vectors: &mut BTreeMap<String, VectorConfig>,
) -> Result<()> {
    for (name, node) in node.any_object()?.entries() {
        if name.is_empty() {
            return Err(node.wrong(nameless()));
        }
        let object = node.object_beside(SPARSE, BESIDE_SPARSE)?;
        let modifier = object.map("modifier", |node| match node.string()? {
            "none" => Ok(Modifier::None),
            "idf" => Ok(Modifier::Idf),
            _ => Err(node.expected("none or idf")),
        })?;
        let config = SparseConfig { modifier: modifier.unwrap_or_default() };
        let config = VectorConfig { hints: object.beside(&[]), ..VectorConfig::sparse(config) };
        if vectors.insert(name.into(), config).is_some() {
            let rule = "Dense and sparse vector names must be unique - duplicate found with";
            return Err(node.expected(format!("a name that no other vector has: {rule} '{name}'")));
        }
    }
    Ok(())
}

fn read_comparator(node: &Node<'_>) -> Result<()> {
    let comparator = node.object(&["comparator"])?.required("comparator")?;
    if comparator.string()? == "max_sim" { Ok(()) } else { Err(comparator.expected("max_sim")) }
}

fn read_datatype(object: &Object<'_>, allowed: &[&str]) -> Result<Datatype> {
    let Some(node) = object.get("datatype") else { return Ok(Datatype::Float32) };
    match node.string()? {
        got if !allowed.contains(&got) => Err(node.expected(allowed.join(" or "))),
        "float16" => Ok(Datatype::Float16),
        _ => Ok(Datatype::Float32),
    }
}

impl std::str::FromStr for CollectionConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "a collection's configuration", "config", Self::read)
    }
}

impl Serialize for CollectionConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CollectionConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, "config", Self::read)
    }
}
