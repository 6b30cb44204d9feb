//! Paying for everything before the first request.

use super::GpuContext;
use super::engine::{Wish, Work};
use super::rank::best_wish;
use super::source::Given;
use crate::Result;
use crate::multivector::TokenMatrix;

/// The largest requests to come.
///
/// ```
/// use maxfold::gpu::Shape;
///
/// let shape = Shape { queries: 16, query_tokens: 32, dim: 128, candidates: 1_000, ..Shape::default() };
/// assert_eq!(shape.limit, 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Queries of a request.
    pub queries: usize,
    /// Tokens of each.
    pub query_tokens: usize,
    /// Columns of a row.
    pub dim: usize,
    /// Candidates of each query.
    pub candidates: usize,
    /// Hits of each query.
    pub limit: usize,
    /// Whether matches are asked for.
    pub matches: bool,
    /// Tokens of the candidates of a request that are not resident, together.
    pub streamed_tokens: usize,
    /// Requests at the same time.
    pub requests: usize,
}

impl Default for Shape {
    /// One query of 32 × 128, 1,000 candidates, all resident, 10 hits, one request at a time.
    fn default() -> Self {
        Self {
            queries: 1,
            query_tokens: 32,
            dim: 128,
            candidates: 1_000,
            limit: 10,
            matches: false,
            streamed_tokens: 0,
            requests: 1,
        }
    }
}

impl GpuContext {
    /// Creates everything that requests up to this shape need, so that none of them waits for it.
    ///
    /// Shaders were compiled, and run, when the context was made; this makes buffers. At most eight
    /// sets of them are kept, one for each request at the same time.
    ///
    /// # Errors
    /// A shape of nothing, or of more columns than a binding holds; the device is lost or out of
    /// memory.
    pub fn warm_up(&self, shape: &Shape) -> Result<()> {
        let Shape { queries, candidates, limit, .. } = *shape;
        let zeros = vec![0.0_f32; shape.query_tokens * shape.dim];
        let query = TokenMatrix::new(&zeros, shape.dim)?;
        let (views, source) = (vec![query.view(); queries], &Given(&[]));
        let work = |candidates, wish| Work { queries: &views, candidates, source, wish };
        let counts = vec![candidates; queries];
        let hits = vec![limit.min(candidates); queries];
        let mut works = vec![work(&counts, best_wish(limit.min(candidates), candidates))];
        if shape.matches {
            works.push(work(&hits, Wish::Matches));
        }
        let workspaces = (0..shape.requests)
            .map(|_| self.gpu.workspace_for(&works, shape.streamed_tokens))
            .collect::<Result<Vec<_>>>()?;
        workspaces.into_iter().for_each(|workspace| self.gpu.return_workspace(workspace));
        Ok(())
    }

    /// Buffers that were created so far, by requests and stores: none in the steady state.
    pub fn buffers_created(&self) -> u64 {
        self.gpu.buffers_created.load(std::sync::atomic::Ordering::Relaxed)
    }
}
