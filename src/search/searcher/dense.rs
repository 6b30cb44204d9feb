//! Points compared by a dense vector: a walk on the graph, or a scan.

use roaring::RoaringBitmap;

use super::best::{Scored, best};
use super::reader::Reader;
use super::stage::Search;
use crate::Result;
use crate::recall::{Allowed, HnswView, Recalled, ScanReason, SearchParams, Strategy};
use crate::search::Method;

impl Reader<'_, '_> {
    /// The best of the `allowed` points, which all have the vector.
    pub fn dense(
        &self,
        search: &Search<'_>,
        query: &[f32],
        allowed: &RoaringBitmap,
    ) -> Result<(Vec<Scored>, Method)> {
        let Some(view) = self.view(search.using) else {
            let scored = self.scan(search.using, query, allowed)?;
            let reason = match (&search.candidates, search.params.exact) {
                (Some(_), _) => ScanReason::Candidates,
                (None, true) => ScanReason::Requested,
                (None, false) => ScanReason::NoGraph,
            };
            let strategy = Strategy::Scan { documents: allowed.len() as usize, reason };
            let best = best(&self.snapshot, scored, search.limit)?;
            return Ok((best, Method::Dense { strategy, unindexed: 0 }));
        };
        // Numbers that the graph doesn't have yet, or not any more if it is ahead.
        let unindexed = allowed - view.numbers();
        let (mut scored, strategy) = walk(view, search, query, allowed - &unindexed)?;
        scored.extend(self.scan(search.using, query, &unindexed)?);
        let best = best(&self.snapshot, scored, search.limit)?;
        Ok((best, Method::Dense { strategy, unindexed: unindexed.len() }))
    }

    /// All of the `allowed` points, compared where they lie in the file.
    fn scan(&self, using: &str, query: &[f32], allowed: &RoaringBitmap) -> Result<Vec<Scored>> {
        let distance = self.shared.collection.config().get(using)?.distance;
        self.snapshot.map_dense(using, allowed, |number, vector| {
            // Plus 0, as -0 is no other score than 0.
            (number, distance.similarity(query, vector) + 0.0)
        })
    }
}

/// The best of the `allowed` points, which the graph has: with all that tie for the last place, as
/// it is not their numbers that decide between them.
fn walk(
    view: &HnswView,
    search: &Search<'_>,
    query: &[f32],
    allowed: RoaringBitmap,
) -> Result<(Vec<Scored>, Strategy)> {
    let params = match &search.candidates {
        Some(_) => SearchParams { exact: true, ..search.params },
        None => search.params,
    };
    let allowed = Allowed::from(allowed);
    let mut limit = search.limit.saturating_add(1);
    loop {
        let Recalled { candidates, mut strategy } =
            view.search(query, limit, params, Some(&allowed))?;
        let scored = candidates.iter().map(|it| (it.document as u32, it.score + 0.0));
        let scored: Vec<Scored> = scored.collect();
        let tied = scored.get(search.limit - 1).zip(scored.last());
        let cut = scored.len() == limit && tied.is_some_and(|(bar, last)| bar.1 == last.1);
        if cut {
            limit = limit.saturating_mul(4);
            continue;
        }
        if let (Some(_), Strategy::Scan { reason, .. }) = (&search.candidates, &mut strategy) {
            *reason = ScanReason::Candidates;
        }
        return Ok((scored, strategy));
    }
}
