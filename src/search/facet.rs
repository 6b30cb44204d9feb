//! [`FacetRequest`]: values of a payload field, counted.

use std::collections::{BTreeSet, HashMap};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use uuid::Uuid;

use super::query::DEFAULT_LIMIT;
use crate::background::Cancellation;
use crate::collection::Snapshot;
use crate::filter::{FieldPath, Filter, IndexKind, IndexValue, PointSet};
use crate::json::{self, Foreign, Node};
use crate::{Error, Result};

/// A count of points by the values of a payload field; in JSON the body of Qdrant's facet call. Counts are
/// exact.
///
/// ```
/// use maxfold::search::FacetRequest;
/// use maxfold::{Collection, CollectionConfig, Point, Searcher};
///
/// let searcher = Searcher::new(Collection::temporary(CollectionConfig::new())?)?;
/// let point = |(id, lang): (u64, &str)| {
///     let payload = serde_json::json!({"lang": lang});
///     Point::new(id).payload(payload.as_object().unwrap().clone())
/// };
/// searcher.collection().upsert([(1, "en"), (2, "de"), (3, "en")].map(point).into())?;
/// let hits = searcher.facet(&FacetRequest::new("lang")?.limit(1))?;
/// assert_eq!(serde_json::to_value(&hits)?, serde_json::json!([{"value": "en", "count": 2}]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FacetRequest {
    /// The field.
    pub key: FieldPath,
    /// Filter that points have to match.
    pub filter: Option<Filter>,
    /// Most values, after those that more points have.
    pub limit: usize,
}

/// Value of a payload field that points are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FacetValue {
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A string.
    String(String),
}

/// Value, and the number of points that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FacetHit {
    /// The value.
    pub value: FacetValue,
    /// Number of points.
    pub count: u64,
}

impl FacetRequest {
    /// The ten most frequent values of a field.
    ///
    /// # Errors
    /// `key` is not a [`FieldPath`].
    pub fn new(key: &str) -> Result<Self> {
        Ok(Self { key: key.parse()?, filter: None, limit: DEFAULT_LIMIT })
    }

    /// Only points that match this filter.
    pub fn filter(self, filter: Filter) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Limits the number of values.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let beside = &[Foreign::flag("exact"), Foreign::new("shard_key", "sharding")];
        let object = node.object_beside(&["key", "filter", "limit"], beside)?;
        Ok(Self {
            key: FieldPath::read(&object.required("key")?)?,
            filter: object.map("filter", Filter::read)?,
            limit: object.map("limit", Node::positive)?.unwrap_or(DEFAULT_LIMIT),
        })
    }

    /// Counts the points of a snapshot: values that more points have first, then smaller ones. An index says
    /// what values points have, as far as it knows and is no dearer than their payloads.
    pub(crate) fn count(&self, snapshot: &Snapshot<'_>) -> Result<Vec<FacetHit>> {
        let selected = self.filter.as_ref().map(|filter| snapshot.select(filter)).transpose()?;
        let points = selected.as_ref().map_or(snapshot.numbers(), |it| &it.points);
        let cancellation = Cancellation::current();
        let are_uuids =
            snapshot.indexes().any(|it| it.field == self.key && it.kind == IndexKind::Uuid);
        let value = |value: &Value| {
            FacetValue::of(value).map(|it| if are_uuids { it.spelled() } else { it })
        };
        let mut counts: HashMap<FacetValue, u64> = HashMap::new();
        let kinds = if are_uuids { &[IndexKind::Uuid][..] } else { INDEXES };
        let worth = KEYS_A_PAYLOAD.saturating_mul(points.len()) >= snapshot.numbers().len();
        let index = worth.then(|| snapshot.indexed_values(&self.key, kinds)).transpose()?.flatten();
        let known = index.as_ref().map_or(PointSet::new(), |it| points - &it.unknown);
        if let Some(index) = index {
            index.scan(false, |value, having| {
                cancellation.check()?;
                let count = having.bitmap().intersection_len(known.bitmap());
                let value = FacetValue::indexed(value).filter(|_| count > 0);
                counts.extend(value.map(|value| (value, count)));
                Ok(true)
            })?;
        }
        for number in &(points - &known) {
            cancellation.check()?;
            let (_, payload) = snapshot.payload(number)?;
            let values: BTreeSet<_> = self.key.elements(&payload).filter_map(value).collect();
            values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
        }
        let mut hits: Vec<_> =
            counts.into_iter().map(|(value, count)| FacetHit { value, count }).collect();
        hits.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        hits.truncate(self.limit);
        Ok(hits)
    }
}

/// Indexes of values that points are counted by.
const INDEXES: &[IndexKind] = &[IndexKind::Keyword, IndexKind::Integer, IndexKind::Bool];
/// Keys of an index that are read in no more than the time of a payload.
const KEYS_A_PAYLOAD: u64 = 2;

impl FacetValue {
    fn indexed(value: IndexValue) -> Option<Self> {
        match value {
            IndexValue::Bool(value) => Some(Self::Bool(value)),
            IndexValue::Integer(value) => Some(Self::Integer(value)),
            IndexValue::String(value) => Some(Self::String(value)),
            IndexValue::Float(_) => None,
        }
    }

    /// A UUID in its usual spelling: with an index of UUIDs, others are the same value, as in Qdrant.
    fn spelled(self) -> Self {
        match self {
            Self::String(text) => {
                Self::String(text.parse::<Uuid>().map_or(text, |uuid| uuid.to_string()))
            }
            other => other,
        }
    }

    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Number(number) => number.as_i64().map(Self::Integer),
            Value::String(text) => Some(Self::String(text.clone())),
            _ => None,
        }
    }
}

impl std::str::FromStr for FacetRequest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "a request", "request", Self::read)
    }
}

impl Serialize for FacetValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => value.serialize(serializer),
            Self::Integer(value) => value.serialize(serializer),
            Self::String(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for FacetHit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut hit = serializer.serialize_map(Some(2))?;
        hit.serialize_entry("value", &self.value)?;
        hit.serialize_entry("count", &self.count)?;
        hit.end()
    }
}
