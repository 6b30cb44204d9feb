//! [`PayloadIndex`]: a field, and what an index holds of it.

use crate::Result;
use crate::filter::{FieldPath, IndexKind};

/// A payload index: what it holds of which field. It never changes an answer, only its cost.
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
}
