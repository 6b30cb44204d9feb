//! [`QueryRequest`] from JSON and to it.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::query::{Asked, DEFAULT_LIMIT, Prefetch, QueryRequest, WithVector};
use crate::collection::Vector;
use crate::decimal::spelled;
use crate::filter::{FieldPath, Filter, PayloadSelector};
use crate::json::{self, Foreign, Node, Object};
use crate::recall::SearchParams;
use crate::{Error, Result};

const REQUEST: &[&str] = &[
    "prefetch",
    "query",
    "using",
    "filter",
    "params",
    "score_threshold",
    "limit",
    "offset",
    "with_payload",
    "with_vector",
    "with_vectors",
];
const BESIDE_REQUEST: &[Foreign] = &[
    Foreign::new("shard_key", "sharding"),
    Foreign::new("lookup_from", "a vector of another collection"),
];
const PREFETCH: &[&str] =
    &["query", "using", "filter", "params", "score_threshold", "limit", "prefetch"];

const BESIDE_PREFETCH: &[Foreign] =
    &[Foreign::new("lookup_from", "a vector of another collection")];

const BESIDE_NEAREST: &[Foreign] = &[
    Foreign::new("mmr", "diversity of results"),
    Foreign::new("recommend", "recommendation"),
    Foreign::new("discover", "discovery"),
    Foreign::new("context", "discovery"),
    Foreign::new("order_by", "an order by payload"),
    Foreign::new("fusion", "fusion"),
    Foreign::new("rrf", "fusion"),
    Foreign::new("formula", "a formula"),
    Foreign::new("sample", "a random sample"),
    Foreign::new("relevance_feedback", "relevance feedback"),
    Foreign::new("text", "a query in words"),
    Foreign::new("image", "an image as a query"),
    Foreign::new("indices", "a sparse vector"),
    Foreign::new("values", "a sparse vector"),
];

/// Our answers are as exact as any that these allow.
const BESIDE_PARAMS: &[Foreign] = &[
    Foreign::flag("indexed_only"),
    Foreign::hint("quantization"),
    Foreign::hint("acorn"),
    Foreign::new("idf", "the frequency of words"),
];

const SELECTOR: &[&str] = &["include", "exclude"];

impl QueryRequest {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object_beside(REQUEST, BESIDE_REQUEST)?;
        let prefetch = |node: &Node<'_>| {
            node.one_or_many().iter().map(Prefetch::read).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            prefetch: object.map("prefetch", prefetch)?.unwrap_or_default(),
            query: read_query(&object.required("query")?)?,
            using: read_using(&object)?,
            filter: object.map("filter", Filter::read)?,
            params: object.map("params", read_params)?.unwrap_or_default(),
            score_threshold: object.map("score_threshold", Node::f32)?,
            limit: read_limit(&object)?,
            offset: object.map("offset", Node::count)?.unwrap_or(0),
            with_payload: object
                .map("with_payload", read_payload)?
                .unwrap_or(PayloadSelector::None),
            with_vector: match object.either(["with_vector", "with_vectors"])? {
                Some(node) => WithVector::read(&node)?,
                None => WithVector::None,
            },
        })
    }
}

impl Prefetch {
    fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object_beside(PREFETCH, BESIDE_PREFETCH)?;
        match object.get("prefetch") {
            Some(prefetch) if !prefetch.is_empty_array() => {
                return Err(prefetch.unsupported("a prefetch of a prefetch"));
            }
            _ => {}
        }
        Ok(Self {
            query: read_query(&object.required("query")?)?,
            using: read_using(&object)?,
            filter: object.map("filter", Filter::read)?,
            params: object.map("params", read_params)?.unwrap_or_default(),
            score_threshold: object.map("score_threshold", Node::f32)?,
            limit: read_limit(&object)?,
        })
    }
}

impl WithVector {
    fn read(node: &Node<'_>) -> Result<Self> {
        match node.value() {
            Value::Bool(true) => Ok(Self::All),
            Value::Bool(false) => Ok(Self::None),
            Value::Array(_) => {
                let names = node.array()?;
                let names = names.iter().map(|name| name.string().map(String::from));
                names.collect::<Result<_>>().map(Self::Named)
            }
            _ => Err(node.expected("true, false or the names of vectors")),
        }
    }

    fn to_json(&self) -> Option<Value> {
        match self {
            Self::None => None,
            Self::All => Some(true.into()),
            Self::Named(names) => Some(json!(names)),
        }
    }
}

/// A vector, or `{"nearest": vector}`.
fn read_query(node: &Node<'_>) -> Result<Vector> {
    match node.value() {
        Value::Array(_) => Vector::read(node),
        Value::Object(fields) if fields.contains_key("indices") => Vector::read(node),
        Value::Object(_) => {
            Vector::read(&node.object_beside(&["nearest"], BESIDE_NEAREST)?.required("nearest")?)
        }
        Value::String(_) | Value::Number(_) => Err(node.unsupported("a point as a query")),
        _ => Err(node.expected("a vector: numbers, arrays of numbers, or indices and values")),
    }
}

