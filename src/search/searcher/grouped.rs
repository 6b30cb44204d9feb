//! A request whose results are grouped by a payload field.

use std::time::Instant;

use super::answer::{points, query_plan};
use super::outcome::{Run, Scored};
use super::plan::{Collections, Plan, Planned, plan};
use super::reader::Reader;
use super::run::run;
use crate::collection::Point;
use crate::filter::PayloadSelector;
use crate::search::{
    GroupId, GroupRequest, GroupResponse, PointGroup, ScoredPoint, WithLookup, WithVector,
};
use crate::{Error, Result};

/// A group, and its best results.
type Group = (GroupId, Vec<Scored>);

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
    let (found, ran) = loop {
        let ran = run(reader, &plan.root, &plan.excluded)?;
        let found = group(reader, request, &ran)?;
        let full = found.len() == groups && found.iter().all(|(_, hits)| hits.len() == size);
        if full || ran.outcome.scored.len() < plan.root.limit {
            break (found, ran);
        }
        plan.root.limit = plan.root.limit.saturating_mul(4);
    };
    let of_group = |group| point_group(reader, request, others, (&plan, &ran), group);
    let groups = found.into_iter().map(of_group).collect::<Result<_>>()?;
    Ok(GroupResponse { groups, plan: query_plan(reader, ran.stage, start) })
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

/// The first groups, each with its best results.
fn group(reader: &Reader<'_, '_>, request: &GroupRequest, ran: &Run) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    for scored in ran.outcome.ranked(&reader.snapshot)? {
        let (_, payload) = reader.snapshot.payload(scored.0)?;
        let ids = request.group_by.elements(&payload).map(GroupId::of);
        let Some(mut ids) = ids.collect::<Option<Vec<_>>>() else { continue };
        let mut seen = std::collections::BTreeSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        for id in ids {
            match groups.iter().position(|(it, _)| *it == id) {
                Some(at) if groups[at].1.len() < request.group_size => groups[at].1.push(scored),
                None if groups.len() < request.request.limit => groups.push((id, vec![scored])),
                _ => {}
            }
        }
    }
    Ok(groups)
}

fn point_group(
    reader: &Reader<'_, '_>,
    request: &GroupRequest,
    others: &Collections<'_>,
    (plan, ran): (&Plan<'_>, &Run),
    (id, hits): Group,
) -> Result<PointGroup> {
    let hits: Vec<ScoredPoint> = points(reader, &request.request, plan, &ran.outcome, &hits)?;
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
