//! [`ConfigChange`]: parameters that are to be changed.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::config::{CollectionConfig, Modifier, Shape};
use super::hnsw_json::{self, GivenHnsw};
use crate::json::{self, Foreign, Node, Object, Tree};
use crate::recall::HnswParams;
use crate::{Error, Result};

/// Parameters of a collection that are to be changed; in JSON the body of Qdrant's request to update a
/// collection. What it doesn't say stays.
///
/// ```
/// use maxfold::collection::ConfigChange;
/// use maxfold::recall::HnswParams;
///
/// let json = r#"{"vectors": {"dense": {"hnsw_config": {"m": 32, "ef_construct": 100}}}}"#;
/// assert_eq!(ConfigChange::new().hnsw("dense", Some(HnswParams::new().m(32))), json.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigChange {
    /// Fields of dense vectors and multivectors, by name.
    vectors: BTreeMap<String, Map<String, Value>>,
    sparse: BTreeMap<String, Map<String, Value>>,
    /// Fields beside them.
    fields: Map<String, Value>,
}

const TOP: &[&str] = &["vectors", "sparse_vectors", "hnsw_config", "params", "metadata"];
const BESIDE_TOP: &[Foreign] = &[
    Foreign::hint("optimizers_config"),
    Foreign::hint("optimizer_config"),
    Foreign::hint("quantization_config"),
    Foreign::hint("strict_mode_config"),
];
const PARAMS: &[&str] = &[];
const BESIDE_PARAMS: &[Foreign] = &[
    Foreign::count("replication_factor"),
    Foreign::count("write_consistency_factor"),
    Foreign::count("read_fan_out_factor"),
    Foreign::count("read_fan_out_delay_ms"),
    Foreign::flag("on_disk_payload"),
];
const VECTOR: &[&str] = &["hnsw_config"];
const BESIDE_VECTOR: &[Foreign] =
    &[Foreign::flag("on_disk"), Foreign::hint("memory"), Foreign::hint("quantization_config")];
const SPARSE: &[&str] = &["modifier"];
const BESIDE_SPARSE: &[Foreign] = &[Foreign::hint("index")];

impl ConfigChange {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the graph of a dense vector these parameters, or the vector no graph.
    pub fn hnsw(mut self, name: impl Into<String>, hnsw: Option<HnswParams>) -> Self {
        let fields = self.vectors.entry(name.into()).or_default();
        fields.insert(hnsw_json::HNSW.into(), hnsw_json::write(hnsw));
        self
    }

    /// Gives a sparse vector this modifier.
    pub fn modifier(mut self, name: impl Into<String>, modifier: Modifier) -> Self {
        let modifier = if modifier == Modifier::Idf { "idf" } else { "none" };
        self.sparse.entry(name.into()).or_default().insert("modifier".into(), modifier.into());
        self
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object_beside(TOP, BESIDE_TOP)?;
        GivenHnsw::read(&object)?;
        let mut fields = object.beside(&["vectors", "sparse_vectors", "params"]);
        if let Some(params) = object.get("params") {
            fields.extend(params.object_beside(PARAMS, BESIDE_PARAMS)?.beside(&[]));
        }
        if let Some(optimizers) = fields.remove("optimizer_config") {
            fields.insert("optimizers_config".into(), optimizers);
        }
        let vectors = read_each(&object, "vectors", |vector| {
            let object = vector.object_beside(VECTOR, BESIDE_VECTOR)?;
            GivenHnsw::read(&object).map(|_| object.beside(&[]))
        })?;
        let sparse = read_each(&object, "sparse_vectors", |vector| {
            Ok(vector.object_beside(SPARSE, BESIDE_SPARSE)?.beside(&[]))
        })?;
        Ok(Self { vectors, sparse, fields })
    }

    /// The configuration that it makes of another one.
    pub(super) fn made(&self, config: &CollectionConfig) -> Result<CollectionConfig> {
        let all = GivenHnsw::of(config.hints());
        let own = config.by_name(|vector| vector.to_json(all));
        let mut json = json::merged(config.hints(), &own);
        for (key, changes) in [("vectors", &self.vectors), ("sparse_vectors", &self.sparse)] {
            for (name, changes) in changes {
                let (is_sparse, shape) = (key != "vectors", config.get(name)?.kind.shape());
                if is_sparse != (shape == Shape::Sparse) {
                    let expected = if is_sparse { Shape::Sparse } else { Shape::Dense };
                    return Err(expected.expected(name, shape));
                }
                change(&mut json[key][name], changes);
            }
        }
        change(&mut json, &self.fields);
        CollectionConfig::read(&Node::root(&Tree::from(&json), "config"))
    }
}

/// The changes of each vector of a kind.
fn read_each(
    object: &Object<'_>,
    key: &str,
    read: impl Fn(&Node<'_>) -> Result<Map<String, Value>>,
) -> Result<BTreeMap<String, Map<String, Value>>> {
    let Some(vectors) = object.get(key) else { return Ok(BTreeMap::new()) };
    let vectors = vectors.any_object()?;
    vectors.entries().map(|(name, node)| Ok((name.to_owned(), read(&node)?))).collect()
}

/// Changes fields: objects by what they have, others as a whole. A key of metadata that is `null` is removed.
fn change(target: &mut Value, changes: &Map<String, Value>) {
    for (key, new) in changes {
        match (key.as_str(), new) {
            ("quantization_config", Value::String(_)) => {
                target.as_object_mut().map(|it| it.remove(key));
            }
            ("quantization_config", _) => target[key] = new.clone(),
            ("metadata", _) => {
                json::merge(target, &json!({key: new}));
                target[key]
                    .as_object_mut()
                    .into_iter()
                    .for_each(|it| it.retain(|_, it| !it.is_null()));
            }
            _ => json::merge(target, &json!({key: new})),
        }
    }
}

impl std::str::FromStr for ConfigChange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "a change of a collection's configuration", "config", Self::read)
    }
}

impl<'de> Deserialize<'de> for ConfigChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, "config", Self::read)
    }
}
