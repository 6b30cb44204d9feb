//! Many queries, each with candidates of its own, in one request.

use super::batch::{QueryTokens, Work};
use super::device::Gpu;
use super::plan::{Group, Plan, Wish};
use super::probe;
use super::results::Results;
use super::source::Source;
use super::statistics::Statistics;
use super::store::{ResidentStore, Stored};
use super::top_k::MOST_KEPT;
use crate::Result;
use crate::multivector::TokenMatrixRef;
use crate::ranking::{DocumentId, Matrices, Query, Scored, TokenMatch, Wanted, by_rank};

/// Request, as far as its queries have it in common.
#[derive(Clone, Copy)]
pub(super) struct Request<'a, 'm, Id: DocumentId> {
    pub gpu: &'a Gpu,
    pub store: Option<&'a ResidentStore<Id>>,
    pub matrices: &'a Matrices<'m, Id>,
}

/// Hits of one query, in order.
pub(super) type Hits<Id> = Vec<Scored<Id>>;

impl<Id: DocumentId> Request<'_, '_, Id> {
    /// The best candidates of each query.
    pub(super) fn hits(
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
        let (scores, more) = self.scores(queries)?;
        Ok((all_ranked(queries, scores, wanted), statistics.and(more.of_same_candidates())))
    }

    /// The matches of each hit.
    pub(super) fn matches(
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

    /// Scores of every candidate of each query, in their order.
    pub(super) fn scores(&self, queries: &[Query<'_, Id>]) -> Result<(Vec<Vec<f32>>, Statistics)> {
        match self.run(queries, Wish::Scores)? {
            (Results::Scores(scores), statistics) => Ok((scores, statistics)),
            (_, statistics) => Ok((Vec::new(), statistics)),
        }
    }

    fn run(&self, queries: &[Query<'_, Id>], wish: Wish) -> Result<(Results, Statistics)> {
        let tokens: Vec<TokenMatrixRef<'_>> = queries.iter().map(|query| query.tokens).collect();
        let Some(dim) = tokens.first().map(TokenMatrixRef::dim) else {
            return Ok((Results::new(wish, &[]), Statistics::default()));
        };
        let plan = self.gpu.plan(wish, &tokens, dim)?;
        probe::prove(self.gpu, &plan)?;
        let (groups, candidates) = grouped(&plan, queries);
        let (store, matrices) = (self.store, self.matrices);
        let source: &dyn Source = &Stored { store, matrices, candidates: &candidates };
        let tokens: Vec<_> = tokens.into_iter().map(QueryTokens::F16).collect();
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

/// The groups of some queries, and the candidates of each group.
pub(super) fn grouped<'a, Id: DocumentId>(
    plan: &Plan,
    queries: &[Query<'a, Id>],
) -> (Vec<Group>, Vec<&'a [Id]>) {
    let counts = queries.iter().map(|it| (it.tokens.tokens(), it.candidates.len()));
    let same = |at: usize| same_candidates(queries[at - 1].candidates, queries[at].candidates);
    let groups = plan.groups(counts, same);
    let candidates = groups.iter().map(|group| queries[group.queries.start].candidates);
    let candidates = candidates.collect();
    (groups, candidates)
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
