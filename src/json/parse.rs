//! Text to a value, in which every field stands once.
//!
//! JSON lets a key stand twice in an object, and most readers keep the last: half of a filter would be
//! gone without a word. Here it is an error that names the place.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Node;
use crate::text::without_mark;
use crate::{Error, Result};

/// Reads a document of text: `what` it is, and the name that paths in it begin with.
pub(crate) fn read<T>(
    text: &str,
    what: &'static str,
    name: &'static str,
    read: impl FnOnce(&Node<'_>) -> Result<T>,
) -> Result<T> {
    let twice = Cell::new(None);
    let mut text = serde_json::Deserializer::from_str(without_mark(text));
    let value = At { place: &Place::Root(name), twice: &twice }.deserialize(&mut text);
    let value = value.and_then(|value| text.end().map(|()| value));
    match (value, twice.take()) {
        (Ok(value), _) => read(&Node::root(&value, name)),
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
    let seed = At { place: &Place::Root(name), twice: &Cell::new(None) };
    read(&Node::root(&seed.deserialize(deserializer)?, name)).map_err(de::Error::custom)
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

/// Reads the value at a place; `twice` gets the place of a field that stands there again.
#[derive(Clone, Copy)]
struct At<'a> {
    place: &'a Place<'a>,
    twice: &'a Cell<Option<String>>,
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
        let mut elements = Vec::new();
        loop {
            let place = Place::Element(self.place, elements.len());
            match from.next_element_seed(At { place: &place, ..self })? {
                Some(element) => elements.push(element),
                None => return Ok(elements.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            let place = Place::Field(self.place, &key);
            if key == NUMBER {
                let number = from.next_value::<String>()?.parse().map(Value::Number);
                return number.map_err(de::Error::custom);
            }
            if fields.contains_key(&key) {
                self.twice.set(Some(place.to_string()));
                return Err(de::Error::custom(format!("expected {place} once, got it again")));
            }
            let value = from.next_value_seed(At { place: &place, ..self })?;
            fields.insert(key, value);
        }
        Ok(fields.into())
    }
}

/// The key of a number in serde_json, where a host turned on its feature for arbitrary precision.
const NUMBER: &str = "$serde_json::private::Number";
