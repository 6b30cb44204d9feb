//! Filters from JSON.

use serde::{Deserialize, Deserializer};

use super::{
    Condition, Datetime, FieldPath, Filter, GeoArea, Match, MinShould, PointId, Range, Scalar,
    Scalars, Slice, Test,
};
use crate::json::{self, Foreign, Json, Node, Object};
use crate::{Error, Result};

const CLAUSES: &[&str] = &["must", "should", "must_not", "min_should"];
const KINDS: &[&str] = &["key", "is_empty", "is_null", "has_id", "slice", "has_vector", "nested"];
const BOUNDS: &[&str] = &["gt", "gte", "lt", "lte"];
/// A key, and the tests of what stands there.
const FIELD: &[&str] = &[
    "key",
    "match",
    "range",
    "geo_bounding_box",
    "geo_radius",
    "geo_polygon",
    "values_count",
    "is_empty",
    "is_null",
];
const TESTS: &[&str] = FIELD.split_at(1).1;
const MATCHES: &[&str] =
    &["value", "any", "except", "text", "text_any", "phrase", "prefix", "substring"];

/// Other fields that may stand beside those of a condition, as `null`: those that we don't have, and
/// those of other kinds of conditions.
const BESIDE: &[Foreign] = &[
    Foreign::elsewhere("geo_radius"),
    Foreign::elsewhere("geo_bounding_box"),
    Foreign::elsewhere("geo_polygon"),
    Foreign::elsewhere("slice"),
    Foreign::elsewhere("key"),
    Foreign::elsewhere("match"),
    Foreign::elsewhere("range"),
    Foreign::elsewhere("values_count"),
    Foreign::elsewhere("is_empty"),
    Foreign::elsewhere("is_null"),
    Foreign::elsewhere("has_id"),
    Foreign::elsewhere("has_vector"),
    Foreign::elsewhere("nested"),
    Foreign::elsewhere("must"),
    Foreign::elsewhere("should"),
    Foreign::elsewhere("must_not"),
    Foreign::elsewhere("min_should"),
];

impl std::str::FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "a filter", "filter", Self::read)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, "filter", Self::read)
    }
}

impl Filter {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        read_filter(node, Belongs::Point)
    }
}

impl Condition {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        read_condition(node, Belongs::Point)
    }

    /// Tells whether an object has a field of a condition's.
    pub(crate) fn is_one(node: &Node<'_>) -> bool {
        let given = |object: Object<'_>| {
            [KINDS, CLAUSES].concat().iter().any(|it| object.get(it).is_some())
        };
        node.any_object().is_ok_and(given)
    }
}

/// Subject of the conditions of a filter.
#[derive(Clone, Copy, PartialEq)]
enum Belongs {
    Point,
    NestedObject,
}

fn read_filter(node: &Node<'_>, about: Belongs) -> Result<Filter> {
    let filter = node.object_beside(CLAUSES, BESIDE)?;
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
    let min_count = object.required("min_count")?.positive()?;
    Ok(MinShould { conditions: conditions?, min_count })
}

fn read_condition(node: &Node<'_>, about: Belongs) -> Result<Condition> {
    let object = node.any_object()?;
    match KINDS.iter().find(|kind| object.get(kind).is_some()) {
        Some(&"key") => read_field(node),
        Some(&"is_empty") => read_key_of(node, &["is_empty"], Test::IsEmpty(true)),
        Some(&"is_null") => read_key_of(node, &["is_null"], Test::IsNull(true)),
        Some(&"has_id") => read_has_id(node, about),
        Some(&"slice") => read_slice(node, about),
        Some(&"has_vector") => read_has_vector(node, about),
        Some(_) => read_nested(node),
        None => read_filter(node, about).map(Condition::Filter),
    }
}

/// The value of the one field of a condition.
fn only<'a>(node: &Node<'a>, field: &'static [&'static str; 1]) -> Result<Node<'a>> {
    node.object_beside(field, BESIDE)?.required(field[0])
}

