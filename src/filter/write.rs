//! Filters to JSON.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{Condition, Filter, Match, MinShould, Range, Scalar, Scalars, Test};

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl Filter {
    pub(crate) fn to_json(&self) -> Value {
        let clauses =
            [("must", &self.must), ("should", &self.should), ("must_not", &self.must_not)];
        let given = clauses.into_iter().filter(|(_, conditions)| !conditions.is_empty());
        let mut object: Map<String, Value> =
            given.map(|(name, conditions)| (name.into(), list(conditions))).collect();
        if let Some(MinShould { conditions, min_count }) = &self.min_should {
            let min_should = json!({"conditions": list(conditions), "min_count": min_count});
            object.insert("min_should".into(), min_should);
        }
        object.into()
    }
}

fn list(conditions: &[Condition]) -> Value {
    conditions.iter().map(condition).collect()
}

fn condition(condition: &Condition) -> Value {
    match condition {
        Condition::Field(key, test) => field(key.to_string(), test),
        Condition::HasId(ids) => json!({"has_id": ids}),
        Condition::HasVector(name) => json!({"has_vector": name}),
        Condition::Nested(key, filter) => json!({"nested": {"key": key, "filter": filter}}),
        Condition::Filter(filter) => filter.to_json(),
    }
}

fn field(key: String, test: &Test) -> Value {
    match test {
        Test::Match(matched) => json!({"key": key, "match": matching(matched)}),
        Test::Range(range) => json!({"key": key, "range": bounds(range, |&it| json!(it))}),
        Test::Datetime(range) => {
            json!({"key": key, "range": bounds(range, |it| json!(it.to_string()))})
        }
        Test::ValuesCount(range) => {
            json!({"key": key, "values_count": bounds(range, |&it| json!(it))})
        }
        Test::IsEmpty(wanted) => json!({"key": key, "is_empty": wanted}),
        Test::IsNull(wanted) => json!({"key": key, "is_null": wanted}),
    }
}

fn matching(matched: &Match) -> Value {
    match matched {
        Match::Value(Scalar::String(value)) => json!({"value": value}),
        Match::Value(Scalar::Integer(value)) => json!({"value": value}),
        Match::Value(Scalar::Bool(value)) => json!({"value": value}),
        Match::Any(values) => json!({"any": scalars(values)}),
        Match::Except(values) => json!({"except": scalars(values)}),
    }
}

fn scalars(values: &Scalars) -> Value {
    match values {
        Scalars::Strings(values) => json!(values),
        Scalars::Integers(values) => json!(values),
    }
}

fn bounds<T>(range: &Range<T>, write: impl Fn(&T) -> Value) -> Value {
    let given = range.bounds().into_iter().filter_map(|(name, bound)| Some((name, bound?)));
    Value::Object(given.map(|(name, bound)| (name.into(), write(bound))).collect())
}
