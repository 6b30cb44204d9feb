//! The best of many, whichever way they were scored: score descending, then id ascending.

use crate::Result;
use crate::collection::Snapshot;
use crate::filter::PointId;
use crate::ranking::by_rank;

/// The number of a point, and its score: larger is nearer.
pub(super) type Scored = (u32, f32);

/// The best `limit`, in no order. Ids are only looked up for those that tie for the last places.
pub(super) fn best(
    snapshot: &Snapshot<'_>,
    mut scored: Vec<Scored>,
    limit: usize,
) -> Result<Vec<Scored>> {
    if limit == 0 || scored.len() <= limit {
        scored.truncate(limit);
        return Ok(scored);
    }
    let (_, &mut (_, bar), _) =
        scored.select_nth_unstable_by(limit - 1, |a, b| b.1.total_cmp(&a.1));
    let (mut best, mut tied) = (Vec::new(), Vec::new());
    for scored in scored {
        match scored.1.total_cmp(&bar) {
            std::cmp::Ordering::Greater => best.push(scored),
            std::cmp::Ordering::Equal => tied.push(scored),
            std::cmp::Ordering::Less => {}
        }
    }
    let room = limit - best.len();
    if tied.len() > room {
        let ranked = ranked(snapshot, tied)?.into_iter();
        tied = ranked.take(room).map(|(_, scored)| scored).collect();
    }
    best.extend(tied);
    Ok(best)
}

/// All of them in order, with their ids.
pub(super) fn ranked(
    snapshot: &Snapshot<'_>,
    scored: Vec<Scored>,
) -> Result<Vec<(PointId, Scored)>> {
    let with_id = |scored: Scored| Ok((snapshot.id(scored.0)?, scored));
    let mut ranked = scored.into_iter().map(with_id).collect::<Result<Vec<_>>>()?;
    ranked.sort_unstable_by(|a, b| by_rank((a.1.1, a.0), (b.1.1, b.0)));
    Ok(ranked)
}
