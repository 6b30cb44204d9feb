//! Look-up of resident documents by a request.

use std::ops::Range;
use std::sync::{PoisonError, RwLockReadGuard};

use wgpu::BindGroup;

use super::ResidentStore;
use crate::gpu::source::{Found, Source};
use crate::multivector::TokenMatrixRef;
use crate::ranking::{DocumentId, Matrices};
use crate::{Error, Result};

/// Candidates by id: in the store, if there is one, else where the caller has them.
pub(in crate::gpu) struct Stored<'a, 'm, Id> {
    pub store: Option<&'a ResidentStore<Id>>,
    pub matrices: &'a Matrices<'m, Id>,
    /// Each group's.
    pub candidates: &'a [&'a [Id]],
}

impl<Id: DocumentId> Source for Stored<'_, '_, Id> {
    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.store.map(|store| store.gate.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn locate(&self, group: usize, candidates: Range<usize>, visit: &mut dyn FnMut(Found<'_>)) {
        let ids = &self.candidates[group][candidates];
        match self.store {
            None => ids.iter().for_each(|_| visit(Found::Absent)),
            Some(store) => store.documents().locate(ids, visit),
        }
    }

    fn page(&self, page: u32) -> Option<BindGroup> {
        self.store?.pages().get(page as usize).map(|page| page.bindings.clone())
    }

    fn matrix(&self, group: usize, candidate: usize) -> Result<TokenMatrixRef<'_>> {
        let id = self.candidates[group][candidate];
        (self.matrices)(id)?.ok_or_else(|| Error::NotResident { id: format!("{id:?}") })
    }
}
