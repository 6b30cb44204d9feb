//! [`IndexKind`]: which keys a payload has in an index.

use std::collections::BTreeSet;

use serde_json::Value;
use uuid::Uuid;

use super::index_keys::{
    FILLED, LONG, NULL, OTHER, Span, VALUE, bool_key, datetime_key, integer_key, integer_of,
    keyword, number_key, number_of, ordered_key, uuid_key,
};
use super::matches::is_empty;
use super::path::elements;
use super::{Datetime, FieldPath, GeoPoint, Payload, TextParams, geo_cells};

/// Type of a payload index, by Qdrant's names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IndexKind {
    /// Strings: answers [`Match`](super::Match) with strings.
    Keyword,
    /// Numbers, integers among them exactly: answers [`Match`](super::Match) with integers, and
    /// [`Test::Range`](super::Test::Range).
    Integer,
    /// Numbers: answers [`Test::Range`](super::Test::Range).
    Float,
    /// `true` and `false`: answers [`Match`](super::Match) with them.
    Bool,
    /// Strings that read as [`Datetime`]: answers [`Test::Datetime`](super::Test::Datetime).
    Datetime,
    /// Objects that read as [`GeoPoint`]: answers [`Test::Geo`](super::Test::Geo).
    Geo,
    /// Strings that read as UUIDs: answers [`Match`](super::Match) with strings, and takes less room than keywords.
    Uuid,
    /// Words of strings: answers [`Match::Text`](super::Match::Text), and says what that means for its field.
    Text(TextParams),
}

impl IndexKind {
    /// Every kind there is, that of text with its defaults.
    pub const ALL: [Self; 8] = [
        Self::Keyword,
        Self::Integer,
        Self::Float,
        Self::Bool,
        Self::Datetime,
        Self::Geo,
        Self::Uuid,
        Self::Text(TextParams::DEFAULT),
    ];

    /// `keyword`, `integer`, `float`, `bool`, `datetime`, `geo`, `uuid` or `text`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Datetime => "datetime",
            Self::Geo => "geo",
            Self::Uuid => "uuid",
            Self::Text(_) => "text",
        }
    }

    /// The keys under which a point with this payload stands in an index of `field`.
    #[doc(hidden)]
    pub fn keys(&self, field: &FieldPath, payload: &Payload) -> BTreeSet<Vec<u8>> {
        let mut keys = BTreeSet::new();
        for value in elements(field.values(payload)) {
            match (self, value) {
                (Self::Text(params), Value::String(text)) => {
                    keys.extend(params.tokens(text).iter().map(|token| keyword(token)));
                }
                _ => drop(keys.insert(self.key(value))),
            }
        }
        if !is_empty(field.values(payload)) {
            keys.insert(vec![FILLED]);
        }
        keys
    }

    fn key(&self, value: &Value) -> Vec<u8> {
        if value.is_null() {
            return vec![NULL];
        }
        match self {
            Self::Keyword => value.as_str().map(keyword),
            Self::Integer => value.as_f64().map(|number| match value.as_i64() {
                Some(integer) => integer_key(integer),
                None => number_key(number, 0),
            }),
            Self::Float => value.as_f64().map(|number| number_key(number, 0)),
            Self::Bool => value.as_bool().map(bool_key),
            Self::Datetime => value.as_str().and_then(Datetime::read).map(datetime_key),
            Self::Geo => GeoPoint::of(value).map(|it| ordered_key(geo_cells::number(it))),
            Self::Uuid => value.as_str().and_then(uuid_key),
            Self::Text(_) => None,
        }
        .unwrap_or_else(|| vec![OTHER])
    }
}

/// A value, as an index holds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum IndexValue {
    /// A string, or a UUID as strings spell it.
    String(String),
    /// An integer, or a datetime in microseconds since 1970.
    Integer(i64),
    /// A number that is no integer of 64 bits.
    Float(f64),
    Bool(bool),
}

impl IndexKind {
    /// Keys of the points with values that it doesn't hold, or not whole, `null` aside.
    pub(crate) fn not_held(&self) -> Vec<Span> {
        let mut spans = vec![Span::class(OTHER), Span::class(LONG)];
        if *self == Self::Integer {
            // Both zeros have one key.
            spans.push(Span::of(number_key(0.0, 0)));
        }
        spans
    }

    /// The value of a key, of those kinds that hold values whole: not of text and places, nor of numbers that were
    /// integers.
    pub(crate) fn value(&self, key: &[u8]) -> Option<IndexValue> {
        let value = key.strip_prefix(&[VALUE])?;
        let long = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        match (self, value) {
            (Self::Keyword, text) => String::from_utf8(text.into()).ok().map(IndexValue::String),
            (Self::Bool, [value]) => Some(IndexValue::Bool(*value == 1)),
            (Self::Uuid, bytes) => {
                Some(IndexValue::String(Uuid::from_slice(bytes).ok()?.to_string()))
            }
            (Self::Datetime, time) => long(time).map(|it| IndexValue::Integer(integer_of(it))),
            (Self::Integer, [number @ .., 0]) if number.len() == 8 => {
                long(number).map(|it| IndexValue::Float(number_of(it)))
            }
            (Self::Integer, [_, _, _, _, _, _, _, _, 1, integer @ ..]) => {
                long(integer).map(|it| IndexValue::Integer(integer_of(it)))
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for IndexKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
