//! A request whose results are grouped by a payload field.

use std::time::Instant;

use super::answer::{points, query_plan};
use super::grouping::{Group, gather};
use super::outcome::Outcome;
use super::plan::{Collections, Plan, Planned, plan};
use super::reader::Reader;
use crate::collection::Point;
use crate::filter::PayloadSelector;
use crate::search::{
    GroupId, GroupRequest, GroupResponse, PointGroup, ScoredPoint, WithLookup, WithVector,
};
use crate::{Error, Result};

/// Answers a request from one state of a collection.
pub(super) fn grouped<'r>(
    reader: &mut Reader<'_, 'r>,
    request: &'r GroupRequest,
    others: &Collections<'_>,
) -> Result<GroupResponse> {
    let start = Instant::now();
    let (groups, size) = (request.request.limit, request.group_size);
    if size == 0 || request.request.offset > 0 {
        return Err(refused(request));
    }
    let mut plan = plan(reader, &request.request, others)?;
    plan.root.prefetch.iter_mut().for_each(|below| grow(below, size));
    plan.root.limit = groups.saturating_mul(size);
    plan.root.asked.limit = plan.root.limit;
    let (found, outcome, stage) = gather(reader, request, &mut plan)?;
    let reading = Instant::now();
    let of_group = |group| point_group(reader, request, others, (&plan, &outcome), group);
    let groups = found.into_iter().map(of_group).collect::<Result<_>>()?;
    Ok(GroupResponse { groups, plan: query_plan(reader, stage, reading, start) })
}

fn refused(request: &GroupRequest) -> Error {
    let (name, expected, got) = match request.group_size {
        0 => ("group_size", "at least 1", 0),
        _ => ("offset", "left out, as results are grouped", request.request.offset),
    };
    Error::InvalidParameter { name, expected: expected.into(), got: got.to_string() }
}

/// Lets the stages that find candidates find enough for groups of some size.
fn grow(stage: &mut Planned<'_>, size: usize) {
    stage.limit = stage.limit.saturating_mul(size);
    stage.asked.limit = stage.limit;
    stage.prefetch.iter_mut().for_each(|below| grow(below, size));
}

fn point_group(
    reader: &Reader<'_, '_>,
    request: &GroupRequest,
    others: &Collections<'_>,
    (plan, outcome): (&Plan<'_>, &Outcome),
    (id, hits): Group,
) -> Result<PointGroup> {
    let hits: Vec<ScoredPoint> = points(reader, &request.request, plan, outcome, &hits)?;
    let lookup = match &request.with_lookup {
        Some(lookup) => look_up(lookup, others, &id)?,
        None => None,
    };
    Ok(PointGroup { id, hits, lookup })
}

/// The point of a group in another collection.
fn look_up(lookup: &WithLookup, others: &Collections<'_>, id: &GroupId) -> Result<Option<Point>> {
    let Some(collection) = others(&lookup.collection) else {
        return Err(Error::UnknownCollection { name: lookup.collection.clone() });
    };
    let point = id.point().map(|id| collection.snapshot()?.get(id)).transpose()?.flatten();
    Ok(point.map(|mut point| {
        point.payload = match &lookup.with_payload {
            PayloadSelector::All => point.payload,
            some => some.select(point.payload).unwrap_or_default(),
        };
        match &lookup.with_vector {
            WithVector::All => {}
            WithVector::None => point.vectors.clear(),
            WithVector::Named(names) => point.vectors.retain(|name, _| names.contains(name)),
        }
        point
    }))
}
