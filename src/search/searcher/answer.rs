//! A request, from its stages to its points.

use std::time::Instant;

use super::reader::{Reader, Scored, Search};
use super::stage::{ranked, reported, search};
use crate::Result;
use crate::filter::{Filter, PayloadSelector, PointId, PointSet};
use crate::recall::Distance;
use crate::search::{Prefetch, QueryPlan, QueryRequest, QueryResponse, ScoredPoint, WithVector};

/// Answers a request from one state of a collection.
pub(super) fn answer<'r>(
    reader: &mut Reader<'_, 'r>,
    request: &'r QueryRequest,
) -> Result<QueryResponse> {
    let start = Instant::now();
    check(reader, request)?;
    let (mut candidates, mut prefetch) = (PointSet::new(), Vec::new());
    for one in &request.prefetch {
        let (scored, stage) = search(reader, &of_prefetch(one, request.filter.as_ref()))?;
        candidates.extend(scored.iter().map(|(number, _)| *number));
        prefetch.push(stage);
    }
    let candidates = (!prefetch.is_empty()).then_some(candidates);
    let (scored, query) = search(reader, &of_query(request, candidates))?;
    let points = points(reader, request, scored)?;
    let (transaction, behind) = (reader.snapshot.transaction(), reader.behind);
    let plan = QueryPlan { transaction, behind, prefetch, query, time: start.elapsed() };
    Ok(QueryResponse { points, plan })
}

/// Refuses what would only be noticed by some answers.
fn check(reader: &Reader<'_, '_>, request: &QueryRequest) -> Result<()> {
    request.prefetch.iter().try_for_each(|prefetch| prefetch.asked().check())?;
    request.asked().check()?;
    if let WithVector::Named(names) = &request.with_vector {
        names.iter().try_for_each(|name| reader.distance(name).map(drop))?;
    }
    Ok(())
}

/// The filter of a request holds for its prefetches, too: they would find in vain what it forbids.
fn of_prefetch<'r>(prefetch: &'r Prefetch, filter: Option<&'r Filter>) -> Search<'r> {
    Search {
        using: &prefetch.using,
        query: &prefetch.query,
        filters: [filter, prefetch.filter.as_ref()],
        candidates: None,
        params: prefetch.params,
        score_threshold: prefetch.score_threshold,
        limit: prefetch.limit,
    }
}

fn of_query(request: &QueryRequest, candidates: Option<PointSet>) -> Search<'_> {
    Search {
        using: &request.using,
        query: &request.query,
        filters: [request.filter.as_ref(), None],
        candidates,
        params: request.params,
        score_threshold: request.score_threshold,
        limit: request.limit.saturating_add(request.offset),
    }
}

fn points(
    reader: &Reader<'_, '_>,
    request: &QueryRequest,
    scored: Vec<Scored>,
) -> Result<Vec<ScoredPoint>> {
    let distance = reader.distance(&request.using)?;
    let wanted = ranked(&reader.snapshot, scored)?.into_iter().skip(request.offset);
    wanted.map(|(id, scored)| point(reader, request, distance, id, scored)).collect()
}

fn point(
    reader: &Reader<'_, '_>,
    request: &QueryRequest,
    distance: Distance,
    id: PointId,
    (number, score): Scored,
) -> Result<ScoredPoint> {
    let payload = match &request.with_payload {
        PayloadSelector::None => None,
        some => some.select(reader.snapshot.payload(number)?.1),
    };
    let vectors = match &request.with_vector {
        WithVector::None => None,
        WithVector::All => Some(reader.snapshot.vectors(number, |_| true)?),
        WithVector::Named(names) => {
            Some(reader.snapshot.vectors(number, |name| names.iter().any(|it| it == name))?)
        }
    };
    Ok(ScoredPoint { id, score: reported(distance, score), payload, vectors })
}
