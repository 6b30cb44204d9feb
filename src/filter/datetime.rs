//! [`Datetime`]: the times that filters compare.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone, Timelike};

use serde_json::Value;

use crate::{Error, Result};

/// A point in time, in microseconds since 1970 in UTC; what is finer is cut off. A leap second is the
/// last microsecond before the next minute.
///
/// Read from every format that Qdrant reads: RFC 3339, the same with a space for the `T` or without
/// the colon in the offset, without an offset (which means UTC), without seconds, or a date alone.
///
/// ```
/// use maxfold::filter::Datetime;
///
/// let noon: Datetime = "2024-02-29T13:00:00+01:00".parse()?;
/// assert_eq!(noon, "2024-02-29 12:00".parse()?);
/// assert_eq!(noon.to_string(), "2024-02-29T12:00:00Z");
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Datetime(i64);

const WITH_OFFSET: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
const WITHOUT_OFFSET: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

impl Datetime {
    pub(crate) const EXPECTED: &str = "a datetime in RFC 3339, like 2024-02-29T12:00:00Z";

    /// From microseconds since 1970.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// In JSON, if its year can be written, and so read again.
    pub(crate) fn to_json(self) -> Result<Value> {
        if self.is_writable() {
            return Ok(self.to_string().into());
        }
        Err(Error::InvalidParameter {
            name: "a datetime in JSON",
            expected: "of the years -262143 to 262142".into(),
            got: self.to_string(),
        })
    }

    fn is_writable(self) -> bool {
        DateTime::from_timestamp_micros(self.0).is_some()
    }

    /// Reads any of the formats.
    pub(super) fn read(text: &str) -> Option<Self> {
        let time = with_offset(text).or_else(|| without_offset(text)).map(Self);
        time.filter(|time| time.is_writable())
    }
}

fn with_offset(text: &str) -> Option<i64> {
    let rfc3339 = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::from_str(text)).ok();
    let other = || WITH_OFFSET.iter().find_map(|it| DateTime::parse_from_str(text, it).ok());
    rfc3339.or_else(other).map(|time| micros(&time))
}

fn without_offset(text: &str) -> Option<i64> {
    let time = |it| NaiveDateTime::parse_from_str(text, it).ok();
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(NaiveDateTime::from);
    let naive = WITHOUT_OFFSET.into_iter().find_map(time).or_else(date)?;
    Some(micros(&naive.and_utc()))
}

/// Microseconds since 1970. What chrono keeps in a leap second would count to the next minute.
fn micros(time: &DateTime<impl TimeZone>) -> i64 {
    match time.nanosecond() {
        0..1_000_000_000 => time.timestamp_micros(),
        _ => time.timestamp() * 1_000_000 + 999_999,
    }
}

impl FromStr for Datetime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| Error::InvalidParameter {
            name: "the datetime",
            expected: "in RFC 3339, like 2024-02-29T12:00:00Z".into(),
            got: text.into(),
        })
    }
}

impl fmt::Display for Datetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_micros(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{} µs since 1970", self.0),
        }
    }
}
