//! The graph: vectors, and links between near ones.

use std::sync::Arc;

use rayon::prelude::*;

use super::links::Links;
use super::vectors::Vectors;
use super::{Distance, HnswParams};
use crate::{Error, Result};

/// A vector's place in the graph: they are counted as they come, and never taken away.
pub(super) type NodeId = u32;

/// So many are linked one by one, before the rest of many in parallel: in a small graph, nodes that
/// come together don't see each other.
const ALONE: usize = 256;

/// A hierarchical navigable small world graph
/// ([Malkov & Yashunin 2016](https://arxiv.org/abs/1603.09320)) that grows while it is walked.
pub(super) struct Graph {
    pub(super) params: HnswParams,
    pub(super) vectors: Arc<Vectors>,
    /// `None` where `m` is 0.
    pub(super) links: Option<Links>,
}

impl Graph {
    pub(super) fn new(distance: Distance, params: HnswParams, dim: usize) -> Result<Self> {
        params.check()?;
        if dim == 0 {
            return Err(Error::ZeroDimension);
        }
        let vectors = Arc::new(Vectors::new(distance, dim));
        let links = (params.m > 0).then(|| Links::new(params, Arc::clone(&vectors)));
        Ok(Self { params, vectors, links })
    }
}

impl Graph {
    /// One without nodes, and otherwise the same.
    pub(super) fn emptied(&self) -> Result<Self> {
        Self::new(self.vectors.distance, self.params, self.vectors.dim)
    }

    /// Appends a node, without links; `None` if there are too many to count.
    pub(super) fn push(&self, vector: Arc<[f32]>) -> Option<NodeId> {
        self.vectors.push(Some(vector))
    }

    /// Links nodes that were [pushed](Graph::push), in parallel.
    pub(super) fn link_all(&self, nodes: &[NodeId]) {
        let Some(links) = &self.links else { return };
        let alone = ALONE.saturating_sub(links.len()).min(nodes.len());
        nodes[..alone].iter().for_each(|&node| links.insert(node));
        nodes[alone..].par_iter().for_each(|&node| links.insert(node));
    }

    /// About the `ef` nodes nearest to a prepared query, in no order.
    pub(super) fn nearest(&self, query: &[f32], ef: usize) -> impl Iterator<Item = NodeId> {
        self.links.iter().flat_map(move |links| links.nearest(query, ef))
    }

    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.vectors.len()
    }

    /// A node's vector, [prepared](Distance::prepare).
    pub(super) fn vector(&self, node: NodeId) -> Option<&Arc<[f32]>> {
        self.vectors.get(node)
    }
}
