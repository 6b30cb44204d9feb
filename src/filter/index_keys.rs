//! Keys of payload indexes.
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

use std::str::FromStr;

use uuid::Uuid;

use super::{Datetime, Range};

pub(super) const FILLED: u8 = 0;
pub(super) const NULL: u8 = 1;
pub(super) const OTHER: u8 = 2;
pub(super) const VALUE: u8 = 3;
pub(super) const LONG: u8 = 4;

/// A longer string is found by reading the payloads of all points that have one.
const LONGEST: usize = 256;

/// Most bytes in a key of an index.
#[doc(hidden)]
pub const LONGEST_KEY: usize = 1 + LONGEST;

/// Keys from `start`, up to but not including `end`.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first key.
    pub start: Vec<u8>,
    /// The first key past the last.
    pub end: Vec<u8>,
}

impl Span {
    /// One key.
    pub(super) fn of(key: Vec<u8>) -> Self {
        // The next one after it.
        let end = [key.as_slice(), &[0]].concat();
        Self { start: key, end }
    }

    /// Keys of the points whose field is not empty.
    #[cfg(feature = "server")]
    pub(crate) fn filled() -> Self {
        Self::class(FILLED)
    }

    /// Keys of values that are held whole.
    pub(crate) fn held() -> Self {
        Self::class(VALUE)
    }

    pub(super) fn class(class: u8) -> Self {
        Self { start: vec![class], end: vec![class + 1] }
    }
}

pub(super) fn keyword(text: &str) -> Vec<u8> {
    if text.len() > LONGEST {
        return vec![LONG];
    }
    [&[VALUE], text.as_bytes()].concat()
}

/// A UUID spelled in another way than ours is found by reading the payload.
pub(super) fn uuid_key(text: &str) -> Option<Vec<u8>> {
    let uuid = Uuid::from_str(text).ok()?;
    let mut spelled = Uuid::encode_buffer();
    let class = if uuid.hyphenated().encode_lower(&mut spelled) == text { VALUE } else { LONG };
    Some([&[class], uuid.as_bytes().as_slice()].concat())
}

pub(super) fn bool_key(value: bool) -> Vec<u8> {
    vec![VALUE, value.into()]
}

pub(super) fn datetime_key(time: Datetime) -> Vec<u8> {
    ordered_key(order_of_integer(time.micros()))
}

/// Integers that are one number in f64 stand side by side, after the one that is not an integer.
pub(super) fn integer_key(value: i64) -> Vec<u8> {
    let mut key = number_key(value as f64, 1);
    key.extend(order_of_integer(value).to_be_bytes());
    key
}

pub(super) fn number_key(value: f64, integer: u8) -> Vec<u8> {
    let mut key = ordered_key(order_of_number(value));
    key.push(integer);
    key
}

pub(super) fn ordered_key(order: u64) -> Vec<u8> {
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

pub(super) fn number_span(range: &Range<f64>) -> Option<Span> {
    // No number is on any side of NaN.
    let is_nan = |(_, bound): (_, Option<&f64>)| bound.is_some_and(|it| it.is_nan());
    if range.bounds().into_iter().any(is_nan) {
        return None;
    }
    span(range, |&bound| order_of_number(bound))
}

pub(super) fn datetime_span(range: &Range<Datetime>) -> Option<Span> {
    span(range, |bound| order_of_integer(bound.micros()))
}

/// The number that has an order.
pub(super) fn number_of(order: u64) -> f64 {
    f64::from_bits(if order >> 63 == 1 { order & !(1 << 63) } else { !order })
}

/// The integer that has an order.
pub(super) fn integer_of(order: u64) -> i64 {
    (order ^ (1 << 63)).cast_signed()
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
pub(super) fn bound_key(order: u128) -> Vec<u8> {
    u64::try_from(order).map_or_else(|_| vec![VALUE + 1], ordered_key)
}
