//! Points compared by a multivector: all of them, exactly.

use super::reader::{Reader, Scored, Search};
#[cfg(feature = "gpu")]
use super::resident::is_missing;
use crate::Result;
use crate::filter::{PointNumber, PointSet};
#[cfg(feature = "gpu")]
use crate::gpu::ResidentStore;
use crate::multivector::TokenMatrix;
use crate::rerank::{Query, Ranking, Request, Wanted};
use crate::search::Method;

/// The best of the `allowed` points, which all have the vector, and all that tie with the last: of
/// those it is not numbers that decide, but ids.
pub(super) fn contenders(
    reader: &Reader<'_, '_>,
    search: &Search<'_>,
    query: &TokenMatrix,
    allowed: &PointSet,
) -> Result<(Vec<Scored>, Method)> {
    let ranking = MaxSim { reader, search, query, allowed };
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
    search: &'a Search<'a>,
    query: &'a TokenMatrix,
    allowed: &'a PointSet,
}

impl MaxSim<'_> {
    /// Ranks with the matrices of `sent`; others are in the store.
    fn with(
        &self,
        sent: &PointSet,
        #[cfg(feature = "gpu")] store: Option<&ResidentStore<PointNumber>>,
    ) -> Result<(Vec<Scored>, Method)> {
        let matrices = self.reader.snapshot.all_tokens(self.search.using, sent)?;
        let sent: Vec<_> = sent.iter().zip(matrices).collect();
        let matrix = |number: PointNumber| {
            let found = sent.binary_search_by_key(&number, |(it, _)| *it).ok();
            Ok(found.map(|at| sent[at].1))
        };
        let candidates: Vec<PointNumber> = self.allowed.iter().collect();
        let queries = [Query { tokens: self.query.view(), candidates: &candidates }];
        let wanted = Wanted::best(self.search.limit).with_ties();
        let request = Request::new(&queries, &matrix, wanted);
        #[cfg(feature = "gpu")]
        let request = store.into_iter().fold(request, Request::with_store);
        let mut answer = self.reader.shared.reranker.rank(&request)?;
        // One query, one ranking.
        let Ranking { hits, execution, .. } = answer.rankings.swap_remove(0);
        let scored = hits.into_iter().map(|hit| (hit.id, hit.score)).collect();
        Ok((scored, Method::MaxSim { execution }))
    }
}
