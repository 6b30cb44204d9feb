//! [`Batch`] as [`Points`]: filters match the points that are there after all that a transaction did so far.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::batch::Batch;
use super::point::Selector;
use crate::Result;
use crate::filter::{
    FieldPath, Filter, IndexKind, Payload, PointId, PointNumber, PointSet, Points, Span,
};

impl Batch<'_> {
    /// The ids of the points that a call selects.
    pub fn selected(&mut self, which: &Selector) -> Result<Vec<PointId>> {
        match which {
            Selector::Ids(ids) => Ok(ids.clone()),
            Selector::Filter(filter) => {
                let points = self.select(filter)?;
                points.iter().map(|number| Ok(self.point(number)?.0)).collect()
            }
        }
    }

    /// The points that match a filter.
    pub fn select(&mut self, filter: &Filter) -> Result<PointSet> {
        self.write_changes()?;
        Ok(filter.select(self)?.points)
    }
}

impl Points for Batch<'_> {
    fn all(&self) -> Result<Cow<'_, PointSet>> {
        Ok(Cow::Borrowed(&self.state.all))
    }

    fn indexes(&self, field: &FieldPath) -> Result<Vec<IndexKind>> {
        Ok(self.state.kinds(field))
    }

    fn with_keys(&self, field: &FieldPath, kind: &IndexKind, spans: &[Span]) -> Result<PointSet> {
        self.state.with_keys(self.store, &self.txn, (field, kind), spans)
    }

    fn with_ids(&self, ids: &BTreeSet<PointId>) -> Result<PointSet> {
        ids.iter().filter_map(|id| self.number(*id).transpose()).collect()
    }

    fn with_vector(&self, name: &str) -> Result<PointSet> {
        let slot = self.state.schema.slot(name);
        Ok(slot.map(|(slot, _)| self.state.having[usize::from(slot)].clone()).unwrap_or_default())
    }

    fn payload(&self, number: PointNumber) -> Result<(PointId, Payload)> {
        self.point(number)
    }
}
