//! Answers: the best of each query's candidates, and what they matched.

use super::certified::certified;
#[cfg(feature = "collection")]
use super::certified::{Certification, Scorer};
use super::context::GpuContext;
use super::request::Request;
use super::statistics::Statistics;
use super::store::{QuantizedStore, ResidentStore, Stores};
use crate::Result;
use crate::multivector::check_dimension;
use crate::ranking::{DocumentId, Matrices, Query, Ranked, Wanted};

impl GpuContext {
    /// Ranks each query's candidates, and tells what that cost. Blocks until it is done.
    ///
    /// A candidate that is in the store is read there; the matrix of another is asked of `matrices`,
    /// after the store was looked at, and sent along. Scores are the same, to the bit. Neighbouring
    /// queries with the same candidates read them once.
    ///
    /// Up to a limit of 1,023 hits the best are found on the GPU, and only they are read back; beyond
    /// it, and where every candidate is a hit, all scores are. Where candidates are in int8, too, most
    /// are only bounded, if that promises to pay.
    ///
    /// # Errors
    /// Queries, documents or a store have different dimensions; a candidate is nowhere; what
    /// `matrices` says; the device is lost or out of memory.
    pub(crate) fn answer<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        stores: &Stores<'_, Id>,
        matrices: &Matrices<'_, Id>,
        wanted: Wanted,
    ) -> Result<(Vec<Ranked<Id>>, Statistics)> {
        check(queries, stores)?;
        let request = Request { gpu: &self.gpu, store: stores.exact, matrices };
        let mut of_scores: Option<Statistics> = None;
        let (found, bounding) = certified(&self.gpu, stores, queries, wanted, &mut |chosen| {
            let (scores, statistics) = request.scores(chosen)?;
            // Candidates were counted when they were bounded.
            let statistics = Statistics { resident: 0, ..statistics };
            of_scores = Some(of_scores.map_or(statistics, |before| before.and(statistics)));
            Ok(scores)
        })?;
        let (hits, statistics) = match found {
            Some((hits, of_bounds)) => (hits, of_scores.map_or(of_bounds, |it| it.and(of_bounds))),
            None => request.hits(queries, wanted)?,
        };
        let (matches, more) = match wanted.matches {
            true => request.matches(queries, &hits)?,
            false => (vec![Vec::new(); queries.len()], Statistics::free(statistics)),
        };
        let ranked = hits.into_iter().zip(matches).zip(bounding);
        let ranked = ranked.map(|((hits, matches), bounding)| Ranked { hits, matches, bounding });
        let ranked = ranked.collect();
        let evictions = stores.exact.map_or(0, ResidentStore::evictions);
        Ok((ranked, Statistics { evictions, ..statistics.and(more) }))
    }
}

impl GpuContext {
    /// Hits of each query, of which `score` scores those that bounds from int8 leave, for some candidates of each query; `None`
    /// where none are worth bounding. And what became of each query's bounds.
    ///
    /// # Errors
    /// As [`GpuContext::answer`]; what `score` says.
    #[cfg(feature = "collection")]
    pub(crate) fn certify<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        stores: &Stores<'_, Id>,
        wanted: Wanted,
        score: &mut Scorer<'_, Id>,
    ) -> Result<Certification<Id>> {
        check(queries, stores)?;
        let (found, bounding) = certified(&self.gpu, stores, queries, wanted, score)?;
        Ok((found.map(|(hits, _)| hits), bounding))
    }
}

/// Refuses queries of different dimensions.
fn check<Id: DocumentId>(queries: &[Query<'_, Id>], stores: &Stores<'_, Id>) -> Result<()> {
    let first = queries.first().map(|query| query.tokens.dim());
    let of_stores = stores.exact.map(ResidentStore::dim);
    let of_stores = of_stores.or(stores.quantized.map(QuantizedStore::dim));
    let Some(dim) = of_stores.or(first) else { return Ok(()) };
    if let Some(quantized) = stores.quantized {
        check_dimension(|| "the store in int8".into(), dim, quantized.dim())?;
    }
    for (number, query) in queries.iter().enumerate() {
        check_dimension(|| format!("query {number}"), dim, query.tokens.dim())?;
    }
    Ok(())
}
