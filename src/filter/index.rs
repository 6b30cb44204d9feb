//! [`IndexKind`]: which keys a payload has in an index.

use std::collections::BTreeSet;

use serde_json::Value;

use super::index_keys::{
    FILLED, NULL, OTHER, bool_key, datetime_key, integer_key, keyword, number_key, ordered_key,
    uuid_key,
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

impl std::fmt::Display for IndexKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
