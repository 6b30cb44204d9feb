//! MaxSim of points from f16, where they are: in the file, or on the GPU.

use super::reader::Reader;
#[cfg(feature = "gpu")]
use super::resident::is_missing;
use crate::Result;
use crate::filter::{PointNumber, PointSet};
#[cfg(feature = "gpu")]
use crate::gpu::ResidentStore;
use crate::multivector::TokenMatrix;
use crate::rerank::{Query, Ranking, Request, Wanted};

/// Ranks for each query points of its own, in one request.
pub(super) fn rank(
    reader: &Reader<'_, '_>,
    using: &str,
    asked: &[(&TokenMatrix, &PointSet)],
    wanted: Wanted,
) -> Result<Vec<Ranking<PointNumber>>> {
    let max_sim = MaxSim { reader, using, asked, wanted };
    let mut points = PointSet::new();
    asked.iter().for_each(|(_, some)| points |= *some);
    #[cfg(feature = "gpu")]
    let residents = reader.shared.residents();
    #[cfg(feature = "gpu")]
    let dim = asked.first().map_or(0, |(query, _)| query.dim());
    #[cfg(feature = "gpu")]
    let resident = residents.iter().find(|it| it.holds(using, dim));
    #[cfg(feature = "gpu")]
    if let Some(copies) = resident.and_then(|it| it.stores().exact) {
        let store = Some(&copies.store);
        return match max_sim.with(&copies.missing(&points), store) {
            // It made room for another, or the GPU failed, and the CPU has nothing resident.
            Err(error) if is_missing(&error) => max_sim.with(&points, store),
            ranked => ranked,
        };
    }
    max_sim.with(
        &points,
        #[cfg(feature = "gpu")]
        None,
    )
}

struct MaxSim<'a> {
    reader: &'a Reader<'a, 'a>,
    using: &'a str,
    asked: &'a [(&'a TokenMatrix, &'a PointSet)],
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
        let candidates = self.asked.iter().map(|(_, points)| points.iter().collect());
        let candidates: Vec<Vec<PointNumber>> = candidates.collect();
        let queries = self.asked.iter().zip(&candidates);
        let queries = queries.map(|((query, _), candidates)| {
            let tokens = query.view();
            Query { tokens, candidates }
        });
        let queries: Vec<_> = queries.collect();
        let request = Request::new(&queries, &matrix, self.wanted);
        #[cfg(feature = "gpu")]
        let request = store.into_iter().fold(request, Request::with_store);
        Ok(self.reader.shared.reranker.rank(&request)?.rankings)
    }
}
