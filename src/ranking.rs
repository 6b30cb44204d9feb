//! What every ranking is made of, and its order.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::hash::Hash;

use crate::multivector::TokenMatrixRef;

/// What may name a document: `u64`, a UUID, anything that is copied, compared and hashed.
pub trait DocumentId: Copy + Eq + Hash + Ord + Debug + Send + Sync {}

impl<T: Copy + Eq + Hash + Ord + Debug + Send + Sync> DocumentId for T {}

/// One query of a request, with candidates of its own.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a, Id = u64> {
    /// `[query tokens, dim]`.
    pub tokens: TokenMatrixRef<'a>,
    /// The documents to be ranked. One that is given twice is ranked twice.
    pub candidates: &'a [Id],
}

/// Where the matrices of candidates are: `None` for a document that is not there.
pub type Matrices<'a, Id> = dyn Fn(Id) -> Option<TokenMatrixRef<'a>> + Sync + 'a;

/// What a request wants to know of its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Hits a query at most.
    pub limit: usize,
    /// Whether to say what each query token of a hit matched.
    pub matches: bool,
}

impl Wanted {
    /// The best `limit` candidates.
    pub fn best(limit: usize) -> Self {
        Self { limit, matches: false }
    }

    /// Every candidate, ranked.
    pub fn all() -> Self {
        Self::best(usize::MAX)
    }

    /// The same, and what each query token of a hit matched. A hit that is replaced at that moment
    /// is looked at as it is then.
    pub fn with_matches(self) -> Self {
        Self { matches: true, ..self }
    }
}

/// A document and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored<Id = u64> {
    /// The caller's id of the document.
    pub id: Id,
    /// Its MaxSim score; larger is better, negative is ordinary.
    pub score: f32,
}

impl<Id: Ord + Copy> Scored<Id> {
    /// Better first: by score, descending, then by id, ascending; a total order, so that equal
    /// requests have equal answers.
    pub fn order(&self, other: &Self) -> Ordering {
        by_rank((self.score, self.id), (other.score, other.id))
    }
}

/// What a query token matched in a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The document token that is most similar to it, from 0; of equally similar ones the first.
    pub token: u32,
    /// Their dot product.
    pub similarity: f32,
}

/// The best candidates of one query.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked<Id = u64> {
    /// Score descending, then id ascending.
    pub hits: Vec<Scored<Id>>,
    /// For each hit, if asked for, one [`Match`] a query token, in their order; else empty.
    pub matches: Vec<Vec<Match>>,
}

/// Score descending, then item ascending.
///
/// It is total, so a ranking is the same however it was computed: on any number of threads, from
/// any number of parts.
pub(crate) fn by_rank<T: Ord>(a: (f32, T), b: (f32, T)) -> Ordering {
    b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}

/// The first `limit` in an order, sorted.
pub(crate) fn first<T>(
    mut items: Vec<T>,
    limit: usize,
    order: impl Fn(&T, &T) -> Ordering,
) -> Vec<T> {
    if limit < items.len() {
        items.select_nth_unstable_by(limit, &order);
        items.truncate(limit);
    }
    items.sort_unstable_by(order);
    items
}

/// The best `limit` of `scored`, in order.
pub(crate) fn top_k<Id: Ord + Copy>(scored: Vec<Scored<Id>>, limit: usize) -> Vec<Scored<Id>> {
    first(scored, limit, Scored::order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(scored: &[(u64, f32)], limit: usize) -> Vec<u64> {
        let scored = scored.iter().map(|&(id, score)| Scored { id, score }).collect();
        top_k(scored, limit).iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn ties_are_in_the_order_of_ids() {
        let scored = [(9, 1.0), (2, 3.0), (5, 1.0), (1, -4.0), (3, 3.0)];
        assert_eq!(ids(&scored, 5), [2, 3, 5, 9, 1]);
        assert_eq!(ids(&scored, 3), [2, 3, 5]);
    }

    #[test]
    fn any_limit_is_sensible() {
        let scored = [(1, 0.5), (2, 0.25)];
        assert!(ids(&scored, 0).is_empty());
        assert_eq!(ids(&scored, usize::MAX), [1, 2]);
        assert!(ids(&[], 3).is_empty());
    }
}
