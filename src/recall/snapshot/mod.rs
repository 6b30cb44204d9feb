//! The graph on disk: one file, which says which vectors it is of and how they are linked.
//!
//! The vectors of documents are not in it: who keeps a collection has them, in the state that counts.
//! Their hashes say which nodes they belong to, so a snapshot may be older or newer than the
//! vectors, or of another collection altogether, and still can't give a document a wrong vector.
//!
//! Little-endian:
//!
//! | field | type |
//! |---|---|
//! | `MXFDHNSW` | 8 bytes |
//! | version: 5 | u32 |
//! | distance: its place in [`Distance::ALL`](super::Distance::ALL) | u32 |
//! | `m`, `ef_construct`, dimension | 3 × u32 |
//! | stamp | u64 |
//! | how far walks have to go: the `ef`, of how many nodes it was measured, and 1 if walks look at coded vectors first, else 0 | 3 × u32 |
//! | nodes | u32 |
//! | for each node: XXH3 of its vector (prepared, f32); 0 if that is lost | u64 |
//! | for each measure by which nodes are linked, for each node: its links | list |
//! | how many graphs of upper layers | u32 |
//! | for each of those: its nodes | list |
//! | … how many layers, and for each, from the lowest: where the links of each node end, and the links, which are places among its nodes | u32, 2 lists |
//! | nodes that are to be in one | list |
//! | nodes without a document | u32 |
//! | for each of those that isn't lost: the node, and its vector | u32, dimension × f32 |
//! | at the end: XXH3 of all before | u64 |
//!
//! A list is a u32 that says how many, and as many u32. Each XXH3 is that of 64 bits, with seed 0.
//!
//! | file | holds |
//! |---|---|
//! | `encode.rs` | a view as such a file |
//! | `decode.rs` | a graph from such a file, every number of it checked |

mod decode;
mod encode;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::gauge::Gauge;
use super::graph::Graph;
use super::{Distance, HnswView, NodeId};
use crate::{Error, Result, files};

const MAGIC: &[u8; 8] = b"MXFDHNSW";
const VERSION: u32 = 5;

/// A graph, and which vectors its nodes have to have.
pub(super) struct Snapshot {
    pub(super) stamp: u64,
    pub(super) gauge: Gauge,
    /// With links, and zeros in place of vectors that aren't known.
    pub(super) graph: Graph,
    /// Of the nodes' vectors.
    pub(super) hashes: Vec<u64>,
    /// Nodes whose vectors are known.
    pub(super) known: RoaringBitmap,
}

impl Snapshot {
    /// No nodes.
    pub(super) fn none(graph: Graph) -> Self {
        let (stamp, gauge, hashes, known) = Default::default();
        Self { stamp, gauge, graph, hashes, known }
    }

    /// Reads what was [saved](save) of a graph like `graph`, which is empty.
    pub(super) fn read(path: &Path, graph: Graph) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| Error::io("read", path, source))?;
        let snapshot = decode::decode(&bytes, graph);
        snapshot.map_err(|what| Error::Damaged { path: path.into(), what })
    }

    /// Gives a node its vector; `false` if it has another one.
    pub(super) fn know(&mut self, node: NodeId, vector: &[f32]) -> bool {
        if self.known.contains(node) {
            return self.graph.vector(node) == Some(vector);
        }
        let vectors = Arc::get_mut(&mut self.graph.vectors);
        let is_known = vectors.is_some_and(|vectors| vectors.fill(node, vector));
        if is_known {
            self.known.insert(node);
        }
        is_known
    }

    /// The graph, with the vectors that are known.
    pub(super) fn into_graph(mut self) -> Graph {
        self.graph.lost.insert_range(0..self.hashes.len() as NodeId);
        self.graph.lost -= self.known;
        self.graph
    }
}

/// Writes a snapshot, whole or not at all. Nothing may be inserted meanwhile.
pub(super) fn save(view: &HnswView, path: &Path) -> Result<()> {
    files::write(path, &encode::encode(view))
}

/// Header, which has to be the same in the index that is loaded.
fn header(graph: &Graph) -> [u32; 5] {
    let (params, vectors) = (graph.params, &graph.vectors);
    let distance = Distance::ALL.iter().position(|&distance| distance == vectors.distance);
    let [distance, m, ef_construct, dim] =
        [distance.unwrap_or_default(), params.m, params.ef_construct, vectors.dim]
            .map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    [VERSION, distance, m, ef_construct, dim]
}
