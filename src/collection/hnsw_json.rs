//! `hnsw_config` in a configuration's JSON: of a vector, or of all vectors that don't say otherwise.

use serde_json::{Map, Value, json};

use crate::Result;
use crate::json::{self, Foreign, Node, Object};
use crate::recall::HnswParams;

/// The field.
pub(super) const HNSW: &str = "hnsw_config";

/// `ef_search` is ours: in Qdrant each search says it.
const PARAMS: &[&str] = &["m", "ef_construct", "ef_search"];
const BESIDE_PARAMS: &[Foreign] = &[
    Foreign::count("full_scan_threshold"),
    Foreign::count("max_indexing_threads"),
    Foreign::count("payload_m"),
    Foreign::flag("on_disk"),
    Foreign::flag("inline_storage"),
    Foreign::hint("memory"),
];

/// Parameters that are given; what is left out is `None`.
#[derive(Clone, Copy, Default)]
pub(super) struct GivenHnsw {
    m: Option<usize>,
    ef_construct: Option<usize>,
    ef_search: Option<usize>,
}

impl GivenHnsw {
    /// Checks those of an object.
    pub fn read(object: &Object<'_>) -> Result<Self> {
        let Some(node) = object.get(HNSW) else { return Ok(Self::default()) };
        let object = node.object_beside(PARAMS, BESIDE_PARAMS)?;
        let count = |key| object.map(key, Node::count);
        Ok(Self {
            m: count("m")?,
            ef_construct: count("ef_construct")?,
            ef_search: count("ef_search")?,
        })
    }

    /// Those of fields that were checked.
    pub fn of(given: &Map<String, Value>) -> Self {
        let count = |key| given.get(HNSW)?.get(key)?.as_u64().map(|it| it as usize);
        Self { m: count("m"), ef_construct: count("ef_construct"), ef_search: count("ef_search") }
    }

    /// The graph of a dense vector, for which `all` says what this doesn't.
    pub fn params(self, all: Self) -> Option<HnswParams> {
        let default = HnswParams::default();
        let params = HnswParams {
            m: self.m.or(all.m).unwrap_or(default.m),
            ef_construct: self.ef_construct.or(all.ef_construct).unwrap_or(default.ef_construct),
            ef_search: self.ef_search.or(all.ef_search).unwrap_or(default.ef_search),
        };
        (params.m > 0).then_some(params)
    }
}

/// A graph's parameters, or that there is none.
pub(super) fn write(hnsw: Option<HnswParams>) -> Value {
    let Some(HnswParams { m, ef_construct, ef_search }) = hnsw else { return json!({"m": 0}) };
    let ef_search = Some(ef_search).filter(|ef| *ef != HnswParams::default().ef_search);
    json::object([
        ("m", json!(m)),
        ("ef_construct", json!(ef_construct)),
        ("ef_search", json!(ef_search)),
    ])
}

/// Takes the parameters out of given fields, and leaves what is a hint.
pub(super) fn forget(given: &mut Map<String, Value>) {
    let Some(Value::Object(hnsw)) = given.get_mut(HNSW) else { return };
    hnsw.retain(|key, _| !PARAMS.contains(&key.as_str()));
    if hnsw.is_empty() {
        given.remove(HNSW);
    }
}
