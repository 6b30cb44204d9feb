//! Many queries, each with candidates of its own, in one request.

use super::batch::Work;
use super::context::GpuContext;
use super::device::Gpu;
use super::plan::{Plan, Wish};
use super::probe;
use super::results::Results;
use super::source::Source;
use super::statistics::Statistics;
use super::store::{ResidentStore, Stored};
use super::top_k::MOST_KEPT;
use super::wait::Polling;
use crate::multivector::{TokenMatrixRef, check_dimension, check_dimensions};
use crate::ranking::{DocumentId, Match, Matrices, Query, Ranked, Scored, Wanted, by_rank, top_k};
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
    /// The MaxSim score of each document, in their order. Blocks until they are there.
    ///
    /// # Errors
    /// A document's dimension is not the query's; the device is lost or out of memory.
    pub fn score(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Vec<f32>> {
        pollster::block_on(score(&self.gpu, query, documents, Polling::Caller))
    }

    /// [`GpuContext::score`], async, for any executor.
    ///
    /// # Errors
    /// The same.
    pub async fn score_async(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
    ) -> Result<Vec<f32>> {
        score(&self.gpu, query, documents, Polling::Thread).await
    }

    /// Ranks each query's candidates. Blocks until it is done.
    ///
    /// A candidate that is in `store` is read there; the matrix of another is asked of `matrices`,
    /// after the store was looked at, and sent along. Scores are the same, to the bit. Neighbouring
    /// queries with the same candidates read them once.
    ///
    /// Up to a limit of 1,023 hits the best are found on the GPU, and only they are read back; beyond
    /// it, and where every candidate is a hit, all scores are.
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
        pollster::block_on(self.answer(queries, store, matrices, wanted, Polling::Caller))
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
        self.answer(queries, store, matrices, wanted, Polling::Thread).await
    }

    async fn answer<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        store: Option<&ResidentStore<Id>>,
        matrices: &Matrices<'_, Id>,
        wanted: Wanted,
        polling: Polling,
    ) -> Result<Answer<Id>> {
        self.check(queries, store)?;
        let request = Request { gpu: &self.gpu, store, matrices, polling };
        let (hits, statistics) = request.hits(queries, wanted.limit).await?;
        let (matches, more) = match wanted.matches {
            true => request.matches(queries, &hits).await?,
            false => (vec![Vec::new(); queries.len()], Statistics::free(statistics)),
        };
        let ranked = hits.into_iter().zip(matches);
        let rankings = ranked.map(|(hits, matches)| Ranked { hits, matches }).collect();
        let evictions = store.map_or(0, ResidentStore::evictions);
        Ok(Answer { rankings, statistics: Statistics { evictions, ..statistics.and(more) } })
    }

    fn check<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        store: Option<&ResidentStore<Id>>,
    ) -> Result<()> {
        if store.is_some_and(|store| !store.is_of(self)) {
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

/// The score of each document.
async fn score(
    gpu: &Gpu,
    query: TokenMatrixRef<'_>,
    documents: &[TokenMatrixRef<'_>],
    polling: Polling,
) -> Result<Vec<f32>> {
    check_dimensions(query, documents)?;
    let ids: Vec<usize> = (0..documents.len()).collect();
    let matrices = |id: usize| documents.get(id).copied();
    let request = Request { gpu, store: None, matrices: &matrices, polling };
    let queries = [Query { tokens: query, candidates: &ids }];
    match request.run(&queries, Wish::Scores).await?.0 {
        Results::Scores(scores) => Ok(scores.into_iter().flatten().collect()),
        Results::Best(..) | Results::Matches(_) => Ok(Vec::new()),
    }
}

/// What the queries of a request have in common.
struct Request<'a, 'm, Id: DocumentId> {
    gpu: &'a Gpu,
    store: Option<&'a ResidentStore<Id>>,
    matrices: &'a Matrices<'m, Id>,
    polling: Polling,
}

/// Hits of one query, in order.
type Hits<Id> = Vec<Scored<Id>>;

impl<Id: DocumentId> Request<'_, '_, Id> {
    /// The best candidates of each query.
    async fn hits(
        &self,
        queries: &[Query<'_, Id>],
        limit: usize,
    ) -> Result<(Vec<Hits<Id>>, Statistics)> {
        let most = queries.iter().map(|query| query.candidates.len()).max().unwrap_or_default();
        let keep = limit.min(most);
        if keep == 0 {
            return Ok((vec![Vec::new(); queries.len()], Statistics::default()));
        }
        let (results, statistics) = self.run(queries, best_wish(keep, most)).await?;
        if let Results::Scores(scores) = results {
            return Ok((all_ranked(queries, scores, keep), statistics));
        }
        let found: Option<Vec<_>> = match results {
            Results::Best(best) => {
                let lists = queries.iter().zip(&best.lists);
                lists.map(|(query, list)| ranked(query, list, keep, best.first_of_ties)).collect()
            }
            Results::Scores(_) | Results::Matches(_) => None,
        };
        if let Some(hits) = found {
            return Ok((hits, statistics));
        }
        let (results, more) = self.run(queries, Wish::Scores).await?;
        let scores = if let Results::Scores(scores) = results { scores } else { Vec::new() };
        Ok((all_ranked(queries, scores, keep), statistics.and(more.of_same_candidates())))
    }

    /// The matches of each hit.
    async fn matches(
        &self,
        queries: &[Query<'_, Id>],
        hits: &[Hits<Id>],
    ) -> Result<(Vec<Vec<Vec<Match>>>, Statistics)> {
        let ids: Vec<Vec<Id>> =
            hits.iter().map(|hits| hits.iter().map(|hit| hit.id).collect()).collect();
        let queries = queries.iter().zip(&ids);
        let queries: Vec<_> =
            queries.map(|(query, ids)| Query { candidates: ids, ..*query }).collect();
        match self.run(&queries, Wish::Matches).await? {
            (Results::Matches(matches), statistics) => Ok((matches, statistics)),
            (_, statistics) => Ok((vec![Vec::new(); queries.len()], statistics)),
        }
    }

    async fn run(&self, queries: &[Query<'_, Id>], wish: Wish) -> Result<(Results, Statistics)> {
        let tokens: Vec<TokenMatrixRef<'_>> = queries.iter().map(|query| query.tokens).collect();
        let Some(dim) = tokens.first().map(TokenMatrixRef::dim) else {
            return Ok((Results::new(wish, &[]), Statistics::default()));
        };
        let plan = self.gpu.plan(wish, &tokens, dim)?;
        probe::prove(self.gpu, &plan, self.polling).await?;
        let counts = queries.iter().map(|it| (it.tokens.tokens(), it.candidates.len()));
        let same = |at: usize| same_candidates(queries[at - 1].candidates, queries[at].candidates);
        let groups = plan.groups(counts, same);
        let candidates = groups.iter().map(|group| queries[group.queries.start].candidates);
        let candidates: Vec<&[Id]> = candidates.collect();
        let (store, matrices) = (self.store, self.matrices);
        let source: &dyn Source = &Stored { store, matrices, candidates: &candidates };
        let work = Work { plan: &plan, queries: &tokens, groups: &groups, source };
        self.gpu.run(&work, self.polling).await
    }
}

impl Gpu {
    /// How a request is laid out. Where a query is beyond a binding, all scores are read: the scores of its
    /// parts have to be added up.
    pub(super) fn plan(
        &self,
        wish: Wish,
        queries: &[TokenMatrixRef<'_>],
        dim: usize,
    ) -> Result<Plan> {
        let tokens = queries.iter().map(TokenMatrixRef::tokens).max().unwrap_or(1);
        let compiled = (self.variant, self.tunings);
        let plan = Plan::new(self.limits, compiled, wish, (tokens, dim))?;
        let wish = match wish {
            Wish::Best(_) if tokens > plan.most_tokens() => Wish::Scores,
            wish => wish,
        };
        Ok(Plan { wish, ..plan })
    }
}

/// Whether two lists are the same: often they are one.
fn same_candidates<Id: Eq>(a: &[Id], b: &[Id]) -> bool {
    a.len() == b.len() && (std::ptr::eq(a, b) || a == b)
}

/// How the best `keep` of `most` are found, and one more, so that a tie at the last place shows: where all
/// are wanted, or more than the device can keep, among all scores.
pub(super) fn best_wish(keep: usize, most: usize) -> Wish {
    if keep + 1 < most && keep < MOST_KEPT { Wish::Best(keep + 1) } else { Wish::Scores }
}

/// The best candidates of a query; `None` if a candidate that the device left out may be among them: one
/// that is as good as the last, and has a lower id.
fn ranked<Id: DocumentId>(
    query: &Query<'_, Id>,
    best: &[(usize, f32)],
    keep: usize,
    first_of_ties: bool,
) -> Option<Hits<Id>> {
    let score = |at: usize| best.get(at).map(|(_, score)| score.to_bits());
    let tie = score(keep).is_some() && score(keep) == score(keep - 1);
    if tie && !(first_of_ties && query.candidates.is_sorted()) {
        return None;
    }
    let hit = |&(at, score): &(usize, f32)| Scored { id: query.candidates[at], score };
    let mut hits: Hits<Id> = best.iter().take(keep).map(hit).collect();
    hits.sort_unstable_by(|a, b| by_rank((a.score, a.id), (b.score, b.id)));
    Some(hits)
}

/// The best of all scores.
fn all_ranked<Id: DocumentId>(
    queries: &[Query<'_, Id>],
    scores: Vec<Vec<f32>>,
    keep: usize,
) -> Vec<Hits<Id>> {
    let ranked = queries.iter().zip(scores).map(|(query, scores)| {
        let scored = query.candidates.iter().zip(scores);
        top_k(scored.map(|(id, score)| Scored { id: *id, score }).collect(), keep)
    });
    ranked.collect()
}
