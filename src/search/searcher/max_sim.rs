//! Points compared by a multivector: all of them, exactly.

use std::collections::HashMap;

use rayon::prelude::*;

use super::certified::certified;
#[cfg(feature = "gpu")]
use super::certified::certified_on_gpu;
use super::outcome::Scored;
use super::precise::Precise;
use super::rank::rank;
use super::reader::{Reader, Search};
use super::row_distances;
use crate::Result;
use crate::collection::Tokens;
use crate::filter::{PointNumber, PointSet};
use crate::maxsim::PreciseQuery;
use crate::multivector::TokenMatrix;
use crate::ranking::TokenMatch;
use crate::rerank::{Execution, Ranking, Wanted};
use crate::search::{Certified, Method};

/// The best of the `allowed` points, which all have the vector, and all that tie with the last: of
/// those it is not numbers that decide, but ids.
///
/// All are scored by the kernels, from f16. Where f32 is kept, and where rows are compared by their distances, those that may
/// be among the best are scored again.
pub(super) fn contenders(
    reader: &Reader<'_, '_>,
    search: &Search<'_>,
    query: &Tokens,
    allowed: &PointSet,
) -> Result<(Vec<Scored>, Method)> {
    // One query, one answer.
    Ok(contenders_each(reader, search, &[(query, allowed)])?.swap_remove(0))
}

/// The same for several queries, each with points of its own: scored together.
pub(super) fn contenders_each(
    reader: &Reader<'_, '_>,
    search: &Search<'_>,
    asked: &[(&Tokens, &PointSet)],
) -> Result<Vec<(Vec<Scored>, Method)>> {
    let queries = asked.iter().map(|(query, _)| Precise::new(reader, search.using, query));
    let queries = queries.collect::<Result<Vec<_>>>()?;
    let is_asked_again = queries.iter().any(Precise::is_asked_again);
    let wanted = if is_asked_again { search.limit.saturating_add(MORE) } else { search.limit };
    let matrices = queries.iter().zip(asked).map(|(query, it)| (&*query.matrix, it.1));
    let first = rounded(reader, search.using, &matrices.collect::<Vec<_>>(), wanted)?;
    let asked = queries.iter().zip(asked).zip(first);
    asked.map(|((query, it), first)| settled(reader, search, query, it.1, first)).collect()
}

/// The best of the points, of which the best by the kernels' scores are known already.
fn settled(
    reader: &Reader<'_, '_>,
    search: &Search<'_>,
    query: &Precise<'_>,
    allowed: &PointSet,
    mut first: Rounded,
) -> Result<(Vec<Scored>, Method)> {
    let mut wanted = search.limit.saturating_add(MORE);
    while query.is_asked_again() {
        let Rounded { scored, execution, certified } = first;
        let count = scored.len();
        let near = query.near(scored, search.limit);
        if near.len() < count || count as u64 >= allowed.len() {
            let rescored = near.len();
            let scored = again(reader, search.using, query, &near)?;
            return Ok((scored, Method::MaxSim { execution, rescored, certified }));
        }
        wanted = wanted.saturating_mul(4);
        first = rounded(reader, search.using, &[(&*query.matrix, allowed)], wanted)?.swap_remove(0);
    }
    let Rounded { scored, execution, certified } = first;
    Ok((scored, Method::MaxSim { execution, rescored: 0, certified }))
}

/// Number of points beyond the best that are first asked for: rounding seldom decides between more.
const MORE: usize = 64;

/// The `near` points by scores from f32.
fn again(
    reader: &Reader<'_, '_>,
    using: &str,
    query: &Precise<'_>,
    near: &[Scored],
) -> Result<Vec<Scored>> {
    let rows = near.iter().map(|(number, _)| reader.snapshot.rows_in_f32(using, *number));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let scored = near.par_iter().zip(rows).map(|((number, score), rows)| {
        (*number, rows.and_then(|rows| query.score(&rows)).unwrap_or(*score))
    });
    Ok(scored.collect())
}

