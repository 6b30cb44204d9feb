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
    pub bounding: Bounding,
}

/// Numbers of documents of which bounds alone were computed first, and then scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certified {
    /// Documents whose bounds were computed from int8.
    pub bounded: usize,
    /// Documents that could be among the best, and were scored from f16.
    pub scored: usize,
}

/// Outcome of bounding the candidates of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Bounding {
    /// They are not in int8.
    #[default]
    NotAsked,
    /// All were scored, and why.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    Left(&'static str),
    /// Only some were scored.
    #[cfg_attr(not(any(feature = "gpu", feature = "collection")), allow(dead_code))]
    Certified(Certified),
}
