//! Payload indexes made and dropped in a transaction.

use std::ops::Bound;

use super::PayloadIndex;
use super::batch::Batch;
use super::record::{self, Table};
use crate::filter::FieldPath;
use crate::{Error, Result};

impl Batch<'_> {
    /// Makes a payload index of what is there, unless there is one like it; the hints of that one are the new
    /// ones then.
    pub fn create_index(&mut self, index: PayloadIndex) -> Result<()> {
        let mut there = self.state.indexes.iter_mut();
        if let Some((_, same)) = there.find(|(_, it)| *it == index) {
            *same = index;
            return Ok(());
        }
        if self.state.indexes.iter().any(|(_, it)| it.conflicts(&index)) {
            let (field, got) = (index.field, format!("one of kind {}", index.kind));
            let field = field.to_string();
            return Err(Error::PayloadIndex { field, expected: "no such index", got });
        }
        let number = self.state.next_index;
        self.state.next_index += 1;
        for point in &self.state.all.clone() {
            let (_, payload) = self.point(point)?;
            for key in index.kind.keys(&index.field, &payload) {
                let change = self.changes.entry(record::index_key(number, &key)).or_default();
                change.insert.insert(point);
            }
        }
        self.state.indexes.push((number, index));
        Ok(())
    }

    /// Makes a payload index the only one of its field.
    pub fn replace_index(&mut self, index: PayloadIndex) -> Result<()> {
        self.drop_indexes(|it| it.field == index.field && *it != index)?;
        self.create_index(index)
    }

    /// Drops a payload index.
    pub fn drop_index(&mut self, index: &PayloadIndex) -> Result<()> {
        match self.drop_indexes(|it| it == index)? {
            0 => Err(Error::PayloadIndex {
                field: index.field.to_string(),
                expected: "an index",
                got: format!("none of kind {}", index.kind),
            }),
            _ => Ok(()),
        }
    }

    /// Drops all payload indexes of a field; gives how many there were.
    pub fn drop_indexes_of(&mut self, field: &FieldPath) -> Result<usize> {
        self.drop_indexes(|it| it.field == *field)
    }

    fn drop_indexes(&mut self, dropped: impl Fn(&PayloadIndex) -> bool) -> Result<usize> {
        let indexes = std::mem::take(&mut self.state.indexes).into_iter();
        let (gone, left): (Vec<_>, Vec<_>) = indexes.partition(|(_, index)| dropped(index));
        self.state.indexes = left;
        for (number, _) in &gone {
            let start = record::index_key(*number, &[]);
            let end = record::index_key(number + 1, &[]);
            let keys = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
            self.store.delete_range(&mut self.txn, Table::Index, keys)?;
        }
        Ok(gone.len())
    }
}
