//! Evaluation on one payload: what every index has to agree with.

use serde_json::Value;

use super::path::elements;
use super::{
    Condition, Datetime, FieldPath, Filter, GeoPoint, Match, Payload, PointId, Range, Scalar,
    Scalars, Test, TextParams,
};
use crate::Result;

/// Point as a filter looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The point's id.
    pub id: PointId,
    /// Its payload.
    pub payload: &'a Payload,
    /// The names of the vectors that it has.
    pub vectors: &'a [&'a str],
    /// The text indexes of fields: what matching of text means there.
    pub texts: &'a [(FieldPath, TextParams)],
}

impl Filter {
    /// Returns `true` if the point matches the filter.
    ///
    /// # Errors
    /// The filter is deeper than [`Filter::DEEPEST`].
    pub fn matches(&self, subject: &Subject<'_>) -> Result<bool> {
        self.check_depth(Self::DEEPEST)?;
        Ok(self.holds_for(subject))
    }

    /// Returns `true` if the point matches the filter, whose depth is known to be small.
    pub(super) fn holds_for(&self, subject: &Subject<'_>) -> bool {
        filter_holds(self, subject.payload, Some(subject))
    }
}

impl Condition {
    /// Returns `true` if the point satisfies the condition, whose depth is known to be small.
    pub(crate) fn holds(&self, subject: &Subject<'_>) -> bool {
        condition_holds(self, subject.payload, Some(subject))
    }
}

/// `subject` is `None` for an object inside of a payload.
fn filter_holds(filter: &Filter, payload: &Payload, subject: Option<&Subject<'_>>) -> bool {
    let holds = |condition: &Condition| condition_holds(condition, payload, subject);
    let Filter { must, should, must_not, min_should } = filter;
    must.iter().all(holds)
        && !must_not.iter().any(holds)
        && (should.is_empty() || should.iter().any(holds))
        && min_should.as_ref().is_none_or(|it| {
            it.conditions.iter().filter(|it| holds(it)).take(it.min_count).count() == it.min_count
        })
}

fn condition_holds(
    condition: &Condition,
    payload: &Payload,
    subject: Option<&Subject<'_>>,
) -> bool {
    match condition {
        Condition::Field(key, test) => {
            let texts = subject.map(|it| it.texts).unwrap_or_default();
            let index = texts.iter().find(|(field, _)| field == key).map(|(_, params)| params);
            test.holds(key.values(payload), index)
        }
        Condition::HasId(ids) => subject.is_some_and(|it| ids.contains(&it.id)),
        Condition::Slice(slice) => subject.is_some_and(|it| slice.contains(it.id)),
        Condition::HasVector(name) => subject.is_some_and(|it| it.vectors.contains(&&**name)),
        Condition::Nested(key, filter) => {
            let elements = key.every_element();
            let mut objects = elements.values(payload).filter_map(Value::as_object);
            objects.any(|object| filter_holds(filter, object, None))
        }
        Condition::Filter(filter) => filter_holds(filter, payload, subject),
    }
}

impl Test {
    /// Returns `true` if the values of a field, which may have a text index, pass.
    fn holds<'a>(
        &self,
        mut values: impl Iterator<Item = &'a Value>,
        index: Option<&TextParams>,
    ) -> bool {
        match self {
            Self::Match(matched) => matched.holds(elements(values), index),
            Self::Range(range) => elements(values).any(|value| number_within(value, range)),
            Self::Datetime(range) => elements(values).any(|value| datetime_within(value, range)),
            Self::Geo(area) => {
                elements(values).filter_map(GeoPoint::of).any(|it| area.contains(it))
            }
            Self::ValuesCount(range) => match values.next() {
                None => range.contains(0),
                Some(first) => {
                    std::iter::once(first).chain(values).any(|it| range.contains(count(it)))
                }
            },
            Self::IsEmpty(wanted) => is_empty(values) == *wanted,
            Self::IsNull(wanted) => elements(values).any(Value::is_null) == *wanted,
        }
    }
}

/// Returns `true` if there is nothing among the values but `null` and `[]`.
pub(super) fn is_empty<'a>(mut values: impl Iterator<Item = &'a Value>) -> bool {
    values.all(|value| value.is_null() || value.as_array().is_some_and(Vec::is_empty))
}

/// Number of values that one counts for.
fn count(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Array(elements) => elements.len(),
        _ => 1,
    }
}

impl Match {
    fn holds<'a>(
        &self,
        mut values: impl Iterator<Item = &'a Value>,
        index: Option<&TextParams>,
    ) -> bool {
        let mut strings = values.by_ref().filter_map(Value::as_str);
        match self {
            Self::Value(Scalar::String(wanted)) => strings.any(|it| it == wanted),
            Self::Text(wanted) => wanted.holds(strings, index),
            Self::Prefix(wanted) => strings.any(|it| it.starts_with(wanted)),
            Self::Substring(wanted) => strings.any(|it| it.contains(wanted)),
            Self::Value(Scalar::Integer(wanted)) => values.any(|it| it.as_i64() == Some(*wanted)),
            Self::Value(Scalar::Bool(wanted)) => values.any(|it| it.as_bool() == Some(*wanted)),
            Self::Any(wanted) => values.any(|it| wanted.contains(it)),
            Self::Except(wanted) => values.any(|it| !it.is_null() && !wanted.contains(it)),
        }
    }
}

impl Scalars {
    fn contains(&self, value: &Value) -> bool {
        match self {
            Self::Strings(values) => value.as_str().is_some_and(|it| values.contains(it)),
            Self::Integers(values) => value.as_i64().is_some_and(|it| values.contains(&it)),
        }
    }
}

fn number_within(value: &Value, range: &Range<f64>) -> bool {
    value.as_f64().is_some_and(|number| range.contains(number))
}

fn datetime_within(value: &Value, range: &Range<Datetime>) -> bool {
    value.as_str().and_then(Datetime::read).is_some_and(|time| range.contains(time))
}