/// `{"is_empty": {"key": "a"}}`, which is `{"key": "a", "is_empty": true}`.
fn read_key_of(node: &Node<'_>, kind: &'static [&'static str; 1], test: Test) -> Result<Condition> {
    let inner = only(node, kind)?.object(&["key"])?;
    Ok(Condition::Field(FieldPath::read(&inner.required("key")?)?, test))
}

fn read_has_id(node: &Node<'_>, about: Belongs) -> Result<Condition> {
    let ids = only(node, &["has_id"])?;
    if about == Belongs::NestedObject {
        return Err(ids.unsupported("the id of a nested object"));
    }
    Ok(Condition::HasId(ids.array()?.iter().map(PointId::read).collect::<Result<_>>()?))
}

fn read_slice(node: &Node<'_>, about: Belongs) -> Result<Condition> {
    let slice = only(node, &["slice"])?;
    if about == Belongs::NestedObject {
        return Err(slice.unsupported("the id of a nested object"));
    }
    Slice::read(&slice).map(Condition::Slice)
}

fn read_has_vector(node: &Node<'_>, about: Belongs) -> Result<Condition> {
    let name = only(node, &["has_vector"])?;
    if about == Belongs::NestedObject {
        return Err(name.unsupported("the vectors of a nested object"));
    }
    Ok(Condition::HasVector(name.string()?.into()))
}

fn read_nested(node: &Node<'_>) -> Result<Condition> {
    let nested = only(node, &["nested"])?.object(&["key", "filter"])?;
    let key = FieldPath::read(&nested.required("key")?)?;
    let filter = read_filter(&nested.required("filter")?, Belongs::NestedObject)?;
    Ok(Condition::Nested(key, filter))
}

fn read_field(node: &Node<'_>) -> Result<Condition> {
    let object = node.object_beside(FIELD, BESIDE)?;
    let given = TESTS.iter().filter_map(|kind| Some((*kind, object.get(kind)?)));
    let given: Vec<_> = given.collect();
    if given.is_empty() {
        let tests = TESTS.join(", ");
        let none = "At least one field condition must be specified";
        return Err(node.expected(format!("a condition with at least 1 of {tests}: {none}")));
    }
    let key = FieldPath::read(&object.required("key")?)?;
    let tests = given.iter().map(|(kind, test)| read_test(kind, test));
    let tests = tests.map(|test| Ok(Condition::Field(key.clone(), test?)));
    let mut tests = tests.collect::<Result<Vec<_>>>()?;
    match tests.pop() {
        Some(only) if tests.is_empty() => Ok(only),
        // Of several, one has to pass.
        last => {
            let any = tests.into_iter().chain(last).fold(Filter::new(), Filter::should);
            Ok(Condition::Filter(any))
        }
    }
}

fn read_test(kind: &str, node: &Node<'_>) -> Result<Test> {
    Ok(match kind {
        "match" => Test::Match(read_match(node)?),
        "range" => read_range(node)?,
        "geo_bounding_box" | "geo_radius" | "geo_polygon" => Test::Geo(GeoArea::read(kind, node)?),
        "values_count" => Test::ValuesCount(read_bounds(node, Node::count)?),
        "is_empty" => Test::IsEmpty(node.bool()?),
        _ => Test::IsNull(node.bool()?),
    })
}

fn read_match(node: &Node<'_>) -> Result<Match> {
    let object = node.object(MATCHES)?;
    let Some((kind, values)) = object.only(MATCHES) else {
        let expected = format!("an object with exactly one of {}", MATCHES.join(", "));
        return Err(node.expected(expected));
    };
    let string = || values.text();
    match kind {
        "value" => read_scalar(&values).map(Match::Value),
        "any" => read_scalars(&values).map(Match::Any),
        "except" => read_scalars(&values).map(Match::Except),
        "text" => string().map(Match::text),
        "text_any" => string().map(Match::text_any),
        "phrase" => string().map(Match::phrase),
        "prefix" => string().map(Match::Prefix),
        _ => string().map(Match::Substring),
    }
}

fn read_scalar(node: &Node<'_>) -> Result<Scalar> {
    let scalar = match node.json() {
        Json::String(text) => Some(Scalar::String(text.into())),
        Json::Bool(value) => Some(Scalar::Bool(value)),
        Json::Number(number) => number.as_i64().map(Scalar::Integer),
        _ => None,
    };
    scalar.ok_or_else(|| node.expected("a string, an integer of 64 bits or a boolean"))
}

/// Strings or integers; of an empty list both are true.
fn read_scalars(node: &Node<'_>) -> Result<Scalars> {
    let values = node.array()?;
    if values.iter().all(|it| it.json().is_string()) {
        return values.iter().map(Node::text).collect();
    }
    let expected = || node.expected("strings, or integers of 64 bits");
    values.iter().map(|it| it.json().as_i64().ok_or_else(expected)).collect()
}

/// A bound that is a string makes it a range of datetimes.
fn read_range(node: &Node<'_>) -> Result<Test> {
    let object = node.object(BOUNDS)?;
    let is_text = |bound: &&str| object.get(bound).is_some_and(|it| it.json().is_string());
    if BOUNDS.iter().any(is_text) {
        return read_bounds(node, |bound| bound.parse(Datetime::EXPECTED)).map(Test::Datetime);
    }
    read_bounds(node, Node::number).map(Test::Range)
}

fn read_bounds<'a, T>(node: &Node<'a>, read: impl Fn(&Node<'a>) -> Result<T>) -> Result<Range<T>> {
    let object = node.object(BOUNDS)?;
    Range::try_from_bounds(|bound| object.map(bound, &read))
}
