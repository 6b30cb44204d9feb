//! An index from a snapshot, and the vectors that there are now.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::gauge::Gauge;
use super::graph::Graph;
use super::hnsw::HnswIndex;
use super::snapshot::Snapshot;
use super::vectors::{NodeId, hash};
use super::{Distance, HnswParams};
use crate::Result;

/// Makes an [`HnswIndex`] from a [snapshot](HnswIndex::save) and the vectors that there are
/// now, or from vectors alone.
///
/// Vectors that were in the snapshot take their links from there; others are inserted; what the
/// snapshot has besides is never found. So the index holds exactly what it was given, whatever the
/// snapshot says, and the closer that is to the present, the faster it is loaded. Where fewer than
/// two thirds of the snapshot's vectors are left, or more than a twentieth went since it was
/// written, it is not used.
///
/// A snapshot can't be used that is missing, damaged or of another kind of index: answer the error
/// with a loader [from nothing](HnswLoader::new).
///
/// ```
/// use maxfold::recall::{Distance, HnswIndex, HnswLoader, HnswParams};
///
/// # let folder = tempfile::tempdir().map_err(|_| maxfold::Error::ZeroDimension)?;
/// # let path = folder.path().join("graph");
/// let (distance, params, vectors) = (Distance::Dot, HnswParams::default(), [[1.0], [2.0]]);
/// let index = HnswIndex::new(distance, params, 1)?;
/// index.insert((0..).zip(vectors.iter().map(|vector| &vector[..])))?;
/// index.save(&path)?;
///
/// let mut loader = match HnswLoader::from_snapshot(&path, distance, params, 1) {
///     Ok(loader) => loader,
///     Err(error) => {
///         println!("the graph is rebuilt: {error}");
///         HnswLoader::new(distance, params, 1)?
///     }
/// };
/// for (number, vector) in (0..).zip(&vectors) {
///     loader.add(number, vector)?;
/// }
/// let loaded = loader.finish(17)?;
/// assert_eq!((loaded.index.len(), loaded.kept, loaded.inserted), (2, 2, 0));
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct HnswLoader {
    snapshot: Snapshot,
    /// The nodes of the snapshot, by the hashes of their vectors.
    nodes: HashMap<u64, NodeId>,
    /// Those of documents that were added.
    kept: RoaringBitmap,
    documents: Vec<(u32, Arc<[f32]>)>,
}

/// Result of [`HnswLoader`].
#[derive(Debug)]
#[non_exhaustive]
pub struct LoadedIndex {
    /// The index.
    pub index: HnswIndex,
    /// Number of different vectors that have their links from the snapshot.
    pub kept: usize,
    /// Number of different vectors that were inserted.
    pub inserted: usize,
}

impl HnswLoader {
    /// A loader without a snapshot.
    ///
    /// # Errors
    /// As [`HnswIndex::new`].
    pub fn new(distance: Distance, params: HnswParams, dim: usize) -> Result<Self> {
        Ok(Self::of(Snapshot::none(Graph::new(distance, params, dim)?)))
    }

    /// A loader with the snapshot of a file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) where there is no file, or it can't be read;
    /// [`Error::Damaged`](crate::Error::Damaged) where it is not as it was written, or was written
    /// by an index of another distance, `m`, `ef_construct` or dimension, or on another kind of
    /// machine. As [`HnswIndex::new`].
    pub fn from_snapshot(
        path: &Path,
        distance: Distance,
        params: HnswParams,
        dim: usize,
    ) -> Result<Self> {
        Ok(Self::of(Snapshot::read(path, Graph::new(distance, params, dim)?)?))
    }

    fn of(snapshot: Snapshot) -> Self {
        let nodes = snapshot.hashes.iter().copied().zip(0..).collect();
        Self { snapshot, nodes, kept: RoaringBitmap::new(), documents: Vec::new() }
    }

    /// The stamp of the snapshot: what was published last when it was written. 0 without one.
    pub fn stamp(&self) -> u64 {
        self.snapshot.stamp
    }

    /// Adds a document. Of several vectors for one, the last counts.
    ///
    /// # Errors
    /// [`Error::InPoint`](crate::Error::InPoint): a vector of another dimension, NaN or infinity.
    /// Then nothing is added.
    pub fn add(&mut self, number: u32, vector: &[f32]) -> Result<()> {
        let vector = self.snapshot.graph.prepared(vector).map_err(|it| it.in_point(number))?;
        let vector = self.keep(vector);
        self.documents.push((number, vector));
        Ok(())
    }

    /// Gives a vector to the node that had it in the snapshot, if one had.
    fn keep(&mut self, vector: Arc<[f32]>) -> Arc<[f32]> {
        let Some(&node) = self.nodes.get(&hash(&vector)) else { return vector };
        let known = &mut self.snapshot.vectors[node as usize];
        let known = known.get_or_insert_with(|| Arc::clone(&vector));
        if *known != vector {
            return vector;
        }
        self.kept.insert(node);
        Arc::clone(known)
    }

    /// The index of all documents that were added, and a stamp for it.
    ///
    /// # Errors
    /// More than 2³² − 1 different vectors.
    pub fn finish(self, stamp: u64) -> Result<LoadedIndex> {
        let Self { snapshot, kept, documents, .. } = self;
        let (mut kept, all) = (kept.len() as usize, snapshot.vectors.len());
        // Without its vector a node is no place to pass through, and a hole in the graph.
        let lost = snapshot.vectors.iter().filter(|vector| vector.is_none()).count();
        let (graph, gauge) = if 3 * kept < 2 * all || 20 * lost > all {
            kept = 0;
            (snapshot.graph.emptied()?, Gauge::default())
        } else {
            let gauge = snapshot.gauge;
            (snapshot.into_graph(), gauge)
        };
        let before = graph.len();
        let index = HnswIndex::over(graph, gauge);
        let mut batch = index.batch();
        batch.insert_prepared(documents)?;
        batch.publish(stamp);
        let inserted = index.view().graph.len() - before;
        Ok(LoadedIndex { index, kept, inserted })
    }
}
