//! [`QueryRequest`] from JSON and to it.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::scoring::Scoring;
use super::{Asked, DEFAULT_LIMIT, Lookup, Prefetch, QueryRequest, WithVector};
use crate::decimal::spelled;
use crate::filter::{FieldPath, Filter, PayloadSelector};
use crate::json::{self, Foreign, Json, Node, Object};
use crate::recall::SearchParams;
use crate::{Error, Result};

const STAGE: &[&str] =
    &["prefetch", "query", "using", "filter", "params", "score_threshold", "lookup_from", "limit"];
/// Fields of a request for groups: those of a request, and three of its own.
pub(in crate::search) const GROUPED: &[&str] = &[
    "prefetch",
    "query",
    "using",
    "filter",
    "params",
    "score_threshold",
    "lookup_from",
    "limit",
    "offset",
    "with_payload",
    "with_vector",
    "with_vectors",
    "with_matches",
    "group_by",
    "group_size",
    "with_lookup",
];
const REQUEST: &[&str] = GROUPED.split_at(GROUPED.len() - 3).0;
const BESIDE_REQUEST: &[Foreign] = &[Foreign::new("shard_key", "sharding")];

const PARAMS: &[&str] = &["hnsw_ef", "exact", "idf"];
/// Our answers are as exact as any that these allow.
const BESIDE_PARAMS: &[Foreign] =
    &[Foreign::flag("indexed_only"), Foreign::hint("quantization"), Foreign::hint("acorn")];

const SELECTOR: &[&str] = &["include", "exclude"];

impl QueryRequest {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        Self::read_among(node, REQUEST)
    }

    /// Reads the request in an object that has other fields, too: `known` are all that it may have.
    pub(crate) fn read_among(node: &Node<'_>, known: &'static [&'static str]) -> Result<Self> {
        let object = node.object_beside(known, BESIDE_REQUEST)?;
        let stage = Prefetch::read_fields(&object)?;
        stage.asked().check().map_err(|error| node.wrong(error))?;
        Ok(Self {
            prefetch: stage.prefetch,
            query: stage.query,
            using: stage.using,
            filter: stage.filter,
            params: stage.params,
            idf_corpus: stage.idf_corpus,
            score_threshold: stage.score_threshold,
            lookup_from: stage.lookup_from,
            limit: stage.limit,
            offset: object.map("offset", Node::count)?.unwrap_or(0),
            with_payload: object
                .map("with_payload", PayloadSelector::read)?
                .unwrap_or(PayloadSelector::None),
            with_vector: match object.either(["with_vector", "with_vectors"])? {
                Some(node) => WithVector::read(&node)?,
                None => WithVector::None,
            },
            with_matches: object.map("with_matches", Node::bool)?.unwrap_or(false),
        })
    }
}

impl Prefetch {
    fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object_beside(STAGE, &[])?;
        let stage = Self::read_fields(&object)?;
        stage.asked().check().map_err(|error| node.wrong(error)).map(|()| stage)
    }

    fn read_fields(object: &Object<'_>) -> Result<Self> {
        let prefetch =
            |node: &Node<'_>| node.one_or_many().iter().map(Self::read).collect::<Result<Vec<_>>>();
        Ok(Self {
            prefetch: object.map("prefetch", prefetch)?.unwrap_or_default(),
            query: object.map("query", Scoring::read)?,
            using: object.map("using", Node::text)?.unwrap_or_default(),
            filter: object.map("filter", Filter::read)?,
            params: object.map("params", read_params)?.unwrap_or_default(),
            idf_corpus: object.map("params", read_corpus)?.flatten(),
            score_threshold: object.map("score_threshold", Node::f32)?,
            lookup_from: object.map("lookup_from", Lookup::read)?,
            limit: object.map("limit", Node::positive)?.unwrap_or(DEFAULT_LIMIT),
        })
    }
}

