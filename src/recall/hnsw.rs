//! The fast way: a graph of neighbours that grows while it is searched.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, mem};

use parking_lot::{Mutex, RwLock};

use super::documents::{Documents, NumberHasher};
use super::gauge::Gauge;
use super::graph::Graph;
use super::vectors::{NodeId, hash};
use super::{Allowed, Distance, HnswParams, HnswView, Recalled, SearchParams, snapshot};
use crate::{Error, Result};

/// Dense vectors, searched by a walk on a hierarchical navigable small world graph
/// ([Malkov & Yashunin 2016](https://arxiv.org/abs/1603.09320)), which grows while it is searched.
///
/// Documents go by numbers that the caller gives, in any order and with gaps. They come and go in
/// [batches](HnswIndex::batch), each of which shows at once or not at all. A search works on a
/// [view](HnswIndex::view), which stays as it is whatever is published meanwhile; no search waits
/// for a change.
///
/// The graph keeps a removed or replaced vector as a place to pass through, and never finds it.
/// When there are too many of them, [`HnswIndex::wants_rebuild`] says so.
///
/// The upper layers of the graph are built by hnsw_rs, which logs under its own name. Vectors are
/// linked in an order of their own, so it doesn't matter how they are sorted. Insertion is parallel, on
/// as many threads as rayon's current pool has, so two graphs of the same vectors may differ. Memory:
/// the vectors in f32, once, those of 48 values or more also in a byte a value (but not with the Manhattan
/// distance), and about 0.14 KB of links a document with the default `m` (0.27 KB with the dot product),
/// beside tables of documents and hashes. Of an index that was loaded, all but the tables are pages of its file, which
/// the system reads when they are needed, and takes back.
///
/// ```
/// use maxfold::recall::{Distance, HnswIndex, HnswParams, SearchParams};
///
/// let index = HnswIndex::new(Distance::Cosine, HnswParams::default(), 2)?;
/// index.insert([(7, &[1.0, 0.0][..]), (3, &[0.0, 2.0])])?;
///
/// let mut batch = index.batch();
/// batch.insert([(7, &[-1.0, 0.0][..])])?;
/// batch.remove(3);
/// assert_eq!(index.len(), 2);
/// batch.publish(1);
///
/// let found = index.search(&[1.0, 0.0], 10, SearchParams::default(), None)?.candidates;
/// assert_eq!((found.len(), found[0].document, found[0].score), (1, 7, -1.0));
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct HnswIndex {
    pub(super) published: RwLock<HnswView>,
    /// Tables of documents that searches still used when others took their places.
    replaced: Mutex<Vec<Arc<Documents>>>,
    pub(super) writer: Mutex<Writer>,
}

/// State of whoever changes an index.
#[derive(Default)]
pub(super) struct Writer {
    /// Hash of a vector, and the node that has it. Of two vectors that share a hash, one is here.
    nodes: NodesByHash,
}

/// Nodes by the hashes of their vectors.
#[derive(Default)]
pub(super) struct NodesByHash {
    nodes: HashMap<u64, NodeId, BuildHasherDefault<NumberHasher>>,
    /// Hashes of the first nodes, as long as nobody has asked for one.
    of_first: Vec<u64>,
}

impl NodesByHash {
    /// Those of nodes 0, 1, 2 …
    pub(super) fn new(of_first: Vec<u64>) -> Self {
        Self { nodes: HashMap::default(), of_first }
    }

    pub(super) fn get(&mut self, hash: u64) -> Option<NodeId> {
        self.nodes.extend(mem::take(&mut self.of_first).into_iter().zip(0..));
        self.nodes.get(&hash).copied()
    }

    /// Of two nodes with one hash, the later one stays.
    fn insert(&mut self, hash: u64, node: NodeId) {
        self.nodes.insert(hash, node);
    }
}

impl Writer {
    /// The node of a vector, a new one if there is none yet.
    pub(super) fn node(&mut self, graph: &Graph, vector: &[f32]) -> Result<NodeId> {
        let hash = hash(vector);
        let known = self.nodes.get(hash);
        if let Some(known) = known.filter(|&it| graph.vector(it) == Some(vector)) {
            return Ok(known);
        }
        let node = graph.push(vector).ok_or(Error::TooMany { what: "vectors", most: u32::MAX })?;
        self.nodes.insert(hash, node);
        Ok(node)
    }
}

impl HnswIndex {
    /// No documents yet; vectors of dimension `dim`.
    ///
    /// # Errors
    /// A dimension of 0, or a parameter outside its range.
    pub fn new(distance: Distance, params: HnswParams, dim: usize) -> Result<Self> {
        let graph = Graph::new(distance, params, dim)?;
        Ok(Self::of(graph, Gauge::default(), Writer::default()))
    }

    fn of(graph: Graph, gauge: Gauge, writer: Writer) -> Self {
        let (linked, graph, documents) = (graph.linked(), Arc::new(graph), Arc::default());
        let view = HnswView { graph, documents, linked, gauge, stamp: 0 };
        let (published, writer) = (RwLock::new(view), Mutex::new(writer));
        Self { published, writer, replaced: Mutex::default() }
    }

    /// An index that knows the vectors of a graph, and no documents yet.
    pub(super) fn over(gauge: Gauge, graph: Graph, nodes: NodesByHash) -> Self {
        Self::of(graph, gauge, Writer { nodes })
    }

    /// The index as it is now, and stays for the view.
    pub fn view(&self) -> HnswView {
        self.published.read().clone()
    }

