//! Options of a searcher.

use std::sync::Arc;

use crate::Result;
use crate::rerank::{Backend, Reranker};
use crate::search::RequestLimits;

/// Options of a [`Searcher`](super::Searcher).
///
/// ```
/// use maxfold::maxsim::CpuMaxSim;
/// use maxfold::search::{RequestLimits, SearcherOptions};
/// use maxfold::{Collection, CollectionConfig, Reranker, Searcher};
///
/// let options = SearcherOptions::new()
///     .reranker(Reranker::on_cpu(CpuMaxSim::new()))
///     .limits(RequestLimits::new().limit(1000));
/// Searcher::with_options(Collection::temporary(CollectionConfig::new())?, options)?;
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct SearcherOptions {
    reranker: Option<Arc<Reranker>>,
    resident_bytes: Option<u64>,
    pub(super) at_once: bool,
    pub(super) limits: RequestLimits,
}

impl SearcherOptions {
    /// [`Backend::Auto`], and as much of a GPU's memory as suits the adapter.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reranker, which computes MaxSim; several searchers may share one.
    pub fn reranker(self, reranker: impl Into<Arc<Reranker>>) -> Self {
        Self { reranker: Some(reranker.into()), ..self }
    }

    /// Bytes of a GPU's memory that multivectors may keep between requests, all names together.
    /// With 0 none do: each request sends its candidates.
    pub fn resident_bytes(self, bytes: u64) -> Self {
        Self { resident_bytes: Some(bytes), ..self }
    }

    /// Opens without bringing graphs and copies on the GPU up to date first: that is done in the background, and
    /// meanwhile what they lack is scanned, or sent along.
    pub fn at_once(self, at_once: bool) -> Self {
        Self { at_once, ..self }
    }

    /// Ceilings of what one request may ask for.
    pub fn limits(self, limits: RequestLimits) -> Self {
        Self { limits, ..self }
    }

    pub(super) fn take(self) -> Result<(Arc<Reranker>, Option<u64>)> {
        let reranker = match self.reranker {
            Some(reranker) => reranker,
            None => Reranker::new(Backend::Auto)?.into(),
        };
        Ok((reranker, self.resident_bytes))
    }
}
