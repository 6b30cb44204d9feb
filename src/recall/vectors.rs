//! The vectors of a graph's nodes, and how near they are to each other and to a query.

use std::sync::Arc;

use super::{Distance, NodeId};

/// Vectors by node: they are counted as they come, and never taken away.
pub(super) struct Vectors {
    pub(super) distance: Distance,
    pub(super) dim: usize,
    /// `None` for one that a snapshot's links lead to, and that is lost.
    rows: boxcar::Vec<Option<Row>>,
}

struct Row {
    /// [Prepared](Distance::prepare).
    vector: Arc<[f32]>,
    /// For links by [`Distance::Dot`]: 1 / length.
    ///
    /// A vector's largest dot products are with the longest vectors, wherever they point. Links to
    /// those would leave the rest alone, so links go by the angle, and only walks by the product
    /// ([Liu et al. 2020](https://arxiv.org/abs/1909.13459)).
    scale: f32,
}

impl Vectors {
    pub(super) fn new(distance: Distance, dim: usize) -> Self {
        Self { distance, dim, rows: boxcar::Vec::new() }
    }

    /// Appends a node; `None` if there are too many to count.
    pub(super) fn push(&self, vector: Option<Arc<[f32]>>) -> Option<NodeId> {
        // Only one thread appends at a time, so this is the node's number.
        let node = NodeId::try_from(self.rows.count()).ok()?;
        let scale = |vector: &[f32]| match self.distance {
            Distance::Dot => inverse_length(vector),
            Distance::Cosine | Distance::Euclid => 1.0,
        };
        self.rows.push(vector.map(|vector| Row { scale: scale(&vector), vector }));
        Some(node)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.count()
    }

    pub(super) fn get(&self, node: NodeId) -> Option<&Arc<[f32]>> {
        self.row(node).map(|row| &row.vector)
    }

    fn row(&self, node: NodeId) -> Option<&Row> {
        self.rows.get(node as usize)?.as_ref()
    }

    /// The score of a node for a prepared query.
    pub(super) fn score(&self, query: &[f32], node: NodeId) -> Option<f32> {
        Some(self.distance.similarity(query, &self.row(node)?.vector))
    }

    /// How near two nodes are to each other; larger is nearer.
    pub(super) fn nearness(&self, a: NodeId, b: NodeId) -> Option<f32> {
        let (a, b) = (self.row(a)?, self.row(b)?);
        Some(self.distance.similarity(&a.vector, &b.vector) * a.scale * b.scale)
    }
}

/// 1 / |vector|, in f32's range; 0 for a zero vector.
fn inverse_length(vector: &[f32]) -> f32 {
    let squares: f64 = vector.iter().map(|&value| f64::from(value).powi(2)).sum();
    if squares == 0.0 { 0.0 } else { squares.sqrt().recip().min(f32::MAX.into()) as f32 }
}
