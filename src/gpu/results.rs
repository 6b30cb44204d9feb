//! What comes back, put together from rounds and batches.

use bytemuck::cast_slice;

use super::engine::Wish;
use super::plan::{Batch, Round};
use super::shader::{Entry, MatchCell, unordered};
use super::top_k::Passes;
use crate::ranking::{Match, by_rank};

/// What was wished for, a list a query; the other lists are empty.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// A score a candidate.
    pub scores: Vec<Vec<f32>>,
    /// The best candidates and their scores, in order.
    pub best: Vec<Vec<(usize, f32)>>,
    /// Matches of each candidate, one a query token.
    pub matches: Vec<Vec<Vec<Match>>>,
}

impl Results {
    pub(super) fn new(queries: usize) -> Self {
        Self {
            scores: vec![Vec::new(); queries],
            best: vec![Vec::new(); queries],
            matches: vec![Vec::new(); queries],
        }
    }

    /// Scores of a round, as the second pass leaves them.
    pub(super) fn add_scores(&mut self, round: &Round, words: &[u32]) {
        let mut rest = words;
        for list in &round.lists {
            let (scores, others) = rest.split_at(list.candidates.len());
            self.scores[list.query].extend_from_slice(cast_slice(scores));
            rest = others;
        }
    }

    /// The best of a round, as the third pass leaves them.
    pub(super) fn add_best(&mut self, round: &Round, passes: &Passes, words: &[u32]) {
        let entries: &[Entry] = cast_slice(words);
        let mut first = 0;
        for (list, kept) in round.lists.iter().zip(&passes.kept) {
            let candidate = |entry: &Entry| {
                (entry.pair as usize - first + list.candidates.start, unordered(entry.score))
            };
            self.best[list.query].extend(entries[kept.clone()].iter().map(candidate));
            first += list.candidates.len();
        }
    }

    /// Matches of a batch.
    pub(super) fn add_matches(&mut self, batch: &Batch, words: &[u32]) {
        let mut cells = cast_slice::<_, MatchCell>(words);
        for slice in &batch.slices {
            for candidate in slice.candidates.clone() {
                let (found, others) = cells.split_at(slice.part.len());
                let found = found.iter().map(|cell| Match {
                    token: cell.token,
                    similarity: unordered(cell.similarity),
                });
                let matches = &mut self.matches[slice.query];
                // Later parts of a query come back to the same candidates.
                matches.resize_with(matches.len().max(candidate + 1), Vec::new);
                matches[candidate].extend(found);
                cells = others;
            }
        }
    }

    /// Merges the best of several rounds.
    pub(super) fn finished(mut self, wish: Wish) -> Self {
        if let Wish::Best(keep) = wish {
            for best in &mut self.best {
                best.sort_unstable_by(|a, b| by_rank((a.1, a.0), (b.1, b.0)));
                best.truncate(keep);
            }
        }
        self
    }
}
