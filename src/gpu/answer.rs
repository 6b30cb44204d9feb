//! Answers: the best of each query's candidates, and what they matched.

use super::certified::certified;
use super::context::GpuContext;
use super::request::Request;
use super::statistics::Statistics;
use super::store::{QuantizedStore, ResidentStore};
use crate::Result;
use crate::multivector::check_dimension;
use crate::ranking::{Bounding, DocumentId, Matrices, Query, Ranked, Wanted};

/// Stores that candidates of a request may be in.
pub(crate) struct Stores<'a, Id> {
    /// In f16.
    pub exact: Option<&'a ResidentStore<Id>>,
    /// In int8.
    pub quantized: Option<&'a QuantizedStore<Id>>,
}

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
        let (found, bounding) = match stores.quantized {
            Some(quantized) => certified(&request, quantized, queries, wanted)?,
            None => (None, vec![Bounding::NotAsked; queries.len()]),
        };
        let (hits, statistics) = match found {
            Some(found) => found,
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
