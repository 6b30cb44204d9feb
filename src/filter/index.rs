//! Payload indexes: which keys a payload has in one, and which keys answer a test.
//!
//! An index is an ordered map from keys of bytes to sets of points. A key's first byte is its class,
//! so one map holds all that an index knows of a field:
//!
//! | class | points |
//! |---|---|
//! | [`FILLED`] | whose field is not empty |
//! | [`NULL`] | whose field is `null`, or has `null` in it |
//! | [`OTHER`] | with a value that an index of this kind doesn't hold, `null` aside |
//! | [`VALUE`] and the value | with this value |
//! | [`LONG`] | with a string that a key doesn't hold whole |

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::Value;
use uuid::Uuid;

use super::geo_cells::{self, Cover};
use super::matches::is_empty;
use super::path::elements;
use super::{
    Datetime, FieldPath, GeoArea, GeoPoint, Match, Payload, Range, Scalar, Scalars, Test,
    TextMatch, TextParams,
};

const FILLED: u8 = 0;
const NULL: u8 = 1;
const OTHER: u8 = 2;
const VALUE: u8 = 3;
const LONG: u8 = 4;

/// A longer string is found by reading the payloads of all points that have one.
const LONGEST: usize = 256;

/// Most bytes in a key of an index.
#[doc(hidden)]
pub const LONGEST_KEY: usize = 1 + LONGEST;

/// Type of a payload index, by Qdrant's names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IndexKind {
    /// Strings: answers [`Match`] with strings.
    Keyword,
    /// Numbers, integers among them exactly: answers [`Match`] with integers, and [`Test::Range`].
    Integer,
    /// Numbers: answers [`Test::Range`].
    Float,
    /// `true` and `false`: answers [`Match`] with them.
    Bool,
    /// Strings that read as [`Datetime`]: answers [`Test::Datetime`].
    Datetime,
    /// Objects that read as [`GeoPoint`]: answers [`Test::Geo`].
    Geo,
    /// Strings that read as UUIDs: answers [`Match`] with strings, and takes less room than keywords.
    Uuid,
    /// Words of strings: answers [`Match::Text`], and says what that means for its field.
    Text(TextParams),
}

/// Keys from `start`, up to but not including `end`.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first key.
    pub start: Vec<u8>,
    /// The first key past the last.
    pub end: Vec<u8>,
}

/// Keys of an index under which a test finds its points.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// Keys whose points pass.
    pub sure: Vec<Span>,
    /// Keys whose points may pass.
    pub possible: Vec<Span>,
    /// It is the points without those keys that pass.
    pub inverted: bool,
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

    /// Keys of the points that pass `test`, if an index of this kind knows: points pass that every one of the
    /// lookups finds.
    pub(super) fn lookup(&self, test: &Test) -> Option<Vec<Lookup>> {
        let one = match (self, test) {
            (_, Test::IsEmpty(wanted)) => Lookup::class(FILLED, *wanted),
            (_, Test::IsNull(wanted)) => Lookup::class(NULL, !*wanted),
            (Self::Integer | Self::Float, Test::Range(range)) => Lookup::sure(number_span(range)),
            (Self::Datetime, Test::Datetime(range)) => Lookup::sure(datetime_span(range)),
            (Self::Geo, Test::Geo(area)) => Lookup::within(area),
            (Self::Text(params), Test::Match(Match::Text(text))) => {
                return Some(lookup_text(text, params));
            }
            (_, Test::Match(matched)) => self.lookup_match(matched)?,
            _ => return None,
        };
        Some(vec![one])
    }

    fn lookup_match(&self, matched: &Match) -> Option<Lookup> {
        let strings = || match matched {
            Match::Value(Scalar::String(value)) => Some(vec![value.as_str()]),
            Match::Any(Scalars::Strings(values)) => Some(values.iter().map(|it| &**it).collect()),
            _ => None,
        };
        let integers = || match matched {
            Match::Value(Scalar::Integer(value)) => Some(vec![*value]),
            Match::Any(Scalars::Integers(values)) => Some(values.iter().copied().collect()),
            _ => None,
        };
        let keys = match (self, matched) {
            (Self::Keyword, Match::Except(Scalars::Strings(values))) => {
                return Some(Lookup::except(values.iter().map(|value| keyword(value))));
            }
            (Self::Keyword, Match::Prefix(prefix)) => return Some(Lookup::prefix(prefix)),
            (Self::Integer, Match::Except(Scalars::Integers(values))) => {
                return Some(Lookup::except(values.iter().map(|&value| integer_key(value))));
            }
            (Self::Bool, Match::Value(Scalar::Bool(value))) => vec![bool_key(*value)],
            (Self::Keyword, _) => strings()?.into_iter().map(keyword).collect(),
            (Self::Integer, _) => integers()?.into_iter().map(integer_key).collect(),
            (Self::Uuid, _) => {
                let key = |it| uuid_key(it).unwrap_or_else(|| vec![OTHER]);
                strings()?.into_iter().map(key).collect()
            }
            _ => return None,
        };
        Some(Lookup::any(keys))
    }
}

/// Every word of a text, or any of them. Whether they are side by side, only the text itself says.
fn lookup_text(text: &TextMatch, params: &TextParams) -> Vec<Lookup> {
    let words = text.wanted(params);
    if words.is_empty() {
        return vec![Lookup::default()];
    }
    match text {
        TextMatch::Any(_) => vec![Lookup::any(words.iter().map(|it| keyword(it)))],
        TextMatch::All(_) => words.iter().map(|it| Lookup::any([keyword(it)])).collect(),
        TextMatch::Phrase(phrase) => {
            let tokens = params.query_tokens(phrase);
            tokens.iter().map(|it| Lookup::any([keyword(it)]).unsure()).collect()
        }
    }
}

