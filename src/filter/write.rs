//! Filters to JSON.

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{Condition, Filter, Match, MinShould, Range, Scalar, Scalars, Test, TextMatch};
use crate::{Error, Result};

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// The place of a filter: of points or of nested objects, with so many levels of JSON left below.
#[derive(Clone, Copy)]
struct Place {
    of_points: bool,
    levels: usize,
}

/// JSON that is nested more deeply is not read again.
const DEEPEST: usize = 120;

impl Filter {
    /// In JSON, if it can be read again from there.
    pub(crate) fn to_json(&self) -> Result<Value> {
        filter(self, Place { of_points: true, levels: DEEPEST })
    }
}

impl Condition {
    /// In JSON, if it can be read again from there.
    pub(crate) fn to_json(&self) -> Result<Value> {
        condition(self, Place { of_points: true, levels: DEEPEST })
    }
}

fn filter(filter: &Filter, place: Place) -> Result<Value> {
    let levels = place.levels.checked_sub(2);
    let levels = levels.ok_or_else(|| refused("nested less deeply", "too many levels"))?;
    let inside = Place { levels, ..place };
    let Filter { must, should, must_not, min_should } = filter;
    let mut object = Map::new();
    for (name, conditions) in [("must", must), ("should", should), ("must_not", must_not)] {
        if !conditions.is_empty() {
            object.insert(name.into(), list(conditions, inside)?);
        }
    }
    if let Some(MinShould { conditions, min_count }) = min_should {
        if *min_count == 0 {
            return Err(refused("with a min_count of at least 1", "0"));
        }
        let min_should = json!({"conditions": list(conditions, inside)?, "min_count": min_count});
        object.insert("min_should".into(), min_should);
    }
    Ok(object.into())
}

fn refused(expected: &str, got: impl Into<String>) -> Error {
    Error::InvalidParameter { name: "a filter in JSON", expected: expected.into(), got: got.into() }
}

fn list(conditions: &[Condition], place: Place) -> Result<Value> {
    conditions.iter().map(|it| condition(it, place)).collect()
}

fn condition(condition: &Condition, place: Place) -> Result<Value> {
    match condition {
        Condition::Field(key, test) => field(key.to_string(), test),
        Condition::HasId(_) | Condition::Slice(_) | Condition::HasVector(_) if !place.of_points => {
            Err(refused("without ids and vectors of nested objects", "some"))
        }
        Condition::HasId(ids) => Ok(json!({"has_id": ids})),
        Condition::Slice(slice) => {
            Ok(json!({"slice": {"total": slice.total(), "index": slice.index()}}))
        }
        Condition::HasVector(name) => Ok(json!({"has_vector": name})),
        Condition::Nested(key, inner) => {
            let inside = Place { of_points: false, levels: place.levels.saturating_sub(2) };
            Ok(json!({"nested": {"key": key, "filter": filter(inner, inside)?}}))
        }
        Condition::Filter(inner) => filter(inner, place),
    }
}

fn field(key: String, test: &Test) -> Result<Value> {
    Ok(match test {
        Test::Match(matched) => json!({"key": key, "match": matching(matched)}),
        Test::Range(range) => json!({"key": key, "range": bounds(range, number)?}),
        Test::Datetime(range) => json!({"key": key, "range": bounds(range, |it| it.to_json())?}),
        Test::Geo(area) => {
            let (name, area) = area.to_json();
            json!({"key": key, name: area})
        }
        Test::ValuesCount(range) => {
            json!({"key": key, "values_count": bounds(range, |&it| Ok(json!(it)))?})
        }
        Test::IsEmpty(wanted) => json!({"key": key, "is_empty": wanted}),
        Test::IsNull(wanted) => json!({"key": key, "is_null": wanted}),
    })
}

/// JSON has no infinity and no NaN: they would be `null`, which is no bound.
fn number(bound: &f64) -> Result<Value> {
    let number = serde_json::Number::from_f64(*bound).map(Value::Number);
    number.ok_or_else(|| refused("with finite bounds", bound.to_string()))
}

fn matching(matched: &Match) -> Value {
    match matched {
        Match::Value(Scalar::String(value)) => json!({"value": value}),
        Match::Value(Scalar::Integer(value)) => json!({"value": value}),
        Match::Value(Scalar::Bool(value)) => json!({"value": value}),
        Match::Any(values) => json!({"any": scalars(values)}),
        Match::Except(values) => json!({"except": scalars(values)}),
        Match::Text(TextMatch::All(text)) => json!({"text": text}),
        Match::Text(TextMatch::Any(text)) => json!({"text_any": text}),
        Match::Text(TextMatch::Phrase(text)) => json!({"phrase": text}),
        Match::Prefix(prefix) => json!({"prefix": prefix}),
        Match::Substring(substring) => json!({"substring": substring}),
    }
}

fn scalars(values: &Scalars) -> Value {
    match values {
        Scalars::Strings(values) => json!(values),
        Scalars::Integers(values) => json!(values),
    }
}

fn bounds<T>(range: &Range<T>, write: impl Fn(&T) -> Result<Value>) -> Result<Value> {
    let given = range.bounds().into_iter().filter_map(|(name, bound)| Some((name, bound?)));
    let written = given.map(|(name, bound)| Ok((name.to_owned(), write(bound)?)));
    written.collect::<Result<Map<_, _>>>().map(Value::Object)
}
