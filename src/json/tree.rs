//! [`Tree`]: a document that was read, in which arrays of numbers are packed.
//!
//! serde_json's own values take 32 bytes a number and hundreds an object. Vectors are most of what we read.

use std::fmt;

use serde_json::{Number, Value};

use crate::decimal::spelled;

/// A value, and all that is in it. Fields are in the order of the text; each stands once.
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    String(Box<str>),
    /// An array of nothing but numbers.
    Numbers(Box<[Number]>),
    /// An array of numbers that came as f32, from elsewhere than from text; they may be no numbers.
    #[cfg_attr(not(any(feature = "grpc", test)), expect(dead_code))]
    Floats(Vec<f32>),
    Array(Box<[Tree]>),
    Object(Box<[Field]>),
}

pub(crate) type Field = (Box<str>, Tree);

/// A value of a [`Tree`], to look at.
#[derive(Clone, Copy)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(&'a Number),
    Float(f32),
    String(&'a str),
    Array(Elements<'a>),
    Object(&'a [Field]),
}

/// Elements of an array.
#[derive(Clone, Copy)]
pub(crate) enum Elements<'a> {
    Numbers(&'a [Number]),
    Floats(&'a [f32]),
    Any(&'a [Tree]),
}

impl Tree {
    pub fn json(&self) -> Json<'_> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Number(number) => Json::Number(number),
            Self::String(text) => Json::String(text),
            Self::Numbers(numbers) => Json::Array(Elements::Numbers(numbers)),
            Self::Floats(values) => Json::Array(Elements::Floats(values)),
            Self::Array(elements) => Json::Array(Elements::Any(elements)),
            Self::Object(fields) => Json::Object(fields),
        }
    }
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::String(text.as_str().into()),
            Value::Array(elements) => elements.iter().map(Self::from).collect::<Packed>().into(),
            Value::Object(fields) => Self::Object(
                fields.iter().map(|(key, value)| (key.as_str().into(), value.into())).collect(),
            ),
        }
    }
}

/// Elements of an array while it is read: packed as long as all are numbers.
pub(super) enum Packed {
    Numbers {
        list: Vec<Number>,
        /// Number of elements that there may be in the end.
        likely: usize,
    },
    Any(Vec<Tree>),
}

impl Packed {
    /// Most numbers for which there is room before they come.
    const AHEAD: usize = 1 << 12;

    pub fn new(likely: usize) -> Self {
        Self::Numbers { list: Vec::new(), likely: likely.min(Self::AHEAD) }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Numbers { list, .. } => list.len(),
            Self::Any(elements) => elements.len(),
        }
    }

    /// Adds a number; without the way by [`Tree`], as there are millions of them.
    #[inline]
    pub fn push_number(&mut self, number: Number) {
        match self {
            Self::Numbers { list, likely } => {
                if list.is_empty() {
                    list.reserve(*likely);
                }
                list.push(number);
            }
            Self::Any(elements) => elements.push(Tree::Number(number)),
        }
    }

    pub fn push(&mut self, element: Tree) {
        match (&mut *self, element) {
            (Self::Numbers { .. }, Tree::Number(number)) => self.push_number(number),
            (Self::Any(elements), element) => elements.push(element),
            (Self::Numbers { list, .. }, element) => {
                let before = std::mem::take(list).into_iter().map(Tree::Number);
                *self = Self::Any(before.chain([element]).collect());
            }
        }
    }
}

impl FromIterator<Tree> for Packed {
    fn from_iter<I: IntoIterator<Item = Tree>>(elements: I) -> Self {
        let mut packed = Self::new(0);
        elements.into_iter().for_each(|element| packed.push(element));
        packed
    }
}

impl From<Packed> for Tree {
    fn from(packed: Packed) -> Self {
        match packed {
            Packed::Numbers { list, .. } => Self::Numbers(list.into()),
            Packed::Any(elements) => Self::Array(elements.into()),
        }
    }
}

impl<'a> Elements<'a> {
    pub fn is_empty(self) -> bool {
        matches!(self, Self::Numbers([]) | Self::Floats([]) | Self::Any([]))
    }

