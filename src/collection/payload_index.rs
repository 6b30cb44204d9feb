//! [`PayloadIndex`]: a field, and what an index holds of it.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::filter::{FieldPath, IndexKind};
use crate::json::{self, Node};
use crate::{Error, Result};

/// A payload index: what it holds of which field; in JSON the body of Qdrant's call to create one. It
/// changes only the cost of an answer, except that a text index says what the words of its field are.
///
/// ```
/// use maxfold::collection::PayloadIndex;
/// use maxfold::filter::IndexKind;
///
/// let json = r#"{"field_name": "city", "field_schema": {"type": "keyword", "is_tenant": true}}"#;
/// assert_eq!(json.parse::<PayloadIndex>()?, PayloadIndex::new("city", IndexKind::Keyword)?);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct PayloadIndex {
    /// The field.
    pub field: FieldPath,
    /// Type of the values that the index holds.
    pub kind: IndexKind,
}

impl PayloadIndex {
    /// An index of the field `key`.
    ///
    /// # Errors
    /// `key` is not a [`FieldPath`].
    pub fn new(key: &str, kind: IndexKind) -> Result<Self> {
        Ok(Self { field: key.parse()?, kind })
    }

    /// Tells whether a field can't have both: it is the same, or both say what words of the field are.
    pub(super) fn conflicts(&self, other: &Self) -> bool {
        let texts = matches!((&self.kind, &other.kind), (IndexKind::Text(_), IndexKind::Text(_)));
        self.field == other.field && (self.kind == other.kind || texts)
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(&["field_name", "field_schema"])?;
        let field = FieldPath::read(&object.required("field_name")?)?;
        Ok(Self { field, kind: IndexKind::read(&object.required("field_schema")?)? })
    }
}

impl std::str::FromStr for PayloadIndex {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "a payload index", "index", Self::read)
    }
}

impl<'de> Deserialize<'de> for PayloadIndex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize(deserializer, "index", Self::read)
    }
}

impl Serialize for PayloadIndex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index: Value = json!({"field_name": self.field, "field_schema": self.kind.to_json()});
        index.serialize(serializer)
    }
}
