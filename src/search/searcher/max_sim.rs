//! Points compared by a multivector: all of them, exactly.

use std::collections::HashMap;

use super::outcome::Scored;
use super::reader::{Reader, Search};
#[cfg(feature = "gpu")]
use super::resident::is_missing;
use crate::Result;
use crate::filter::{PointNumber, PointSet};
#[cfg(feature = "gpu")]
use crate::gpu::ResidentStore;
use crate::multivector::TokenMatrix;
use crate::ranking::TokenMatch;
use crate::rerank::{Execution, Query, Ranking, Request, Wanted};
use crate::search::Method;

/// The best of the `allowed` points, which all have the vector, and all that tie with the last: of
/// those it is not numbers that decide, but ids.
pub(super) fn contenders(
    reader: &Reader<'_, '_>,
    search: &Search<'_>,
    query: &TokenMatrix,
    allowed: &PointSet,
) -> Result<(Vec<Scored>, Method)> {
    let wanted = Wanted::best(search.limit).with_ties();
    let Ranking { hits, execution, .. } = rank_one(reader, search.using, query, allowed, wanted)?;
    let scored = hits.into_iter().map(|hit| (hit.id, hit.score)).collect();
    Ok((scored, Method::MaxSim { execution }))
}

/// For each query the scores of all `points`, in the order of their numbers.
pub(super) fn similarities(
    reader: &Reader<'_, '_>,
    using: &str,
    queries: &[&TokenMatrix],
    points: &PointSet,
) -> Result<(Vec<Vec<f32>>, Option<Execution>)> {
    let rankings = rank(reader, using, queries, points, Wanted::all())?;
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
    query: &TokenMatrix,
    numbers: &[PointNumber],
) -> Result<Vec<Vec<TokenMatch>>> {
    let points = numbers.iter().copied().collect();
    let wanted = Wanted::all().with_matches();
    let Ranking { hits, matches, .. } = rank_one(reader, using, query, &points, wanted)?;
    let mut matches: HashMap<PointNumber, _> = hits.iter().map(|hit| hit.id).zip(matches).collect();
    Ok(numbers.iter().map(|number| matches.remove(number).unwrap_or_default()).collect())
}

fn rank_one(
    reader: &Reader<'_, '_>,
    using: &str,
    query: &TokenMatrix,
    points: &PointSet,
    wanted: Wanted,
) -> Result<Ranking<PointNumber>> {
    // One query, one ranking.
    Ok(rank(reader, using, &[query], points, wanted)?.swap_remove(0))
}

fn rank(
    reader: &Reader<'_, '_>,
    using: &str,
    queries: &[&TokenMatrix],
    points: &PointSet,
    wanted: Wanted,
) -> Result<Vec<Ranking<PointNumber>>> {
    let max_sim = MaxSim { reader, using, queries, points, wanted };
    #[cfg(feature = "gpu")]
    let resident = reader.shared.residents.iter().find(|it| it.name() == using);
    #[cfg(feature = "gpu")]
    if let Some(resident) = resident {
        let store = Some(resident.store());
        return match max_sim.with(&resident.missing(points), store) {
            // It made room for another, or the GPU failed, and the CPU has nothing resident.
            Err(error) if is_missing(&error) => max_sim.with(points, store),
            ranked => ranked,
        };
    }
    max_sim.with(
        points,
        #[cfg(feature = "gpu")]
        None,
    )
}

struct MaxSim<'a> {
    reader: &'a Reader<'a, 'a>,
    using: &'a str,
    queries: &'a [&'a TokenMatrix],
    points: &'a PointSet,
    wanted: Wanted,
}

impl MaxSim<'_> {
    /// Ranks with the matrices of `sent`; others are in the store.
    fn with(
        &self,
        sent: &PointSet,
        #[cfg(feature = "gpu")] store: Option<&ResidentStore<PointNumber>>,
    ) -> Result<Vec<Ranking<PointNumber>>> {
        let matrices = self.reader.snapshot.all_tokens(self.using, sent)?;
        let sent: Vec<_> = sent.iter().zip(matrices).collect();
        let matrix = |number: PointNumber| {
            let found = sent.binary_search_by_key(&number, |(it, _)| *it).ok();
            Ok(found.map(|at| sent[at].1))
        };
        let candidates: Vec<PointNumber> = self.points.iter().collect();
        let tokens = self.queries.iter().map(|query| query.view());
        let queries = tokens.map(|tokens| Query { tokens, candidates: &candidates });
        let queries: Vec<_> = queries.collect();
        let request = Request::new(&queries, &matrix, self.wanted);
        #[cfg(feature = "gpu")]
        let request = store.into_iter().fold(request, Request::with_store);
        Ok(self.reader.shared.reranker.rank(&request)?.rankings)
    }
}
