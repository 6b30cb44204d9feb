//! Requests, from their plans to their points.

use std::time::Instant;

use super::max_sim;
use super::outcome::Scored;
use super::outcome::{Outcome, Run};
use super::plan::{Collections, Plan, Rule, plan};
use super::reader::Reader;
use super::run::{Task, run_each};
use crate::collection::Values;
use crate::filter::{PayloadSelector, PointNumber};
use crate::ranking::TokenMatch;
use crate::search::{QueryPlan, QueryRequest, QueryResponse, RequestLimits};
use crate::search::{ScoredPoint, Stage};
use crate::{Error, Result};

/// Answers requests from one state of a collection. An error of one is nothing to the others.
pub(super) fn answer_each<'r>(
    reader: &mut Reader<'_, 'r>,
    limits: &RequestLimits,
    requests: &[(&'r QueryRequest, &Collections<'_>)],
) -> Vec<Result<QueryResponse>> {
    let start = Instant::now();
    let plans = requests.iter().map(|(request, others)| {
        limits.check(request)?;
        let plan = plan(reader, request, *others)?;
        check_matches(request, &plan).map(|()| plan)
    });
    let plans: Vec<Result<Plan<'r>>> = plans.collect();
    let tasks = plans.iter().flatten();
    let tasks = tasks.map(|Plan { root, excluded }| Task { plan: root, excluded });
    let mut runs = run_each(reader, &tasks.collect::<Vec<_>>()).into_iter();
    let answers = requests.iter().zip(plans).map(|((request, _), plan)| {
        let plan = plan?;
        let run = runs.next().unwrap_or(Err(Error::Cancelled))?;
        respond(reader, request, &plan, run, start)
    });
    answers.collect()
}

fn respond(
    reader: &Reader<'_, '_>,
    request: &QueryRequest,
    plan: &Plan<'_>,
    Run { outcome, stage }: Run,
    start: Instant,
) -> Result<QueryResponse> {
    let ranked = outcome.ranked(&reader.snapshot)?;
    // A sample of all points has no order, in which some could come before it.
    let of_all = matches!(plan.root.rule, Rule::Sample) && request.prefetch.is_empty();
    let offset = if of_all { 0 } else { request.offset };
    let wanted = ranked.get(offset..).unwrap_or_default();
    let wanted = &wanted[..wanted.len().min(request.limit)];
    let reading = Instant::now();
    let mut points = points(reader, request, plan, &outcome, wanted)?;
    let values = outcome.values.iter().skip(offset);
    points.iter_mut().zip(values).for_each(|(point, value)| point.order_value = Some(*value));
    Ok(QueryResponse { points, plan: query_plan(reader, stage, reading, start) })
}

/// The plan of a request that began at `start` and has been answered, its results read from `reading` on.
pub(super) fn query_plan(
    reader: &Reader<'_, '_>,
    query: Stage,
    reading: Instant,
    start: Instant,
) -> QueryPlan {
    let (transaction, behind) = (reader.snapshot.transaction(), reader.behind);
    let (results_time, time) = (reading.elapsed(), start.elapsed());
    QueryPlan { transaction, behind, query, results_time, time }
}

/// Refuses to tell what tokens matched where none were compared.
fn check_matches(request: &QueryRequest, plan: &Plan<'_>) -> Result<()> {
    match plan.root.rule {
        Rule::Nearest(Values::Tokens(_)) => Ok(()),
        _ if !request.with_matches => Ok(()),
        _ => Err(Error::InvalidParameter {
            name: "with_matches",
            expected: "left out, as the query is no multivector".into(),
            got: "true".into(),
        }),
    }
}

/// Points that were found, with all that a request wants to know of them.
pub(super) fn points(
    reader: &Reader<'_, '_>,
    request: &QueryRequest,
    plan: &Plan<'_>,
    outcome: &Outcome,
    wanted: &[Scored],
) -> Result<Vec<ScoredPoint>> {
    let mut matches = match &plan.root.rule {
        Rule::Nearest(Values::Tokens(query)) if request.with_matches => {
            let numbers: Vec<PointNumber> = wanted.iter().map(|(number, _)| *number).collect();
            max_sim::matches(reader, &request.using, query, &numbers)?
        }
        _ => Vec::new(),
    }
    .into_iter();
    // Collecting results moves each point, of some 200 bytes, five times.
    let mut points = Vec::with_capacity(wanted.len());
    for &(number, score) in wanted {
        points.push(point(reader, request, (number, outcome.reported(score)), matches.next())?);
    }
    Ok(points)
}

fn point(
    reader: &Reader<'_, '_>,
    request: &QueryRequest,
    (number, score): Scored,
    matches: Option<Vec<TokenMatch>>,
) -> Result<ScoredPoint> {
    let (id, version) = reader.snapshot.head(number)?;
    let payload = match &request.with_payload {
        PayloadSelector::None => None,
        some => some.select(reader.snapshot.payload(number)?.1),
    };
    let vectors = request.with_vector.of(&reader.snapshot, number)?;
    Ok(ScoredPoint { id, version, score, order_value: None, payload, vectors, matches })
}
