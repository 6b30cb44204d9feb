//! The best k candidates, of which only those are scored from f16 that bounds from int8 leave.
//!
//! As on the CPU: candidates of the k highest bounds are scored; k candidates have at least the k-th best of these scores,
//! so one whose bound is below that is not among the best k, and every other is scored. Scores are those of the kernel
//! that scores everything else, so the answer is the same to the bit, ties included.

use super::bounds::bounds;
use super::device::Gpu;
use super::request::Hits;
use super::statistics::Statistics;
use super::store::{QuantizedStore, ResidentStore, Stores};
use crate::Error::{DeviceLimit, NotResident, ProbeFailed};
use crate::Result;
use crate::ranking::{Bounding, Certified, DocumentId, Query, Scored, Wanted};

/// Candidates that may be worth bounding, at least.
const LEAST_CANDIDATES: usize = 256;

/// The same of candidates that are in f16 in the GPU's memory: two more passes cost more than they save. Estimated, not
/// measured.
const LEAST_RESIDENT_CANDIDATES: usize = 5_000;

/// Bounds pay where one candidate of so many is asked for.
const LEAST_CANDIDATES_OF_K: usize = 4;

/// Scores of every candidate of each query, in their order.
pub(crate) type Scorer<'s, Id> = dyn FnMut(&[Query<'_, Id>]) -> Result<Vec<Vec<f32>>> + 's;

/// Hits of each query; `None` where all candidates have to be scored. And what became of the bounds of each.
#[cfg(feature = "collection")]
pub(crate) type Certification<Id> = (Option<Vec<Vec<Scored<Id>>>>, Vec<Bounding>);

/// Hits of each query, and what their bounds cost; `None` where no query has candidates that are worth bounding. And what
/// became of the bounds of each.
type Outcome<Id> = (Option<(Vec<Hits<Id>>, Statistics)>, Vec<Bounding>);

/// Ranks the candidates of each query, bounding them first where that promises to pay.
///
/// # Errors
/// Errors of `score`; the device is lost or out of memory.
pub(super) fn certified<Id: DocumentId>(
    gpu: &Gpu,
    stores: &Stores<'_, Id>,
    queries: &[Query<'_, Id>],
    wanted: Wanted,
    score: &mut Scorer<'_, Id>,
) -> Result<Outcome<Id>> {
    let Some(quantized) = stores.quantized else {
        return Ok((None, vec![Bounding::NotAsked; queries.len()]));
    };
    let contests = queries.iter().map(|it| Contest::new(*it, wanted.limit, stores.exact));
    let mut contests: Vec<_> = contests.collect();
    let found = match bound(gpu, quantized, &mut contests)? {
        None => None,
        Some(statistics) => {
            score_chosen(score, &mut contests, Contest::highest)?;
            score_chosen(score, &mut contests, Contest::reaching)?;
            Some(statistics)
        }
    };
    let bounding = contests.iter().map(Contest::bounding).collect();
    let hits =
        |contests: Vec<Contest<'_, Id>>| contests.into_iter().map(|it| it.hits(wanted)).collect();
    Ok((found.map(|statistics| (hits(contests), statistics)), bounding))
}

/// A query, and what is known of its candidates.
struct Contest<'a, Id> {
    query: Query<'a, Id>,
    /// Hits that are wanted, at most as many as candidates.
    k: usize,
    /// Reason for which its candidates are not bounded.
    left: Option<&'static str>,
    /// Upper bounds of candidates that are not scored yet; infinite, if there are none, and of those that are, below
    /// everything.
    upper: Vec<f32>,
    bounded: usize,
    /// Indices and scores.
    scored: Vec<(usize, f32)>,
}

impl<'a, Id: DocumentId> Contest<'a, Id> {
    fn new(query: Query<'a, Id>, limit: usize, exact: Option<&ResidentStore<Id>>) -> Self {
        let count = query.candidates.len();
        let k = limit.min(count);
        let is_resident = || {
            let there = |id: &&Id| exact.is_some_and(|store| store.contains(**id));
            2 * query.candidates.iter().filter(there).count() > count
        };
        let left = if k == 0 {
            Some("no hits are wanted")
        } else if k > count / LEAST_CANDIDATES_OF_K {
            Some("too many of the candidates are wanted for bounds to pay")
        } else if count < LEAST_CANDIDATES {
            Some("too few candidates for bounds to pay")
        } else if count < LEAST_RESIDENT_CANDIDATES && is_resident() {
            Some("too few candidates for bounds to pay, as they are resident in f16")
        } else {
            None
        };
        let upper = vec![f32::INFINITY; count];
        Self { query, k, left, upper, bounded: 0, scored: Vec::new() }
    }

