//! Filters from JSON.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{
    Condition, FieldPath, Filter, Match, MinShould, PointId, Range, Scalar, Scalars, Test,
};
use crate::json::{self, Node};
use crate::{Error, Result};

const CLAUSES: &[&str] = &["must", "should", "must_not", "min_should"];
const BOUNDS: &[&str] = &["gt", "gte", "lt", "lte"];
const TESTS: &[&str] = &["match", "range", "values_count", "is_empty", "is_null"];
const FIELD: &[&str] = &["key", "match", "range", "values_count", "is_empty", "is_null"];
const MATCHES: &[&str] = &["value", "any", "except"];
const FULL_TEXT: [&str; 5] = ["text", "text_any", "phrase", "prefix", "substring"];
const GEO: [&str; 3] = ["geo_radius", "geo_bounding_box", "geo_polygon"];

impl std::str::FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::read(&Node::root(&json::parse(text, "a filter")?, "filter"))
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, |value| Self::read(&Node::root(value, "filter")))
    }
}

impl Filter {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        read_filter(node, Belongs::Point)
    }
}

/// What the conditions of a filter are about.
#[derive(Clone, Copy, PartialEq)]
enum Belongs {
    Point,
    NestedObject,
}

fn read_filter(node: &Node<'_>, about: Belongs) -> Result<Filter> {
    let filter = node.object(CLAUSES)?;
    let conditions = |node: &Node<'_>| {
        node.one_or_many()
            .iter()
            .map(|node| read_condition(node, about))
            .collect::<Result<Vec<_>>>()
    };
    let clause = |key| filter.map(key, conditions).map(Option::unwrap_or_default);
    Ok(Filter {
        must: clause("must")?,
        should: clause("should")?,
        must_not: clause("must_not")?,
        min_should: filter.map("min_should", |node| read_min_should(node, about))?,
    })
}

fn read_min_should(node: &Node<'_>, about: Belongs) -> Result<MinShould> {
    let object = node.object(&["conditions", "min_count"])?;
    let conditions = object.required("conditions")?.array()?;
    let conditions =
        conditions.iter().map(|node| read_condition(node, about)).collect::<Result<_>>();
    let count = object.required("min_count")?;
    match count.count()? {
        0 => Err(count.expected("at least 1")),
        min_count => Ok(MinShould { conditions: conditions?, min_count }),
    }
}

fn read_condition(node: &Node<'_>, about: Belongs) -> Result<Condition> {
    let object = node.any_object()?;
    if object.has("key") {
        return read_field(node);
    }
    if let Some(slice) = object.get("slice") {
        return Err(slice.unsupported("a slice of the ids"));
    }
    let kinds = ["is_empty", "is_null", "has_id", "has_vector", "nested"];
    match kinds.into_iter().find(|kind| object.has(kind)) {
        Some("is_empty") => read_key_of(node, "is_empty", Test::IsEmpty(true)),
        Some("is_null") => read_key_of(node, "is_null", Test::IsNull(true)),
        Some("has_id") => read_has_id(node, about),
        Some("has_vector") => read_has_vector(node, about),
        Some(_) => read_nested(node),
        None => read_filter(node, about).map(Condition::Filter),
    }
}

/// `{"is_empty": {"key": "a"}}`, which is `{"key": "a", "is_empty": true}`.
fn read_key_of(node: &Node<'_>, kind: &'static str, test: Test) -> Result<Condition> {
    let known = if kind == "is_empty" { &["is_empty"] } else { &["is_null"] };
    let inner = node.object(known)?.required(kind)?.object(&["key"])?;
    Ok(Condition::Field(FieldPath::read(&inner.required("key")?)?, test))
}

fn read_has_id(node: &Node<'_>, about: Belongs) -> Result<Condition> {
    let ids = node.object(&["has_id"])?.required("has_id")?;
    if about == Belongs::NestedObject {
        return Err(ids.unsupported("the id of a nested object"));
    }
    Ok(Condition::HasId(ids.array()?.iter().map(PointId::read).collect::<Result<_>>()?))
}

