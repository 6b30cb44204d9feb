//! Points compared by a multivector: all of them, exactly.

use roaring::RoaringBitmap;

use super::best::{Scored, best};
use super::reader::Reader;
#[cfg(feature = "gpu")]
use super::resident::{Resident, is_missing};
use super::stage::Search;
use crate::Result;
use crate::multivector::TokenMatrix;
use crate::rerank::{Execution, Ranking};
#[cfg(feature = "gpu")]
use crate::rerank::{Query, Rankings, Request, Wanted};
use crate::search::Method;

impl Reader<'_, '_> {
    /// The best of the `allowed` points, which all have the vector.
    pub fn max_sim(
        &self,
        search: &Search<'_>,
        query: &TokenMatrix,
        allowed: &RoaringBitmap,
    ) -> Result<(Vec<Scored>, Method)> {
        // One more than is wanted shows whether any that tie with the last are left out: of those it
        // is not numbers that decide, but ids.
        let (mut scored, mut execution) =
            self.rank(search.using, query, allowed, search.limit.saturating_add(1))?;
        if let (Some(bar), Some(next)) = (scored.get(search.limit - 1), scored.get(search.limit))
            && bar.1 == next.1
        {
            (scored, execution) = self.rank(search.using, query, allowed, usize::MAX)?;
        }
        // Plus 0, as -0 is no other score than 0.
        let scored = scored.into_iter().map(|(number, score)| (number, score + 0.0)).collect();
        let best = best(&self.snapshot, scored, search.limit)?;
        Ok((best, Method::MaxSim { execution }))
    }

    /// The best `limit`, in order.
    fn rank(
        &self,
        using: &str,
        query: &TokenMatrix,
        allowed: &RoaringBitmap,
        limit: usize,
    ) -> Result<(Vec<Scored>, Execution)> {
        #[cfg(feature = "gpu")]
        if let Some(resident) = self.shared.residents.iter().find(|it| it.name() == using) {
            let missing = resident.missing(allowed);
            return match self.rank_resident(resident, query, allowed, &missing, limit) {
                // It made room for another, or the GPU failed, and the CPU has nothing resident.
                Err(error) if is_missing(&error) => {
                    self.rank_resident(resident, query, allowed, allowed, limit)
                }
                ranked => ranked,
            };
        }
        let matrices = self.snapshot.all_tokens(using, allowed)?;
        let candidates: Vec<_> = allowed.iter().map(u64::from).zip(matrices).collect();
        let Ranking { hits, execution } =
            self.shared.reranker.rerank(query.view(), &candidates, limit)?;
        // They were numbers, of 32 bits.
        let scored = hits.into_iter().map(|hit| (hit.id as u32, hit.score));
        Ok((scored.collect(), execution))
    }

    /// The same with what is resident; the matrices of `sent` may be sent along.
    #[cfg(feature = "gpu")]
    fn rank_resident(
        &self,
        resident: &Resident,
        query: &TokenMatrix,
        allowed: &RoaringBitmap,
        sent: &RoaringBitmap,
        limit: usize,
    ) -> Result<(Vec<Scored>, Execution)> {
        let matrices = self.snapshot.all_tokens(resident.name(), sent)?;
        let sent: Vec<_> = sent.iter().zip(matrices).collect();
        let matrix = |number: u32| {
            let at = sent.binary_search_by_key(&number, |(it, _)| *it).ok()?;
            Some(sent[at].1)
        };
        let candidates: Vec<u32> = allowed.iter().collect();
        let queries = [Query { tokens: query.view(), candidates: &candidates }];
        let request = Request::new(&queries, &matrix, Wanted::best(limit));
        let request = request.with_store(resident.store());
        let Rankings { rankings, execution, .. } = self.shared.reranker.rank(&request)?;
        let hits = rankings.into_iter().flat_map(|it| it.hits);
        Ok((hits.map(|hit| (hit.id, hit.score)).collect(), execution))
    }
}
