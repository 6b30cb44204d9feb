//! Documents that stay in the GPU's memory.
//!
//! | file | holds |
//! |---|---|
//! | `documents.rs` | which documents there are, where, and which were used last; no GPU in it |
//! | `space.rs` | which rows of which page are whose; no GPU in it |
//! | `matrix.rs` | what is appended: rows in f16, or in int8 |
//! | `upload.rs` | appending, in chunks |
//! | `copies.rs` | their copies to the GPU |
//! | `lookup.rs` | how a request finds what is resident |
//! | `quantized.rs` | [`QuantizedStore`]: the same of documents in int8 |
//!
//! A *page* is a buffer no larger than a binding. Beside the pages there is a table of *places*, on the GPU:
//! where the rows of each piece of a document are. A piece is named by its entry there, its *slot*.
//!
//! Copies into pages and table, and dispatches that read them, go through one queue, in order. So a reader
//! is safe from a writer if, between its look at the documents and its submission, no row and no slot is
//! given to another document; that is what the gate is for. Readers share it; a writer has it alone for the
//! moment in which it frees rows, and copies afterwards, while readers go on.

mod copies;
mod documents;
mod lookup;
mod matrix;
mod quantized;
#[cfg(test)]
mod races;
mod space;
mod upload;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use wgpu::{BindGroup, Buffer, DeviceType};

use documents::Documents;
pub(super) use lookup::Stored;
pub use quantized::QuantizedStore;
use space::Space;
use upload::Uploads;

use super::GpuContext;
use super::device::Gpu;
use super::plan::{ROW_SLACK, check_columns};
use super::shader::{Format, OCTET_BYTES};
use crate::multivector::TokenMatrixRef;
use crate::ranking::DocumentId;
use crate::{Error, Result};

/// Documents in the GPU's memory, by id, so that a request sends only ids.
///
/// Within its budget it keeps what was appended; when that is spent, the least recently used
/// documents make room. So a document that was appended may be gone: a request that may name it
/// gives its matrix, too, which is sent along if need be.
///
/// Calls may be made from any number of threads; requests run while documents are appended.
/// Appending blocks the thread that does it while the GPU copies. Each
/// request sees a document as it was before or after a change, never in between. The store belongs
/// to one [`GpuContext`]; if the device is lost, so is what is in the store.
///
/// ```no_run
/// use maxfold::gpu::{GpuContext, ResidentStore};
/// use maxfold::multivector::TokenMatrix;
/// use maxfold::rerank::{Query, Request, Reranker, Wanted};
///
/// let gpu = GpuContext::new()?;
/// let store = ResidentStore::new(&gpu, 2)?;
/// let document = TokenMatrix::new(&[0.5_f32, -2.0, 0.25, -1.0], 2)?;
/// store.insert(7, document.view())?;
///
/// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// let queries = [Query { tokens: query.view(), candidates: &[7] }];
/// let request = Request::new(&queries, &|_| Ok(None), Wanted::best(10)).with_store(&store);
/// let answer = Reranker::on_gpu(gpu).rank(&request)?;
/// assert_eq!(answer.rankings[0].hits[0].score, 0.5 + -1.0);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct ResidentStore<Id = u64> {
    gpu: Arc<Gpu>,
    dim: usize,
    format: Format,
    /// Without what is beside a row.
    row_bytes: usize,
    /// See the module's documentation. Taken before what follows.
    gate: RwLock<()>,
    documents: RwLock<Documents<Id>>,
    pages: RwLock<Vec<StorePage>>,
    space: Mutex<Space>,
    evictions: AtomicU64,
    /// One writer at a time. Taken before the gate.
    uploads: Mutex<Uploads>,
}

/// Stores that candidates of a request may be in.
pub(crate) struct Stores<'a, Id> {
    /// In f16.
    pub exact: Option<&'a ResidentStore<Id>>,
    /// In int8.
    pub quantized: Option<&'a QuantizedStore<Id>>,
}

struct StorePage {
    rows: Buffer,
    /// A word a row, of rows in int8.
    beside: Option<Buffer>,
    /// Of the rows, of the table of places, and of what is beside the rows.
    bindings: BindGroup,
}

/// Contents of a [`ResidentStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStatistics {
    /// Documents that are resident.
    pub documents: usize,
    /// Bytes of their rows.
    pub used_bytes: u64,
    /// Bytes of all pages: what the store takes of the GPU's memory.
    pub held_bytes: u64,
    /// The most that it may take. Less than was asked for if the device refused a page.
    pub budget_bytes: u64,
    /// Documents that had to make room for others so far.
    pub evictions: u64,
}

/// Progress of [`ResidentStore::load`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadProgress {
    /// Documents that can be searched now.
    pub documents: usize,
    /// Documents of the call.
    pub of: usize,
}

