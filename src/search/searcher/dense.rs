//! Points compared by a dense vector: a walk on the graph, or a scan.

use roaring::RoaringBitmap;

use super::outcome::Scored;
use super::reader::{Reader, Search};
use crate::Result;
use crate::filter::{PointNumber, PointSet};
use crate::recall::{Allowed, HnswView, Recalled, ScanReason, SearchParams, Strategy};
use crate::search::Method;

/// The best of the `allowed` points, which all have the vector, and others: among them all that tie
/// with the last of the best.
pub(super) fn contenders(
    reader: &Reader<'_, '_>,
    search: &Search<'_>,
    query: &[f32],
    allowed: &PointSet,
) -> Result<(Vec<Scored>, Method)> {
    let Some(view) = reader.view(search.using) else {
        let scored = scan(reader, search.using, query, allowed)?;
        let reason = match (search.candidates, search.params.exact) {
            (true, _) => ScanReason::Candidates,
            (false, true) => ScanReason::Requested,
            (false, false) => ScanReason::NoGraph,
        };
        let strategy = Strategy::Scan { documents: allowed.len() as usize, reason };
        return Ok((scored, Method::Dense { strategy, unindexed: 0 }));
    };
    // Numbers that the graph doesn't have yet, or not any more if it is ahead.
    let unindexed = PointSet::from(allowed.bitmap() - view.numbers());
    let (mut scored, strategy, unlinked) = walk(view, search, query, allowed - &unindexed)?;
    scored.extend(scan(reader, search.using, query, &unindexed)?);
    Ok((scored, Method::Dense { strategy, unindexed: unindexed.len() + unlinked as u64 }))
}

/// All of the `allowed` points, compared where they lie in the file.
fn scan(
    reader: &Reader<'_, '_>,
    using: &str,
    query: &[f32],
    allowed: &PointSet,
) -> Result<Vec<Scored>> {
    let distance = reader.distance(using)?;
    reader
        .snapshot
        .map_dense(using, allowed, |number, vector| (number, distance.similarity(query, vector)))
}

/// The best of the `allowed` points, which the graph has: with all that tie for the last place, as
/// it is not their numbers that decide between them. And the number of points that are not linked yet.
fn walk(
    view: &HnswView,
    search: &Search<'_>,
    query: &[f32],
    allowed: PointSet,
) -> Result<(Vec<Scored>, Strategy, usize)> {
    let exact = search.params.exact || search.candidates;
    let params = SearchParams { exact, ..search.params };
    let allowed = Allowed::from(RoaringBitmap::from(allowed));
    let mut limit = search.limit.saturating_add(1);
    loop {
        let Recalled { candidates, mut strategy, unlinked } =
            view.search(query, limit, params, Some(&allowed))?;
        let tied = candidates.get(search.limit - 1).zip(candidates.last());
        let cut =
            candidates.len() == limit && tied.is_some_and(|(bar, last)| bar.score == last.score);
        if cut {
            limit = limit.saturating_mul(4);
            continue;
        }
        if let (true, Strategy::Scan { reason, .. }) = (search.candidates, &mut strategy) {
            *reason = ScanReason::Candidates;
        }
        let number = |document| PointNumber::new(document as u32);
        let scored = candidates.iter().map(|it| (number(it.document), it.score)).collect();
        return Ok((scored, strategy, unlinked));
    }
}
