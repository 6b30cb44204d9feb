//! Points nearest to a vector of any kind.

use super::outcome::Outcome;
use super::plan::Planned;
use super::reader::{Reader, Search};
use super::{dense, max_sim, row_distances, sparse};
use crate::Result;
use crate::collection::Values;
use crate::filter::PointSet;
use crate::search::Method;

/// The nearest `limit` of the points, and all that tie with the last.
pub(super) fn nearest(
    reader: &Reader<'_, '_>,
    plan: &Planned<'_>,
    query: &Values,
    points: &PointSet,
    limit: usize,
) -> Result<(Outcome, Method)> {
    let search = Search {
        using: plan.asked.using,
        candidates: !plan.prefetch.is_empty(),
        params: plan.asked.params,
        corpus: plan.asked.idf_corpus,
        limit,
    };
    let negated = reader.distance(search.using)?.smaller_is_nearer();
    let (scored, method) = match query {
        Values::Dense(query) => dense::contenders(reader, &search, query, points)?,
        Values::Sparse(query) => sparse::contenders(reader, &search, query, points)?,
        Values::Tokens(query) if negated => {
            row_distances::contenders(reader, &search, query, points)?
        }
        Values::Tokens(query) => max_sim::contenders(reader, &search, query, points)?,
    };
    Ok((Outcome { scored, negated, ..Outcome::default() }, method))
}