    pub fn iter(self) -> impl Iterator<Item = Json<'a>> {
        let (numbers, floats, any): (&[_], &[_], &[_]) = match self {
            Self::Numbers(numbers) => (numbers, &[], &[]),
            Self::Floats(values) => (&[], values, &[]),
            Self::Any(elements) => (&[], &[], elements),
        };
        let floats = floats.iter().copied().map(Json::Float);
        numbers.iter().map(Json::Number).chain(floats).chain(any.iter().map(Tree::json))
    }
}

impl<'a> Json<'a> {
    pub fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    pub fn is_string(self) -> bool {
        matches!(self, Self::String(_))
    }

    pub fn is_object(self) -> bool {
        matches!(self, Self::Object(_))
    }

    pub fn as_str(self) -> Option<&'a str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    pub fn as_bool(self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(value) } else { None }
    }

    pub fn as_u64(self) -> Option<u64> {
        if let Self::Number(number) = self { number.as_u64() } else { None }
    }

    pub fn as_i64(self) -> Option<i64> {
        if let Self::Number(number) = self { number.as_i64() } else { None }
    }

    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Float(value) => Some(spelled(value)).filter(|it| it.is_finite()),
            _ => None,
        }
    }

    /// Number rounded to f32, if that is finite.
    pub fn as_f32(self) -> Option<f32> {
        match self {
            Self::Number(number) => narrowed(number),
            Self::Float(value) => Some(value).filter(|it| it.is_finite()),
            _ => None,
        }
    }

    /// Adds the numbers of an array, if all are numbers that f32 holds: how many there are.
    pub fn append_to(self, values: &mut Vec<f32>) -> Option<usize> {
        match self {
            Self::Array(Elements::Numbers(numbers)) => {
                values.reserve(numbers.len());
                for number in numbers {
                    values.push(narrowed(number)?);
                }
                Some(numbers.len())
            }
            Self::Array(Elements::Floats(floats)) if floats.iter().all(|it| it.is_finite()) => {
                values.extend_from_slice(floats);
                Some(floats.len())
            }
            _ => None,
        }
    }

    /// A field of an object, as it stands there.
    pub fn get(self, key: &str) -> Option<Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(name, _)| **name == *key).map(|(_, value)| value.json())
    }

    /// Tells whether numbers and words in it take at most so many bytes, about.
    #[cfg(feature = "server")]
    pub fn is_within(self, bytes: usize) -> bool {
        self.left_of(bytes).is_some()
    }

    #[cfg(feature = "server")]
    fn left_of(self, bytes: usize) -> Option<usize> {
        match self {
            Self::Array(Elements::Numbers(numbers)) => bytes.checked_sub(8 * numbers.len()),
            Self::Array(Elements::Floats(floats)) => bytes.checked_sub(4 * floats.len()),
            Self::Array(Elements::Any(elements)) => {
                elements.iter().try_fold(bytes, |left, it| it.json().left_of(left))
            }
            Self::Object(fields) => fields
                .iter()
                .try_fold(bytes, |left, (key, it)| it.json().left_of(left.checked_sub(key.len())?)),
            Self::String(text) => bytes.checked_sub(text.len()),
            _ => bytes.checked_sub(8),
        }
    }

    /// serde_json's value, for what is kept as it is.
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Number(number) => number.clone().into(),
            Self::Float(value) => spelled(value).into(),
            Self::String(text) => text.into(),
            Self::Array(elements) => elements.iter().map(Self::to_value).collect(),
            Self::Object(fields) => {
                fields.iter().map(|(key, value)| (&**key, value.json().to_value())).collect()
            }
        }
    }
}

fn narrowed(number: &Number) -> Option<f32> {
    number.as_f64().map(|value| value as f32).filter(|value| value.is_finite())
}

