//! All upper layers of a graph that grows.

use std::sync::Arc;

use super::upper::Upper;
use super::vectors::Vectors;
use super::{HnswParams, NodeId, links};

/// One node of so many is in the upper layers too.
const NODES_PER_UPPER: u32 = 16;

/// Number of new nodes that are worth layers of their own.
const WORTH_BUILDING: usize = 64;

/// Nodes in which walks begin.
///
/// Upper layers don't change once they are built, so those of new nodes are built apart, and together
/// with those of others that are not much more. So there are few, each at least twice as large as the
/// next, and a node is built in as often as the graph doubles.
#[derive(Clone, Default)]
pub(super) struct Uppers {
    /// The largest first.
    pub(super) built: Vec<Arc<Upper>>,
    /// Those in none of them yet.
    pub(super) fresh: Vec<NodeId>,
}

impl Uppers {
    /// Those with new nodes, of which some are in the upper layers.
    pub(super) fn with(&self, nodes: &[NodeId]) -> Self {
        let mut uppers = self.clone();
        uppers.fresh.extend(nodes.iter().filter(|&&node| is_upper(node)));
        uppers
    }

    /// The same with layers of the new nodes, if they are worth it.
    pub(super) fn built(&self, params: HnswParams, vectors: &Arc<Vectors>) -> Self {
        let Self { mut built, fresh: mut nodes } = self.clone();
        if nodes.len() < WORTH_BUILDING {
            return self.clone();
        }
        while let Some(last) = built.pop_if(|last| last.len() < 2 * nodes.len()) {
            nodes.extend_from_slice(&last.nodes);
        }
        nodes.sort_unstable_by_key(|&node| scattered(node));
        built.push(Arc::new(links::build(params, vectors, &nodes)));
        Self { built, fresh: Vec::new() }
    }
}

/// Returns `true` if a node is in the upper layers: by chance, so that no order of the vectors
/// matters.
fn is_upper(node: NodeId) -> bool {
    scattered(node).is_multiple_of(NODES_PER_UPPER)
}

/// A number that looks like chance, for each node another one (MurmurHash3's finalizer).
pub(super) fn scattered(node: NodeId) -> u32 {
    let node = (node ^ (node >> 16)).wrapping_mul(0x85EB_CA6B);
    let node = (node ^ (node >> 13)).wrapping_mul(0xC2B2_AE35);
    node ^ (node >> 16)
}
