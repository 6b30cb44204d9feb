//! Changes to an index that show together.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::MutexGuard;

use super::documents::Documents;
use super::hnsw::{HnswIndex, Writer};
use super::vectors::NodeId;
use super::{Distance, HnswParams, HnswView};
use crate::Result;
use crate::multivector::DenseVectors;

/// Changes to an [`HnswIndex`] that show together, when they are published, or not at all.
///
/// The work is done before: [`HnswBatch::insert`] links vectors into the graph, where no search
/// finds them yet. So a batch can go along with a transaction of a store: insert, commit, publish.
/// [`HnswBatch::append`] leaves most of it for [later](HnswIndex::link).
/// A batch that is dropped leaves vectors in the graph that are never found, like those removed.
///
/// In a job of rayon's, don't wait for other jobs while there is a batch: one that is taken up
/// meanwhile may want to change the index, too.
pub struct HnswBatch<'i> {
    index: &'i HnswIndex,
    writer: MutexGuard<'i, Writer>,
    /// Index before, with what is linked since.
    view: HnswView,
    /// The vector that a document will have; `None` to remove it.
    changes: HashMap<u32, Option<NodeId>>,
}

/// Vectors that are linked before it is tried how far walks have to go.
const AT_ONCE: usize = 8192;

/// Vector that a document is to have.
pub(super) enum Held<'v> {
    /// A vector, [prepared](Distance::prepare).
    Vector(Cow<'v, [f32]>),
    /// The vector of a node.
    Node(NodeId),
}

impl HnswIndex {
    /// Takes vectors as documents 0, 1, 2 …
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(distance: Distance, params: HnswParams, vectors: &DenseVectors) -> Result<Self> {
        let index = Self::new(distance, params, vectors.dim())?;
        index.insert((0..).zip(vectors.iter()))?;
        Ok(index)
    }

    /// A batch of changes. Nobody else can change the index while there is one.
    pub fn batch(&self) -> HnswBatch<'_> {
        HnswBatch::new(self)
    }

    /// A batch that gives documents their vectors, new ones or others than before.
    ///
    /// # Errors
    /// As [`HnswBatch::insert`].
    pub fn insert<'v>(&self, points: impl IntoIterator<Item = (u32, &'v [f32])>) -> Result<()> {
        let mut batch = self.batch();
        batch.insert(points)?;
        let stamp = self.view().stamp();
        batch.publish(stamp);
        Ok(())
    }

    /// Links vectors that were [appended](HnswBatch::append), so many at most; gives the number of those that
    /// are left. Batches wait meanwhile, searches don't.
    pub fn link(&self, most: usize) -> usize {
        let _writer = self.writer.lock();
        let mut view = self.view();
        if view.graph.linked() < view.graph.len() {
            view.link(most);
            self.show(view.clone());
        }
        view.graph.len() - view.graph.linked()
    }
}

impl<'i> HnswBatch<'i> {
    pub(super) fn new(index: &'i HnswIndex) -> Self {
        let writer = index.writer.lock();
        Self { index, writer, view: index.view(), changes: HashMap::new() }
    }

    /// Gives documents their vectors, new ones or others than before. Of several for a document, the
    /// last counts.
    ///
    /// # Errors
    /// [`Error::InPoint`](crate::Error::InPoint) with the number of a document whose vector has another dimension, or NaN
    /// or infinity: then the batch is as before. More than 2³² − 1 vectors.
    pub fn insert<'v>(&mut self, points: impl IntoIterator<Item = (u32, &'v [f32])>) -> Result<()> {
        let points = self.prepared(points)?;
        let nodes = self.link(points)?;
        self.change(nodes);
        Ok(())
    }

    /// Gives documents their vectors, as [`HnswBatch::insert`], but doesn't link them: until
    /// [`HnswIndex::link`] has done so, or the next [`HnswBatch::insert`], a search compares them one by one. Thousands of
    /// vectors are so found within milliseconds, and no search waits for the graph to grow.
    ///
    /// # Errors
    /// As [`HnswBatch::insert`].
    pub fn append<'v>(&mut self, points: impl IntoIterator<Item = (u32, &'v [f32])>) -> Result<()> {
        let points = self.prepared(points)?;
        let nodes = points.into_iter().map(|(number, held)| Ok((number, self.node(held)?)));
        let nodes = nodes.collect::<Result<_>>()?;
        self.change(nodes);
        Ok(())
    }

    fn prepared<'v>(
        &self,
        points: impl IntoIterator<Item = (u32, &'v [f32])>,
    ) -> Result<Vec<(u32, Held<'v>)>> {
        let prepare = |(number, vector): (u32, &'v [f32])| {
            let prepared = self.view.graph.prepared(vector);
            let held = prepared.map(|vector| (number, Held::Vector(vector)));
            held.map_err(|error| error.in_point(number))
        };
        points.into_iter().map(prepare).collect()
    }

    fn change(&mut self, nodes: Vec<(u32, NodeId)>) {
        self.changes.extend(nodes.into_iter().map(|(number, node)| (number, Some(node))));
    }

    /// The node of a vector, a new one if there is none yet.
    fn node(&mut self, held: Held<'_>) -> Result<NodeId> {
        match held {
            Held::Vector(vector) => self.writer.node(&self.view.graph, &vector),
            Held::Node(node) => Ok(node),
        }
    }

    /// Links those vectors that are new; gives the nodes of all.
    pub(super) fn link(&mut self, points: Vec<(u32, Held<'_>)>) -> Result<Vec<(u32, NodeId)>> {
        let mut nodes = Vec::with_capacity(points.len());
        let mut points = points.into_iter().peekable();
        while points.peek().is_some() {
            for (number, held) in points.by_ref().take(AT_ONCE) {
                nodes.push((number, self.node(held)?));
            }
            self.view.link(usize::MAX);
        }
        Ok(nodes)
    }

    /// Removes a document, if there is one of that number.
    pub fn remove(&mut self, number: u32) {
        self.changes.insert(number, None);
    }

    /// Lets everything show at once. The stamp says which state of the caller's data this is, the
    /// number of a transaction for example.
    pub fn publish(self, stamp: u64) {
        let Self { index, writer: _writer, mut view, changes } = self;
        if !changes.is_empty() {
            // What changes is copied, as searches go on with it: they wait for no more than an exchange.
            let documents = Arc::make_mut(&mut view.documents);
            changes.into_iter().for_each(|(number, node)| documents.set(number, node));
        }
        index.show(HnswView { stamp, ..view });
    }

    /// Lets [linked](HnswBatch::link) documents show, and no others.
    pub(super) fn publish_only(self, linked: Vec<(u32, NodeId)>, stamp: u64) {
        let Self { index, writer: _writer, view, .. } = self;
        let mut documents = Documents::default();
        linked.into_iter().for_each(|(number, node)| documents.set(number, Some(node)));
        index.show(HnswView { documents: Arc::new(documents), stamp, ..view });
    }
}
