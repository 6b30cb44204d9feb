//! Sources of candidates: in a store, or in the caller's memory. No GPU in it but bindings.

use std::ops::Range;
use std::sync::RwLockReadGuard;

use wgpu::BindGroup;

use crate::Result;
use crate::multivector::TokenMatrixRef;

/// Rows of a document that follow one another in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub page: u32,
    /// Its entry in the table of places.
    pub slot: u32,
    pub first_row: u32,
    pub rows: u32,
}

/// Location of a candidate.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// In the store, in one piece.
    Whole(Piece),
    /// In the store, in several.
    Pieces(&'a [Piece]),
    /// Not in the store.
    Absent,
}

/// Candidates of a request, by group and position among the group's.
pub(super) trait Source: Sync {
    /// While it is held, rows stay where they are said to be.
    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>>;

    /// Shows where candidates of a group are, one after the other; and notes that they are used.
    fn locate(&self, group: usize, candidates: Range<usize>, visit: &mut dyn FnMut(Found<'_>));

    /// A page of the store, to be bound.
    fn page(&self, page: u32) -> Option<BindGroup>;

    /// The matrix of a candidate that is not in the store.
    ///
    /// # Errors
    /// The caller doesn't have it either.
    fn matrix(&self, group: usize, candidate: usize) -> Result<TokenMatrixRef<'_>>;
}
