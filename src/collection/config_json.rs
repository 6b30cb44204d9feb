//! [`CollectionConfig`] from Qdrant's JSON, and to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::config::{CollectionConfig, Datatype, Modifier, SparseConfig, VectorConfig, VectorKind};
use crate::json::{self, Foreign, Node, Object};
use crate::recall::HnswParams;
use crate::{Error, Result};

const TOP: &[&str] = &["vectors", "vectors_config", "sparse_vectors", "hnsw_config"];
const BESIDE_TOP: &[Foreign] = &[
    Foreign::hint("optimizers_config"),
    Foreign::hint("optimizer_config"),
    Foreign::hint("quantization_config"),
    Foreign::hint("wal_config"),
    Foreign::flag("on_disk_payload"),
    Foreign::hint("payload"),
    Foreign::hint("id_tracker"),
    Foreign::hint("metadata"),
    Foreign::count("shard_number"),
    Foreign::count("replication_factor"),
    Foreign::count("write_consistency_factor"),
    Foreign::unless("sharding_method", "sharding by key", |method| method == "auto"),
    Foreign::unless("strict_mode_config", "strict mode", |mode| {
        mode.is_object() && mode["enabled"] != true
    }),
    Foreign::new("init_from", "a copy of another collection"),
];

const VECTOR: &[&str] = &["size", "distance", "hnsw_config", "multivector_config", "datatype"];
const BESIDE_VECTOR: &[Foreign] =
    &[Foreign::flag("on_disk"), Foreign::hint("memory"), Foreign::hint("quantization_config")];

const SPARSE: &[&str] = &["modifier"];
/// What an index takes, and how it rounds: ours is exact.
const BESIDE_SPARSE: &[Foreign] = &[Foreign::hint("index")];

/// `ef_search` is ours: in Qdrant each search says it.
const HNSW: &[&str] = &["m", "ef_construct", "ef_search"];
const BESIDE_HNSW: &[Foreign] = &[
    Foreign::count("full_scan_threshold"),
    Foreign::count("max_indexing_threads"),
    Foreign::count("payload_m"),
    Foreign::flag("on_disk"),
    Foreign::flag("inline_storage"),
    Foreign::hint("memory"),
];

impl CollectionConfig {
    /// Reads Qdrant's JSON, in which what is not said is the default.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object_beside(TOP, BESIDE_TOP)?;
        let hnsw = Hnsw::read(&object)?;
        let dense = object.either(["vectors", "vectors_config"])?;
        let sparse = object.get("sparse_vectors");
        if dense.is_none() && sparse.is_none() {
            return Err(node.expected("an object with vectors"));
        }
        let dense = dense.map(|node| read_vectors(&node, &hnsw)).transpose()?;
        let mut vectors = dense.unwrap_or_default();
        if let Some(sparse) = sparse {
            read_sparse_vectors(&sparse, &mut vectors)?;
        }
        let hints = hnsw.beside(HNSW, object.beside(TOP));
        let config = Self { vectors, hints };
        config.check().map_err(|error| node.wrong(error)).map(|()| config)
    }

    pub(crate) fn to_json(&self) -> Value {
        let is_sparse =
            |(_, it): &(&String, &VectorConfig)| matches!(it.kind, VectorKind::Sparse(_));
        let (sparse, dense): (Vec<_>, Vec<_>) = self.vectors.iter().partition(is_sparse);
        let by_name = |vectors: Vec<(&String, &VectorConfig)>| -> Value {
            vectors.into_iter().map(|(name, config)| (name.clone(), config.to_json())).collect()
        };
        let dense = match dense[..] {
            [(name, config)] if name.is_empty() => config.to_json(),
            _ => by_name(dense),
        };
        let sparse = (!sparse.is_empty()).then(|| by_name(sparse));
        let own = json::object([("vectors", dense), ("sparse_vectors", json!(sparse))]);
        with_hints(own, &self.hints)
    }

    /// In what another configuration differs first, if it does, for example
    /// `config.vectors.dense.size is 384, not 768`.
    pub fn difference(&self, other: &Self) -> Option<String> {
        json::difference("config", &self.to_json(), &other.to_json())
    }
}

impl VectorConfig {
    fn to_json(&self) -> Value {
        let Self { size, distance, kind, datatype, hints } = self;
        let (multi, datatype, hnsw) = match kind {
            VectorKind::Dense(hnsw) => (Value::Null, Value::Null, write_hnsw(*hnsw)),
            VectorKind::Multi => {
                let datatype = (*datatype == Datatype::Float16).then_some("float16");
                (json!({"comparator": "max_sim"}), json!(datatype), write_hnsw(None))
            }
            VectorKind::Sparse(SparseConfig { modifier }) => {
                let idf = (*modifier == Modifier::Idf).then_some("idf");
                return with_hints(json::object([("modifier", json!(idf))]), hints);
            }
        };
        let own = json::object([
            ("size", json!(size)),
            ("distance", json!(distance.name())),
            ("multivector_config", multi),
            ("datatype", datatype),
            ("hnsw_config", hnsw),
        ]);
        with_hints(own, hints)
    }
}

fn with_hints(mut own: Value, hints: &Map<String, Value>) -> Value {
    for (key, hint) in hints {
        json::merge(&mut own, &json!({key: hint}));
    }
    own
}