impl<Id: DocumentId> ResidentStore<Id> {
    /// For documents of `dim` columns, with a budget that suits the adapter: 4 GiB on a discrete
    /// GPU, half of the memory of the common ones; 1 GiB where memory is shared with the CPU. wgpu
    /// doesn't tell how much there is, so a host that knows better says so.
    ///
    /// # Errors
    /// As [`ResidentStore::with_budget`].
    pub fn new(gpu: &GpuContext, dim: usize) -> Result<Self> {
        Self::with_budget(gpu, dim, budget_of(gpu))
    }

    /// For documents of `dim` columns, in at most `budget` bytes of the GPU's memory.
    ///
    /// # Errors
    /// No columns, or more than a binding holds; the device is lost.
    pub fn with_budget(gpu: &GpuContext, dim: usize, budget: u64) -> Result<Self> {
        Self::of_format(gpu, Format::F16, dim, budget)
    }

    fn of_format(gpu: &GpuContext, format: Format, dim: usize, budget: u64) -> Result<Self> {
        let gpu = Arc::clone(&gpu.gpu);
        gpu.check_alive()?;
        if dim == 0 {
            return Err(Error::ZeroDimension);
        }
        check_columns(gpu.limits, dim)?;
        let row_bytes = format.octets(dim) * OCTET_BYTES;
        let stored_bytes = format.row_bytes(dim);
        let page_bytes = (gpu.limits.binding_bytes / row_bytes - ROW_SLACK) * stored_bytes;
        let space = Mutex::new(Space::new(stored_bytes, page_bytes, budget));
        let uploads = Mutex::new(gpu.checked(|| Uploads::new(&gpu))?);
        let (gate, documents, pages, evictions) = Default::default();
        Ok(Self { gpu, dim, format, row_bytes, gate, documents, pages, space, evictions, uploads })
    }

    /// Appends a document, or replaces the one that has its id.
    ///
    /// # Errors
    /// As [`ResidentStore::load`].
    pub fn insert(&self, id: Id, matrix: TokenMatrixRef<'_>) -> Result<()> {
        self.load(&[(id, matrix)], |_| {})
    }

    /// Removes a document; says whether it was resident.
    pub fn remove(&self, id: Id) -> bool {
        let _alone = self.alone();
        let removed = self.documents_mut().remove(&id);
        removed.inspect(|pieces| self.space().free(pieces)).is_some()
    }

    /// Removes every document. Pages are kept for the next.
    pub fn clear(&self) {
        let _alone = self.alone();
        let mut documents = self.documents_mut();
        while let Some(pieces) = documents.remove_idle() {
            self.space().free(&pieces);
        }
    }

    /// Returns `true` if a document is resident. It does not count as a use.
    pub fn contains(&self, id: Id) -> bool {
        self.documents().contains(&id)
    }

    /// Bytes of a row of `dim` columns.
    #[cfg(feature = "collection")]
    pub(crate) fn row_bytes_of(dim: usize) -> u64 {
        Format::F16.row_bytes(dim) as u64
    }

    /// Number of resident documents.
    pub fn len(&self) -> usize {
        self.documents().len()
    }

    /// Returns `true` if no document is resident.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Counts documents and bytes.
    pub fn statistics(&self) -> StoreStatistics {
        let [budget_bytes, held_bytes, used_bytes] = self.space().bytes();
        let (documents, evictions) = (self.len(), self.evictions());
        StoreStatistics { documents, used_bytes, held_bytes, budget_bytes, evictions }
    }

    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Returns `true` if it is this context's.
    pub(crate) fn is_of(&self, context: &GpuContext) -> bool {
        Arc::ptr_eq(&self.gpu, &context.gpu)
    }

    // Nothing panics while these are locked; if it did, maps and ranges would still be whole.

    fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn documents(&self) -> RwLockReadGuard<'_, Documents<Id>> {
        self.documents.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn documents_mut(&self) -> RwLockWriteGuard<'_, Documents<Id>> {
        self.documents.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn pages(&self) -> RwLockReadGuard<'_, Vec<StorePage>> {
        self.pages.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn pages_mut(&self) -> RwLockWriteGuard<'_, Vec<StorePage>> {
        self.pages.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A budget that suits the adapter.
pub(crate) fn budget_of(gpu: &GpuContext) -> u64 {
    let discrete = gpu.device().adapter_info().device_type == DeviceType::DiscreteGpu;
    if discrete { 4 << 30 } else { 1 << 30 }
}

impl<Id: DocumentId> fmt::Debug for ResidentStore<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statistics = self.statistics();
        f.debug_struct("ResidentStore")
            .field("dim", &self.dim())
            .field("statistics", &statistics)
            .finish_non_exhaustive()
    }
}