impl Lookup {
    fn read(node: &Node<'_>) -> Result<Self> {
        let object = node
            .object_beside(&["collection", "vector"], &[Foreign::new("shard_key", "sharding")])?;
        let collection = object.required("collection")?.text()?;
        Ok(Self { collection, vector: object.map("vector", Node::text)? })
    }

    fn to_json(&self) -> Value {
        json::object([("collection", json!(self.collection)), ("vector", json!(self.vector))])
    }
}

impl WithVector {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        match node.json() {
            Json::Bool(true) => Ok(Self::All),
            Json::Bool(false) => Ok(Self::None),
            Json::Array(_) => {
                let names = node.array()?;
                let names = names.iter().map(Node::text);
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

fn read_params(node: &Node<'_>) -> Result<SearchParams> {
    let object = node.object_beside(PARAMS, BESIDE_PARAMS)?;
    let hnsw_ef = object.map("hnsw_ef", Node::positive)?;
    Ok(SearchParams { hnsw_ef, exact: object.map("exact", Node::bool)?.unwrap_or(false) })
}

/// Points among which frequencies are counted; `global` are all.
fn read_corpus(params: &Node<'_>) -> Result<Option<Filter>> {
    let Some(idf) = params.any_object()?.get("idf") else { return Ok(None) };
    match idf.json() {
        Json::String("global") => Ok(None),
        Json::Object(_) => Filter::read(&idf.object(&["corpus"])?.required("corpus")?).map(Some),
        _ => Err(idf.expected("global, or an object with corpus")),
    }
}

fn write_params<E: serde::ser::Error>(
    params: SearchParams,
    corpus: Option<&Filter>,
) -> Result<Option<Value>, E> {
    let corpus = corpus.map(Filter::to_json).transpose().map_err(E::custom)?;
    let given = json::object([
        ("hnsw_ef", json!(params.hnsw_ef)),
        ("exact", json!(params.exact)),
        ("idf", corpus.as_ref().map_or(Value::Null, |corpus| json!({"corpus": corpus}))),
    ]);
    Ok((params != SearchParams::default() || corpus.is_some()).then_some(given))
}

impl PayloadSelector {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let paths =
            |node: &Node<'_>| node.array()?.iter().map(FieldPath::read).collect::<Result<_>>();
        match node.json() {
            Json::Bool(true) => Ok(Self::All),
            Json::Bool(false) => Ok(Self::None),
            Json::Array(_) => paths(node).map(Self::Include),
            Json::Object(_) => match node.object(SELECTOR)?.only(SELECTOR) {
                Some(("include", node)) => paths(&node).map(Self::Include),
                Some((_, node)) => paths(&node).map(Self::Exclude),
                None => Err(node.expected("an object with either include or exclude")),
            },
            _ => Err(node.expected("true, false, keys, or an object with include or exclude")),
        }
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
        self.asked().write(&mut map)?;
        map.serialize_entry("offset", &self.offset)?;
        json::entry(&mut map, "with_payload", write_payload(&self.with_payload))?;
        json::entry(&mut map, "with_vector", self.with_vector.to_json())?;
        json::entry(&mut map, "with_matches", self.with_matches.then_some(true))?;
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
        let examples = self.query.map(Scoring::examples).unwrap_or_default();
        let checked = examples.into_iter().try_for_each(|it| it.check());
        checked.and_then(|()| self.check()).map_err(M::Error::custom)?;
        json::entry(map, "prefetch", (!self.prefetch.is_empty()).then_some(self.prefetch))?;
        json::entry(map, "query", self.query)?;
        json::entry(map, "using", (!self.using.is_empty()).then_some(self.using))?;
        json::entry(map, "filter", self.filter)?;
        json::entry(map, "params", write_params(self.params, self.idf_corpus)?)?;
        json::entry(map, "score_threshold", self.score_threshold.map(spelled))?;
        json::entry(map, "lookup_from", self.lookup_from.map(Lookup::to_json))?;
        map.serialize_entry("limit", &self.limit)
    }
}

impl<'de> Deserialize<'de> for QueryRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, "request", Self::read)
    }
}