/// JSON without spaces. Who writes only a beginning reads no further.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Float(value) => spelled(*value).fmt(f),
            Self::String(text) => Value::from(*text).fmt(f),
            Self::Array(elements) => {
                for (at, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if at == 0 { '[' } else { ',' })?;
                }
                f.write_str(if elements.is_empty() { "[]" } else { "]" })
            }
            Self::Object(fields) => {
                for (at, (key, value)) in fields.iter().enumerate() {
                    let before = if at == 0 { '{' } else { ',' };
                    write!(f, "{before}{}:{}", Value::from(&**key), value.json())?;
                }
                f.write_str(if fields.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::parse::parse;

    /// Arrays that are packed, that begin as though they were, and that are not.
    #[test]
    fn what_was_read_is_what_serde_json_reads() {
        let text = r#" {"z": [1, -2, 0.5, 1.0, -0.0, 18446744073709551615], "a": [], "m": [1, 2, "x", 3],
            "n": [[1, 2], [3], [], {}], "o": {"": null, "é\n": [true, "\u0000"]}, "e": 1e300} "#;
        let expected: Value = serde_json::from_str(text).unwrap();
        let tree = parse(text, "a test", "test").unwrap();
        assert_eq!(tree.json().to_value(), expected);
        assert_eq!(Tree::from(&expected).json().to_value(), expected);
        assert_eq!(serde_json::from_str::<Value>(&tree.json().to_string()).unwrap(), expected);
        let packed = tree.json().get("z").unwrap();
        assert!(matches!(packed, Json::Array(Elements::Numbers(numbers)) if numbers.len() == 6));
    }

    #[test]
    fn numbers_are_appended_if_f32_holds_all() {
        let append = |value: Value| {
            let mut values = vec![7.0];
            Tree::from(&value).json().append_to(&mut values).map(|length| (length, values))
        };
        assert_eq!(append(json!([0.1, 2])), Some((2, vec![7.0, 0.1, 2.0])));
        assert_eq!(append(json!([])), Some((0, vec![7.0])));
        for other in [json!([1e39]), json!([1, "x"]), json!({}), json!(1)] {
            assert_eq!(append(other), None);
        }
    }

    /// Numbers that came as f32 are to readers what they are when they are written and read.
    #[test]
    fn floats_are_numbers() {
        let floats = Tree::Floats(vec![0.1, -0.0, 3e38]);
        assert_eq!(floats.json().to_value(), json!([0.1, -0.0, 3e38]));
        assert_eq!(floats.json().to_string(), format!("[0.1,-0,{}]", 3e38));
        let mut values = vec![7.0];
        assert_eq!(floats.json().append_to(&mut values), Some(3));
        let bits: Vec<u32> = values.iter().map(|it| it.to_bits()).collect();
        assert_eq!(bits, [7.0_f32, 0.1, -0.0, 3e38].map(f32::to_bits));
        let Json::Array(elements) = floats.json() else { panic!("an array") };
        let read: Vec<_> = elements.iter().map(|it| (it.as_f32(), it.as_f64())).collect();
        assert_eq!(read[0], (Some(0.1), Some(0.1)));
        for wrong in [f32::NAN, f32::INFINITY] {
            let tree = Tree::Floats(vec![1.0, wrong]);
            assert_eq!(tree.json().append_to(&mut values), None);
            let Json::Array(elements) = tree.json() else { panic!("an array") };
            assert!(elements.iter().any(|it| it.as_f32().is_none() && it.as_f64().is_none()));
        }
    }

    #[test]
    #[cfg(feature = "server")]
    fn sizes_are_those_of_what_is_in_it() {
        let object = |tree| Tree::Object([("four".into(), tree)].into());
        for (tree, bytes) in [
            (object(Tree::Floats(vec![0.0; 100])), 404),
            (object(Tree::from(&json!([[1, 2], ["word", true]]))), 4 + 16 + 4 + 8),
        ] {
            assert!(tree.json().is_within(bytes) && !tree.json().is_within(bytes - 1));
        }
    }

    /// Among few fields names are compared, among many hashed.
    #[test]
    fn a_field_that_stands_again_is_refused_among_few_and_many() {
        for (fields, again) in [(1, 0), (16, 15), (17, 0), (17, 16), (5_000, 4_321)] {
            let list: Vec<_> = (0..fields).map(|at| format!(r#""k{at}": {at}"#)).collect();
            let text = format!("{{{}}}", list.join(", "));
            assert!(parse(&text, "a test", "test").is_ok(), "{fields}");
            let text = format!(r#"{{{}, "k{again}": 0}}"#, list.join(", "));
            let error = parse(&text, "a test", "test").err().unwrap().to_string();
            assert!(
                error.contains(&format!("expected test.k{again} once, got it again")),
                "{error}"
            );
        }
    }
}
