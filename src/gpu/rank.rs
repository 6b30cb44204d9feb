//! Many queries, each with candidates of its own, in one request.

use super::context::GpuContext;
use super::device::Gpu;
use super::engine::{Wish, Work};
use super::results::Results;
use super::source::{Chosen, Source};
use super::statistics::Statistics;
use super::store::{ResidentStore, Stored};
use super::top_k::MOST_KEPT;
use super::wait::Polling;
use crate::multivector::{TokenMatrixRef, check_dimension};
use crate::ranking::{DocumentId, Match, Matrices, Query, Ranked, Scored, Wanted, top_k};
use crate::{Error, Result};

/// Rankings, and what they cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<Id = u64> {
    /// One a query, in their order.
    pub rankings: Vec<Ranked<Id>>,
    /// What they cost.
    pub statistics: Statistics,
}

impl GpuContext {
    /// Ranks each query's candidates. Blocks until it is done.
    ///
    /// A candidate that is in `store` is read there; the matrix of another is asked of `matrices`,
    /// after the store was looked at, and sent along. Scores are the same, to the bit.
    ///
    /// Up to a limit of 1,024 hits the best are found on the GPU, and only they are read back;
    /// beyond it, and where every candidate is a hit, all scores are.
    ///
    /// # Errors
    /// Queries, documents or the store have different dimensions; the store is another context's; a
    /// candidate is nowhere; the device is lost or out of memory.
    pub fn rank<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        store: Option<&ResidentStore<Id>>,
        matrices: &Matrices<'_, Id>,
        wanted: Wanted,
    ) -> Result<Answer<Id>> {
        pollster::block_on(self.run_ranking(queries, store, matrices, wanted, Polling::Caller))
    }

    /// [`GpuContext::rank`], async, for any executor.
    ///
    /// # Errors
    /// The same.
    pub async fn rank_async<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        store: Option<&ResidentStore<Id>>,
        matrices: &Matrices<'_, Id>,
        wanted: Wanted,
    ) -> Result<Answer<Id>> {
        self.run_ranking(queries, store, matrices, wanted, Polling::Thread).await
    }

    async fn run_ranking<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        store: Option<&ResidentStore<Id>>,
        matrices: &Matrices<'_, Id>,
        wanted: Wanted,
        polling: Polling,
    ) -> Result<Answer<Id>> {
        self.check(queries, store)?;
        // In the order of ids, so that of equal scores the first is the right one.
        let candidates: Vec<Vec<Id>> =
            queries.iter().map(|query| sorted(query.candidates)).collect();
        let tokens: Vec<TokenMatrixRef<'_>> = queries.iter().map(|query| query.tokens).collect();
        let source = Stored { store, matrices, candidates: &candidates };
        let request = Ranking { gpu: &self.gpu, tokens: &tokens, source: &source, polling };
        let counts: Vec<usize> = candidates.iter().map(Vec::len).collect();
        let (best, statistics) = request.best(&counts, wanted.limit).await?;
        let (matches, more) = match wanted.matches {
            true => request.matches(&best).await?,
            false => (vec![Vec::new(); queries.len()], Statistics::free(statistics)),
        };
        let named = |(best, candidates): (&Best, &Vec<Id>)| {
            best.iter().map(|&(at, score)| Scored { id: candidates[at], score }).collect()
        };
        let hits = best.iter().zip(&candidates).map(named);
        let ranked = hits.zip(matches).map(|(hits, matches)| Ranked { hits, matches });
        let evictions = store.map_or(0, |store| store.statistics().evictions);
        let statistics = Statistics { evictions, ..statistics.and(more) };
        Ok(Answer { rankings: ranked.collect(), statistics })
    }

    fn check<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        store: Option<&ResidentStore<Id>>,
    ) -> Result<()> {
        if store.is_some_and(|store| !self.owns(store)) {
            let (expected, got) = ("one of this GPU context".into(), "another's".into());
            return Err(Error::InvalidParameter { name: "the resident store", expected, got });
        }
        let first = queries.first().map(|query| query.tokens.dim());
        let Some(dim) = store.map(ResidentStore::dim).or(first) else { return Ok(()) };
        for (number, query) in queries.iter().enumerate() {
            check_dimension(|| format!("query {number}"), dim, query.tokens.dim())?;
        }
        Ok(())
    }
}

fn sorted<Id: DocumentId>(ids: &[Id]) -> Vec<Id> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

/// A request whose candidates are known by their positions.
struct Ranking<'a> {
    gpu: &'a Gpu,
    tokens: &'a [TokenMatrixRef<'a>],
    source: &'a dyn Source,
    polling: Polling,
}

/// Positions of candidates and their scores, in order.
type Best = Vec<(usize, f32)>;

impl Ranking<'_> {
    /// The best candidates of each query.
    async fn best(&self, candidates: &[usize], limit: usize) -> Result<(Vec<Best>, Statistics)> {
        let most = candidates.iter().copied().max().unwrap_or_default();
        let keep = limit.min(most);
        if keep == 0 {
            return Ok((vec![Vec::new(); candidates.len()], Statistics::default()));
        }
        let wish = best_wish(keep, most);
        let work = Work { queries: self.tokens, candidates, source: self.source, wish };
        let (results, statistics) = self.gpu.run(&work, self.polling).await?;
        let Results { best, scores, .. } = results;
        match wish {
            Wish::Best(_) => Ok((best, statistics)),
            _ => Ok((scores.into_iter().map(|scores| ranked(scores, keep)).collect(), statistics)),
        }
    }

    /// The matches of each hit.
    async fn matches(&self, best: &[Best]) -> Result<(Vec<Vec<Vec<Match>>>, Statistics)> {
        let positions: Vec<Vec<usize>> =
            best.iter().map(|best| best.iter().map(|(at, _)| *at).collect()).collect();
        let candidates: Vec<usize> = positions.iter().map(Vec::len).collect();
        let source = &Chosen { all: self.source, positions: &positions };
        let wish = Wish::Matches;
        let work = Work { queries: self.tokens, candidates: &candidates, source, wish };
        let (results, statistics) = self.gpu.run(&work, self.polling).await?;
        Ok((results.matches, statistics))
    }
}

/// How the best `keep` of `most` are found: where all are wanted, or more than the device can keep,
/// among all scores.
pub(super) fn best_wish(keep: usize, most: usize) -> Wish {
    if keep < most && keep <= MOST_KEPT { Wish::Best(keep) } else { Wish::Scores }
}

/// The best of all scores.
fn ranked(scores: Vec<f32>, keep: usize) -> Best {
    let scored = scores.into_iter().enumerate().map(|(id, score)| Scored { id, score }).collect();
    top_k(scored, keep).into_iter().map(|hit| (hit.id, hit.score)).collect()
}
