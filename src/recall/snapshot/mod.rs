//! The index on disk: one file, which is mapped.
//!
//! It has everything, so that nothing has to be read, linked or coded again, and a search touches no more of it
//! than it needs. Which vector a document has is not for the file to say: who keeps documents has them, in the
//! state that counts. A *revision*, a number of the caller's, says of each document which vector it had; where
//! it has another one now, its vector is found by its hash, or inserted. So the file may be older or newer than
//! the documents.
//!
//! Little-endian. A section begins at a multiple of 64 bytes, with zeros before it.
//!
//! | field | type |
//! |---|---|
//! | `MXFDHNSW` | 8 bytes |
//! | version: 6 | u32 |
//! | distance: its place in [`Distance::ALL`](super::Distance::ALL) | u32 |
//! | `m`, `ef_construct`, dimension | 3 × u32 |
//! | stamp | u64 |
//! | how far walks have to go: the `ef`, of how many nodes it was measured, and 1 if walks look at coded vectors first, else 0 | 3 × u32 |
//! | nodes, documents | 2 × u32 |
//! | how many graphs of upper layers | u32 |
//! | for each of those: its nodes | list |
//! | … how many layers, and for each, from the lowest: where the links of each node end, and the links, which are places among its nodes | u32, 2 lists |
//! | nodes that are to be in one | list |
//! | section: for each node, XXH3 of its vector (prepared, f32) | u64 |
//! | section: for each node, its vector | dimension × f32 |
//! | section, unless vectors have fewer than 48 values, or too many, or the distance is Manhattan: for each node, what its codes mean (value of code 0, step, length, distance from the vector), and the codes, filled up to a multiple of 4 with zeros | 4 × f32, dimension × u8 |
//! | for each measure by which nodes are linked, a section: for each node, its links, each as the other node and 1, filled up with zeros | 2 `m` × u32 |
//! | section: for each document its number, ascending | u32 |
//! | section: for each document its node | u32 |
//! | section: for each document its revision | u32 |
//! | at the end: XXH3 of the XXH3 of each MiB of all before | u64 |
//!
//! A list is a u32 that says how many, and as many u32. Each XXH3 is that of 64 bits, with seed 0.
//!
//! | file | holds |
//! |---|---|
//! | `encode.rs` | an index as such a file |
//! | `decode.rs` | an index from such a file, every number of it checked |

mod decode;
mod encode;

use std::path::Path;

use super::gauge::Gauge;
use super::graph::Graph;
use super::mapped::map;
use super::{Distance, HnswView, NodeId};
use crate::{Error, Result, files};

const MAGIC: &[u8; 8] = b"MXFDHNSW";
const VERSION: u32 = 6;

/// Alignment of sections: lines of the cache.
const ALIGNMENT: usize = 64;

/// Bytes that have a checksum of their own.
const PIECE: usize = 1 << 20;

/// A graph, and the documents that it was of.
pub(super) struct Snapshot {
    pub(super) stamp: u64,
    pub(super) gauge: Gauge,
    pub(super) graph: Graph,
    /// Of the nodes' vectors.
    pub(super) hashes: Vec<u64>,
    /// By number, ascending.
    pub(super) documents: Vec<Saved>,
}

/// A document as it was saved.
pub(super) struct Saved {
    pub(super) number: u32,
    pub(super) node: NodeId,
    pub(super) revision: u32,
}

impl Snapshot {
    /// No nodes.
    pub(super) fn none(graph: Graph) -> Self {
        let (stamp, gauge, hashes, documents) = Default::default();
        Self { stamp, gauge, graph, hashes, documents }
    }

    /// Reads what was [saved](save) of a graph like `graph`, which is empty.
    pub(super) fn read(path: &Path, graph: &Graph) -> Result<Self> {
        let map = map(path).map_err(|source| Error::io("read", path, source))?;
        let snapshot = decode::decode(map, graph);
        snapshot.map_err(|what| Error::Damaged { path: path.into(), what })
    }
}

/// Writes a snapshot, whole or not at all. Nothing may be inserted meanwhile.
pub(super) fn save(
    view: &HnswView,
    path: &Path,
    revision: impl Fn(u32) -> Option<u32>,
) -> Result<()> {
    files::write_with(path, |file| encode::encode(view, revision, file))
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
