//! Values of payloads, and ids: from messages and to them.

use std::collections::HashMap;

use prost_types::Timestamp;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{self, ListValue, NullValue, Struct, point_id};
use serde_json::Value;

use super::spell::{Spell, Spelled, Unspell, list, map};
use crate::filter::{self, Payload};
use crate::json::Tree;
use crate::server::refusal::Refusal;

impl Spell for qdrant::Value {
    fn spell(self) -> Spelled {
        match self.kind {
            None | Some(Kind::NullValue(_)) => Ok(Tree::Null),
            Some(Kind::BoolValue(value)) => value.spell(),
            Some(Kind::IntegerValue(value)) => value.spell(),
            // A payload would take the word for it.
            Some(Kind::DoubleValue(value)) if !value.is_finite() => {
                Err(Refusal::wrong(format!("expected a finite number in a payload, got {value}")))
            }
            Some(Kind::DoubleValue(value)) => value.spell(),
            Some(Kind::StringValue(value)) => value.spell(),
            Some(Kind::ListValue(ListValue { values })) => list(values),
            Some(Kind::StructValue(Struct { fields })) => map(fields),
        }
    }
}

impl Unspell for qdrant::Value {
    fn unspell(json: &Value) -> Self {
        message(json.clone())
    }
}

/// A value of a payload, as a message.
fn message(value: Value) -> qdrant::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(NullValue::NullValue.into()),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Kind::IntegerValue(integer),
            None => Kind::DoubleValue(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(message).collect() })
        }
        Value::Object(fields) => Kind::StructValue(Struct { fields: payload(fields) }),
    };
    qdrant::Value { kind: Some(kind) }
}

/// A payload, as a message has it.
pub(super) fn payload(payload: Payload) -> HashMap<String, qdrant::Value> {
    payload.into_iter().map(|(key, value)| (key, message(value))).collect()
}

impl Spell for qdrant::PointId {
    fn spell(self) -> Spelled {
        match self.point_id_options {
            Some(point_id::PointIdOptions::Num(number)) => number.spell(),
            Some(point_id::PointIdOptions::Uuid(uuid)) => uuid.spell(),
            None => Ok(Tree::Null),
        }
    }
}

/// In RFC 3339.
impl Spell for Timestamp {
    fn spell(self) -> Spelled {
        self.to_string().spell()
    }
}

/// An id, as a message.
pub(super) fn id(id: filter::PointId) -> qdrant::PointId {
    match id {
        filter::PointId::Number(number) => number.into(),
        filter::PointId::Uuid(uuid) => uuid.to_string().into(),
    }
}
