//! What is asked.

use crate::multivector::TokenMatrixRef;
use crate::recall::SearchParams;

/// A query, and how much of an answer it wants.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(super) dense: &'a [f32],
    pub(super) tokens: TokenMatrixRef<'a>,
    pub(super) prefetch: usize,
    pub(super) limit: usize,
    pub(super) params: SearchParams,
}

impl<'a> Request<'a> {
    /// A query as its dense vector and its token matrix; prefetches 100 and returns 10.
    pub fn new(dense: &'a [f32], tokens: TokenMatrixRef<'a>) -> Self {
        Self { dense, tokens, prefetch: 100, limit: 10, params: SearchParams::default() }
    }

    /// How many documents recall finds and MaxSim ranks.
    pub fn prefetch(self, prefetch: usize) -> Self {
        Self { prefetch, ..self }
    }

    /// How many documents are returned: at most [`Request::prefetch`].
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// How recall goes about it: the breadth of the HNSW walk, or an exact scan.
    pub fn params(self, params: SearchParams) -> Self {
        Self { params, ..self }
    }
}
