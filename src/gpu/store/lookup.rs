//! How a request finds what is resident.

use std::sync::{PoisonError, RwLockReadGuard};

use wgpu::BindGroup;

use super::ResidentStore;
use crate::gpu::source::Source;
use crate::gpu::unit::Extent;
use crate::multivector::TokenMatrixRef;
use crate::ranking::{DocumentId, Matrices};
use crate::{Error, Result};

/// Candidates by id: in the store, if there is one, else where the caller has them.
pub(in crate::gpu) struct Stored<'a, 'm, Id> {
    pub store: Option<&'a ResidentStore<Id>>,
    pub matrices: &'a Matrices<'m, Id>,
    /// Each query's.
    pub candidates: &'a [Vec<Id>],
}

impl<Id: DocumentId> Source for Stored<'_, '_, Id> {
    fn has_store(&self) -> bool {
        self.store.is_some()
    }

    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.store.map(|store| store.gate.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn locate(
        &self,
        candidates: &mut dyn Iterator<Item = (usize, usize)>,
        visit: &mut dyn FnMut(Option<&[Extent]>) -> Result<bool>,
    ) -> Result<()> {
        let state = self.store.map(ResidentStore::state);
        for (query, candidate) in candidates {
            let id = self.candidates[query][candidate];
            let found = state.as_ref().and_then(|state| state.documents.peek(&id));
            if !visit(found.map(|extents| &extents[..]))? {
                break;
            }
        }
        Ok(())
    }

    fn used(&self, candidates: &mut dyn Iterator<Item = (usize, usize)>) {
        let Some(mut state) = self.store.map(ResidentStore::state) else { return };
        for (query, candidate) in candidates {
            state.documents.promote(&self.candidates[query][candidate]);
        }
    }

    fn page(&self, page: u32) -> Option<BindGroup> {
        Some(self.store?.state().pages.get(page as usize)?.bindings.clone())
    }

    fn matrix(&self, query: usize, candidate: usize) -> Option<TokenMatrixRef<'_>> {
        (self.matrices)(self.candidates[query][candidate])
    }

    fn missing(&self, query: usize, candidate: usize) -> Error {
        Error::NotResident { id: format!("{:?}", self.candidates[query][candidate]) }
    }
}
