//! Multivectors that stay in the GPU's memory, kept in step with the collection.

use std::sync::{Mutex, PoisonError};

use roaring::RoaringBitmap;

use crate::collection::{Collection, Snapshot, VectorKind};
use crate::gpu::{GpuContext, ResidentStore};
use crate::{Error, Result};

/// About what is read from the map at once.
const CHUNK_BYTES: usize = 32 << 20;

/// The resident multivectors of one name.
pub(super) struct Resident {
    name: String,
    /// By number: a number's vectors never change.
    store: ResidentStore<u32>,
    /// Those that were loaded, and those that would never fit.
    known: Mutex<RoaringBitmap>,
}

impl Resident {
    /// One for each multivector of a collection, empty. `budget` bytes in all, or by the adapter.
    pub fn new_all(
        collection: &Collection,
        gpu: &GpuContext,
        budget: Option<u64>,
    ) -> Result<Vec<Self>> {
        let vectors = collection.config().vectors();
        let multi: Vec<_> = vectors.filter(|(_, it)| it.kind == VectorKind::Multi).collect();
        let count = multi.len().max(1) as u64;
        let open = |name: &str, dim| {
            let store = match budget {
                Some(budget) => ResidentStore::with_budget(gpu, dim, budget / count)?,
                None => ResidentStore::new(gpu, dim)?,
            };
            Ok(Self { name: name.into(), store, known: Mutex::default() })
        };
        multi.into_iter().map(|(name, config)| open(name, config.size)).collect()
    }

    /// Whose vector it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The store, by numbers.
    pub fn store(&self) -> &ResidentStore<u32> {
        &self.store
    }

    /// Those of `numbers` that are not known to be resident.
    pub fn missing(&self, numbers: &RoaringBitmap) -> RoaringBitmap {
        numbers - &*self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings it to the state of a snapshot, as far as the budget goes. One caller at a time.
    pub fn follow(&self, snapshot: &Snapshot<'_>) -> Result<()> {
        let having = snapshot.having(&self.name)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for gone in &known - having {
            self.store.remove(gone);
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) &= having;
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        let statistics = self.store.statistics();
        let mut room = statistics.budget_bytes.saturating_sub(statistics.used_bytes);
        for number in having - known {
            let Some(matrix) = snapshot.tokens(&self.name, number)? else { continue };
            let size = size_of_val(matrix.values());
            if size as u64 > room {
                break;
            }
            room -= size as u64;
            bytes += size;
            chunk.push((number, matrix));
            if bytes >= CHUNK_BYTES {
                self.load(&std::mem::take(&mut chunk))?;
                bytes = 0;
            }
        }
        self.load(&chunk)
    }

    fn load(&self, chunk: &[(u32, crate::multivector::TokenMatrixRef<'_>)]) -> Result<()> {
        self.store.load(chunk, |_| {})?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(chunk.iter().map(|(number, _)| *number));
        Ok(())
    }
}

/// Whether a request failed because a document is not, or no longer, where it was thought to be.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::NotResident { .. })
}
