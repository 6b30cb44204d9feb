//! [`GroupRequest`]: results in groups of one payload value each.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::query::{GROUPED, QueryRequest, WithVector};
use super::query_response::{QueryPlan, ScoredPoint};
use crate::collection::Point;
use crate::filter::{FieldPath, PayloadSelector, PointId};
use crate::json::{self, Json, Node};
use crate::{Error, Result};

/// A query whose results are grouped by a payload field, for example pages by their document; in JSON the body
/// of Qdrant's call to query groups. The request's `limit` is the number of groups.
///
/// Groups are in the order of their best results. Limits of prefetches are multiplied by the size of a group.
///
/// ```
/// use maxfold::search::{GroupRequest, QueryRequest};
///
/// let request = GroupRequest::new(QueryRequest::new(vec![0.5, 0.25]).limit(4), "document")?.group_size(2);
/// assert_eq!(request, r#"{"query": [0.5, 0.25], "limit": 4, "group_by": "document", "group_size": 2}"#.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRequest {
    /// Query, with the number of groups as its limit.
    pub request: QueryRequest,
    /// Field whose values are the groups; a point with several is in several. One with a value that is neither
    /// a string nor an integer is in none.
    pub group_by: FieldPath,
    /// Most results of a group.
    pub group_size: usize,
    /// Collection with a point for each group.
    pub with_lookup: Option<WithLookup>,
}

/// Collection in which the ids of groups are looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct WithLookup {
    /// Name of the collection.
    pub collection: String,
    /// Part of the payloads that is returned.
    pub with_payload: PayloadSelector,
    /// Vectors that are returned.
    pub with_vector: WithVector,
}

/// Value that the results of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupId {
    /// An integer.
    Integer(i64),
    /// A string.
    String(String),
}

/// Results with one value in common, in their order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PointGroup {
    /// The value.
    pub id: GroupId,
    /// The best results.
    pub hits: Vec<ScoredPoint>,
    /// The point of that id in another collection, if it was asked for and is there.
    pub lookup: Option<Point>,
}

/// Answer to a [`GroupRequest`]. In JSON `{"groups": […], "plan": {…}}`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GroupResponse {
    /// The group with the best result first.
    pub groups: Vec<PointGroup>,
    /// Plan that found them.
    pub plan: QueryPlan,
}

/// Qdrant's.
const DEFAULT_GROUP_SIZE: usize = 3;

impl GroupRequest {
    /// Groups of up to three results, by the values of a payload field.
    ///
    /// # Errors
    /// `group_by` is not a [`FieldPath`].
    pub fn new(request: QueryRequest, group_by: &str) -> Result<Self> {
        let group_by = group_by.parse()?;
        Ok(Self { request, group_by, group_size: DEFAULT_GROUP_SIZE, with_lookup: None })
    }

    /// Limits the number of results of a group.
    pub fn group_size(self, group_size: usize) -> Self {
        Self { group_size, ..self }
    }

    /// Looks up the ids of groups in another collection.
    pub fn with_lookup(self, lookup: WithLookup) -> Self {
        Self { with_lookup: Some(lookup), ..self }
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.any_object()?;
        let group_size = object.map("group_size", Node::positive)?;
        Ok(Self {
            request: QueryRequest::read_among(node, GROUPED)?,
            group_by: FieldPath::read(&object.required("group_by")?)?,
            group_size: group_size.unwrap_or(DEFAULT_GROUP_SIZE),
            with_lookup: object.map("with_lookup", WithLookup::read)?,
        })
    }
}

impl WithLookup {
    /// Whole payloads of points in this collection.
    pub fn new(collection: impl Into<String>) -> Self {
        Self {
            collection: collection.into(),
            with_payload: PayloadSelector::All,
            with_vector: WithVector::None,
        }
    }

    fn read(node: &Node<'_>) -> Result<Self> {
        if let Json::String(collection) = node.json() {
            return Ok(Self::new(collection));
        }
        let known = &["collection", "with_payload", "with_vectors", "with_vector"];
        let object = node.object(known)?;
        let mut lookup = Self::new(object.required("collection")?.string()?);
        if let Some(node) = object.get("with_payload") {
            lookup.with_payload = PayloadSelector::read(&node)?;
        }
        if let Some(node) = object.either(["with_vector", "with_vectors"])? {
            lookup.with_vector = WithVector::read(&node)?;
        }
        Ok(lookup)
    }
}

impl GroupId {
    /// The group that a payload value stands for, if it does for one.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::String(text.clone())),
            Value::Number(number) => number.as_i64().map(Self::Integer),
            _ => None,
        }
    }

    /// The id of the point that it stands for, if it does for one.
    pub(crate) fn point(&self) -> Option<PointId> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok().map(PointId::Number),
            Self::String(text) => text.parse().ok(),
        }
    }
}

impl std::str::FromStr for GroupRequest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "a request", "request", Self::read)
    }
}

impl Serialize for GroupId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(number) => number.serialize(serializer),
            Self::String(text) => text.serialize(serializer),
        }
    }
}

impl Serialize for PointGroup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut group = serializer.serialize_map(None)?;
        group.serialize_entry("id", &self.id)?;
        group.serialize_entry("hits", &self.hits)?;
        json::entry(&mut group, "lookup", self.lookup.as_ref())?;
        group.end()
    }
}

impl Serialize for GroupResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut response = serializer.serialize_map(Some(2))?;
        response.serialize_entry("groups", &self.groups)?;
        response.serialize_entry("plan", &self.plan)?;
        response.end()
    }
}
