//! One stage of a request: the points that may be found, compared, and the best of them.

use std::time::Instant;

use super::reader::{Reader, Scored, Search};
use super::{dense, max_sim, sparse};
use crate::Result;
use crate::collection::{Snapshot, Values};
use crate::filter::{PointId, PointSet};
use crate::ranking::{by_rank, keep_with_ties};
use crate::recall::Distance;
use crate::search::Stage;

/// The best points, in no order.
pub(super) fn search<'r>(
    reader: &mut Reader<'_, 'r>,
    search: &Search<'r>,
) -> Result<(Vec<Scored>, Stage)> {
    let start = Instant::now();
    reader.cancellation.check()?;
    let query = reader.shared.collection.config().prepare(search.using, search.query)?;
    let (points, payloads_read) = allowed(reader, search)?;
    let filter_time = start.elapsed();
    let (contenders, method) = match query {
        Values::Dense(query) => dense::contenders(reader, search, &query, &points)?,
        Values::Sparse(query) => sparse::contenders(reader, search, &query, &points)?,
        Values::Tokens(query) => max_sim::contenders(reader, search, &query, &points)?,
    };
    let mut found = best(&reader.snapshot, contenders, search.limit)?;
    if let Some(threshold) = search.score_threshold {
        let least = reported(reader.distance(search.using)?, threshold);
        found.retain(|(_, score)| *score >= least);
    }
    let stage = Stage {
        using: search.using.into(),
        allowed: points.len(),
        payloads_read,
        method,
        found: found.len(),
        filter_time,
        time: start.elapsed() - filter_time,
    };
    Ok((found, stage))
}

/// Points that may be found, and the number of payloads that were read for that.
fn allowed<'r>(reader: &mut Reader<'_, 'r>, search: &Search<'r>) -> Result<(PointSet, u64)> {
    let mut points = reader.snapshot.having(search.using)?.clone();
    let mut payloads_read = 0;
    for filter in search.filters.into_iter().flatten() {
        let (selected, read) = reader.select(filter)?;
        points &= &selected.points;
        payloads_read += read;
    }
    if let Some(candidates) = &search.candidates {
        points &= candidates;
    }
    Ok((points, payloads_read))
}

/// The best `limit`, in no order. Ids are only looked up for those that tie for the last places.
fn best(snapshot: &Snapshot<'_>, mut scored: Vec<Scored>, limit: usize) -> Result<Vec<Scored>> {
    // Plus 0, as -0 is no other score than 0.
    scored.iter_mut().for_each(|(_, score)| *score += 0.0);
    keep_with_ties(&mut scored, limit, |(_, score)| *score);
    if scored.len() <= limit {
        return Ok(scored);
    }
    let bar = scored.iter().fold(f32::INFINITY, |bar, (_, score)| bar.min(*score));
    let (tied, mut best): (Vec<_>, Vec<_>) = scored.into_iter().partition(|it| it.1 == bar);
    let room = limit - best.len();
    best.extend(ranked(snapshot, tied)?.into_iter().take(room).map(|(_, scored)| scored));
    Ok(best)
}

/// All of them in order, with their ids: better scores first, then smaller ids.
pub(super) fn ranked(
    snapshot: &Snapshot<'_>,
    scored: Vec<Scored>,
) -> Result<Vec<(PointId, Scored)>> {
    let with_id = |scored: Scored| Ok((snapshot.id(scored.0)?, scored));
    let mut ranked = scored.into_iter().map(with_id).collect::<Result<Vec<_>>>()?;
    ranked.sort_unstable_by(|a, b| by_rank((a.1.1, a.0), (b.1.1, b.0)));
    Ok(ranked)
}

/// A score as Qdrant reports it, or one that it reports as we compare it: the Euclidean distance is
/// the one score of which the smaller is the better.
pub(super) fn reported(distance: Distance, score: f32) -> f32 {
    match distance {
        // Not `-score`: that would be -0 for equal vectors.
        Distance::Euclid => 0.0 - score,
        Distance::Cosine | Distance::Dot => score,
    }
}
