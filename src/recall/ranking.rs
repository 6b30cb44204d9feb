//! The order of results, and the first few of many in that order.

use std::cmp::Ordering;

use crate::ranking::{by_rank, first, keep_first};

/// A document that recall found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The document: its position in the order of insertion, from 0.
    pub document: usize,
    /// Its similarity to the query; larger is nearer, see [`Distance`](super::Distance).
    pub score: f32,
}

impl Candidate {
    fn rank(&self, other: &Self) -> Ordering {
        by_rank((self.score, self.document), (other.score, other.document))
    }
}

/// The first `limit` candidates of those pushed.
///
/// Holds up to twice as many, and halves them when full: a constant time each, without sorting.
pub(super) struct Top {
    limit: usize,
    kept: Vec<Candidate>,
    /// The last of the first `limit`, as of the last halving: what ranks after it is out.
    bar: Option<Candidate>,
}

impl Top {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), bar: None }
    }

    pub(super) fn push(&mut self, candidate: Candidate) {
        if self.bar.is_some_and(|bar| bar.rank(&candidate).is_lt()) {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() >= self.limit.saturating_mul(2) {
            self.halve();
        }
    }

    /// Every candidate of both.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.extend(other.kept);
        self
    }

    /// Best first.
    pub(super) fn into_ranking(self) -> Vec<Candidate> {
        first(self.kept, self.limit, Candidate::rank)
    }

    fn halve(&mut self) {
        if self.kept.len() > self.limit {
            keep_first(&mut self.kept, self.limit, Candidate::rank);
            self.bar = self.kept.iter().copied().max_by(Candidate::rank);
        }
    }
}

impl Extend<Candidate> for Top {
    fn extend<I: IntoIterator<Item = Candidate>>(&mut self, candidates: I) {
        candidates.into_iter().for_each(|candidate| self.push(candidate));
    }
}