fn read_using(object: &Object<'_>) -> Result<String> {
    Ok(object.map("using", |node| node.string().map(String::from))?.unwrap_or_default())
}

fn read_limit(object: &Object<'_>) -> Result<usize> {
    match object.get("limit") {
        None => Ok(DEFAULT_LIMIT),
        Some(node) => match node.count()? {
            0 => Err(node.expected("at least 1")),
            limit => Ok(limit),
        },
    }
}

fn read_params(node: &Node<'_>) -> Result<SearchParams> {
    let object = node.object_beside(&["hnsw_ef", "exact"], BESIDE_PARAMS)?;
    let hnsw_ef = object.map("hnsw_ef", |node| match node.count()? {
        0 => Err(node.expected("at least 1")),
        ef => Ok(ef),
    })?;
    Ok(SearchParams { hnsw_ef, exact: object.map("exact", Node::bool)?.unwrap_or(false) })
}

fn write_params(params: SearchParams) -> Option<Value> {
    let given = json::object([("hnsw_ef", json!(params.hnsw_ef)), ("exact", json!(params.exact))]);
    (params != SearchParams::default()).then_some(given)
}

fn read_payload(node: &Node<'_>) -> Result<PayloadSelector> {
    let paths = |node: &Node<'_>| node.array()?.iter().map(FieldPath::read).collect::<Result<_>>();
    match node.value() {
        Value::Bool(true) => Ok(PayloadSelector::All),
        Value::Bool(false) => Ok(PayloadSelector::None),
        Value::Array(_) => paths(node).map(PayloadSelector::Include),
        Value::Object(_) => match node.object(SELECTOR)?.only(SELECTOR) {
            Some(("include", node)) => paths(&node).map(PayloadSelector::Include),
            Some((_, node)) => paths(&node).map(PayloadSelector::Exclude),
            None => Err(node.expected("an object with either include or exclude")),
        },
        _ => Err(node.expected("true, false, keys, or an object with include or exclude")),
    }
}

fn write_payload(selector: &PayloadSelector) -> Option<Value> {
    match selector {
        PayloadSelector::None => None,
        PayloadSelector::All => Some(true.into()),
        PayloadSelector::Include(paths) => Some(json!({"include": paths})),
        PayloadSelector::Exclude(paths) => Some(json!({"exclude": paths})),
    }
}

impl QueryRequest {
    /// Reads one request, an array of them, or Qdrant's `{"searches": [requests]}`.
    ///
    /// ```
    /// use maxfold::search::QueryRequest;
    ///
    /// let requests = QueryRequest::read_all(r#"[{"query": [1]}, {"query": [2], "limit": 3}]"#)?;
    /// assert_eq!(requests[1].limit, 3);
    /// let error = QueryRequest::read_all(r#"[{"query": [1]}, {"query": [2], "limit": 0}]"#);
    /// assert_eq!(
    ///     error.unwrap_err().to_string(),
    ///     "expected request[1].limit to be at least 1, got 0"
    /// );
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// The text is no request; the error has the place.
    pub fn read_all(text: &str) -> Result<Vec<Self>> {
        json::read(text, "requests", "request", |node| {
            let object = node.any_object().ok();
            let searches = object.and_then(|object| object.get("searches"));
            match searches {
                Some(_) => node.object(&["searches"])?.required("searches")?.array(),
                None => Ok(node.one_or_many()),
            }?
            .iter()
            .map(Self::read)
            .collect()
        })
    }
}

impl std::str::FromStr for QueryRequest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "a request", "request", Self::read)
    }
}

impl Serialize for QueryRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let prefetch = (!self.prefetch.is_empty()).then_some(&self.prefetch);
        json::entry(&mut map, "prefetch", prefetch)?;
        self.asked().write(&mut map)?;
        map.serialize_entry("offset", &self.offset)?;
        json::entry(&mut map, "with_payload", write_payload(&self.with_payload))?;
        json::entry(&mut map, "with_vector", self.with_vector.to_json())?;
        map.end()
    }
}

impl Serialize for Prefetch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.asked().write(&mut map)?;
        map.end()
    }
}

impl Asked<'_> {
    /// Writes what a request and a prefetch have in common, if it can be read again from there.
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.query.check().and_then(|()| self.check()).map_err(M::Error::custom)?;
        map.serialize_entry("query", self.query)?;
        json::entry(map, "using", (!self.using.is_empty()).then_some(self.using))?;
        json::entry(map, "filter", self.filter)?;
        json::entry(map, "params", write_params(self.params))?;
        json::entry(map, "score_threshold", self.score_threshold.map(spelled))?;
        map.serialize_entry("limit", &self.limit)
    }
}

impl<'de> Deserialize<'de> for QueryRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, "request", Self::read)
    }
}
