//! The vectors of a graph's nodes, and how near they are to each other and to a query.

use std::sync::Arc;

use twox_hash::XxHash3_64;

use super::Distance;

/// A vector's place in the graph: they are counted as they come, and never taken away.
pub(super) type NodeId = u32;

/// Vectors by node: they are counted as they come, and never taken away.
pub(super) struct Vectors {
    pub(super) distance: Distance,
    pub(super) dim: usize,
    /// [Prepared](Distance::prepare). `None` for one that a snapshot's links lead to, and that is
    /// lost.
    rows: boxcar::Vec<Option<Arc<[f32]>>>,
}

impl Vectors {
    pub(super) fn new(distance: Distance, dim: usize) -> Self {
        Self { distance, dim, rows: boxcar::Vec::new() }
    }

    /// Appends a node; `None` if there are too many to count.
    pub(super) fn push(&self, vector: Option<Arc<[f32]>>) -> Option<NodeId> {
        // Only one thread appends at a time, so this is the node's number.
        let node = NodeId::try_from(self.rows.count()).ok()?;
        self.rows.push(vector);
        Some(node)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.count()
    }

    pub(super) fn get(&self, node: NodeId) -> Option<&Arc<[f32]>> {
        self.rows.get(node as usize)?.as_ref()
    }

    /// The score of a node for a prepared query.
    pub(super) fn score(&self, query: &[f32], node: NodeId) -> Option<f32> {
        Some(self.distance.similarity(query, self.get(node)?))
    }

    /// Nearness of two nodes to each other, by any distance; larger is nearer.
    pub(super) fn nearness(&self, by: Distance, a: NodeId, b: NodeId) -> Option<f32> {
        Some(by.similarity(self.get(a)?, self.get(b)?))
    }
}

/// A number that vectors that differ don't share, but by a chance of 2⁻⁶⁴.
pub(super) fn hash(vector: &[f32]) -> u64 {
    XxHash3_64::oneshot(bytemuck::cast_slice(vector))
}
