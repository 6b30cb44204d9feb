//! [`FieldPath`]: where in a payload a value stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::json::{self, Node};
use crate::{Error, Result};

/// The key of a payload field, as in Qdrant: `a`, `a.b`, `a[0]`, `a[].b` for every element of an
/// array, `"a.b".c` for a key with other characters than letters, digits, `_` and `-`.
///
/// ```
/// use maxfold::filter::FieldPath;
///
/// let path: FieldPath = r#"authors[]."full name""#.parse()?;
/// let payload = serde_json::json!({"authors": [{"full name": "Ada"}, {"full name": "Grace"}, 3]});
/// let names: Vec<_> = path.values(payload.as_object().unwrap()).collect();
/// assert_eq!(names, ["Ada", "Grace"]);
/// assert!("authors[".parse::<FieldPath>().is_err());
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    pub(super) first: String,
    pub(super) rest: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    Key(String),
    Index(usize),
    Every,
}

pub(super) const EXPECTED: &str = "a payload key like a, a.b, a[0], a[].b or \"a b\".c";

impl FieldPath {
    /// The values that stand there: none, one, or, through `[]`, several.
    pub fn values<'a>(&self, payload: &'a Map<String, Value>) -> impl Iterator<Item = &'a Value> {
        let first = payload.get(&self.first);
        // At the top, where most fields stand, no list is needed.
        let (top, mut below) = match self.rest.is_empty() {
            true => (first, Vec::new()),
            false => (None, Vec::from_iter(first)),
        };
        for step in &self.rest {
            below = below.into_iter().flat_map(|value| step.below(value)).collect();
        }
        top.into_iter().chain(below)
    }

    /// The values that stand there, and instead of an array its elements.
    pub(crate) fn elements<'a>(
        &self,
        payload: &'a Map<String, Value>,
    ) -> impl Iterator<Item = &'a Value> {
        elements(self.values(payload))
    }

    /// Number of steps down from the payload.
    pub(crate) fn depth(&self) -> usize {
        1 + self.rest.len()
    }

    /// The same path, with `[]` at its end, if it has none there.
    pub(super) fn every_element(&self) -> Self {
        let mut path = self.clone();
        if path.rest.last() != Some(&Step::Every) {
            path.rest.push(Step::Every);
        }
        path
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        node.parse(EXPECTED)
    }
}

/// The values, and instead of an array its elements.
pub(super) fn elements<'a>(
    values: impl Iterator<Item = &'a Value>,
) -> impl Iterator<Item = &'a Value> {
    values.flat_map(|value| match value {
        Value::Array(elements) => elements.as_slice(),
        _ => std::slice::from_ref(value),
    })
}

impl Step {
    fn below<'a>(&self, value: &'a Value) -> &'a [Value] {
        let found = match (self, value) {
            (Self::Key(key), Value::Object(map)) => map.get(key),
            (Self::Index(index), Value::Array(array)) => array.get(*index),
            (Self::Every, Value::Array(array)) => return array,
            _ => None,
        };
        found.map(std::slice::from_ref).unwrap_or_default()
    }
}

impl FromStr for FieldPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| Error::InvalidParameter {
            name: "the key",
            expected: EXPECTED.into(),
            got: text.into(),
        })
    }
}

fn parse(text: &str) -> Option<FieldPath> {
    let (first, mut left) = key(text)?;
    let mut rest = Vec::new();
    while !left.is_empty() {
        let step = match left.strip_prefix('.') {
            Some(dotted) => key(dotted).map(|(key, left)| (Step::Key(key), left)),
            None => bracket(left),
        };
        let (step, after) = step?;
        rest.push(step);
        left = after;
    }
    Some(FieldPath { first, rest })
}

/// A key at the beginning, and what is left.
fn key(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (key, left) = quoted.split_once('"')?;
        return (!key.contains('\\')).then(|| (key.into(), left));
    }
    let end = text.find(|c: char| !is_plain(c)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].into(), &text[end..]))
}

/// `[]` or `[3]` at the beginning, and what is left.
fn bracket(text: &str) -> Option<(Step, &str)> {
    let (inside, left) = text.strip_prefix('[')?.split_once(']')?;
    if inside.is_empty() {
        return Some((Step::Every, left));
    }
    let digits = inside.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| inside.parse().ok()).flatten().map(|index| (Step::Index(index), left))
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_key(f, &self.first)?;
        self.rest.iter().try_for_each(|step| match step {
            Step::Key(key) => f.write_str(".").and_then(|()| write_key(f, key)),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Every => f.write_str("[]"),
        })
    }
}

fn write_key(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    match !key.is_empty() && key.chars().all(is_plain) {
        true => f.write_str(key),
        false => write!(f, "\"{key}\""),
    }
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, "key", Self::read)
    }
}
