//! Results: scores, the best, and matches, put together from batches.

use bytemuck::cast_slice;

use super::batch::Batch;
use super::plan::{Group, Wish};
use super::shader::{Entry, MatchCell, unordered};
use super::top_k::Passes;
use crate::ranking::{TokenMatch, by_rank};

/// Results of one kind, a list a query.
#[derive(Debug)]
pub(super) enum Results {
    /// A score a candidate.
    Scores(Vec<Vec<f32>>),
    /// The best candidates and their scores.
    Best(Best),
    /// Matches of each candidate, one a query token.
    Matches(Vec<Vec<Vec<TokenMatch>>>),
}

/// The best candidates of each query, and their scores, in order.
#[derive(Debug)]
pub(super) struct Best {
    keep: usize,
    pub lists: Vec<Vec<(usize, f32)>>,
    /// Whether, of candidates that are equally good, the first were kept.
    pub first_of_ties: bool,
}

impl Results {
    pub(super) fn new(wish: Wish, groups: &[Group]) -> Self {
        let candidates = groups.iter().flat_map(|it| vec![it.candidates; it.tokens.len()]);
        match wish {
            Wish::Scores => Self::Scores(candidates.map(|count| vec![0.0; count]).collect()),
            Wish::Best(keep) => {
                let lists = candidates.map(|_| Vec::new()).collect();
                Self::Best(Best { keep, lists, first_of_ties: true })
            }
            Wish::Matches => {
                Self::Matches(candidates.map(|count| vec![Vec::new(); count]).collect())
            }
        }
    }

    /// Adds what was read back of a batch.
    pub(super) fn add(&mut self, groups: &[Group], batch: &Batch<'_>, words: &[u32]) {
        match self {
            Self::Scores(scores) => add_scores(scores, batch, cast_slice(words)),
            Self::Best(best) => {
                if let Some(passes) = &batch.passes {
                    best.add(batch, passes, cast_slice(words));
                }
            }
            Self::Matches(matches) => add_matches(matches, groups, batch, cast_slice(words)),
        }
    }
}

/// Scores of the parts of a long query add up.
fn add_scores(scores: &mut [Vec<f32>], batch: &Batch<'_>, words: &[f32]) {
    for list in &batch.layout.lists {
        let order = &batch.layout.order[list.slice];
        for (candidate, score) in order.iter().zip(&words[list.first_score..]) {
            scores[list.query][*candidate as usize] += score;
        }
    }
}

impl Best {
    fn add(&mut self, batch: &Batch<'_>, passes: &Passes, entries: &[Entry]) {
        // The device keeps those whose scores come first.
        self.first_of_ties &= batch.layout.order.iter().all(|order| order.is_sorted());
        for (list, kept) in batch.layout.lists.iter().zip(&passes.kept) {
            let order = &batch.layout.order[list.slice];
            let candidate = |entry: &Entry| {
                let at = entry.pair as usize - list.first_score;
                (order[at] as usize, unordered(entry.score))
            };
            let best = &mut self.lists[list.query];
            best.extend(entries[kept.clone()].iter().map(candidate));
            best.sort_unstable_by(|a, b| by_rank((a.1, a.0), (b.1, b.0)));
            best.truncate(self.keep);
        }
    }
}

/// Of the parts of a document, the better match; the parts of a long query follow one another.
fn add_matches(
    matches: &mut [Vec<Vec<TokenMatch>>],
    groups: &[Group],
    batch: &Batch<'_>,
    cells: &[MatchCell],
) {
    for matched in &batch.layout.matched {
        let slice = &batch.slices[matched.slice];
        let query = groups[slice.group].queries.start;
        let found = &mut matches[query][matched.candidate];
        for (token, cell) in slice.tokens.clone().zip(&cells[matched.first_cell..]) {
            let similarity = unordered(cell.similarity);
            let new = TokenMatch { token: matched.first_token + cell.token, similarity };
            match found.get_mut(token) {
                None => found.push(new),
                // An earlier token wins where they are alike: parts come in their order.
                Some(old) if old.similarity < new.similarity => *old = new,
                Some(_) => {}
            }
        }
    }
}
