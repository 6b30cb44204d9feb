//! JSON, read with the path of what was wrong.
//!
//! The shapes that we read are unions without tags: derived readers say that "no variant matched".
//! Here every error names its place, what was expected there, and what came.

mod foreign;
mod integers;
mod parse;

use std::fmt::Write;

pub(crate) use foreign::Foreign;
use foreign::Otherwise;
pub(crate) use parse::{deserialize, read};

use serde::ser::{Serialize, SerializeMap};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// A value, and where in its document it stands, for example `filter.must[2].range`.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    /// A whole document.
    pub fn root(value: &'a Value, name: &str) -> Self {
        Self { value, path: name.into() }
    }

    /// The value, unread.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// That something else was expected here.
    pub fn expected(&self, expected: impl Into<String>) -> Error {
        let (path, expected) = (self.path.clone(), expected.into());
        Error::InvalidJson { path, expected, got: excerpt(self.value) }
    }

    /// That what stands here is wrong in another way than by its shape.
    pub fn wrong(&self, source: Error) -> Error {
        Error::InJson { path: self.path.clone(), source: Box::new(source) }
    }

    /// That what stands here is Qdrant's, and not ours.
    pub fn unsupported(&self, what: &'static str) -> Error {
        Error::Unsupported { path: self.path.clone(), what }
    }

    /// An object with no other fields than `known`.
    pub fn object(&self, known: &'static [&'static str]) -> Result<Object<'a>> {
        self.object_beside(known, &[])
    }

    /// An object with no other fields than `known`, and those of Qdrant's that ask for nothing here.
    pub fn object_beside(
        &self,
        known: &'static [&'static str],
        foreign: &[Foreign],
    ) -> Result<Object<'a>> {
        let object = self.any_object()?;
        for field in object.map.keys().filter(|field| !known.contains(&field.as_str())) {
            let foreign = foreign.iter().find(|it| it.field == field);
            match (foreign, object.get(field)) {
                (Some(_), None) => {}
                (Some(foreign), Some(node)) if (foreign.fits)(node.value) => {}
                (foreign, node) => return Err(self.foreign(field, known, foreign.zip(node))),
            }
        }
        Ok(object)
    }

    fn foreign(
        &self,
        field: &str,
        known: &'static [&'static str],
        found: Option<(&Foreign, Node<'_>)>,
    ) -> Error {
        match found {
            Some((Foreign { otherwise: Otherwise::Unsupported(what), .. }, node)) => {
                node.unsupported(what)
            }
            Some((Foreign { otherwise: Otherwise::Expected(what), .. }, node)) => {
                node.expected(*what)
            }
            _ => Error::UnknownField { path: self.path.clone(), field: field.into(), known },
        }
    }

    /// An object, whatever its fields.
    pub fn any_object(&self) -> Result<Object<'a>> {
        let map = self.value.as_object().ok_or_else(|| self.expected("an object"))?;
        Ok(Object { map, path: self.path.clone() })
    }

    /// The elements of an array.
    pub fn array(&self) -> Result<Vec<Self>> {
        let values = self.value.as_array().ok_or_else(|| self.expected("an array"))?;
        Ok(self.elements(values))
    }

    /// The elements of an array, or the one value that stands for an array of one.
    pub fn one_or_many(&self) -> Vec<Self> {
        match self.value {
            Value::Array(values) => self.elements(values),
            _ => vec![self.clone()],
        }
    }

    fn elements(&self, values: &'a [Value]) -> Vec<Self> {
        let path = |index| format!("{}[{index}]", self.path);
        values.iter().enumerate().map(|(at, value)| Self { value, path: path(at) }).collect()
    }

    pub fn string(&self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.expected("a string"))
    }

    pub fn bool(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    pub fn number(&self) -> Result<f64> {
        self.value.as_f64().ok_or_else(|| self.expected("a number"))
    }

    pub fn count(&self) -> Result<usize> {
        let count = self.value.as_u64().and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| self.expected("an integer of at least 0"))
    }

    /// A count that is not 0.
    pub fn positive(&self) -> Result<usize> {
        match self.count()? {
            0 => Err(self.expected("at least 1")),
            count => Ok(count),
        }
    }

    pub fn f32(&self) -> Result<f32> {
        let narrow = self.value.as_f64().map(|value| value as f32).filter(|it| it.is_finite());
        narrow.ok_or_else(|| self.expected("a number that f32 holds"))
    }

    /// An array of numbers.
    pub fn f32s(&self) -> Result<Vec<f32>> {
        let values = self.value.as_array().ok_or_else(|| self.expected("an array of numbers"))?;
        // A path for each of thousands of numbers would cost more than reading them.
        let read = |value: &Value| value.as_f64().map(|it| it as f32).filter(|it| it.is_finite());
        let numbers: Option<Vec<f32>> = values.iter().map(read).collect();
        match numbers {
            Some(numbers) => Ok(numbers),
            None => self.elements(values).iter().map(Self::f32).collect(),
        }
    }

    /// Parses a string by `FromStr`.
    pub fn parse<T: std::str::FromStr>(&self, expected: &'static str) -> Result<T> {
        self.string()?.parse().map_err(|_| self.expected(expected))
    }
}

/// An object, and where it stands.
pub(crate) struct Object<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Object<'a> {
    /// A field; `null` is as good as no field.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(Node { value, path: format!("{}.{key}", self.path) })
    }

    /// A field that has to be there.
    pub fn required(&self, key: &'static str) -> Result<Node<'a>> {
        self.get(key).ok_or_else(|| Error::InvalidJson {
            path: format!("{}.{key}", self.path),
            expected: "given".into(),
            got: "nothing".into(),
        })
    }

    /// The one of some fields that is given, if exactly one is.
    pub fn only(&self, keys: &[&'static str]) -> Option<(&'static str, Node<'a>)> {
        let mut given = keys.iter().filter_map(|key| Some((*key, self.get(key)?)));
        given.next().filter(|_| given.next().is_none())
    }

    /// The given fields that are none of `known`.
    pub fn beside(&self, known: &[&str]) -> Map<String, Value> {
        let given = self
            .map
            .iter()
            .filter(|(key, value)| !value.is_null() && !known.contains(&key.as_str()));
        given.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The field that is given of two names for one thing.
    pub fn either(&self, names: [&'static str; 2]) -> Result<Option<Node<'a>>> {
        let [first, second] = names.map(|name| self.get(name));
        match (first, second) {
            (Some(_), Some(second)) => Err(Error::InvalidJson {
                path: second.path,
                expected: format!("left out, as it is another name of {}", names[0]),
                got: excerpt(second.value),
            }),
            (first, second) => Ok(first.or(second)),
        }
    }

    /// Every field that is not `null`.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        self.map.keys().filter_map(|key| Some((key.as_str(), self.get(key)?)))
    }

    /// A field that may be missing.
    pub fn map<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Node<'a>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.get(key).as_ref().map(read).transpose()
    }
}

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

/// The beginning of a value, for an error message.
fn excerpt(value: &Value) -> String {
    const MOST: usize = 60;
    let mut text = String::new();
    // Writing to a String doesn't fail.
    let _ = write!(text, "{value}");
    match text.char_indices().nth(MOST) {
        None => text,
        Some((end, _)) => format!("{} …", &text[..end]),
    }
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
