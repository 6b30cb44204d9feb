//! [`Match`]: values that a field's value is compared with.

use std::collections::BTreeSet;

use super::TextMatch;

/// Values that a field's value is compared with. Values of other types are never equal: 5 is not
/// "5", nor is 5.0.
///
/// ```
/// use maxfold::filter::{Condition, Filter, Match};
///
/// let filter = Filter::new()
///     .must(Condition::field("lang", Match::any(["en", "de"]))?)
///     .must(Condition::field("text", Match::phrase("late interaction"))?)
///     .must_not(Condition::field("year", Match::value(1999))?);
/// let json = r#"{
///     "must": [
///         {"key": "lang", "match": {"any": ["en", "de"]}},
///         {"key": "text", "match": {"phrase": "late interaction"}}
///     ],
///     "must_not": {"key": "year", "match": {"value": 1999}}
/// }"#;
/// assert_eq!(filter, json.parse()?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Match {
    /// A value is this.
    Value(Scalar),
    /// A value is one of these.
    Any(Scalars),
    /// A value is there, is not `null`, and is none of these.
    Except(Scalars),
    /// A string has words of a text.
    Text(TextMatch),
    /// A string begins with this, byte for byte.
    Prefix(String),
    /// A string contains this, byte for byte.
    Substring(String),
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A string; equal byte for byte.
    String(String),
    /// An integer of 64 bits.
    Integer(i64),
    /// `true` or `false`.
    Bool(bool),
}

/// Values to compare with, all of one type; of none at all it doesn't matter which.
#[derive(Clone, Debug, Eq)]
pub enum Scalars {
    /// Strings.
    Strings(BTreeSet<String>),
    /// Integers of 64 bits.
    Integers(BTreeSet<i64>),
}

impl Match {
    /// A string has every token of `text`.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextMatch::All(text.into()))
    }

    /// A string has a token of `text`.
    pub fn text_any(text: impl Into<String>) -> Self {
        Self::Text(TextMatch::Any(text.into()))
    }

    /// A string has the tokens of `phrase` side by side.
    pub fn phrase(phrase: impl Into<String>) -> Self {
        Self::Text(TextMatch::Phrase(phrase.into()))
    }

    /// A string begins with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self::Prefix(prefix.into())
    }

    /// A string contains `substring`.
    pub fn substring(substring: impl Into<String>) -> Self {
        Self::Substring(substring.into())
    }

    /// A value is `value`.
    pub fn value(value: impl Into<Scalar>) -> Self {
        Self::Value(value.into())
    }

    /// A value is one of `values`.
    pub fn any(values: impl Into<Scalars>) -> Self {
        Self::Any(values.into())
    }

    /// A value is there, is not `null`, and is none of `values`.
    pub fn except(values: impl Into<Scalars>) -> Self {
        Self::Except(values.into())
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for Scalar {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl PartialEq for Scalars {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Strings(a), Self::Strings(b)) => a == b,
            (Self::Integers(a), Self::Integers(b)) => a == b,
            (Self::Strings(strings), Self::Integers(integers))
            | (Self::Integers(integers), Self::Strings(strings)) => {
                strings.is_empty() && integers.is_empty()
            }
        }
    }
}

impl<const N: usize> From<[&str; N]> for Scalars {
    fn from(values: [&str; N]) -> Self {
        values.into_iter().map(String::from).collect()
    }
}

impl<const N: usize> From<[i64; N]> for Scalars {
    fn from(values: [i64; N]) -> Self {
        values.into_iter().collect()
    }
}

impl FromIterator<String> for Scalars {
    fn from_iter<I: IntoIterator<Item = String>>(values: I) -> Self {
        Self::Strings(values.into_iter().collect())
    }
}

impl FromIterator<i64> for Scalars {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Self {
        Self::Integers(values.into_iter().collect())
    }
}
