//! [`Filter`] and its conditions, as they are built in Rust.

use std::collections::BTreeSet;

use super::{Datetime, FieldPath, GeoArea, Match, PointId, Range, Slice};
use crate::{Error, Result};

/// Conditions that a point has to match, in Qdrant's terms.
///
/// A point matches if it satisfies all of `must`, none of `must_not`, at least one of `should` (if
/// there are any), and as many of `min_should` as that asks for. Every point matches an empty filter.
///
/// ```
/// use maxfold::filter::{Condition, Filter, Match, Range};
///
/// let filter = Filter::new()
///     .must(Condition::field("city", Match::value("London"))?)
///     .must_not(Condition::field("prices[].amount", Range::new().gt(100.0))?);
/// let json = r#"{
///     "must": {"key": "city", "match": {"value": "London"}},
///     "must_not": [{"key": "prices[].amount", "range": {"gt": 100}}]
/// }"#;
/// assert_eq!(filter, json.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
///
/// Filters may stand inside of filters, [`Filter::DEEPEST`] levels of them; one that is deeper is refused
/// where it is used, and may be dropped. Cloning, comparing and printing it take stack for each level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// All of these hold.
    pub must: Vec<Condition>,
    /// At least one of these holds, unless there are none.
    pub should: Vec<Condition>,
    /// None of these holds.
    pub must_not: Vec<Condition>,
    /// At least [`MinShould::min_count`] of these hold.
    pub min_should: Option<MinShould>,
}

/// Conditions of which at least `min_count` have to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct MinShould {
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// Least number of them that have to hold; in JSON 1 or more.
    pub min_count: usize,
}

/// Condition on a point.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// The values of a payload field pass a test.
    Field(FieldPath, Test),
    /// The point's id is one of these.
    HasId(BTreeSet<PointId>),
    /// The point's id is in this part of all ids.
    Slice(Slice),
    /// The point has a vector of this name.
    HasVector(String),
    /// An object in the array at this key satisfies a filter of its own, whose keys are relative to
    /// that object. Ids and vectors belong to points, so conditions on them hold for no object.
    Nested(FieldPath, Filter),
    /// The point satisfies a filter.
    Filter(Filter),
}

/// Test of the values of a payload field.
///
/// Elements of an array are tested, and one that passes is enough; an array in that array is a
/// value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Test {
    /// A value equals, or doesn't.
    Match(Match),
    /// A number is within bounds; integers are compared as f64.
    Range(Range<f64>),
    /// A string that reads as a [`Datetime`] is within bounds.
    Datetime(Range<Datetime>),
    /// An object with `lon` and `lat` says a place in an area.
    Geo(GeoArea),
    /// The number of values is within bounds: an array's length, 0 for `null` or no such field,
    /// otherwise 1.
    ValuesCount(Range<usize>),
    /// `true` for a field that is missing, `null` or `[]`; `false` for the others.
    IsEmpty(bool),
    /// `true` for a field that is `null` or an array with `null` in it; a missing field is not.
    IsNull(bool),
}

impl Filter {
    /// Levels of filters that may be used; one without others inside is one level.
    pub const DEEPEST: usize = 200;

    /// Every point.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition that has to hold.
    pub fn must(mut self, condition: impl Into<Condition>) -> Self {
        self.must.push(condition.into());
        self
    }

    /// Adds a condition to those of which at least one has to hold.
    pub fn should(mut self, condition: impl Into<Condition>) -> Self {
        self.should.push(condition.into());
        self
    }

    /// Adds a condition that must not hold.
    pub fn must_not(mut self, condition: impl Into<Condition>) -> Self {
        self.must_not.push(condition.into());
        self
    }

    /// Sets conditions of which at least `min_count` have to hold.
    pub fn min_should(mut self, min_count: usize, conditions: Vec<Condition>) -> Self {
        self.min_should = Some(MinShould { conditions, min_count });
        self
    }

    /// Returns `true` if there are no conditions, so that every point matches.
    pub fn is_empty(&self) -> bool {
        *self == Self::new()
    }

    /// All conditions that stand in it itself.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let Self { must, should, must_not, min_should } = self;
        let counted = min_should.iter().flat_map(|it| &it.conditions);
        must.iter().chain(should).chain(must_not).chain(counted)
    }

    /// Refuses a filter of more levels than `levels`, or than may be used at all.
    pub(crate) fn check_depth(&self, levels: usize) -> Result<()> {
        let levels = levels.min(Self::DEEPEST);
        if self.is_deeper(levels) { Err(too_deep(levels)) } else { Ok(()) }
    }

    fn is_deeper(&self, levels: usize) -> bool {
        levels == 0 || self.conditions().any(|it| it.is_deeper(levels - 1))
    }
}

impl Drop for Filter {
    /// Drops one level after the other: there may be more of them than the stack has room for.
    fn drop(&mut self) {
        let mut left = self.take_conditions();
        while let Some(condition) = left.pop() {
            if let Condition::Nested(_, mut inner) | Condition::Filter(mut inner) = condition {
                left.append(&mut inner.take_conditions());
            }
        }
    }
}

impl Filter {
    fn take_conditions(&mut self) -> Vec<Condition> {
        let mut taken = std::mem::take(&mut self.must);
        taken.append(&mut self.should);
        taken.append(&mut self.must_not);
        taken.extend(self.min_should.take().map(|it| it.conditions).into_iter().flatten());
        taken
    }
}

fn too_deep(levels: usize) -> Error {
    let (expected, got) = (format!("at most {levels}"), "more".into());
    Error::InvalidParameter { name: "the depth of a filter", expected, got }
}

impl Condition {
    /// Refuses a condition whose filters have more levels than `levels`.
    pub(crate) fn check_depth(&self, levels: usize) -> Result<()> {
        if self.is_deeper(levels) { Err(too_deep(levels)) } else { Ok(()) }
    }

    fn is_deeper(&self, levels: usize) -> bool {
        match self {
            Self::Nested(_, inner) | Self::Filter(inner) => inner.is_deeper(levels),
            _ => false,
        }
    }

    /// A test of the payload field `key`.
    ///
    /// # Errors
    /// `key` is not a [`FieldPath`].
    pub fn field(key: &str, test: impl Into<Test>) -> Result<Self> {
        Ok(Self::Field(key.parse()?, test.into()))
    }

    /// A filter of the objects in the array at `key`.
    ///
    /// # Errors
    /// `key` is not a [`FieldPath`].
    pub fn nested(key: &str, filter: Filter) -> Result<Self> {
        Ok(Self::Nested(key.parse()?, filter))
    }

    /// Condition that the id is one of `ids`.
    pub fn has_id<I: Into<PointId>>(ids: impl IntoIterator<Item = I>) -> Self {
        Self::HasId(ids.into_iter().map(I::into).collect())
    }

    /// Condition that the point has the vector `name`.
    pub fn has_vector(name: impl Into<String>) -> Self {
        Self::HasVector(name.into())
    }
}

macro_rules! from {
    ($($from:ty => $to:ident :: $variant:ident),* $(,)?) => {$(
        impl From<$from> for $to {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    Filter => Condition::Filter,
    Match => Test::Match,
    Range<f64> => Test::Range,
    Range<Datetime> => Test::Datetime,
    GeoArea => Test::Geo,
    Range<usize> => Test::ValuesCount,
}
