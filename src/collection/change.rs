//! [`Change`]: an [`Operation`] that was checked, and how a transaction makes it.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::batch::Batch;
use super::operation::{Operation, PointVectors, UpdateMode, UpsertOptions};
use super::point::{Prepared, Selector, Values, check_path, checked_payload, prepare_vectors};
use super::schema::Schema;
use crate::Result;
use crate::background::Cancellation;
use crate::filter::{Condition, FieldPath, Filter, Payload, PointId, payload};

/// An operation, with all that can be checked without the points that are there.
pub(super) enum Change {
    Upsert(Vec<Prepared>, UpsertOptions),
    Delete(Selector),
    Payload(Selector, Edit),
    Vectors(Vec<(PointId, Vec<(u8, Values)>)>, Option<Filter>),
    DropVectors(Selector, Vec<u8>),
}

/// Change of a payload.
pub(super) enum Edit {
    Merge(Payload),
    MergeAt(FieldPath, Payload),
    Replace(Payload),
    Remove(Vec<FieldPath>),
    Clear,
}

impl Change {
    pub fn new(operation: Operation, schema: &Schema) -> Result<Self> {
        Ok(match operation {
            Operation::Upsert { points, options } => {
                let points = points.into_par_iter().map(|point| Prepared::new(point, schema));
                // The first error of several, whichever thread met one first.
                let points: Vec<Result<Prepared>> = points.collect();
                Self::Upsert(points.into_iter().collect::<Result<_>>()?, options)
            }
            Operation::Delete(which) => Self::Delete(which),
            Operation::SetPayload { which, fields, key } => {
                let fields = checked_payload(fields)?;
                let edit = match key {
                    None => Edit::Merge(fields),
                    Some(key) => {
                        check_path(&key)?;
                        Edit::MergeAt(key, fields)
                    }
                };
                Self::Payload(which, edit)
            }
            Operation::OverwritePayload { which, payload } => {
                Self::Payload(which, Edit::Replace(checked_payload(payload)?))
            }
            Operation::DeletePayload { which, keys } => Self::Payload(which, Edit::Remove(keys)),
            Operation::ClearPayload(which) => Self::Payload(which, Edit::Clear),
            Operation::UpdateVectors { points, filter } => {
                let prepared = points.into_iter().map(|PointVectors { id, vectors }| {
                    let vectors = prepare_vectors(vectors, schema);
                    vectors.map(|it| (id, it)).map_err(|error| error.in_point(id))
                });
                Self::Vectors(prepared.collect::<Result<_>>()?, filter)
            }
            Operation::DeleteVectors { which, names } => {
                let slots = names.iter().map(|name| Ok(schema.slot(name)?.0));
                Self::DropVectors(which, slots.collect::<Result<_>>()?)
            }
        })
    }

    /// Refuses a change that was checked by a schema, if its vectors are others by now.
    pub fn check(&self, then: &Schema, now: &Schema) -> Result<()> {
        if std::ptr::eq(then, now) {
            return Ok(());
        }
        let check = |slot: u8| then.check_same(now, slot);
        match self {
            Self::Upsert(points, _) => {
                points.iter().flat_map(|it| &it.vectors).try_for_each(|(slot, _)| check(*slot))
            }
            Self::Vectors(points, _) => {
                points.iter().flat_map(|(_, it)| it).try_for_each(|(slot, _)| check(*slot))
            }
            Self::DropVectors(_, slots) => slots.iter().try_for_each(|slot| check(*slot)),
            Self::Delete(_) | Self::Payload(..) => Ok(()),
        }
    }

    /// Makes the change; gives the number of points that it is about.
    pub fn make(&self, batch: &mut Batch<'_>) -> Result<u64> {
        let cancellation = Cancellation::current();
        let mut made = 0;
        match self {
            Self::Upsert(points, options) => {
                let spared = spared(batch, points.iter().map(|it| it.id), options)?;
                for point in points.iter().filter(|it| !spared.contains(&it.id)) {
                    cancellation.check()?;
                    batch.upsert(point)?;
                    made += 1;
                }
            }
            Self::Delete(which) => {
                for id in batch.selected(which)? {
                    made += u64::from(batch.delete(id)?);
                }
            }
            Self::Payload(which, edit) => {
                for id in batch.selected(which)? {
                    batch.change_payload(id, |payload| edit.make(payload))?;
                    made += 1;
                }
            }
            Self::Vectors(points, filter) => {
                let options = UpsertOptions { mode: UpdateMode::Upsert, filter: filter.clone() };
                let spared = spared(batch, points.iter().map(|(id, _)| *id), &options)?;
                for (id, vectors) in points.iter().filter(|(id, _)| !spared.contains(id)) {
                    cancellation.check()?;
                    batch.change_vectors(*id, vectors, &[])?;
                    made += 1;
                }
            }
            Self::DropVectors(which, slots) => {
                for id in batch.selected(which)? {
                    batch.change_vectors(id, &[], slots)?;
                    made += 1;
                }
            }
        }
        Ok(made)
    }
}

/// Ids whose points an upsert leaves as they are.
fn spared(
    batch: &mut Batch<'_>,
    ids: impl Iterator<Item = PointId> + Clone,
    UpsertOptions { mode, filter }: &UpsertOptions,
) -> Result<BTreeSet<PointId>> {
    let matching = match filter {
        None if *mode == UpdateMode::Upsert => return Ok(BTreeSet::new()),
        None => None,
        Some(filter) => {
            let these = Filter::new().must(Condition::has_id(ids.clone()));
            Some(batch.select(&these.must(filter.clone()))?)
        }
    };
    let mut spared = BTreeSet::new();
    for id in ids {
        let spare = match batch.number(id)? {
            None => *mode == UpdateMode::UpdateOnly,
            Some(number) => {
                let matches = matching.as_ref().is_none_or(|it| it.contains(number));
                *mode == UpdateMode::InsertOnly || !matches
            }
        };
        if spare {
            spared.insert(id);
        }
    }
    Ok(spared)
}

impl Edit {
    fn make(&self, payload: &mut Payload) {
        match self {
            Self::Merge(fields) => payload::merge(payload, fields),
            Self::MergeAt(key, fields) => payload::merge_at(payload, key, fields),
            Self::Replace(new) => payload.clone_from(new),
            Self::Remove(keys) => keys.iter().for_each(|key| payload::remove(payload, key)),
            Self::Clear => payload.clear(),
        }
    }
}
