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
use crate::Result;
use crate::multivector::{TokenMatrixRef, check_dimension};
use crate::ranking::{DocumentId, Matrices, Query, Ranked, Scored, TokenMatch, Wanted, by_rank};

impl GpuContext {
    /// Ranks each query's candidates, and tells what that cost. Blocks until it is done.
    ///
    /// A candidate that is in `store` is read there; the matrix of another is asked of `matrices`,
    /// after the store was looked at, and sent along. Scores are the same, to the bit. Neighbouring
    /// queries with the same candidates read them once.
    ///
    /// Up to a limit of 1,023 hits the best are found on the GPU, and only they are read back; beyond
    /// it, and where every candidate is a hit, all scores are.
    ///
    /// # Errors
    /// Queries, documents or the store have different dimensions; a candidate is nowhere; what
    /// `matrices` says; the device is lost or out of memory.
    pub(crate) fn answer<Id: DocumentId>(
        &self,
        queries: &[Query<'_, Id>],
        store: Option<&ResidentStore<Id>>,
        matrices: &Matrices<'_, Id>,
        wanted: Wanted,
    ) -> Result<(Vec<Ranked<Id>>, Statistics)> {
        check(queries, store)?;
        let request = Request { gpu: &self.gpu, store, matrices };
        let (hits, statistics) = request.hits(queries, wanted)?;
        let (matches, more) = match wanted.matches {
            true => request.matches(queries, &hits)?,
            false => (vec![Vec::new(); queries.len()], Statistics::free(statistics)),
        };
        let ranked = hits.into_iter().zip(matches);
        let ranked = ranked.map(|(hits, matches)| Ranked { hits, matches }).collect();
        let evictions = store.map_or(0, ResidentStore::evictions);
        Ok((ranked, Statistics { evictions, ..statistics.and(more) }))
    }
}

/// Refuses queries of different dimensions.
fn check<Id: DocumentId>(
    queries: &[Query<'_, Id>],
    store: Option<&ResidentStore<Id>>,
) -> Result<()> {
    let first = queries.first().map(|query| query.tokens.dim());
    let Some(dim) = store.map(ResidentStore::dim).or(first) else { return Ok(()) };
    for (number, query) in queries.iter().enumerate() {
        check_dimension(|| format!("query {number}"), dim, query.tokens.dim())?;
    }
    Ok(())
}

/// Request, as far as its queries have it in common.
struct Request<'a, 'm, Id: DocumentId> {
    gpu: &'a Gpu,
    store: Option<&'a ResidentStore<Id>>,
    matrices: &'a Matrices<'m, Id>,
}

/// Hits of one query, in order.
type Hits<Id> = Vec<Scored<Id>>;

impl<Id: DocumentId> Request<'_, '_, Id> {
    /// The best candidates of each query.
    fn hits(
        &self,
        queries: &[Query<'_, Id>],
        wanted: Wanted,
    ) -> Result<(Vec<Hits<Id>>, Statistics)> {
        let most = queries.iter().map(|query| query.candidates.len()).max().unwrap_or_default();
        let keep = wanted.limit.min(most);
        if keep == 0 {
            return Ok((vec![Vec::new(); queries.len()], Statistics::default()));
        }
        let (results, statistics) = self.run(queries, best_wish(keep, most))?;
        if let Results::Scores(scores) = results {
            return Ok((all_ranked(queries, scores, wanted), statistics));
        }
        let found: Option<Vec<_>> = match results {
            Results::Best(best) => {
                // Of hits that tie, the device keeps those that are given first.
                let takes_first = |query: &Query<'_, Id>| {
                    best.first_of_ties && !wanted.ties && query.candidates.is_sorted()
                };
                let lists = queries.iter().zip(&best.lists);
                lists.map(|(query, list)| ranked(query, list, keep, takes_first(query))).collect()
            }
            Results::Scores(_) | Results::Matches(_) => None,
        };
        if let Some(hits) = found {
            return Ok((hits, statistics));
        }
        let (results, more) = self.run(queries, Wish::Scores)?;
        let scores = if let Results::Scores(scores) = results { scores } else { Vec::new() };
        Ok((all_ranked(queries, scores, wanted), statistics.and(more.of_same_candidates())))
    }

    /// The matches of each hit.
    fn matches(
        &self,
        queries: &[Query<'_, Id>],
        hits: &[Hits<Id>],
    ) -> Result<(Vec<Vec<Vec<TokenMatch>>>, Statistics)> {
        let ids: Vec<Vec<Id>> =
            hits.iter().map(|hits| hits.iter().map(|hit| hit.id).collect()).collect();
        let queries = queries.iter().zip(&ids);
        let queries: Vec<_> =
            queries.map(|(query, ids)| Query { candidates: ids, ..*query }).collect();
        match self.run(&queries, Wish::Matches)? {
            (Results::Matches(matches), statistics) => Ok((matches, statistics)),
            (_, statistics) => Ok((vec![Vec::new(); queries.len()], statistics)),
        }
    }

    fn run(&self, queries: &[Query<'_, Id>], wish: Wish) -> Result<(Results, Statistics)> {
        let tokens: Vec<TokenMatrixRef<'_>> = queries.iter().map(|query| query.tokens).collect();
        let Some(dim) = tokens.first().map(TokenMatrixRef::dim) else {
            return Ok((Results::new(wish, &[]), Statistics::default()));
        };
        let plan = self.gpu.plan(wish, &tokens, dim)?;
        probe::prove(self.gpu, &plan)?;
        let counts = queries.iter().map(|it| (it.tokens.tokens(), it.candidates.len()));
        let same = |at: usize| same_candidates(queries[at - 1].candidates, queries[at].candidates);
        let groups = plan.groups(counts, same);
        let candidates = groups.iter().map(|group| queries[group.queries.start].candidates);
        let candidates: Vec<&[Id]> = candidates.collect();
        let (store, matrices) = (self.store, self.matrices);
        let source: &dyn Source = &Stored { store, matrices, candidates: &candidates };
        let work = Work { plan: &plan, queries: &tokens, groups: &groups, source };
        self.gpu.run(&work)
    }
}

impl Gpu {
    /// Plans a request. Where a query is beyond a binding, all scores are read: the scores of its
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

/// Returns `true` if two lists are the same: often they are one.
fn same_candidates<Id: Eq>(a: &[Id], b: &[Id]) -> bool {
    a.len() == b.len() && (std::ptr::eq(a, b) || a == b)
}

/// Chooses how the best `keep` of `most` are found, and one more, so that a tie at the last place
/// shows: where all are wanted, or more than the device can keep, among all scores.
pub(super) fn best_wish(keep: usize, most: usize) -> Wish {
    if keep + 1 < most && keep < MOST_KEPT { Wish::Best(keep + 1) } else { Wish::Scores }
}

/// The best candidates of a query; `None` if one that the device left out may be among them, as it ties
/// with the last: unless of those that tie the `first` are wanted.
fn ranked<Id: DocumentId>(
    query: &Query<'_, Id>,
    best: &[(usize, f32)],
    keep: usize,
    first: bool,
) -> Option<Hits<Id>> {
    let score = |at: usize| best.get(at).map(|(_, score)| score.to_bits());
    let tie = score(keep).is_some() && score(keep) == score(keep - 1);
    if tie && !first {
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
    wanted: Wanted,
) -> Vec<Hits<Id>> {
    let ranked = queries.iter().zip(scores).map(|(query, scores)| {
        let scored = query.candidates.iter().zip(scores);
        wanted.hits_of(scored.map(|(id, score)| Scored { id: *id, score }).collect())
    });
    ranked.collect()
}
