//! [`QueryRequest`] from JSON and to it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::query::{DEFAULT_LIMIT, Prefetch, QueryRequest, WithVector};
use crate::collection::Vector;
use crate::filter::{FieldPath, Filter, PayloadSelector};
use crate::json::{self, Node, Object};
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
];
const PREFETCH: &[&str] =
    &["query", "using", "filter", "params", "score_threshold", "limit", "prefetch"];

const SELECTOR: &[&str] = &["include", "exclude"];

impl QueryRequest {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(REQUEST)?;
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
            with_vector: object.map("with_vector", WithVector::read)?.unwrap_or(WithVector::None),
        })
    }

    fn to_json(&self) -> Value {
        let prefetch: Vec<Value> = self.prefetch.iter().map(Prefetch::to_json).collect();
        json::object([
            ("prefetch", if prefetch.is_empty() { Value::Null } else { prefetch.into() }),
            ("query", self.query.to_json()),
            ("using", write_using(&self.using)),
            ("filter", self.filter.as_ref().map_or(Value::Null, Filter::to_json)),
            ("params", write_params(self.params)),
            ("score_threshold", json!(self.score_threshold)),
            ("limit", json!(self.limit)),
            ("offset", json!(self.offset)),
            ("with_payload", write_payload(&self.with_payload)),
            ("with_vector", self.with_vector.to_json()),
        ])
    }
}

impl Prefetch {
    fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(PREFETCH)?;
        if let Some(prefetch) = object.get("prefetch") {
            return Err(prefetch.unsupported("a prefetch of a prefetch"));
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

    fn to_json(&self) -> Value {
        json::object([
            ("query", self.query.to_json()),
            ("using", write_using(&self.using)),
            ("filter", self.filter.as_ref().map_or(Value::Null, Filter::to_json)),
            ("params", write_params(self.params)),
            ("score_threshold", json!(self.score_threshold)),
            ("limit", json!(self.limit)),
        ])
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

    fn to_json(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::All => true.into(),
            Self::Named(names) => json!(names),
        }
    }
}

/// A vector, or `{"nearest": vector}`.
fn read_query(node: &Node<'_>) -> Result<Vector> {
    match node.value() {
        Value::Array(_) => Vector::read(node),
        Value::Object(_) => Vector::read(&node.object(&["nearest"])?.required("nearest")?),
        Value::String(_) | Value::Number(_) => Err(node.unsupported("a point as a query")),
        _ => Err(node.expected("a vector: numbers, or arrays of numbers")),
    }
}

fn read_using(object: &Object<'_>) -> Result<String> {
    Ok(object.map("using", |node| node.string().map(String::from))?.unwrap_or_default())
}

fn write_using(name: &str) -> Value {
    if name.is_empty() { Value::Null } else { name.into() }
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
    let object = node.object(&["hnsw_ef", "exact"])?;
    let hnsw_ef = object.map("hnsw_ef", |node| match node.count()? {
        0 => Err(node.expected("at least 1")),
        ef => Ok(ef),
    })?;
    Ok(SearchParams { hnsw_ef, exact: object.map("exact", Node::bool)?.unwrap_or(false) })
}

fn write_params(params: SearchParams) -> Value {
    if params == SearchParams::default() {
        return Value::Null;
    }
    json::object([("hnsw_ef", json!(params.hnsw_ef)), ("exact", json!(params.exact))])
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

fn write_payload(selector: &PayloadSelector) -> Value {
    match selector {
        PayloadSelector::None => Value::Null,
        PayloadSelector::All => true.into(),
        PayloadSelector::Include(paths) => json!({"include": paths}),
        PayloadSelector::Exclude(paths) => json!({"exclude": paths}),
    }
}

impl std::str::FromStr for QueryRequest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::read(&Node::root(&json::parse(text, "a request")?, "request"))
    }
}

impl Serialize for QueryRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for QueryRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, |value| Self::read(&Node::root(value, "request")))
    }
}
