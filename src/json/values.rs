//! serde_json's values: written, merged, compared, dropped.

use serde::ser::{Serialize, SerializeMap};
use serde_json::{Map, Value};

use super::excerpt;

/// An object without the fields that are `null`.
pub(crate) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(key, value)| (key.into(), value)).collect())
}

/// Writes a field, if it is given.
pub(crate) fn entry<M: SerializeMap>(
    map: &mut M,
    key: &str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}

/// Adds what `more` has, in objects that both have too; elsewhere that of `more` counts.
pub(crate) fn merge(value: &mut Value, more: &Value) {
    match (value, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, more) in more {
                merge(fields.entry(key).or_insert(Value::Null), more);
            }
        }
        (value, more) => value.clone_from(more),
    }
}

/// Fields, and with them those of an object, which count where both have one, unless they are `null`.
pub(crate) fn merged(fields: &Map<String, Value>, own: &Value) -> Value {
    let mut merged = Value::Object(fields.clone());
    let given = own.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    merge(&mut merged, &Value::Object(given.map(|(key, it)| (key.clone(), it.clone())).collect()));
    merged
}

/// The first place in which two documents differ, with what the one and the other have there.
pub(crate) fn difference(name: &str, a: &Value, b: &Value) -> Option<String> {
    let (Value::Object(fields), Value::Object(others)) = (a, b) else {
        return (a != b).then(|| format!("{name} is {}, not {}", excerpt(a), excerpt(b)));
    };
    let keys = fields.keys().chain(others.keys().filter(|key| !fields.contains_key(*key)));
    let nothing = &Value::Null;
    keys.into_iter().find_map(|key| {
        let [a, b] = [fields, others].map(|fields| fields.get(key).unwrap_or(nothing));
        difference(&format!("{name}.{key}"), a, b)
    })
}

/// Drops an object one value after the other. serde_json's own way takes stack for each level, and there may
/// be more of them than it has room for.
pub(crate) fn discard(object: Map<String, Value>) {
    let mut left: Vec<Value> = object.into_iter().map(|(_, value)| value).collect();
    while let Some(value) = left.pop() {
        match value {
            Value::Array(elements) => left.extend(elements),
            Value::Object(fields) => left.extend(fields.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
}
