//! [`PayloadIndex`]: a field, and what an index holds of it.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::filter::{FieldPath, IndexKind};
use crate::json::{self, Node, Tree};
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
/// Two are equal whose fields and kinds are, whatever hints they were given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PayloadIndex {
    /// The field.
    pub field: FieldPath,
    /// Type of the values that the index holds.
    pub kind: IndexKind,
    /// The kind as it was given, with hints.
    given: Option<Value>,
}

impl PayloadIndex {
    /// An index of the field `key`.
    ///
    /// # Errors
    /// `key` is not a [`FieldPath`].
    pub fn new(key: &str, kind: IndexKind) -> Result<Self> {
        Ok(Self { field: key.parse()?, kind, given: None })
    }

    /// Tells whether a field can't have both: it is the same, or both say what words of the field are.
    pub(super) fn conflicts(&self, other: &Self) -> bool {
        let texts = matches!((&self.kind, &other.kind), (IndexKind::Text(_), IndexKind::Text(_)));
        self.field == other.field && (self.kind == other.kind || texts)
    }

    /// The kind in JSON, as it was given: a name, or an object with `type`, parameters and hints such as
    /// `is_tenant`, which change no answer.
    pub fn schema(&self) -> Value {
        let is_kind = |given: &&Value| {
            IndexKind::read(&Node::root(&Tree::from(*given), "")).ok().as_ref() == Some(&self.kind)
        };
        self.given.as_ref().filter(is_kind).cloned().unwrap_or_else(|| self.kind.to_json())
    }

    /// An index of a field, by its [schema](PayloadIndex::schema).
    pub(super) fn with_schema(field: FieldPath, schema: &Node<'_>) -> Result<Self> {
        let mut given = schema.json().to_value();
        given.as_object_mut().into_iter().for_each(|it| it.retain(|_, value| !value.is_null()));
        Ok(Self { field, kind: IndexKind::read(schema)?, given: Some(given) })
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(&["field_name", "field_schema"])?;
        let field = FieldPath::read(&object.required("field_name")?)?;
        Self::with_schema(field, &object.required("field_schema")?)
    }

    fn key(&self) -> (&FieldPath, &IndexKind) {
        (&self.field, &self.kind)
    }
}

impl PartialEq for PayloadIndex {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for PayloadIndex {}

impl PartialOrd for PayloadIndex {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PayloadIndex {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for PayloadIndex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
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
        let index: Value = json!({"field_name": self.field, "field_schema": self.schema()});
        index.serialize(serializer)
    }
}
