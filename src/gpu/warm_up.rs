//! Paying for everything before the first request.

use std::ops::Range;
use std::sync::RwLockReadGuard;

use wgpu::BindGroup;

use super::context::GpuContext;
use super::device::IDLE_WORKSPACES;
use super::plan::{Plan, Wish};
use super::probe;
use super::request::best_wish;
use super::source::{Found, Piece, Source};
use crate::multivector::TokenMatrixRef;
use crate::{Error, Result};

/// The largest requests to come.
///
/// ```
/// use maxfold::gpu::Shape;
///
/// let shape = Shape::new().queries(16).query_tokens(32).dim(128).candidates(1_000).limit(10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    queries: usize,
    query_tokens: usize,
    dim: usize,
    candidates: usize,
    limit: usize,
    matches: bool,
    streamed_tokens: usize,
    requests: usize,
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

impl Shape {
    /// One query of 32 × 128, 1,000 candidates, all resident, 10 hits, one request at a time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Queries of a request.
    pub fn queries(self, queries: usize) -> Self {
        Self { queries, ..self }
    }

    /// Tokens of each query.
    pub fn query_tokens(self, query_tokens: usize) -> Self {
        Self { query_tokens, ..self }
    }

    /// Columns of a row.
    pub fn dim(self, dim: usize) -> Self {
        Self { dim, ..self }
    }

    /// Candidates of each query.
    pub fn candidates(self, candidates: usize) -> Self {
        Self { candidates, ..self }
    }

    /// Hits of each query.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Asks for matches, or not.
    pub fn matches(self, matches: bool) -> Self {
        Self { matches, ..self }
    }

    /// Tokens of the candidates of a request that are not resident, together.
    pub fn streamed_tokens(self, streamed_tokens: usize) -> Self {
        Self { streamed_tokens, ..self }
    }

    /// Requests at the same time.
    pub fn requests(self, requests: usize) -> Self {
        Self { requests, ..self }
    }
}

impl GpuContext {
    /// Compiles, checks and creates everything that requests up to this shape need, so that none of them
    /// waits for it.
    ///
    /// At most eight sets of buffers are kept, one for each request at the same time.
    ///
    /// # Errors
    /// A shape of nothing, or of more queries, scores or columns than a binding holds; the device is lost
    /// or out of memory.
    pub fn warm_up(&self, shape: &Shape) -> Result<()> {
        let Shape { queries, query_tokens, dim, candidates, limit, .. } = *shape;
        if query_tokens == 0 || dim == 0 {
            let (expected, got) = ("query tokens and columns".into(), format!("{shape:?}"));
            return Err(Error::InvalidParameter { name: "a shape to warm up for", expected, got });
        }
        let [tokens, pairs] = [query_tokens, candidates].map(|it| it.saturating_mul(queries));
        let bytes = tokens.saturating_mul(dim).max(pairs).saturating_mul(size_of::<f32>());
        let most = self.gpu.limits.binding_bytes;
        if bytes > most {
            let expected = format!("queries and scores of at most {most} bytes");
            let got = format!("{shape:?}");
            return Err(Error::InvalidParameter { name: "a shape to warm up for", expected, got });
        }
        let keep = limit.min(candidates);
        let compiled = (self.gpu.variant, self.gpu.tunings);
        let plan = |wish| Plan::new(self.gpu.limits, compiled, wish, (query_tokens, dim));
        let mut works = Vec::new();
        let mut add = |wish, candidates| {
            let plan = plan(wish)?;
            for alike in [true, false] {
                let queries = std::iter::repeat_n((query_tokens, candidates), queries);
                works.push((plan, plan.groups(queries, |_| alike)));
            }
            Ok::<_, Error>(())
        };
        add(best_wish(keep, candidates), candidates)?;
        add(Wish::Scores, candidates)?;
        if shape.matches {
            add(Wish::Matches, keep)?;
        }
        probe::prove(&self.gpu, &plan(Wish::Scores)?)?;
        let workspaces = (0..shape.requests.min(IDLE_WORKSPACES))
            .map(|_| self.gpu.workspace_for(&works, &Anywhere, shape.streamed_tokens))
            .collect::<Result<Vec<_>>>()?;
        workspaces.into_iter().for_each(|workspace| self.gpu.return_workspace(workspace));
        Ok(())
    }

    /// Buffers that were created so far, by requests and stores: none in the steady state. Public for tests.
    #[doc(hidden)]
    pub fn buffers_created(&self) -> u64 {
        self.gpu.maker.created.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Candidates of a request to come: of a row each, wherever that is.
struct Anywhere;

impl Source for Anywhere {
    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>> {
        None
    }

    fn locate(&self, _: usize, candidates: Range<usize>, visit: &mut dyn FnMut(Found<'_>)) {
        let piece = Piece { page: 0, slot: 0, first_row: 0, rows: 1 };
        candidates.for_each(|_| visit(Found::Whole(piece)));
    }

    fn page(&self, _: u32) -> Option<BindGroup> {
        None
    }

    fn matrix(&self, _: usize, candidate: usize) -> Result<TokenMatrixRef<'_>> {
        Err(Error::NotResident { id: candidate.to_string() })
    }
}
