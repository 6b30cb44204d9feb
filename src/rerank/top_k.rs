//! The order of hits.

use std::cmp::Ordering;

use crate::ranking::by_rank;

/// A document and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The caller's id of the document.
    pub id: u64,
    /// Its MaxSim score; larger is better, negative is ordinary.
    pub score: f32,
}

impl Scored {
    /// Better first: by score, descending, then by id, ascending; a total order, so that equal
    /// requests have equal answers.
    pub fn order(&self, other: &Self) -> Ordering {
        by_rank((self.score, self.id), (other.score, other.id))
    }
}

/// The best `limit` of `scored`, in order.
pub(super) fn top_k(mut scored: Vec<Scored>, limit: usize) -> Vec<Scored> {
    if limit < scored.len() {
        scored.select_nth_unstable_by(limit, Scored::order);
        scored.truncate(limit);
    }
    scored.sort_unstable_by(Scored::order);
    scored
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
