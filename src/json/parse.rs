//! Text to a value, in which every field stands once.
//!
//! JSON lets a key stand twice in an object, and most readers keep the last: half of a filter would be
//! gone without a word. Here it is an error that names the place.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Node;
use super::integers::Huge;
use crate::text::without_mark;
use crate::{Error, Result};

/// Reads a document of text: `what` it is, and the name that paths in it begin with.
pub(crate) fn read<T>(
    text: &str,
    what: &'static str,
    name: &'static str,
    read: impl FnOnce(&Node<'_>) -> Result<T>,
) -> Result<T> {
    let found = Found::default();
    let mut from = serde_json::Deserializer::from_str(without_mark(text));
    let value = At::root(&Place::Root(name), &found).deserialize(&mut from);
    let value = value.and_then(|value| from.end().map(|()| value));
    match (value, found.twice.take()) {
        (Ok(value), _) => {
            found.huge.check(text)?;
            read(&Node::root(&value, name))
        }
        (Err(fault), None) => Err(Error::malformed_json(what, &fault)),
        (Err(fault), Some(path)) => {
            Err(Error::DuplicateField { path, line: fault.line(), column: fault.column() })
        }
    }
}

/// Reads a document from any format of serde's.
pub(crate) fn deserialize<'de, D, T>(
    deserializer: D,
    name: &'static str,
    read: impl FnOnce(&Node<'_>) -> Result<T>,
) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let found = Found::default();
    let value = At::root(&Place::Root(name), &found).deserialize(deserializer)?;
    read(&Node::root(&value, name)).map_err(de::Error::custom)
}

/// A place in a document.
enum Place<'a> {
    Root(&'a str),
    Field(&'a Place<'a>, &'a str),
    Element(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Field(above, key) => write!(f, "{above}.{key}"),
            Self::Element(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

/// Fault of a document that serde reads all the same.
#[derive(Default)]
struct Found {
    /// The place of a field that stands there again.
    twice: Cell<Option<String>>,
    huge: Huge,
}

/// serde_json's own limit of levels, which other formats don't have.
const DEEPEST: usize = 128;

/// Reads the value at a place, with so many levels left below.
#[derive(Clone, Copy)]
struct At<'a> {
    place: &'a Place<'a>,
    levels: usize,
    found: &'a Found,
}

impl<'a> At<'a> {
    fn root(place: &'a Place<'a>, found: &'a Found) -> Self {
        Self { place, levels: DEEPEST, found }
    }

    /// One level below.
    fn below<E: de::Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1);
        let deep = || E::custom(format!("expected at most {DEEPEST} levels, got more"));
        Ok(Self { levels: levels.ok_or_else(deep)?, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what JSON can hold")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: de::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.deserialize(from)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.found.huge.note(value, self.place);
        let number = Number::from_f64(value).map(Value::Number);
        number
            .ok_or_else(|| E::custom(format!("expected {} to be finite, got {value}", self.place)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let (below, mut elements) = (self.below()?, Vec::new());
        loop {
            let place = Place::Element(self.place, elements.len());
            match from.next_element_seed(At { place: &place, ..below })? {
                Some(element) => elements.push(element),
                None => return Ok(elements.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let (below, mut fields) = (self.below()?, Map::new());
        while let Some(key) = from.next_key::<String>()? {
            let place = Place::Field(self.place, &key);
            if key == NUMBER {
                let number = from.next_value::<String>()?.parse().map(Value::Number);
                return number.map_err(de::Error::custom);
            }
            if fields.contains_key(&key) {
                self.found.twice.set(Some(place.to_string()));
                return Err(de::Error::custom(format!("expected {place} once, got it again")));
            }
            let value = from.next_value_seed(At { place: &place, ..below })?;
            fields.insert(key, value);
        }
        Ok(fields.into())
    }
}

/// The key of a number in serde_json, where a host turned on its feature for arbitrary precision.
const NUMBER: &str = "$serde_json::private::Number";
