//! [`Outcome`]: the points that a stage has found, and their order.

use crate::Result;
use crate::collection::Snapshot;
use crate::filter::PointNumber;
use crate::ranking::keep_with_ties;
use crate::search::Stage;
use crate::search::query::OrderValue;

/// Number of a point, and its score: larger is better.
pub(super) type Scored = (PointNumber, f32);

/// Points that a stage has found.
#[derive(Default)]
pub(super) struct Outcome {
    /// Numbers and scores: larger ones are better.
    pub scored: Vec<Scored>,
    /// They are in order, which need not be that of scores; else in none.
    pub in_order: bool,
    /// The value that each is ordered by, if it is by a payload field.
    pub values: Vec<OrderValue>,
    /// Scores are reported negated: of distances the smaller are better.
    pub negated: bool,
}

impl Outcome {
    /// A score as it is reported.
    pub fn reported(&self, score: f32) -> f32 {
        // Not `-score`: that would be -0 for equal vectors.
        if self.negated { 0.0 - score } else { score }
    }

    /// Keeps scores that are better than a threshold, which is as scores are reported; or as good.
    pub fn keep_better(&mut self, threshold: Option<f32>, inclusive: bool) {
        if let Some(threshold) = threshold {
            let least = if self.negated { 0.0 - threshold } else { threshold };
            let good = |score: f32| score > least || inclusive && score == least;
            self.scored.retain(|(_, score)| good(*score));
        }
    }

    /// Numbers and scores, best first, of equal scores smaller ids first. Ids are only looked up of points
    /// that tie.
    pub fn ranked(&self, snapshot: &Snapshot<'_>) -> Result<Vec<Scored>> {
        let mut ranked = self.scored.clone();
        if self.in_order {
            return Ok(ranked);
        }
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
        for tied in ranked.chunk_by_mut(|a, b| a.1 == b.1).filter(|tied| tied.len() > 1) {
            let with_id = |it: &Scored| Ok((snapshot.id(it.0)?, *it));
            let mut ids = tied.iter().map(with_id).collect::<Result<Vec<_>>>()?;
            ids.sort_unstable_by_key(|(id, _)| *id);
            tied.iter_mut().zip(ids).for_each(|(place, (_, it))| *place = it);
        }
        Ok(ranked)
    }
}

/// A stage that has been run.
pub(super) struct Run {
    pub outcome: Outcome,
    pub stage: Stage,
}

/// The best `limit`, in no order. Ids are only looked up for those that tie for the last places.
pub(super) fn best(
    snapshot: &Snapshot<'_>,
    mut scored: Vec<Scored>,
    limit: usize,
) -> Result<Vec<Scored>> {
    // Plus 0, as -0 is no other score than 0.
    scored.iter_mut().for_each(|(_, score)| *score += 0.0);
    keep_with_ties(&mut scored, limit, |(_, score)| *score);
    if scored.len() > limit {
        scored = Outcome { scored, ..Outcome::default() }.ranked(snapshot)?;
        scored.truncate(limit);
    }
    Ok(scored)
}
