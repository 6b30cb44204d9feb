//! [`Snapshot::scroll`]: points in the order of their ids.

use std::ops::Bound;

use super::Snapshot;
use super::record::{self, Table};
use crate::filter::{Filter, PointId, PointNumber, PointSet};
use crate::{Error, Result};

/// Points in the order of their ids, and where the others begin.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScrollPage {
    /// The points: ids, ascending, and numbers.
    pub points: Vec<(PointId, PointNumber)>,
    /// Id of the next point that matches, if there is one: the offset of the next page.
    pub next: Option<PointId>,
}

/// Fewer points than one in so many are looked up one by one, instead of reading all ids.
const FEW: u64 = 32;

impl Snapshot<'_> {
    /// The first `limit` points that match a filter, from the id `offset` on. Ids are in order, integers
    /// before UUIDs, so that a page follows on another although points were written in between: none that stayed
    /// is left out or comes twice.
    ///
    /// # Errors
    /// A limit of 0; as [`Snapshot::select`].
    pub fn scroll(
        &self,
        filter: Option<&Filter>,
        offset: Option<PointId>,
        limit: usize,
    ) -> Result<ScrollPage> {
        if limit == 0 {
            let (expected, got) = ("at least 1".into(), "0".into());
            return Err(Error::InvalidParameter { name: "limit", expected, got });
        }
        let selected = filter.map(|filter| self.select(filter)).transpose()?;
        let wanted = selected.as_ref().map_or(self.numbers(), |it| &it.points);
        let mut points = self.first_by_id(wanted, offset, limit.saturating_add(1))?;
        let next = points.get(limit).map(|(id, _)| *id);
        points.truncate(limit);
        Ok(ScrollPage { points, next })
    }

    /// The first of these points by their ids, from an id on.
    pub(crate) fn first_by_id(
        &self,
        wanted: &PointSet,
        offset: Option<PointId>,
        most: usize,
    ) -> Result<Vec<(PointId, PointNumber)>> {
        if wanted.len() * FEW >= self.len() as u64 {
            return self.first(wanted, offset, most);
        }
        let mut points = self.sorted(wanted, offset)?;
        points.truncate(most);
        Ok(points)
    }

    /// All of these points from an id on.
    fn sorted(
        &self,
        wanted: &PointSet,
        offset: Option<PointId>,
    ) -> Result<Vec<(PointId, PointNumber)>> {
        let with_id = |number| Ok((self.id(number)?, number));
        let mut points = wanted.iter().map(with_id).collect::<Result<Vec<_>>>()?;
        points.retain(|(id, _)| offset.is_none_or(|offset| *id >= offset));
        points.sort_unstable();
        Ok(points)
    }

    /// The first of these points from an id on, by reading ids in their order.
    fn first(
        &self,
        wanted: &PointSet,
        offset: Option<PointId>,
        most: usize,
    ) -> Result<Vec<(PointId, PointNumber)>> {
        let start = offset.map(record::id_key);
        let start = start.as_deref().map_or(Bound::Unbounded, Bound::Included);
        let store = &self.collection.store;
        let records = store.records(&self.txn, Table::Ids, (start, Bound::Unbounded), false)?;
        let points = records.map(|record| {
            let (key, body) = record?;
            let point = record::parse_id(key).zip(record::parse_number(body));
            point.ok_or_else(|| store.damaged(Table::Ids, key))
        });
        let wanted = |point: &Result<(_, PointNumber)>| {
            point.as_ref().map_or(true, |(_, number)| wanted.contains(*number))
        };
        points.filter(wanted).take(most).collect()
    }
}