fn write_hnsw(hnsw: Option<HnswParams>) -> Value {
    let Some(HnswParams { m, ef_construct, ef_search }) = hnsw else { return json!({"m": 0}) };
    let ef_search = Some(ef_search).filter(|ef| *ef != HnswParams::default().ef_search);
    json::object([
        ("m", json!(m)),
        ("ef_construct", json!(ef_construct)),
        ("ef_search", json!(ef_search)),
    ])
}

impl VectorConfig {
    /// With a graph of these parameters, or without one. Multivectors have none: for them it is a hint;
    /// for sparse vectors it is nothing.
    pub fn hnsw(mut self, hnsw: Option<HnswParams>) -> Self {
        match &mut self.kind {
            VectorKind::Dense(graph) => *graph = hnsw,
            VectorKind::Multi => {
                self.hints.remove("hnsw_config");
                self.hints.extend(
                    hnsw.filter(|it| it.m > 0)
                        .map(|it| ("hnsw_config".into(), write_hnsw(Some(it)))),
                );
            }
            VectorKind::Sparse(_) => {}
        }
        self
    }
}

/// An `hnsw_config`; what it doesn't say is `None`.
#[derive(Default)]
struct Hnsw {
    m: Option<usize>,
    ef_construct: Option<usize>,
    ef_search: Option<usize>,
    /// All of it.
    given: Map<String, Value>,
}

impl Hnsw {
    fn read(object: &Object<'_>) -> Result<Self> {
        let Some(node) = object.get("hnsw_config") else { return Ok(Self::default()) };
        let object = node.object_beside(HNSW, BESIDE_HNSW)?;
        let count = |key| object.map(key, Node::count);
        let (m, ef_construct, ef_search) =
            (count("m")?, count("ef_construct")?, count("ef_search")?);
        Ok(Self { m, ef_construct, ef_search, given: object.beside(&[]) })
    }

    /// The graph of a dense vector, for which `all` says what this doesn't.
    fn params(&self, all: &Self) -> Option<HnswParams> {
        let default = HnswParams::default();
        let params = HnswParams {
            m: self.m.or(all.m).unwrap_or(default.m),
            ef_construct: self.ef_construct.or(all.ef_construct).unwrap_or(default.ef_construct),
            ef_search: self.ef_search.or(all.ef_search).unwrap_or(default.ef_search),
        };
        (params.m > 0).then_some(params)
    }

    /// `hints`, and what else was given here than `known`.
    fn beside(mut self, known: &[&str], mut hints: Map<String, Value>) -> Map<String, Value> {
        self.given.retain(|key, _| !known.contains(&key.as_str()));
        if !self.given.is_empty() {
            hints.insert("hnsw_config".into(), self.given.into());
        }
        hints
    }
}

/// Vectors by name, or the one without a name, in whose place only its fields stand.
fn read_vectors(node: &Node<'_>, all: &Hnsw) -> Result<BTreeMap<String, VectorConfig>> {
    let object = node.any_object()?;
    let is_field = |key: &&str| object.get(key).is_some_and(|it| !it.value().is_object());
    if VECTOR.iter().any(is_field) {
        return Ok([(String::new(), read_vector(node, all)?)].into());
    }
    object.entries().map(|(name, node)| Ok((name.into(), read_vector(&node, all)?))).collect()
}

fn read_vector(node: &Node<'_>, all: &Hnsw) -> Result<VectorConfig> {
    let object = node.object_beside(VECTOR, BESIDE_VECTOR)?;
    let size = object.required("size")?.count()?;
    let distance = object.required("distance")?.parse("one of Cosine, Dot, Euclid, Manhattan")?;
    let own = Hnsw::read(&object)?;
    let mut hints = object.beside(VECTOR);
    let (kind, datatype) = match object.get("multivector_config") {
        Some(multi) => {
            read_comparator(&multi)?;
            (VectorKind::Multi, read_datatype(&object, &["float32", "float16"])?)
        }
        None => (VectorKind::Dense(own.params(all)), read_datatype(&object, &["float32"])?),
    };
    if let (Some(node), VectorKind::Multi, Datatype::Float32) =
        (object.get("datatype"), kind, datatype)
    {
        // The default, which is shown again where it was given.
        hints.insert("datatype".into(), node.value().clone());
    }
    let known = match kind {
        VectorKind::Dense(Some(_)) => HNSW,
        _ if own.m.is_none_or(|m| m == 0) => &["m"],
        _ => &[],
    };
    let config = VectorConfig { size, distance, kind, datatype, hints: own.beside(known, hints) };
    config.check().map_err(|error| node.wrong(error)).map(|()| config)
}

/// Adds sparse vectors, whose names no others have.
fn read_sparse_vectors(
    node: &Node<'_>,
    vectors: &mut BTreeMap<String, VectorConfig>,
) -> Result<()> {
    for (name, node) in node.any_object()?.entries() {
        let object = node.object_beside(SPARSE, BESIDE_SPARSE)?;
        let modifier = object.map("modifier", |node| match node.string()? {
            "none" => Ok(Modifier::None),
            "idf" => Ok(Modifier::Idf),
            _ => Err(node.expected("none or idf")),
        })?;
        let config = SparseConfig { modifier: modifier.unwrap_or_default() };
        let config = VectorConfig { hints: object.beside(SPARSE), ..VectorConfig::sparse(config) };
        if vectors.insert(name.into(), config).is_some() {
            return Err(node.expected("a name that no other vector has"));
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
