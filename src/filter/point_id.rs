//! [`PointId`]: what a point is called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use crate::json::{self, Json, Node};
use crate::{Error, Result};

/// The id of a point, as in Qdrant: an unsigned integer or a UUID. Integers come before UUIDs.
///
/// ```
/// use maxfold::filter::PointId;
///
/// let id: PointId = "550e8400-e29b-41d4-a716-446655440000".parse()?;
/// assert!(PointId::from(42) < id);
/// assert_eq!(serde_json::from_str::<PointId>("42").unwrap(), PointId::Number(42));
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointId {
    /// An unsigned integer; a number in JSON.
    Number(u64),
    /// A UUID; a string in JSON.
    Uuid(Uuid),
}

const EXPECTED: &str = "an unsigned integer or a UUID";

impl PointId {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let id = match node.json() {
            Json::Number(number) => number.as_u64().map(Self::Number),
            Json::String(text) => Uuid::from_str(text).ok().map(Self::Uuid),
            _ => None,
        };
        id.ok_or_else(|| node.expected(EXPECTED))
    }

    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::Number(number) => number.into(),
            Self::Uuid(uuid) => uuid.to_string().into(),
        }
    }
}

impl From<u64> for PointId {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<Uuid> for PointId {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Uuid(uuid) => uuid.fmt(f),
        }
    }
}

impl FromStr for PointId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = text.parse().ok().map(Self::Number);
        number.or_else(|| Uuid::from_str(text).ok().map(Self::Uuid)).ok_or_else(|| {
            Error::InvalidParameter { name: "the id", expected: EXPECTED.into(), got: text.into() }
        })
    }
}

impl Serialize for PointId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PointId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, "id", Self::read)
    }
}