/// Points by scores from f16.
struct Rounded {
    scored: Vec<Scored>,
    execution: Execution,
    certified: Option<Certified>,
}

/// For each query the best `limit` of its points, and all that tie with the last, by scores from f16: where they are kept
/// in int8, of those alone that these say may be among the best.
fn rounded(
    reader: &Reader<'_, '_>,
    using: &str,
    asked: &[(&TokenMatrix, &PointSet)],
    limit: usize,
) -> Result<Vec<Rounded>> {
    let wanted = Wanted::best(limit).with_ties();
    #[cfg(feature = "gpu")]
    if let Some(rankings) = certified_on_gpu(reader, using, asked, wanted)? {
        return Ok(rankings.into_iter().map(of).collect());
    }
    let each = asked.iter().map(|it| certified(reader, using, *it, wanted));
    let each = each.collect::<Result<Vec<_>>>()?;
    let left = asked.iter().zip(&each).filter(|(_, certified)| certified.is_none());
    let left: Vec<_> = left.map(|(it, _)| *it).collect();
    let ranked = if left.is_empty() { Vec::new() } else { rank(reader, using, &left, wanted)? };
    let mut ranked = ranked.into_iter();
    let rankings = each.into_iter().filter_map(|certified| certified.or_else(|| ranked.next()));
    Ok(rankings.map(of).collect())
}

fn of(ranking: Ranking<PointNumber>) -> Rounded {
    let Ranking { hits, execution, certified, .. } = ranking;
    let scored = hits.into_iter().map(|hit| (hit.id, hit.score)).collect();
    Rounded { scored, execution, certified }
}

/// For each query the scores of all `points`, in the order of their numbers: from f32 where it is kept, which
/// the CPU computes.
pub(super) fn similarities(
    reader: &Reader<'_, '_>,
    using: &str,
    queries: &[&Tokens],
    points: &PointSet,
) -> Result<(Vec<Vec<f32>>, Option<Execution>)> {
    let precise = queries
        .iter()
        .map(|query| query.rows.as_ref().map(|rows| PreciseQuery::new(rows, query.matrix.dim())));
    if let Some(precise) = precise.collect::<Option<Vec<_>>>() {
        let rows = points.iter().map(|number| reader.snapshot.rows(using, number));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let score = |query: &PreciseQuery<'_>, rows: &Option<Vec<f32>>| {
            rows.as_deref().map_or(f32::NEG_INFINITY, |rows| query.score(rows) as f32)
        };
        let column =
            |query: &PreciseQuery<'_>| rows.par_iter().map(|it| score(query, it)).collect();
        return Ok((precise.iter().map(column).collect(), None));
    }
    let asked: Vec<_> = queries.iter().map(|query| (&query.matrix, points)).collect();
    let rankings = rank(reader, using, &asked, Wanted::all())?;
    let execution = rankings.first().map(|it| it.execution.clone());
    let column = |ranking: Ranking<PointNumber>| {
        let mut hits = ranking.hits;
        hits.sort_unstable_by_key(|hit| hit.id);
        hits.into_iter().map(|hit| hit.score).collect()
    };
    Ok((rankings.into_iter().map(column).collect(), execution))
}

/// For each of these points the tokens that the query's tokens match, in the order of `numbers`.
pub(super) fn matches(
    reader: &Reader<'_, '_>,
    using: &str,
    query: &Tokens,
    numbers: &[PointNumber],
) -> Result<Vec<Vec<TokenMatch>>> {
    if reader.distance(using)?.smaller_is_nearer() {
        return row_distances::matches(reader, using, query, numbers);
    }
    let points = numbers.iter().copied().collect();
    let wanted = Wanted::all().with_matches();
    // One query, one ranking.
    let Ranking { hits, matches, .. } =
        rank(reader, using, &[(&query.matrix, &points)], wanted)?.swap_remove(0);
    let mut matches: HashMap<PointNumber, _> = hits.iter().map(|hit| hit.id).zip(matches).collect();
    Ok(numbers.iter().map(|number| matches.remove(number).unwrap_or_default()).collect())
}
