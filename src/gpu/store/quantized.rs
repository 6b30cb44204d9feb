//! [`QuantizedStore`]: documents in int8 that stay in the GPU's memory.

use std::fmt;

use super::matrix::Matrix;
use super::{GpuContext, LoadProgress, ResidentStore, StoreStatistics};
use crate::Result;
use crate::gpu::shader::Format;
use crate::multivector::QuantizedMatrixRef;
use crate::ranking::DocumentId;

/// Documents in int8 in the GPU's memory, by id: about half the bytes of a [`ResidentStore`].
///
/// From them a request knows for most candidates that they are not among the best; only the others are scored, from f16,
/// wherever that is: the answer is the same. Else it is as a [`ResidentStore`].
///
/// ```no_run
/// use maxfold::gpu::{GpuContext, QuantizedStore};
/// use maxfold::multivector::{QuantizedMatrix, TokenMatrix};
/// use maxfold::rerank::{Query, Request, Reranker, Wanted};
///
/// let documents: Vec<TokenMatrix> = (0..1_000)
///     .map(|at| TokenMatrix::from_rows(&[[at as f32, 1.0]]))
///     .collect::<Result<_, _>>()?;
/// let gpu = GpuContext::new()?;
/// let store = QuantizedStore::with_budget(&gpu, 2, 1 << 20)?;
/// for (id, document) in (0..).zip(&documents) {
///     store.insert(id, QuantizedMatrix::new(document.view())?.view())?;
/// }
///
/// let query = TokenMatrix::from_rows(&[[0.5_f32, 0.0]])?;
/// let candidates: Vec<u64> = (0..1_000).collect();
/// let queries = [Query { tokens: query.view(), candidates: &candidates }];
/// let matrices = |id: u64| Ok(documents.get(id as usize).map(TokenMatrix::view));
/// let request = Request::new(&queries, &matrices, Wanted::best(2)).with_quantized(&store);
/// let answer = Reranker::on_gpu(gpu).rank(&request)?;
/// assert_eq!(answer.rankings[0].hits[0].id, 999);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct QuantizedStore<Id = u64>(ResidentStore<Id>);

impl<Id: DocumentId> QuantizedStore<Id> {
    /// For documents of `dim` columns, in at most `budget` bytes of the GPU's memory.
    ///
    /// # Errors
    /// As [`ResidentStore::with_budget`].
    pub fn with_budget(gpu: &GpuContext, dim: usize, budget: u64) -> Result<Self> {
        ResidentStore::of_format(gpu, Format::Int8, dim, budget).map(Self)
    }

    /// Appends documents, or replaces those that have their ids, as [`ResidentStore::load`] does.
    ///
    /// # Errors
    /// As [`ResidentStore::load`].
    pub fn load(
        &self,
        documents: &[(Id, QuantizedMatrixRef<'_>)],
        progress: impl FnMut(LoadProgress),
    ) -> Result<()> {
        let documents = documents.iter().map(|&(id, matrix)| (id, Matrix::Int8(matrix)));
        self.0.load_all(&documents.collect::<Vec<_>>(), progress)
    }

    /// Appends a document, or replaces the one that has its id.
    ///
    /// # Errors
    /// As [`ResidentStore::load`].
    pub fn insert(&self, id: Id, matrix: QuantizedMatrixRef<'_>) -> Result<()> {
        self.load(&[(id, matrix)], |_| {})
    }

    /// Removes a document; says whether it was resident.
    pub fn remove(&self, id: Id) -> bool {
        self.0.remove(id)
    }

    /// Returns `true` if a document is resident. It does not count as a use.
    pub fn contains(&self, id: Id) -> bool {
        self.0.contains(id)
    }

    /// Bytes of a row of `dim` columns.
    #[cfg(feature = "collection")]
    pub(crate) fn row_bytes_of(dim: usize) -> u64 {
        Format::Int8.row_bytes(dim) as u64
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.0.dim()
    }

    /// Counts documents and bytes.
    pub fn statistics(&self) -> StoreStatistics {
        self.0.statistics()
    }

    /// Returns `true` if it is this context's.
    pub(crate) fn is_of(&self, context: &GpuContext) -> bool {
        self.0.is_of(context)
    }

    /// The rows, as what reads them takes them.
    pub(in crate::gpu) fn rows(&self) -> &ResidentStore<Id> {
        &self.0
    }
}

impl<Id: DocumentId> fmt::Debug for QuantizedStore<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuantizedStore").field(&self.0).finish()
    }
}
