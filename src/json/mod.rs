//! JSON, read with the path of what was wrong.
//!
//! The shapes that we read are unions without tags: derived readers say that "no variant matched".
//! Here every error names its place, what was expected there, and what came.

mod fields;
mod foreign;
mod integers;
mod parse;
mod quick;
mod tree;
mod values;

use std::fmt::{self, Display, Write};

pub(crate) use foreign::Foreign;
use foreign::Otherwise;
#[cfg(feature = "server")]
pub(crate) use parse::parse;
pub(crate) use parse::{deserialize, read};
use serde_json::{Map, Value};
pub(crate) use tree::{Elements, Field, Json, Tree};
pub(crate) use values::{difference, discard, entry, merge, merged, object};

use crate::{Error, Result};

/// A value, and where in its document it stands, for example `filter.must[2].range`.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    json: Json<'a>,
    path: String,
}

impl<'a> Node<'a> {
    /// A whole document.
    pub fn root(tree: &'a Tree, name: impl Into<String>) -> Self {
        Self { json: tree.json(), path: name.into() }
    }

    /// The value, unread.
    pub fn json(&self) -> Json<'a> {
        self.json
    }

    /// Error that says that something else was expected here.
    pub fn expected(&self, expected: impl Into<String>) -> Error {
        let (path, expected) = (self.path.clone(), expected.into());
        Error::InvalidJson { path, expected, got: excerpt(self.json) }
    }

    /// Error that says that what stands here is wrong in another way than by its shape.
    pub fn wrong(&self, source: Error) -> Error {
        Error::InJson { path: self.path.clone(), source: Box::new(source) }
    }

    /// Error that says that what stands here is Qdrant's, and not ours.
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
        for (field, value) in object.fields.iter().filter(|(key, _)| !known.contains(&&**key)) {
            let foreign = foreign.iter().find(|it| *it.field == **field);
            match (foreign, object.given(field, value)) {
                (Some(_), None) => {}
                (Some(foreign), Some(node)) if (foreign.fits)(node.json) => {}
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
        let Json::Object(fields) = self.json else { return Err(self.expected("an object")) };
        Ok(Object { fields, path: self.path.clone() })
    }

    /// The elements of an array.
    pub fn array(&self) -> Result<Vec<Self>> {
        let Json::Array(elements) = self.json else { return Err(self.expected("an array")) };
        Ok(self.elements(elements))
    }

    /// The elements of an array, or the one value that stands for an array of one.
    pub fn one_or_many(&self) -> Vec<Self> {
        match self.json {
            Json::Array(elements) => self.elements(elements),
            _ => vec![self.clone()],
        }
    }

    fn elements(&self, elements: Elements<'a>) -> Vec<Self> {
        elements.iter().enumerate().map(|(at, json)| self.element(at, json)).collect()
    }

    /// One of the elements of an array.
    pub fn element(&self, at: usize, json: Json<'a>) -> Self {
        Self { json, path: format!("{}[{at}]", self.path) }
    }

    pub fn string(&self) -> Result<&'a str> {
        self.json.as_str().ok_or_else(|| self.expected("a string"))
    }

    /// A string, to keep.
    pub fn text(&self) -> Result<String> {
        self.string().map(String::from)
    }

    pub fn bool(&self) -> Result<bool> {
        self.json.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    pub fn number(&self) -> Result<f64> {
        self.json.as_f64().ok_or_else(|| self.expected("a number"))
    }

    pub fn count(&self) -> Result<usize> {
        let count = self.json.as_u64().and_then(|count| usize::try_from(count).ok());
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
        self.json.as_f32().ok_or_else(|| self.expected("a number that f32 holds"))
    }

    /// An array of numbers.
    pub fn f32s(&self) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        match (self.json.append_to(&mut values), self.json) {
            (Some(_), _) => Ok(values),
            // A path for each of thousands of numbers would cost more than reading them.
            (None, Json::Array(elements)) => {
                self.elements(elements).iter().map(Self::f32).collect()
            }
            (None, _) => Err(self.expected("an array of numbers")),
        }
    }

    /// Parses a string by `FromStr`.
    pub fn parse<T: std::str::FromStr>(&self, expected: &'static str) -> Result<T> {
        self.string()?.parse().map_err(|_| self.expected(expected))
    }
}

/// An object, and where it stands.
pub(crate) struct Object<'a> {
    fields: &'a [Field],
    path: String,
}

impl<'a> Object<'a> {
    /// A field; `null` is as good as no field.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        let (key, value) = self.fields.iter().find(|(name, _)| **name == *key)?;
        self.given(key, value)
    }

    /// A value in it, unless that is `null`.
    fn given(&self, key: &str, value: &'a Tree) -> Option<Node<'a>> {
        let json = Some(value.json()).filter(|it| !it.is_null())?;
        Some(Node { json, path: format!("{}.{key}", self.path) })
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
        let given = self.fields.iter().filter(|(key, _)| !known.contains(&&**key));
        let given = given.map(|(key, value)| (&**key, value.json()));
        given.filter(|(_, it)| !it.is_null()).map(|(key, it)| (key.into(), it.to_value())).collect()
    }

    /// All fields, as serde_json has them.
    pub fn to_map(&self) -> Map<String, Value> {
        let fields = self.fields.iter();
        fields.map(|(key, value)| (String::from(&**key), value.json().to_value())).collect()
    }

    /// The field that is given of two names for one thing.
    pub fn either(&self, names: [&'static str; 2]) -> Result<Option<Node<'a>>> {
        let [first, second] = names.map(|name| self.get(name));
        match (first, second) {
            (Some(_), Some(second)) => Err(Error::InvalidJson {
                path: second.path,
                expected: format!("left out, as it is another name of {}", names[0]),
                got: excerpt(second.json),
            }),
            (first, second) => Ok(first.or(second)),
        }
    }

    /// Every field that is not `null`.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        self.fields.iter().filter_map(|(key, value)| Some((&**key, self.given(key, value)?)))
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

/// The beginning of a value, for an error message.
fn excerpt(value: impl Display) -> String {
    let mut beginning = Beginning(String::new());
    match write!(beginning, "{value}") {
        Ok(()) => beginning.0,
        Err(fmt::Error) => beginning.0 + " …",
    }
}

/// A writer that has enough after some characters.
struct Beginning(String);

impl Beginning {
    const MOST: usize = 60;
}

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = Self::MOST - self.0.chars().count();
        match text.char_indices().nth(room) {
            None => self.0.push_str(text),
            Some((end, _)) => {
                self.0.push_str(&text[..end]);
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}
