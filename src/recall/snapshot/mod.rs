//! The graph on disk: a file that says which vectors it is of and how they are linked, and hnsw_rs's
//! two files of the upper layers.
//!
//! Neither has the vectors of documents: who keeps a collection has them, in the state that counts.
//! Their hashes say which nodes they belong to, so a snapshot may be older or newer than the
//! vectors, or of another collection altogether, and still can't give a document a wrong vector.
//!
//! hnsw_rs's files are called like the first one, with a checksum in hexadecimals. So
//! files of another state never take the place of those that a snapshot is of.
//!
//! | file | holds |
//! |---|---|
//! | `manifest.rs` | the first file |
//! | `dump.rs` | hnsw_rs's files |

mod dump;
mod manifest;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dump::Dump;
use manifest::Manifest;

use super::gauge::Gauge;
use super::graph::{Graph, is_upper};
use super::{HnswView, NodeId};
use crate::{Error, Result, files};

/// A graph, and which vectors its nodes have to have.
pub(super) struct Snapshot {
    pub(super) stamp: u64,
    pub(super) gauge: Gauge,
    /// With links, and no vectors yet.
    pub(super) graph: Graph,
    /// Of the nodes' vectors.
    pub(super) hashes: Vec<u64>,
    /// Those that are known.
    pub(super) vectors: Vec<Option<Arc<[f32]>>>,
}

impl Snapshot {
    /// No nodes.
    pub(super) fn none(graph: Graph) -> Self {
        let gauge = Gauge::default();
        Self { stamp: 0, gauge, graph, hashes: Vec::new(), vectors: Vec::new() }
    }

    /// Reads what was [saved](save) of a graph like `graph`, which is empty.
    pub(super) fn read(path: &Path, mut graph: Graph) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| Error::io("read", path, source))?;
        let manifest = Manifest::decode(&bytes, &graph);
        let manifest = manifest.map_err(|what| Error::Damaged { path: path.into(), what })?;
        let Manifest { stamp, dump, gauge, hashes, links, without_document } = manifest;
        if let Some(dump) = dump {
            let upper = (0..hashes.len() as NodeId).filter(|&node| is_upper(node)).count();
            graph.links = Some(dump.load(path, upper, &graph.vectors)?);
        }
        for links in links {
            graph.webs.iter().zip(links).for_each(|(web, links)| web.push(links));
        }
        let mut vectors = vec![None; hashes.len()];
        without_document.into_iter().for_each(|(node, it)| vectors[node as usize] = Some(it));
        Ok(Self { stamp, gauge, graph, hashes, vectors })
    }

    /// The graph, with the vectors that are known.
    pub(super) fn into_graph(self) -> Graph {
        for vector in self.vectors {
            self.graph.vectors.push(vector);
        }
        self.graph
    }
}

/// Writes a snapshot, whole or not at all. Nothing may be inserted meanwhile.
pub(super) fn save(view: &HnswView, path: &Path) -> Result<()> {
    let saved = write(view, path);
    // Of the two, the one that the manifest belongs to is kept.
    let bytes = fs::read(path).unwrap_or_default();
    let manifest = Manifest::decode(&bytes, &view.graph);
    Dump::remove_others(manifest.ok().and_then(|manifest| manifest.dump), path);
    saved
}

fn write(view: &HnswView, path: &Path) -> Result<()> {
    let links = view.graph.links.as_ref().filter(|links| links.len() > 0);
    let dump = links.map(|links| Dump::write(links, path)).transpose()?;
    files::write(path, &Manifest::of(view, dump).encode(&view.graph))
}
