//! Points nearest to a vector of any kind.

use super::outcome::Outcome;
use super::plan::Planned;
use super::reader::{Reader, Search};
use super::{dense, max_sim, row_distances, sparse};
use crate::Result;
use crate::collection::{Tokens, Values};
use crate::filter::PointSet;
use crate::search::Method;
use crate::search::query::Asked;

/// The nearest `limit` of the points, and all that tie with the last.
pub(super) fn nearest(
    reader: &Reader<'_, '_>,
    plan: &Planned<'_>,
    query: &Values,
    points: &PointSet,
    limit: usize,
) -> Result<(Outcome, Method)> {
    let search = search(plan, limit);
    let negated = reader.distance(search.using)?.smaller_is_nearer();
    let row_by_row = row_distances::is_due(reader, search.using)?;
    let (scored, method) = match query {
        Values::Dense(query) => dense::contenders(reader, &search, query, points)?,
        Values::Sparse(query) => sparse::contenders(reader, &search, query, points)?,
        Values::Tokens(query) if row_by_row => {
            row_distances::contenders(reader, &search, query, points)?
        }
        Values::Tokens(query) => max_sim::contenders(reader, &search, query, points)?,
    };
    Ok((Outcome { scored, negated, ..Outcome::default() }, method))
}

/// The nearest of their points for stages that compare multivectors of one name and want as many: in one pass.
pub(super) fn nearest_each(
    reader: &Reader<'_, '_>,
    stages: &[(&Planned<'_>, &Tokens, &PointSet)],
) -> Result<Vec<(Outcome, Method)>> {
    let Some((plan, ..)) = stages.first() else { return Ok(Vec::new()) };
    let search = search(plan, plan.limit);
    let negated = reader.distance(search.using)?.smaller_is_nearer();
    let outcome = |scored| Outcome { scored, negated, ..Outcome::default() };
    if row_distances::is_due(reader, search.using)? {
        let each = stages.iter().map(|(_, query, points)| {
            let (scored, method) = row_distances::contenders(reader, &search, query, points)?;
            Ok((outcome(scored), method))
        });
        return each.collect();
    }
    let asked: Vec<_> = stages.iter().map(|(_, query, points)| (*query, *points)).collect();
    let found = max_sim::contenders_each(reader, &search, &asked)?.into_iter();
    Ok(found.map(|(scored, method)| (outcome(scored), method)).collect())
}

fn search<'r>(plan: &Planned<'r>, limit: usize) -> Search<'r> {
    let candidates = !plan.prefetch.is_empty();
    let Asked { using, params, idf_corpus: corpus, .. } = plan.asked;
    Search { using, candidates, params, corpus, limit }
}
