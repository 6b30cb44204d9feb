//! Queries, candidates, and how much of an answer is wanted.

use std::fmt::Debug;
use std::hash::Hash;

use super::{Scored, first, keep_with_ties};
use crate::Result;
use crate::multivector::TokenMatrixRef;

/// Name of a document: `u64`, a UUID, anything that is copied, compared and hashed.
pub trait DocumentId: Copy + Eq + Hash + Ord + Debug + Send + Sync {}

impl<T: Copy + Eq + Hash + Ord + Debug + Send + Sync> DocumentId for T {}

/// Query tokens, and the candidates that are ranked by them.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a, Id = u64> {
    /// `[query tokens, dim]`.
    pub tokens: TokenMatrixRef<'a>,
    /// The documents to be ranked. One that is given twice is ranked twice.
    pub candidates: &'a [Id],
}

/// Source of candidates' token matrices: `None` for a document that is not there, an error for one that
/// cannot be read, which ends the request.
pub type Matrices<'a, Id> = dyn Fn(Id) -> Result<Option<TokenMatrixRef<'a>>> + Sync + 'a;

/// Number of hits that are wanted of a request, and details of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wanted {
    /// Most hits of a query.
    pub limit: usize,
    /// Hits beyond the limit that tie with the last within it are wanted, too.
    pub ties: bool,
    /// The document token that each query token of a hit matched is wanted.
    pub matches: bool,
}

impl Wanted {
    /// The best `limit` candidates.
    pub fn best(limit: usize) -> Self {
        Self { limit, ties: false, matches: false }
    }

    /// Every candidate, ranked.
    pub fn all() -> Self {
        Self::best(usize::MAX)
    }

    /// Hits beyond the limit, too, if they tie with the last: for a caller with an order of its own
    /// among hits of equal scores.
    pub fn with_ties(self) -> Self {
        Self { ties: true, ..self }
    }

    /// The document token that each query token of a hit matched, too. A hit that is replaced at that
    /// moment is looked at as it is then.
    pub fn with_matches(self) -> Self {
        Self { matches: true, ..self }
    }

    /// Hits of some scored candidates, in order.
    pub(crate) fn hits_of<Id: Ord + Copy>(self, mut scored: Vec<Scored<Id>>) -> Vec<Scored<Id>> {
        let mut limit = self.limit;
        if self.ties {
            keep_with_ties(&mut scored, limit, |hit| hit.score);
            limit = usize::MAX;
        }
        first(scored, limit, Scored::order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(scored: &[(u64, f32)], wanted: Wanted) -> Vec<u64> {
        let scored = scored.iter().map(|&(id, score)| Scored { id, score }).collect();
        wanted.hits_of(scored).iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn ties_are_in_the_order_of_ids() {
        let scored = [(9, 1.0), (2, 3.0), (5, 1.0), (1, -4.0), (3, 3.0)];
        assert_eq!(ids(&scored, Wanted::all()), [2, 3, 5, 9, 1]);
        assert_eq!(ids(&scored, Wanted::best(3)), [2, 3, 5]);
    }

    #[test]
    fn ties_with_the_last_are_hits_if_wanted() {
        let scored = [(9, 1.0), (2, 3.0), (5, 1.0), (1, -4.0), (3, 3.0)];
        for (limit, expected) in
            [(1, vec![2, 3]), (2, vec![2, 3]), (3, vec![2, 3, 5, 9]), (0, vec![])]
        {
            assert_eq!(ids(&scored, Wanted::best(limit).with_ties()), expected, "{limit}");
        }
    }

    #[test]
    fn any_limit_is_sensible() {
        let scored = [(1, 0.5), (2, 0.25)];
        for wanted in [Wanted::best(0), Wanted::best(0).with_ties()] {
            assert!(ids(&scored, wanted).is_empty());
            assert!(ids(&[], wanted).is_empty());
        }
        for wanted in [Wanted::all(), Wanted::all().with_ties()] {
            assert_eq!(ids(&scored, wanted), [1, 2]);
            assert!(ids(&[], wanted).is_empty());
        }
    }
}
