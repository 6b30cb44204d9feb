//! The vectors of a graph's nodes, and how near they are to each other and to a query.

use std::slice;
use std::sync::atomic::AtomicU32;

use twox_hash::XxHash3_64;

use super::Distance;
use super::blocks::Blocks;
use super::codes::Codes;
use super::fetch::{fetch, fetched_ahead};
use crate::maxsim::CodedQuery;

/// A vector's place in the graph: they are counted as they come, and never taken away.
pub(super) type NodeId = u32;

/// The most nodes that there may be: a link is a node's number and one more.
const MOST: usize = u32::MAX as usize;

/// Vectors by node.
pub(super) struct Vectors {
    pub(super) distance: Distance,
    pub(super) dim: usize,
    /// [Prepared](Distance::prepare), as bits.
    rows: Blocks,
    /// The same, smaller, where that pays.
    codes: Option<Codes>,
}

impl Vectors {
    pub(super) fn new(distance: Distance, dim: usize) -> Self {
        Self { distance, dim, rows: Blocks::new(dim), codes: Codes::new(distance, dim) }
    }

    /// Those of a file, coded too if such vectors are.
    pub(super) fn from_file(
        distance: Distance,
        dim: usize,
        rows: Blocks,
        codes: Option<Blocks>,
    ) -> Self {
        Self { distance, dim, rows, codes: codes.map(|codes| Codes::from_file(dim, codes)) }
    }

    /// Appends a node; `None` if there are too many to count.
    pub(super) fn push(&self, vector: &[f32]) -> Option<NodeId> {
        // Only one thread appends at a time, so this is the node's number.
        let node = self.rows.len();
        let node = (node < MOST).then_some(node as NodeId)?;
        self.codes.iter().for_each(|codes| codes.push(vector));
        self.rows.push(vector.iter().map(|value| value.to_bits()));
        Some(node)
    }

    /// Returns `true` if vectors are also coded.
    pub(super) fn is_coded(&self) -> bool {
        self.codes.is_some()
    }

    /// Codes of the vectors, if they are coded.
    pub(super) fn codes(&self) -> Option<&Codes> {
        self.codes.as_ref()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn get(&self, node: NodeId) -> Option<&[f32]> {
        let node = node as usize;
        (node < self.len()).then(|| self.rows.get(node).map(values))?
    }

    /// The vectors as seen from one of them, or from a query.
    pub(super) fn from<'v>(&'v self, by: Distance, vector: &'v [f32]) -> Outlook<'v> {
        Outlook { vectors: self, by, vector, coded: None }
    }

    /// Nearness of two nodes to each other, by any distance; larger is nearer.
    pub(super) fn nearness(&self, by: Distance, a: NodeId, b: NodeId) -> Option<f32> {
        Some(by.similarity(self.get(a)?, self.get(b)?))
    }
}

/// A row as it was written.
fn values(row: &[AtomicU32]) -> &[f32] {
    // SAFETY: the length is the slice's own; AtomicU32 is as large and as aligned as f32, for which any
    // bits will do. Nobody writes to a row of `Vectors` after `push` has counted it, and only rows that
    // were counted come here.
    unsafe { slice::from_raw_parts(row.as_ptr().cast(), row.len()) }
}

/// Vectors as seen from one.
#[derive(Clone, Copy)]
pub(super) struct Outlook<'v> {
    vectors: &'v Vectors,
    by: Distance,
    /// Prepared.
    vector: &'v [f32],
    /// The same, if vectors are looked at as they are coded.
    coded: Option<(&'v CodedQuery, &'v Codes)>,
}

impl<'v> Outlook<'v> {
    /// Query coded, to see vectors in a rough way, which is faster; if they are coded.
    pub(super) fn coded(&self) -> Option<CodedQuery> {
        self.vectors.codes.as_ref().map(|_| CodedQuery::new(self.vector))
    }

    /// The same, seen in that way.
    pub(super) fn roughly(self, coded: Option<&'v CodedQuery>) -> Self {
        Self { coded: coded.zip(self.vectors.codes.as_ref()), ..self }
    }

    /// The same, seen exactly.
    pub(super) fn exact(self) -> Self {
        Self { coded: None, ..self }
    }

    /// Returns `true` if nearness is not exact.
    pub(super) fn is_rough(&self) -> bool {
        self.coded.is_some()
    }

    /// The exact nearness of a node; larger is nearer. The least if there is no such node.
    pub(super) fn nearness(&self, node: NodeId) -> f32 {
        self.vectors.get(node).map_or(f32::MIN, |other| self.by.similarity(self.vector, other))
    }

    /// Calls `to` with what the similarity of each of some nodes is at least, and at most; `false` if
    /// that can't be told without looking at their vectors.
    pub(super) fn bounds_of(
        &self,
        nodes: impl Iterator<Item = NodeId> + Clone,
        to: impl FnMut([f64; 2]),
    ) -> bool {
        let Some((query, codes)) = self.coded else { return false };
        codes.bounds_of(self.by, query, nodes.map(|node| node as usize), to);
        true
    }

    /// Appends the nearness of each of some nodes.
    pub(super) fn nearness_of(
        &self,
        nodes: impl Iterator<Item = NodeId> + Clone,
        to: &mut Vec<f32>,
    ) {
        if let Some((query, codes)) = self.coded {
            return codes.nearness_of(self.by, query, nodes.map(|node| node as usize), to);
        }
        let row = |node: NodeId| self.vectors.rows.get(node as usize);
        let nodes = fetched_ahead(nodes, |node| row(node).into_iter().for_each(fetch));
        to.extend(nodes.map(|node| self.nearness(node)));
    }
}

/// A number that vectors that differ don't share, but by a chance of 2⁻⁶⁴.
pub(super) fn hash(vector: &[f32]) -> u64 {
    XxHash3_64::oneshot(bytemuck::cast_slice(vector))
}
