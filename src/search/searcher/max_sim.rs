//! Points compared by a multivector: all of them, exactly.

use rayon::prelude::*;

use super::reader::{Reader, Scored, Search};
#[cfg(feature = "gpu")]
use super::resident::is_missing;
use crate::Result;
use crate::collection::Tokens;
use crate::filter::{PointNumber, PointSet};
#[cfg(feature = "gpu")]
use crate::gpu::ResidentStore;
use crate::maxsim::PreciseQuery;
use crate::multivector::TokenMatrix;
use crate::rerank::{Execution, Query, Ranking, Request, Wanted};
use crate::search::Method;

/// The best of the `allowed` points, which all have the vector, and all that tie with the last: of
/// those it is not numbers that decide, but ids.
///
/// All are scored from f16. Where f32 is kept, those that may be among the best are scored again from
/// that: k points have at least the k-th score less the bound of rounding, so one whose score is less than
/// the k-th by more than twice the bound is not among the best k.
pub(super) fn contenders(
    reader: &Reader<'_, '_>,
    search: &Search<'_>,
    query: &Tokens,
    allowed: &PointSet,
) -> Result<(Vec<Scored>, Method)> {
    let Some(rows) = &query.rows else {
        let (scored, execution) = rounded(reader, search, &query.matrix, allowed, search.limit)?;
        return Ok((scored, Method::MaxSim { execution, rescored: 0 }));
    };
    let precise = PreciseQuery::new(rows, query.matrix.dim());
    let longest = reader.snapshot.longest_row(search.using)?;
    let rounding = precise.rounding(query.matrix.view(), longest);
    let mut wanted = search.limit.saturating_add(MORE);
    loop {
        let (scored, execution) = rounded(reader, search, &query.matrix, allowed, wanted)?;
        let count = scored.len();
        let near = near(scored, search.limit, rounding);
        if near.len() == count && (count as u64) < allowed.len() {
            wanted = wanted.saturating_mul(4);
            continue;
        }
        let rows = near.iter().map(|(number, _)| reader.snapshot.rows(search.using, *number));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let scored = near.par_iter().zip(rows).map(|((number, score), rows)| {
            (*number, rows.map_or(*score, |rows| precise.score(&rows) as f32))
        });
        return Ok((scored.collect(), Method::MaxSim { execution, rescored: near.len() }));
    }
}

/// Number of points beyond the best that are first asked for: rounding seldom decides between more.
const MORE: usize = 64;

/// Those of the `scored` points that may be among the best `limit` when they are scored from f32.
fn near(mut scored: Vec<Scored>, limit: usize, rounding: f64) -> Vec<Scored> {
    scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
    if let Some((_, last)) = scored.get(limit - 1) {
        let bar = f64::from(*last) - 2.0 * rounding;
        scored.retain(|(_, score)| f64::from(*score) >= bar);
    }
    scored
}

/// The best `limit`, and all that tie with the last, by scores from f16.
fn rounded(
    reader: &Reader<'_, '_>,
    search: &Search<'_>,
    query: &TokenMatrix,
    allowed: &PointSet,
    limit: usize,
) -> Result<(Vec<Scored>, Execution)> {
    let ranking = MaxSim { reader, using: search.using, query, allowed, limit };
    #[cfg(feature = "gpu")]
    let resident = reader.shared.residents.iter().find(|it| it.name() == search.using);
    #[cfg(feature = "gpu")]
    if let Some(resident) = resident {
        let store = Some(resident.store());
        return match ranking.with(&resident.missing(allowed), store) {
            // It made room for another, or the GPU failed, and the CPU has nothing resident.
            Err(error) if is_missing(&error) => ranking.with(allowed, store),
            ranked => ranked,
        };
    }
    ranking.with(
        allowed,
        #[cfg(feature = "gpu")]
        None,
    )
}

struct MaxSim<'a> {
    reader: &'a Reader<'a, 'a>,
    using: &'a str,
    query: &'a TokenMatrix,
    allowed: &'a PointSet,
    limit: usize,
}

impl MaxSim<'_> {
    /// Ranks with the matrices of `sent`; others are in the store.
    fn with(
        &self,
        sent: &PointSet,
        #[cfg(feature = "gpu")] store: Option<&ResidentStore<PointNumber>>,
    ) -> Result<(Vec<Scored>, Execution)> {
        let matrices = self.reader.snapshot.all_tokens(self.using, sent)?;
        let sent: Vec<_> = sent.iter().zip(matrices).collect();
        let matrix = |number: PointNumber| {
            let found = sent.binary_search_by_key(&number, |(it, _)| *it).ok();
            Ok(found.map(|at| sent[at].1))
        };
        let candidates: Vec<PointNumber> = self.allowed.iter().collect();
        let queries = [Query { tokens: self.query.view(), candidates: &candidates }];
        let wanted = Wanted::best(self.limit).with_ties();
        let request = Request::new(&queries, &matrix, wanted);
        #[cfg(feature = "gpu")]
        let request = store.into_iter().fold(request, Request::with_store);
        let mut answer = self.reader.shared.reranker.rank(&request)?;
        // One query, one ranking.
        let Ranking { hits, execution, .. } = answer.rankings.swap_remove(0);
        let scored = hits.into_iter().map(|hit| (hit.id, hit.score)).collect();
        Ok((scored, execution))
    }
}
