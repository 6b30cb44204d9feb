//! Points nearest to a vector of any kind.

use super::outcome::Outcome;
use super::plan::Planned;
use super::reader::{Reader, Search};
use super::{dense, max_sim, sparse};
use crate::Result;
use crate::collection::{Tokens, Values};
use crate::filter::PointSet;
use crate::recall::Distance;
use crate::search::Method;

/// The nearest `limit` of the points, and all that tie with the last.
pub(super) fn nearest(
    reader: &Reader<'_, '_>,
    plan: &Planned<'_>,
    query: &Values,
    points: &PointSet,
    limit: usize,
) -> Result<(Outcome, Method)> {
    let search = search(plan, limit);
    let (scored, method) = match query {
        Values::Dense(query) => dense::contenders(reader, &search, query, points)?,
        Values::Sparse(query) => sparse::contenders(reader, &search, query, points)?,
        Values::Tokens(query) => max_sim::contenders(reader, &search, query, points)?,
    };
    let negated = reader.distance(search.using)? == Distance::Euclid;
    Ok((Outcome { scored, negated, ..Outcome::default() }, method))
}

/// The nearest of their points for stages that compare multivectors of one name and want as many: in one pass.
pub(super) fn nearest_each(
    reader: &Reader<'_, '_>,
    stages: &[(&Planned<'_>, &Tokens, &PointSet)],
) -> Result<Vec<(Outcome, Method)>> {
    let Some((plan, ..)) = stages.first() else { return Ok(Vec::new()) };
    let search = search(plan, plan.limit);
    let asked: Vec<_> = stages.iter().map(|(_, query, points)| (*query, *points)).collect();
    let found = max_sim::contenders_each(reader, &search, &asked)?.into_iter();
    let negated = reader.distance(search.using)? == Distance::Euclid;
    let outcome = |scored| Outcome { scored, negated, ..Outcome::default() };
    Ok(found.map(|(scored, method)| (outcome(scored), method)).collect())
}

fn search<'r>(plan: &Planned<'r>, limit: usize) -> Search<'r> {
    let candidates = !plan.prefetch.is_empty();
    Search { using: plan.asked.using, candidates, params: plan.asked.params, limit }
}
