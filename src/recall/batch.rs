//! Changes to an index that show together.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::MutexGuard;

use super::HnswView;
use super::documents::Documents;
use super::gauge::Gauge;
use super::graph::Graph;
use super::hnsw::{HnswIndex, Writer};
use super::vectors::NodeId;
use super::{Distance, HnswParams};
use crate::Result;
use crate::multivector::DenseVectors;

/// Changes to an [`HnswIndex`] that show together, when they are published, or not at all.
///
/// The work is done before: [`HnswBatch::insert`] links vectors into the graph, where no search
/// finds them yet. So a batch can go along with a transaction of a store: insert, commit, publish.
/// A batch that is dropped leaves vectors in the graph that are never found, like those removed.
///
/// In a job of rayon's, don't wait for other jobs while there is a batch: one that is taken up
/// meanwhile may want to change the index, too.
pub struct HnswBatch<'i> {
    index: &'i HnswIndex,
    writer: MutexGuard<'i, Writer>,
    graph: Arc<Graph>,
    gauge: Gauge,
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
}

impl<'i> HnswBatch<'i> {
    pub(super) fn new(index: &'i HnswIndex) -> Self {
        let writer = index.writer.lock();
        let HnswView { graph, gauge, .. } = index.view();
        Self { index, writer, graph, gauge, changes: HashMap::new() }
    }

    /// Gives documents their vectors, new ones or others than before. Of several for a document, the
    /// last counts.
    ///
    /// # Errors
    /// [`Error::InPoint`](crate::Error::InPoint) with the number of a document whose vector has another dimension, or NaN
    /// or infinity: then the batch is as before. More than 2³² − 1 vectors.
    pub fn insert<'v>(&mut self, points: impl IntoIterator<Item = (u32, &'v [f32])>) -> Result<()> {
        let graph = &*self.graph;
        let prepare = |(number, vector): (u32, &'v [f32])| {
            graph
                .prepared(vector)
                .map(|vector| (number, Held::Vector(vector)))
                .map_err(|error| error.in_point(number))
        };
        let points: Vec<_> = points.into_iter().map(prepare).collect::<Result<_>>()?;
        let linked = self.link(points)?;
        self.changes.extend(linked.into_iter().map(|(number, node)| (number, Some(node))));
        Ok(())
    }

    /// Links those vectors that are new; gives the nodes of all.
    pub(super) fn link(&mut self, points: Vec<(u32, Held<'_>)>) -> Result<Vec<(u32, NodeId)>> {
        let mut nodes = Vec::with_capacity(points.len());
        let mut points = points.into_iter().peekable();
        while points.peek().is_some() {
            let mut new = Vec::new();
            for (number, held) in points.by_ref().take(AT_ONCE) {
                let node = match held {
                    Held::Vector(vector) => self.writer.node(&self.graph, &vector, &mut new)?,
                    Held::Node(node) => node,
                };
                nodes.push((number, node));
            }
            self.graph.link_all(&new);
            self.gauge = self.gauge.after(&self.graph);
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
        // What is there is copied, as searches go on with it: they wait for no more than an exchange.
        let mut documents = Documents::clone(&self.index.view().documents);
        self.changes.into_iter().for_each(|(number, node)| documents.set(number, node));
        documents.stamp = stamp;
        let documents = Arc::new(documents);
        self.index.show(HnswView { graph: self.graph, documents, gauge: self.gauge });
    }

    /// Lets [linked](HnswBatch::link) documents show, and no others.
    pub(super) fn publish_only(self, linked: Vec<(u32, NodeId)>, stamp: u64) {
        let mut documents = Documents::with_capacity(linked.len());
        linked.into_iter().for_each(|(number, node)| documents.set(number, Some(node)));
        documents.stamp = stamp;
        let documents = Arc::new(documents);
        self.index.show(HnswView { graph: self.graph, documents, gauge: self.gauge });
    }
}
