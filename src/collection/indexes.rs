//! Payload indexes of a collection.

use super::{Collection, PayloadIndex};
use crate::Result;
use crate::filter::FieldPath;
use crate::trace::span;

impl Collection {
    /// Makes a payload index of the points that are there, and keeps it from now on. One that is there stays,
    /// with the hints of this one.
    ///
    /// # Errors
    /// The field has a text index with other parameters; a record is damaged; what the operating system or LMDB
    /// says.
    pub fn create_index(&self, index: PayloadIndex) -> Result<()> {
        let _span =
            span!("create index", field = index.field.to_string(), kind = index.kind.name());
        self.write(|batch| batch.create_index(index))
    }

    /// Makes a payload index the only one of its field: others are dropped, in the same transaction.
    ///
    /// ```
    /// use maxfold::collection::{Collection, CollectionConfig, PayloadIndex};
    /// use maxfold::filter::IndexKind;
    ///
    /// let collection = Collection::temporary(CollectionConfig::new())?;
    /// collection.create_index(PayloadIndex::new("year", IndexKind::Keyword)?)?;
    /// collection.replace_index(PayloadIndex::new("year", IndexKind::Integer)?)?;
    /// assert_eq!(collection.snapshot()?.indexes().len(), 1);
    /// assert_eq!(collection.drop_indexes(&"year".parse()?)?, 1);
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// A record is damaged; what the operating system or LMDB says.
    pub fn replace_index(&self, index: PayloadIndex) -> Result<()> {
        let _span =
            span!("replace index", field = index.field.to_string(), kind = index.kind.name());
        self.write(|batch| batch.replace_index(index))
    }

    /// Drops a payload index.
    ///
    /// # Errors
    /// There is none like it; what the operating system or LMDB says.
    pub fn drop_index(&self, index: PayloadIndex) -> Result<()> {
        self.write(|batch| batch.drop_index(&index))
    }

    /// Drops all payload indexes of a field; gives how many there were, which may be none.
    ///
    /// # Errors
    /// Errors of the operating system or of LMDB.
    pub fn drop_indexes(&self, field: &FieldPath) -> Result<usize> {
        self.write(|batch| batch.drop_indexes_of(field))
    }
}
