//! Where a request finds its candidates: in a store, or in the caller's memory.

use std::ops::Range;
use std::sync::RwLockReadGuard;

use wgpu::BindGroup;

use super::layout::Located;
use crate::Result;
use crate::multivector::TokenMatrixRef;

/// Candidates of a request, by group and position among the group's.
pub(super) trait Source: Sync {
    /// While it is held, rows stay where they are said to be.
    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>>;

    /// Adds where some candidates of a group are, in the store or nowhere; and notes that they are used.
    fn locate(&self, group: usize, candidates: Range<usize>, located: &mut Located);

    /// A page of the store, to be bound.
    fn page(&self, page: u32) -> Option<BindGroup>;

    /// The matrix of a candidate that is not in the store.
    ///
    /// # Errors
    /// The caller doesn't have it either.
    fn matrix(&self, group: usize, candidate: usize) -> Result<TokenMatrixRef<'_>>;
}
