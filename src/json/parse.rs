//! Text to a [`Tree`], in which every field stands once.
//!
//! JSON lets a key stand twice in an object, and most readers keep the last: half of a filter would be
//! gone without a word. Here it is an error that names the place.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::fields::{DEEPEST, Fields, NUMBER};
use super::integers::Huge;
use super::tree::Packed;
use super::{Node, Tree, quick};
use crate::text::without_mark;
use crate::{Error, Result};

/// Reads a document of text: `what` it is, and the name that paths in it begin with.
pub(crate) fn read<T>(
    text: &str,
    what: &'static str,
    name: &'static str,
    read: impl FnOnce(&Node<'_>) -> Result<T>,
) -> Result<T> {
    read(&Node::root(&parse(text, what, name)?, name))
}

/// A document of text, as it is.
pub(crate) fn parse(text: &str, what: &'static str, name: &'static str) -> Result<Tree> {
    let document = without_mark(text);
    if let Some(tree) = quick::parse(document) {
        return Ok(tree);
    }
    let found = Found::default();
    let mut from = serde_json::Deserializer::from_str(document);
    let tree = At::root(&Place::Root(name), &found).deserialize(&mut from);
    let tree = tree.and_then(|tree| from.end().map(|()| tree));
    match (tree, found.twice.take()) {
        (Ok(tree), _) => found.huge.check(text).map(|()| tree),
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
    let tree = At::root(&Place::Root(name), &found).deserialize(deserializer)?;
    read(&Node::root(&tree, name)).map_err(de::Error::custom)
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

/// Faults of a document that serde reads all the same, and what helps to read on.
#[derive(Default)]
struct Found {
    /// The place of a field that stands there again.
    twice: Cell<Option<String>>,
    huge: Huge,
    /// Numbers in the last array of them: rows are mostly of one length.
    row: Cell<usize>,
}

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
    type Value = Tree;

    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<Tree, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what JSON can hold")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: de::Deserializer<'de>>(self, from: D) -> Result<Tree, D::Error> {
        self.deserialize(from)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        self.found.huge.note(value, self.place);
        let number = Number::from_f64(value).map(Tree::Number);
        number
            .ok_or_else(|| E::custom(format!("expected {} to be finite, got {value}", self.place)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::String(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::String(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let (below, mut elements) = (self.below()?, Packed::new(self.found.row.get()));
        loop {
            let place = Place::Element(self.place, elements.len());
            match from.next_element_seed(At { place: &place, ..below })? {
                Some(element) => elements.push(element),
                None => break,
            }
        }
        if let Packed::Numbers { list, .. } = &elements {
            self.found.row.set(list.len());
        }
        Ok(elements.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let (below, mut fields) = (self.below()?, Fields::default());
        while let Some(key) = from.next_key::<Box<str>>()? {
            let place = Place::Field(self.place, &key);
            if *key == *NUMBER {
                let number = from.next_value::<String>()?.parse().map(Tree::Number);
                return number.map_err(de::Error::custom);
            }
            if fields.have(&key) {
                self.found.twice.set(Some(place.to_string()));
                return Err(de::Error::custom(format!("expected {place} once, got it again")));
            }
            let value = from.next_value_seed(At { place: &place, ..below })?;
            fields.push(key, value);
        }
        Ok(Tree::Object(fields.list.into()))
    }
}