    /// The same query, of the candidates that are bounded.
    fn to_bound(&self) -> Query<'a, Id> {
        Query {
            candidates: if self.left.is_some() { &[] } else { self.query.candidates },
            ..self.query
        }
    }

    /// Candidates to be scored first: those of the highest bounds, and those without.
    fn highest(&self) -> Vec<usize> {
        let all = 0..self.upper.len();
        let (mut bounded, mut chosen): (Vec<_>, Vec<_>) =
            all.partition(|at| self.upper[*at].is_finite());
        if self.k < bounded.len() {
            let highest = |a: &usize, b: &usize| self.upper[*b].total_cmp(&self.upper[*a]);
            bounded.select_nth_unstable_by(self.k, highest);
            bounded.truncate(self.k);
        }
        chosen.extend(bounded);
        chosen
    }

    /// Candidates that may be among the best beside those that were scored.
    fn reaching(&self) -> Vec<usize> {
        let mut scores: Vec<f32> = self.scored.iter().map(|(_, score)| *score).collect();
        let Some(last) = self.k.checked_sub(1).filter(|last| *last < scores.len()) else {
            return Vec::new();
        };
        let (_, reached, _) = scores.select_nth_unstable_by(last, |a, b| b.total_cmp(a));
        (0..self.upper.len()).filter(|at| self.upper[*at] >= *reached).collect()
    }

    fn bounding(&self) -> Bounding {
        let (bounded, scored) = (self.bounded, self.scored.len());
        self.left.map_or(Bounding::Certified(Certified { bounded, scored }), Bounding::Left)
    }

    fn hits(self, wanted: Wanted) -> Hits<Id> {
        let candidates = self.query.candidates;
        let scored =
            self.scored.into_iter().map(|(at, score)| Scored { id: candidates[at], score });
        wanted.hits_of(scored.collect())
    }
}

/// Bounds the candidates for which that promises to pay; `None` if there are none.
fn bound<Id: DocumentId>(
    gpu: &Gpu,
    store: &QuantizedStore<Id>,
    contests: &mut [Contest<'_, Id>],
) -> Result<Option<Statistics>> {
    if contests.iter().all(|it| it.left.is_some()) {
        return Ok(None);
    }
    let queries: Vec<_> = contests.iter().map(Contest::to_bound).collect();
    let all = |it: &Query<'_, Id>| (0..it.candidates.len()).collect();
    let there = |it: &Query<'_, Id>| {
        (0..it.candidates.len()).filter(|at| store.contains(it.candidates[*at])).collect()
    };
    let (chosen, found): (Vec<Vec<usize>>, _) = match bounds(gpu, store, &queries) {
        // Nearly always all are there, so that is not asked first.
        Err(NotResident { .. }) => {
            let chosen: Vec<Vec<usize>> = queries.iter().map(there).collect();
            let found = bounds(gpu, store, &chosen_of(&queries, &ids_of(&queries, &chosen)));
            (chosen, found)
        }
        found => (queries.iter().map(all).collect(), found),
    };
    let (found, statistics) = match found {
        Ok(Some(found)) => found,
        // The query is too long; a document made room for another meanwhile; the device is wrong, or too small.
        Ok(None) | Err(NotResident { .. } | ProbeFailed { .. } | DeviceLimit { .. }) => {
            contests.iter_mut().for_each(|it| it.left = it.left.or(Some("bounds cannot be had")));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    for ((contest, chosen), bounds) in contests.iter_mut().zip(chosen).zip(found) {
        contest.bounded = chosen.len();
        chosen.into_iter().zip(bounds).for_each(|(at, bound)| contest.upper[at] = bound);
    }
    Ok(Some(statistics))
}

/// Scores chosen candidates of each query.
fn score_chosen<'a, Id: DocumentId>(
    score: &mut Scorer<'_, Id>,
    contests: &mut [Contest<'a, Id>],
    choose: fn(&Contest<'a, Id>) -> Vec<usize>,
) -> Result<()> {
    let chosen: Vec<Vec<usize>> = contests.iter().map(choose).collect();
    let queries: Vec<_> = contests.iter().map(|it| it.query).collect();
    let scores = score(&chosen_of(&queries, &ids_of(&queries, &chosen)))?;
    for ((contest, chosen), scores) in contests.iter_mut().zip(&chosen).zip(scores) {
        contest.scored.extend(chosen.iter().copied().zip(scores));
        chosen.iter().for_each(|at| contest.upper[*at] = f32::NEG_INFINITY);
    }
    Ok(())
}

/// The ids of chosen candidates of each query.
fn ids_of<Id: DocumentId>(queries: &[Query<'_, Id>], chosen: &[Vec<usize>]) -> Vec<Vec<Id>> {
    let ids = |(query, chosen): (&Query<'_, Id>, &Vec<usize>)| {
        chosen.iter().map(|at| query.candidates[*at]).collect()
    };
    queries.iter().zip(chosen).map(ids).collect()
}

/// The same queries, each with some of its candidates.
fn chosen_of<'a, Id>(queries: &[Query<'a, Id>], ids: &'a [Vec<Id>]) -> Vec<Query<'a, Id>> {
    let queries = queries.iter().zip(ids);
    queries.map(|(query, ids)| Query { tokens: query.tokens, candidates: ids }).collect()
}