    /// Shows a view from now on.
    pub(super) fn show(&self, view: HnswView) {
        let documents = Arc::as_ptr(&view.documents);
        let before = mem::replace(&mut *self.published.write(), view);
        if Arc::as_ptr(&before.documents) == documents {
            return;
        }
        // Whoever holds a table last frees it, which may take a while: that shall be no search.
        let mut replaced = self.replaced.lock();
        replaced.push(before.documents);
        replaced.retain(|documents| Arc::strong_count(documents) > 1);
    }

    /// [`HnswView::search`] on the index as it is now.
    ///
    /// # Errors
    /// As [`HnswView::search`].
    pub fn search(
        &self,
        query: &[f32],
        limit: usize,
        params: SearchParams,
        allowed: Option<&Allowed>,
    ) -> Result<Recalled> {
        self.view().search(query, limit, params, allowed)
    }

    /// Writes the index to a file, for [`HnswLoader`](super::HnswLoader), as
    /// [`HnswIndex::save_revisions`] does with revision 0 for every document.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        self.save_revisions(path, |_| Some(0))
    }

    /// Writes the index to a file, for [`HnswLoader`](super::HnswLoader). Until that is complete, what was
    /// saved before stays.
    ///
    /// The revision of a document is a number of the caller's that differs where its vector does: one that
    /// has the same when the file is loaded [keeps](super::HnswLoader::keep) its vector. Where there is none, the
    /// vector has to be given again.
    ///
    /// A document takes its vector in f32, that in a byte a value if there are 48 or more (but not with the
    /// Manhattan distance), and, with the default `m`, about 150 bytes (280 with the dot product). Changes wait
    /// meanwhile, searches don't.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save_revisions(&self, path: &Path, revision: impl Fn(u32) -> Option<u32>) -> Result<()> {
        // Nobody inserts meanwhile: links would lead to nodes that are not in the file.
        let _writer = self.writer.lock();
        snapshot::save(&self.view(), path, revision)
    }

    /// Returns `true` if more than a third of the graph's vectors are those of no document any
    /// more: then searches take longer than they need, and so does the memory.
    pub fn wants_rebuild(&self) -> bool {
        let view = self.view();
        let (all, live) = (view.graph.len(), view.documents.nodes());
        3 * live < 2 * all
    }

    /// Replaces the graph by a new one, of the documents' vectors only.
    ///
    /// That takes as long as it took to insert them. Meanwhile the index can be searched and
    /// changed: what changes is brought in at the end. A rebuild that another one has overtaken
    /// does nothing.
    ///
    /// # Errors
    /// None that is known: there are fewer vectors than before.
    pub fn rebuild(&self) -> Result<()> {
        self.rebuild_unless(&AtomicBool::new(false))
    }

    /// [`HnswIndex::rebuild`], given up when it is told to stop.
    pub(crate) fn rebuild_unless(&self, stop: &AtomicBool) -> Result<()> {
        let old = self.view();
        let graph = Arc::new(old.graph.emptied()?);
        let (gauge, writer, moved) = Default::default();
        let mut rebuilt = Rebuilt { graph, gauge, writer, moved };
        rebuilt.take(&old, stop)?;
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        // From here on nothing changes.
        let mut writer = self.writer.lock();
        let now = self.view();
        if Arc::ptr_eq(&now.graph, &old.graph) {
            rebuilt.take(&now, &AtomicBool::new(false))?;
            self.show(rebuilt.view_of(&now));
            *writer = rebuilt.writer;
        }
        Ok(())
    }

    /// Distance by which vectors are compared.
    pub fn distance(&self) -> Distance {
        self.published.read().distance()
    }

    /// The parameters it was made with.
    pub fn params(&self) -> HnswParams {
        self.published.read().params()
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.published.read().dim()
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.published.read().len()
    }

    /// Returns `true` if there are no documents.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Vectors that a rebuild links before it asks whether to stop.
const CHUNK: usize = 1024;

/// A graph that is to replace another.
struct Rebuilt {
    graph: Arc<Graph>,
    gauge: Gauge,
    writer: Writer,
    /// Nodes of the other graph, and where their vectors are in this one.
    moved: HashMap<NodeId, NodeId>,
}

impl Rebuilt {
    /// Takes the vectors of a view's documents that it doesn't have yet.
    fn take(&mut self, view: &HnswView, stop: &AtomicBool) -> Result<()> {
        self.graph.be_rough(view.gauge.is_rough);
        for (_, node) in view.documents.iter() {
            if let Some(vector) = view.graph.vector(node)
                && !self.moved.contains_key(&node)
            {
                self.moved.insert(node, self.writer.node(&self.graph, vector)?);
            }
        }
        while self.graph.linked() < self.graph.len() && !stop.load(Ordering::Relaxed) {
            self.graph.link_next(CHUNK);
        }
        if !stop.load(Ordering::Relaxed) {
            self.gauge = self.gauge.after(&self.graph);
        }
        Ok(())
    }

    /// A view's documents, on this graph.
    fn view_of(&self, view: &HnswView) -> HnswView {
        let mut documents = Documents::default();
        for (number, node) in view.documents.iter() {
            documents.set(number, self.moved.get(&node).copied());
        }
        let (graph, documents) = (Arc::clone(&self.graph), Arc::new(documents));
        let (linked, gauge) = (graph.linked(), self.gauge);
        HnswView { graph, documents, linked, gauge, stamp: view.stamp }
    }
}

impl fmt::Debug for HnswIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.view(), f)
    }
}
