//! JSON, read with the path of what was wrong.
//!
//! The shapes that we read are unions without tags: derived readers say that "no variant matched".
//! Here every error names its place, what was expected there, and what came.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::text::without_mark;
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
        let object = self.any_object()?;
        match object.map.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(object),
            Some(field) => {
                let (path, field) = (self.path.clone(), field.clone());
                Err(Error::UnknownField { path, field, known })
            }
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

    /// What `FromStr` makes of a string.
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

    /// Which of some fields is given, if exactly one is.
    pub fn only(&self, keys: &[&'static str]) -> Option<(&'static str, Node<'a>)> {
        let mut given = keys.iter().filter_map(|key| Some((*key, self.get(key)?)));
        given.next().filter(|_| given.next().is_none())
    }

    /// Whether the field is there, be it `null`.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
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

/// Reads a document of text.
pub(crate) fn parse(text: &str, what: &'static str) -> Result<Value> {
    serde_json::from_str(without_mark(text)).map_err(|source| Error::MalformedJson { what, source })
}

/// Reads a document from any format of serde's.
pub(crate) fn deserialize<'de, D, T>(
    deserializer: D,
    read: impl FnOnce(&Value) -> Result<T>,
) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
{
    read(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// An object without the fields that are `null`.
pub(crate) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(key, value)| (key.into(), value)).collect())
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
