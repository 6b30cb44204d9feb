//! Documents that stay in the GPU's memory.
//!
//! | file | holds |
//! |---|---|
//! | `space.rs` | which rows of which page are whose; no GPU in it |
//! | `upload.rs` | appending, in chunks |
//! | `lookup.rs` | how a request finds what is resident |
//!
//! A *page* is a buffer no larger than a binding. Copies into pages and dispatches that read them go
//! through one queue, in order. So a reader is safe from a writer if, between its look at the map of
//! documents and its submission, no row is given to another document; that is what the gate is for.
//! Readers share it; a writer has it alone for the moment in which it frees rows, and copies
//! afterwards, while readers go on.

mod lookup;
mod space;
mod upload;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use lru::LruCache;
use wgpu::{BindGroup, Buffer, DeviceType};

pub(super) use lookup::Stored;
use space::{Extents, Space};
use upload::Uploads;

use super::GpuContext;
use super::device::Gpu;
use super::plan::Plan;
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
/// use maxfold::rerank::{Query, Wanted};
///
/// let gpu = GpuContext::new()?;
/// let store = ResidentStore::new(&gpu, 2)?;
/// let document = TokenMatrix::new(&[0.5_f32, -2.0, 0.25, -1.0], 2)?;
/// store.insert(7, document.view())?;
///
/// let query = TokenMatrix::new(&[1.0_f32, 0.0, 0.0, 1.0], 2)?;
/// let queries = [Query { tokens: query.view(), candidates: &[7] }];
/// let answer = gpu.rank(&queries, Some(&store), &|_| None, Wanted::best(10))?;
/// assert_eq!(answer.rankings[0].hits[0].score, 0.5 + -1.0);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct ResidentStore<Id = u64> {
    gpu: Arc<Gpu>,
    plan: Plan,
    /// See the module's documentation. Taken before `state`.
    gate: RwLock<()>,
    state: Mutex<State<Id>>,
    /// One writer at a time. Taken before `gate`.
    uploads: Mutex<Uploads>,
}

struct State<Id> {
    /// In the order of their last use.
    documents: LruCache<Id, Extents>,
    space: Space,
    pages: Vec<StorePage>,
    evictions: u64,
}

struct StorePage {
    rows: Buffer,
    bindings: BindGroup,
}

/// What is in a [`ResidentStore`].
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

/// How far [`ResidentStore::load`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
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
        let discrete = gpu.device().adapter_info().device_type == DeviceType::DiscreteGpu;
        Self::with_budget(gpu, dim, if discrete { 4 << 30 } else { 1 << 30 })
    }

    /// For documents of `dim` columns, in at most `budget` bytes of the GPU's memory.
    ///
    /// # Errors
    /// No columns, or more than a binding holds; the device is lost.
    pub fn with_budget(gpu: &GpuContext, dim: usize, budget: u64) -> Result<Self> {
        let gpu = Arc::clone(&gpu.gpu);
        gpu.check_alive()?;
        if dim == 0 {
            return Err(Error::ZeroDimension);
        }
        let plan = Plan::new(gpu.limits, dim, size_of::<u32>())?;
        let space = Space::new(plan.row_bytes(), gpu.limits.binding_bytes, budget);
        let documents = LruCache::unbounded();
        let state = Mutex::new(State { documents, space, pages: Vec::new(), evictions: 0 });
        let (gate, uploads) = Default::default();
        Ok(Self { gpu, plan, gate, state, uploads })
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
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        let Some(extents) = state.documents.pop(&id) else { return false };
        state.space.free(&extents);
        true
    }

    /// Removes every document. Pages are kept for the next.
    pub fn clear(&self) {
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        while let Some((_, extents)) = state.documents.pop_lru() {
            state.space.free(&extents);
        }
    }

    /// Whether a document is resident. It does not count as a use.
    pub fn contains(&self, id: Id) -> bool {
        self.state().documents.contains(&id)
    }

    /// Number of resident documents.
    pub fn len(&self) -> usize {
        self.state().documents.len()
    }

    /// Whether no document is resident.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.plan.dim
    }

    /// What is in it.
    pub fn statistics(&self) -> StoreStatistics {
        let state = self.state();
        let [budget_bytes, held_bytes, used_bytes] = state.space.bytes();
        let (documents, evictions) = (state.documents.len(), state.evictions);
        StoreStatistics { documents, used_bytes, held_bytes, budget_bytes, evictions }
    }

    /// Whether it is this context's.
    pub(super) fn is_of(&self, gpu: &Arc<Gpu>) -> bool {
        Arc::ptr_eq(&self.gpu, gpu)
    }

    fn state(&self) -> MutexGuard<'_, State<Id>> {
        // Nothing panics while it is locked; if it did, maps and ranges would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
