//! Where an engine finds candidates: in the store, or in the caller's memory.

use std::sync::RwLockReadGuard;

use wgpu::BindGroup;

use super::unit::Extent;
use crate::multivector::TokenMatrixRef;
use crate::{Error, Result};

/// Candidates of a request, by query and position among the query's.
pub(super) trait Source: Sync {
    /// Whether any document may be resident.
    fn has_store(&self) -> bool;

    /// While it is held, rows stay where they are said to be.
    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>>;

    /// Shows the extents of candidates, `None` for one that isn't resident, while `visit` wants
    /// more.
    fn locate(
        &self,
        candidates: &mut dyn Iterator<Item = (usize, usize)>,
        visit: &mut dyn FnMut(Option<&[Extent]>) -> Result<bool>,
    ) -> Result<()>;

    /// Notes that candidates were used, once they were submitted.
    fn used(&self, candidates: &mut dyn Iterator<Item = (usize, usize)>);

    /// A page of the store, to be bound.
    fn page(&self, page: u32) -> Option<BindGroup>;

    /// A candidate's matrix, if the caller has it.
    fn matrix(&self, query: usize, candidate: usize) -> Option<TokenMatrixRef<'_>>;

    /// What is said of a candidate that is nowhere.
    fn missing(&self, query: usize, candidate: usize) -> Error;
}

/// The same documents for every query, in the caller's memory.
pub(super) struct Given<'a>(pub &'a [TokenMatrixRef<'a>]);

impl Source for Given<'_> {
    fn has_store(&self) -> bool {
        false
    }

    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>> {
        None
    }

    fn locate(
        &self,
        candidates: &mut dyn Iterator<Item = (usize, usize)>,
        visit: &mut dyn FnMut(Option<&[Extent]>) -> Result<bool>,
    ) -> Result<()> {
        for _ in candidates {
            if !visit(None)? {
                break;
            }
        }
        Ok(())
    }

    fn used(&self, _: &mut dyn Iterator<Item = (usize, usize)>) {}

    fn page(&self, _: u32) -> Option<BindGroup> {
        None
    }

    fn matrix(&self, _: usize, candidate: usize) -> Option<TokenMatrixRef<'_>> {
        self.0.get(candidate).copied()
    }

    fn missing(&self, _: usize, candidate: usize) -> Error {
        Error::NotResident { id: candidate.to_string() }
    }
}

/// Some candidates of another source: the hits among them, say.
pub(super) struct Chosen<'a> {
    pub all: &'a dyn Source,
    /// Positions of each query's.
    pub positions: &'a [Vec<usize>],
}

impl Source for Chosen<'_> {
    fn has_store(&self) -> bool {
        self.all.has_store()
    }

    fn hold(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.all.hold()
    }

    fn locate(
        &self,
        candidates: &mut dyn Iterator<Item = (usize, usize)>,
        visit: &mut dyn FnMut(Option<&[Extent]>) -> Result<bool>,
    ) -> Result<()> {
        let mut chosen = candidates.map(|(query, at)| (query, self.positions[query][at]));
        self.all.locate(&mut chosen, visit)
    }

    fn used(&self, candidates: &mut dyn Iterator<Item = (usize, usize)>) {
        self.all.used(&mut candidates.map(|(query, at)| (query, self.positions[query][at])));
    }

    fn page(&self, page: u32) -> Option<BindGroup> {
        self.all.page(page)
    }

    fn matrix(&self, query: usize, candidate: usize) -> Option<TokenMatrixRef<'_>> {
        self.all.matrix(query, self.positions[query][candidate])
    }

    fn missing(&self, query: usize, candidate: usize) -> Error {
        self.all.missing(query, self.positions[query][candidate])
    }
}