impl std::fmt::Display for IndexKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Lookup {
    fn sure(span: Option<Span>) -> Self {
        Self { sure: span.into_iter().collect(), ..Self::default() }
    }

    /// Points with a string that begins with a prefix.
    fn prefix(prefix: &str) -> Self {
        let start = [&[VALUE], prefix.as_bytes()].concat();
        let mut end = start.clone();
        // No byte of UTF-8 is the last one.
        end.last_mut().into_iter().for_each(|last| *last += 1);
        Self { sure: vec![Span { start, end }], possible: vec![Span::class(LONG)], inverted: false }
    }

    /// The same points, none of them for sure.
    fn unsure(self) -> Self {
        Self { possible: [self.sure, self.possible].concat(), ..Self::default() }
    }

    /// Points with a place in an area.
    fn within(area: &GeoArea) -> Self {
        let span = |cells: RangeInclusive<u64>| {
            let (start, end) = (u128::from(*cells.start()), u128::from(*cells.end()) + 1);
            Span { start: bound_key(start), end: bound_key(end) }
        };
        let Cover { sure, possible } = geo_cells::cover(area);
        let spans = |cells: Vec<_>| cells.into_iter().map(span).collect();
        Self { sure: spans(sure), possible: spans(possible), inverted: false }
    }

    fn class(class: u8, inverted: bool) -> Self {
        Self { sure: vec![Span::class(class)], inverted, ..Self::default() }
    }

    /// Points with at least one of these keys.
    fn any(keys: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut lookup = Self::default();
        for key in keys {
            let spans = if key[0] == VALUE { &mut lookup.sure } else { &mut lookup.possible };
            spans.push(Span::of(key));
        }
        lookup
    }

    /// Points with at least one value under none of these keys, which ascend.
    fn except(keys: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut sure = vec![Span::class(OTHER)];
        let mut start = vec![VALUE];
        for excluded in keys.filter(|key| key[0] == VALUE).map(Span::of) {
            sure.push(Span { start, end: excluded.start });
            start = excluded.end;
        }
        sure.push(Span { start, end: vec![VALUE + 1] });
        Self { sure, possible: vec![Span::class(LONG)], inverted: false }
    }
}

impl Span {
    /// One key.
    fn of(key: Vec<u8>) -> Self {
        // The next one after it.
        let end = [key.as_slice(), &[0]].concat();
        Self { start: key, end }
    }

    fn class(class: u8) -> Self {
        Self { start: vec![class], end: vec![class + 1] }
    }
}

fn keyword(text: &str) -> Vec<u8> {
    if text.len() > LONGEST {
        return vec![LONG];
    }
    [&[VALUE], text.as_bytes()].concat()
}

/// A UUID spelled in another way than ours is found by reading the payload.
fn uuid_key(text: &str) -> Option<Vec<u8>> {
    let uuid = Uuid::from_str(text).ok()?;
    let mut spelled = Uuid::encode_buffer();
    let class = if uuid.hyphenated().encode_lower(&mut spelled) == text { VALUE } else { LONG };
    Some([&[class], uuid.as_bytes().as_slice()].concat())
}

fn bool_key(value: bool) -> Vec<u8> {
    vec![VALUE, value.into()]
}

fn datetime_key(time: Datetime) -> Vec<u8> {
    ordered_key(order_of_integer(time.micros()))
}

/// Integers that are one number in f64 stand side by side, after the one that is not an integer.
fn integer_key(value: i64) -> Vec<u8> {
    let mut key = number_key(value as f64, 1);
    key.extend(order_of_integer(value).to_be_bytes());
    key
}

fn number_key(value: f64, integer: u8) -> Vec<u8> {
    let mut key = ordered_key(order_of_number(value));
    key.push(integer);
    key
}

fn ordered_key(order: u64) -> Vec<u8> {
    [&[VALUE], order.to_be_bytes().as_slice()].concat()
}

fn order_of_integer(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

/// Ascends as numbers do; both zeros are one.
fn order_of_number(value: f64) -> u64 {
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

fn number_span(range: &Range<f64>) -> Option<Span> {
    // No number is on any side of NaN.
    let is_nan = |(_, bound): (_, Option<&f64>)| bound.is_some_and(|it| it.is_nan());
    if range.bounds().into_iter().any(is_nan) {
        return None;
    }
    span(range, |&bound| order_of_number(bound))
}

fn datetime_span(range: &Range<Datetime>) -> Option<Span> {
    span(range, |bound| order_of_integer(bound.micros()))
}

/// The keys whose order is within bounds, or `None` if there are none.
fn span<T>(range: &Range<T>, order: impl Fn(&T) -> u64) -> Option<Span> {
    let order = |bound: &Option<T>| bound.as_ref().map(|it| u128::from(order(it)));
    let past = |bound: &Option<T>| order(bound).map(|it| it + 1);
    let start = order(&range.gte).max(past(&range.gt)).unwrap_or(0);
    let ends = [order(&range.lt), past(&range.lte)];
    let end = ends.into_iter().flatten().min().unwrap_or(1 << 64);
    (start < end).then(|| Span { start: bound_key(start), end: bound_key(end) })
}

/// The key before all of this order; past the last order, the one before the next class.
fn bound_key(order: u128) -> Vec<u8> {
    u64::try_from(order).map_or_else(|_| vec![VALUE + 1], ordered_key)
}