fn read_has_vector(node: &Node<'_>, about: Belongs) -> Result<Condition> {
    let name = node.object(&["has_vector"])?.required("has_vector")?;
    if about == Belongs::NestedObject {
        return Err(name.unsupported("the vectors of a nested object"));
    }
    Ok(Condition::HasVector(name.string()?.into()))
}

fn read_nested(node: &Node<'_>) -> Result<Condition> {
    let nested = node.object(&["nested"])?.required("nested")?.object(&["key", "filter"])?;
    let key = FieldPath::read(&nested.required("key")?)?;
    let filter = read_filter(&nested.required("filter")?, Belongs::NestedObject)?;
    Ok(Condition::Nested(key, filter))
}

fn read_field(node: &Node<'_>) -> Result<Condition> {
    let object = node.any_object()?;
    if let Some(geo) = GEO.iter().find_map(|kind| object.get(kind)) {
        return Err(geo.unsupported("a condition on places"));
    }
    let object = node.object(FIELD)?;
    let Some((kind, test)) = object.only(TESTS) else {
        let expected = format!("a condition with exactly one of {}", TESTS.join(", "));
        return Err(node.expected(expected));
    };
    Ok(Condition::Field(FieldPath::read(&object.required("key")?)?, read_test(kind, &test)?))
}

fn read_test(kind: &str, node: &Node<'_>) -> Result<Test> {
    Ok(match kind {
        "match" => Test::Match(read_match(node)?),
        "range" => read_range(node)?,
        "values_count" => Test::ValuesCount(read_bounds(node, Node::count)?),
        "is_empty" => Test::IsEmpty(node.bool()?),
        _ => Test::IsNull(node.bool()?),
    })
}

fn read_match(node: &Node<'_>) -> Result<Match> {
    let object = node.any_object()?;
    if let Some(text) = FULL_TEXT.iter().find_map(|kind| object.get(kind)) {
        return Err(text.unsupported("matching of text"));
    }
    let Some((kind, values)) = node.object(MATCHES)?.only(MATCHES) else {
        return Err(node.expected("an object with exactly one of value, any, except"));
    };
    match kind {
        "value" => read_scalar(&values).map(Match::Value),
        "any" => read_scalars(&values).map(Match::Any),
        _ => read_scalars(&values).map(Match::Except),
    }
}

fn read_scalar(node: &Node<'_>) -> Result<Scalar> {
    let scalar = match node.value() {
        Value::String(text) => Some(Scalar::String(text.clone())),
        Value::Bool(value) => Some(Scalar::Bool(*value)),
        Value::Number(number) => number.as_i64().map(Scalar::Integer),
        _ => None,
    };
    scalar.ok_or_else(|| node.expected("a string, an integer of 64 bits or a boolean"))
}

/// Strings or integers; of an empty list both are true.
fn read_scalars(node: &Node<'_>) -> Result<Scalars> {
    let values = node.array()?;
    if values.iter().all(|it| it.value().is_string()) {
        return values.iter().map(|it| it.string().map(String::from)).collect();
    }
    let expected = || node.expected("strings, or integers of 64 bits");
    values.iter().map(|it| it.value().as_i64().ok_or_else(expected)).collect()
}

/// A bound that is a string makes it a range of datetimes.
fn read_range(node: &Node<'_>) -> Result<Test> {
    let object = node.object(BOUNDS)?;
    let is_text = |bound: &&str| object.get(bound).is_some_and(|it| it.value().is_string());
    if BOUNDS.iter().any(is_text) {
        let datetime =
            |bound: &Node<'_>| bound.parse("a datetime in RFC 3339, like 2024-02-29T12:00:00Z");
        return read_bounds(node, datetime).map(Test::Datetime);
    }
    read_bounds(node, Node::number).map(Test::Range)
}

fn read_bounds<'a, T>(node: &Node<'a>, read: impl Fn(&Node<'a>) -> Result<T>) -> Result<Range<T>> {
    let object = node.object(BOUNDS)?;
    Range::try_from_bounds(|bound| object.map(bound, &read))
}
