//! An index from a snapshot, and the vectors that there are now.

use std::mem;
use std::path::Path;

use roaring::RoaringBitmap;

use super::batch::Held;
use super::gauge::Gauge;
use super::graph::Graph;
use super::hnsw::{HnswIndex, NodesByHash};
use super::snapshot::{Saved, Snapshot};
use super::vectors::hash;
use super::{Distance, HnswParams};
use crate::Result;

/// Makes an [`HnswIndex`] from a [snapshot](HnswIndex::save) and the documents that there are
/// now, or from vectors alone.
///
/// The file is mapped: what is kept of it is neither read nor copied. A document
/// [keeps](HnswLoader::keep) the vector that it has there if the caller says that it is the same; the vector of
/// one that is [added](HnswLoader::add) takes its links from there if there is an equal one, and is inserted if not;
/// what the snapshot has besides is never found. So it may be older or newer than the documents; the closer
/// it is to the present, the faster it is loaded. Where fewer than two thirds of its vectors are used, it is not
/// used.
///
/// A snapshot can't be used that is missing, damaged or of another kind of index: answer the error
/// with a loader [from nothing](HnswLoader::new). While an index is in use, its file may be replaced by
/// [`HnswIndex::save`] and removed, but never written to or cut off: as with any map, that would end the process.
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
    nodes: NodesByHash,
    /// Those of documents that were added.
    kept: RoaringBitmap,
    documents: Vec<(u32, Held<'static>)>,
    /// The document of the snapshot that is likely to be kept next.
    next: usize,
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
    /// by an index of another distance, `m`, `ef_construct` or dimension. As [`HnswIndex::new`].
    pub fn from_snapshot(
        path: &Path,
        distance: Distance,
        params: HnswParams,
        dim: usize,
    ) -> Result<Self> {
        Ok(Self::of(Snapshot::read(path, &Graph::new(distance, params, dim)?)?))
    }

    fn of(mut snapshot: Snapshot) -> Self {
        let nodes = NodesByHash::new(mem::take(&mut snapshot.hashes));
        let (kept, documents, next) = Default::default();
        Self { snapshot, nodes, kept, documents, next }
    }

    /// The stamp of the snapshot: what was published last when it was written. 0 without one.
    pub fn stamp(&self) -> u64 {
        self.snapshot.stamp
    }

    /// Adds a document with the vector that it has in the snapshot, if that has it in this
    /// [revision](HnswIndex::save_revisions); `false` if not. `None` is any revision: for a caller who knows by
    /// the [stamp](HnswLoader::stamp) that nothing has changed. Ascending numbers are found fastest.
    pub fn keep(&mut self, number: u32, revision: Option<u32>) -> bool {
        let saved = &self.snapshot.documents;
        let at = match saved.get(self.next) {
            Some(next) if next.number == number => self.next,
            _ => saved.partition_point(|it| it.number < number),
        };
        let is_same = |it: &&Saved| {
            it.number == number && revision.is_none_or(|revision| it.revision == revision)
        };
        let Some(&Saved { node, .. }) = saved.get(at).filter(is_same) else { return false };
        self.next = at + 1;
        self.kept.insert(node);
        self.documents.push((number, Held::Node(node)));
        true
    }

    /// Adds a document. Of several vectors for one, the last counts.
    ///
    /// # Errors
    /// [`Error::InPoint`](crate::Error::InPoint): a vector of another dimension, NaN or infinity.
    /// Then nothing is added.
    pub fn add(&mut self, number: u32, vector: &[f32]) -> Result<()> {
        let vector = self.snapshot.graph.prepared(vector).map_err(|it| it.in_point(number))?;
        let held = match self.nodes.get(hash(&vector)) {
            Some(node) if self.snapshot.graph.vector(node) == Some(&*vector) => {
                self.kept.insert(node);
                Held::Node(node)
            }
            _ => Held::Vector(vector.into_owned().into()),
        };
        self.documents.push((number, held));
        Ok(())
    }

    /// The index of all documents that were added, and a stamp for it.
    ///
    /// # Errors
    /// More than 2³² − 2 different vectors.
    pub fn finish(self, stamp: u64) -> Result<LoadedIndex> {
        let (all, kept) = (self.snapshot.graph.len(), self.kept.len() as usize);
        match 3 * kept < 2 * all {
            true => self.anew(stamp),
            false => self.over_snapshot(stamp),
        }
    }

    /// [`HnswLoader::finish`] with the snapshot's graph in any case: one of which too little is used
    /// [is to be rebuilt](HnswIndex::wants_rebuild).
    ///
    /// # Errors
    /// As [`HnswLoader::finish`].
    pub(crate) fn over_snapshot(self, stamp: u64) -> Result<LoadedIndex> {
        let Self { snapshot, nodes, documents, kept, .. } = self;
        let index = HnswIndex::over(snapshot.gauge, snapshot.graph, nodes);
        fill(index, documents, stamp, kept.len() as usize)
    }

    /// [`HnswLoader::finish`] without the snapshot's links.
    fn anew(self, stamp: u64) -> Result<LoadedIndex> {
        let graph = &self.snapshot.graph;
        let index = HnswIndex::over(Gauge::default(), graph.emptied()?, NodesByHash::default());
        let vector = |held| match held {
            Held::Node(node) => Held::Vector(graph.vector(node).unwrap_or_default().into()),
            vector => vector,
        };
        let documents = self.documents.into_iter().map(|(number, held)| (number, vector(held)));
        fill(index, documents.collect(), stamp, 0)
    }
}

fn fill(
    index: HnswIndex,
    documents: Vec<(u32, Held<'_>)>,
    stamp: u64,
    kept: usize,
) -> Result<LoadedIndex> {
    let before = index.view().graph.len();
    let mut batch = index.batch();
    let documents = batch.link(documents)?;
    batch.publish_only(documents, stamp);
    let inserted = index.view().graph.len() - before;
    Ok(LoadedIndex { index, kept, inserted })
}
