//! Hits: documents with their scores, and what they matched.

use std::cmp::Ordering;

use super::by_rank;

/// Document and its MaxSim score.
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

/// Document token that a query token matched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenMatch {
    /// The document token that is most similar to the query token, from 0; of equally similar ones
    /// the first.
    pub token: u32,
    /// Their dot product.
    pub similarity: f32,
}

/// Hits of one query, from one backend.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ranked<Id> {
    /// In order.
    pub hits: Vec<Scored<Id>>,
    /// For each hit, if asked for, one match a query token; else empty.
    pub matches: Vec<Vec<TokenMatch>>,
}
