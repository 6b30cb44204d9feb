//! [`Operation`]: a change of points, as it is asked for.

use std::collections::BTreeMap;

use super::{Point, Selector, Vector};
use crate::filter::{FieldPath, Filter, Payload, PointId};

/// A change of points, one of those that [`Collection::apply`](super::Collection::apply) takes; in JSON as
/// Qdrant writes it.
///
/// ```
/// use maxfold::collection::Operation;
/// use maxfold::Point;
///
/// let json = r#"{"upsert": {"points": [{"id": 7}], "update_mode": "insert_only"}}"#;
/// assert!(matches!(json.parse()?, Operation::Upsert { points, .. } if points == [Point::new(7)]));
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Adds points, or replaces those that have their ids.
    Upsert {
        /// The points.
        points: Vec<Point>,
        /// Points that are left as they are.
        options: UpsertOptions,
    },
    /// Removes points.
    Delete(Selector),
    /// Sets fields of payloads; one that is `null` is removed.
    SetPayload {
        /// The points.
        which: Selector,
        /// The fields.
        fields: Payload,
        /// Key of the object that has them, instead of the whole payload.
        key: Option<FieldPath>,
    },
    /// Puts a payload in the place of what was there.
    OverwritePayload {
        /// The points.
        which: Selector,
        /// The payload.
        payload: Payload,
    },
    /// Removes fields of payloads.
    DeletePayload {
        /// The points.
        which: Selector,
        /// Keys of the fields.
        keys: Vec<FieldPath>,
    },
    /// Removes all fields of payloads.
    ClearPayload(Selector),
    /// Replaces some vectors of points, or adds them.
    UpdateVectors {
        /// The vectors.
        points: Vec<PointVectors>,
        /// Filter that points have to match; others are left as they are.
        filter: Option<Filter>,
    },
    /// Removes vectors of points.
    DeleteVectors {
        /// The points.
        which: Selector,
        /// Names of the vectors.
        names: Vec<String>,
    },
}

/// Vectors of a point, without its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct PointVectors {
    /// Id of the point.
    pub id: PointId,
    /// The vectors, by name.
    pub vectors: BTreeMap<String, Vector>,
}

/// Options of an upsert: which points it leaves as they are. By default none.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UpsertOptions {
    /// Points that are written.
    pub mode: UpdateMode,
    /// Filter that points have to match which are there already; new ones are added whatever it says.
    pub filter: Option<Filter>,
}

/// Points that an upsert writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpdateMode {
    /// All.
    #[default]
    Upsert,
    /// Points whose ids no point has yet; `insert_only` in JSON.
    InsertOnly,
    /// Points whose ids points have already; `update_only` in JSON.
    UpdateOnly,
}

impl UpsertOptions {
    /// No point is left as it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which points are written.
    pub fn mode(self, mode: UpdateMode) -> Self {
        Self { mode, ..self }
    }

    /// Sets a filter that points have to match which are there already.
    pub fn filter(self, filter: Filter) -> Self {
        Self { filter: Some(filter), ..self }
    }
}

impl Operation {
    /// Adds points, or replaces those that have their ids.
    pub fn upsert(points: Vec<Point>) -> Self {
        Self::Upsert { points, options: UpsertOptions::default() }
    }
}

impl PointVectors {
    /// No vectors of a point yet.
    pub fn new(id: impl Into<PointId>) -> Self {
        Self { id: id.into(), vectors: BTreeMap::new() }
    }

    /// With this vector.
    pub fn vector(mut self, name: impl Into<String>, vector: impl Into<Vector>) -> Self {
        self.vectors.insert(name.into(), vector.into());
        self
    }
}
