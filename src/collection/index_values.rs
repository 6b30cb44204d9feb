//! The values of points, read from a payload index instead of from their payloads.

use std::ops::Bound;

use super::record::{Table, index_key, parse_set};
use super::snapshot::Snapshot;
use crate::Result;
use crate::filter::{FieldPath, IndexKind, IndexValue, PointSet, Points, Span};

/// An index of a field, as far as it says what values points have.
pub(crate) struct IndexedValues<'s> {
    snapshot: &'s Snapshot<'s>,
    number: u32,
    kind: IndexKind,
    /// Points with a value that the index doesn't hold, or not whole: their payloads say which values they have.
    pub unknown: PointSet,
}

impl<'s> Snapshot<'s> {
    /// The values of a field, if there is an index of it of one of these kinds.
    pub(crate) fn indexed_values(
        &'s self,
        field: &FieldPath,
        kinds: &[IndexKind],
    ) -> Result<Option<IndexedValues<'s>>> {
        let mut indexes = self.state.indexes.iter();
        let index = indexes.find(|(_, it)| it.field == *field && kinds.contains(&it.kind));
        let Some((number, index)) = index else { return Ok(None) };
        let unknown = self.with_keys(field, &index.kind, &index.kind.not_held())?;
        let (number, kind) = (*number, index.kind.clone());
        Ok(Some(IndexedValues { snapshot: self, number, kind, unknown }))
    }
}

impl IndexedValues<'_> {
    /// Calls `each` with every value and the points that have it, in the order of values, or in the opposite one, as
    /// long as it says so.
    pub fn scan(
        &self,
        descending: bool,
        mut each: impl FnMut(IndexValue, &PointSet) -> Result<bool>,
    ) -> Result<()> {
        let Snapshot { collection, txn, .. } = self.snapshot;
        let Span { start, end } = Span::held();
        let (start, end) = (index_key(self.number, &start), index_key(self.number, &end));
        let keys = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
        let prefix = index_key(self.number, &[]).len();
        for record in collection.store.records(txn, Table::Index, keys, descending)? {
            let (key, body) = record?;
            let damaged = || collection.store.damaged(Table::Index, key);
            let value = self.kind.value(&key[prefix..]).ok_or_else(damaged)?;
            if !each(value, &parse_set(body).ok_or_else(damaged)?)? {
                break;
            }
        }
        Ok(())
    }
}
