//! The graph: vectors, and links between near ones.

use std::sync::Arc;

use super::links::Links;
use super::threads::each;
use super::vectors::{NodeId, Vectors};
use super::walk::Walk;
use super::web::{Near, Web};
use super::{Distance, HnswParams};
use crate::multivector::{check_dimension, check_finite};
use crate::{Error, Result};

/// Until so many are in the upper layers, nodes are linked one by one: in a small graph, nodes that
/// come together don't see each other.
const ALONE: usize = 16;

/// Nodes that are worth a thread.
const WORTH_A_THREAD: usize = 16;

/// One node of so many is in the upper layers too.
const NODES_PER_UPPER: usize = 16;

/// The `ef` of a walk on the upper layers.
const UPPER_EF: usize = 32;

/// A hierarchical navigable small world graph
/// ([Malkov & Yashunin 2016](https://arxiv.org/abs/1603.09320)) that grows while it is walked.
pub(super) struct Graph {
    pub(super) params: HnswParams,
    pub(super) vectors: Arc<Vectors>,
    /// The upper layers, in which a walk begins; `None` where `m` is 0.
    pub(super) links: Option<Links>,
    /// The lowest layer. None where `m` is 0.
    pub(super) webs: Vec<Web>,
}

impl Graph {
    pub(super) fn new(distance: Distance, params: HnswParams, dim: usize) -> Result<Self> {
        params.check()?;
        if dim == 0 {
            return Err(Error::ZeroDimension);
        }
        let vectors = Arc::new(Vectors::new(distance, dim));
        let links = (params.m > 0).then(|| Links::new(params, Arc::clone(&vectors)));
        let webs = links.iter().flat_map(|_| measures(distance));
        let webs = webs.map(|&by| Web::new(by, 2 * params.m)).collect();
        Ok(Self { params, vectors, links, webs })
    }

    /// One without nodes, and otherwise the same.
    pub(super) fn emptied(&self) -> Result<Self> {
        Self::new(self.vectors.distance, self.params, self.vectors.dim)
    }

    /// Appends a node, without links; `None` if there are too many to count.
    pub(super) fn push(&self, vector: Arc<[f32]>) -> Option<NodeId> {
        let node = self.vectors.push(Some(vector))?;
        self.webs.iter().for_each(|web| web.push(Vec::new()));
        Some(node)
    }

    /// A vector as it is compared.
    ///
    /// # Errors
    /// Another dimension, NaN or infinity.
    pub(super) fn prepared(&self, vector: &[f32]) -> Result<Arc<[f32]>> {
        check_dimension(|| "a dense vector".into(), self.vectors.dim, vector.len())?;
        check_finite(vector, self.vectors.dim)?;
        Ok(Arc::from(self.vectors.distance.prepare(vector)))
    }

    /// Links nodes that were [pushed](Graph::push), on as many threads as rayon has here.
    ///
    /// They come in an order of their own: in a file, neighbours are often alike, and would see
    /// little but each other.
    pub(super) fn link_all(&self, nodes: &[NodeId]) {
        let Some(links) = &self.links else { return };
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable_by_key(|&node| scattered(node));
        let alone = NODES_PER_UPPER * ALONE.saturating_sub(links.len());
        let (alone, rest) = nodes.split_at(alone.min(nodes.len()));
        alone.iter().for_each(|&node| self.link(node));
        each(rest, WORTH_A_THREAD, |&node| self.link(node));
    }

    fn link(&self, node: NodeId) {
        if let Some(links) = self.links.as_ref().filter(|_| is_upper(node)) {
            links.insert(node);
        }
        for web in &self.webs {
            let nearness = |other| self.vectors.nearness(web.by(), node, other);
            // One more than is wanted: it finds the node itself.
            let mut walk = Walk::new(self.len(), self.params.ef_construct + 1, nearness);
            self.links.iter().flat_map(|it| it.near(node, UPPER_EF)).for_each(|it| walk.visit(it));
            let mut near = self.run(walk);
            near.retain(|it| it.node != node);
            web.link(&self.vectors, node, near);
        }
    }

    /// About the `ef` nodes nearest to a prepared query, in no order; as if one were not there.
    pub(super) fn nearest(
        &self,
        query: &[f32],
        ef: usize,
        without: Option<NodeId>,
    ) -> impl Iterator<Item = NodeId> {
        let nearness = |node| self.vectors.score(query, node);
        let mut walk = Walk::new(self.len(), ef, nearness);
        without.into_iter().for_each(|node| walk.pass_by(node));
        self.links.iter().flat_map(|it| it.nearest(query, UPPER_EF)).for_each(|it| walk.visit(it));
        self.run(walk).into_iter().map(|near| near.node)
    }

    /// A walk along all links, which begins at [beacons] too.
    fn run(&self, mut walk: Walk<impl Fn(NodeId) -> Option<f32>>) -> Vec<Near> {
        beacons(self.len()).for_each(|node| walk.visit(node));
        walk.run(&self.webs)
    }

    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.vectors.len()
    }

    /// The score of a node for another one as the query.
    pub(super) fn score(&self, query: NodeId, node: NodeId) -> Option<f32> {
        self.vectors.nearness(self.vectors.distance, query, node)
    }

    /// A node's vector, [prepared](Distance::prepare).
    pub(super) fn vector(&self, node: NodeId) -> Option<&Arc<[f32]>> {
        self.vectors.get(node)
    }
}

/// The distances by which nodes are linked.
///
/// The largest dot products of a vector are those with the longest vectors, wherever they point
/// ([Morozov & Babenko 2018](https://papers.nips.cc/paper/7722-non-metric-similarity-graphs-for-maximum-inner-product-search)).
/// Links to those alone would leave the others alone, and links to what lies near would take long to
/// get to the longest: so there are both.
fn measures(distance: Distance) -> &'static [Distance] {
    match distance {
        Distance::Cosine => &[Distance::Cosine],
        Distance::Dot => &[Distance::Dot, Distance::Euclid],
        Distance::Euclid => &[Distance::Euclid],
        Distance::Manhattan => &[Distance::Manhattan],
    }
}

/// Some nodes from everywhere: twice the root of all.
///
/// A walk looks at them first. The upper layers lead to what is near; where groups are all equally
/// far from each other, no way is the right one, and it takes a look at each.
fn beacons(nodes: usize) -> impl Iterator<Item = NodeId> {
    let count = (2 * nodes.isqrt()).min(nodes);
    let place = move |at: usize| (at * nodes + scattered(at as NodeId) as usize % nodes) / count;
    (0..count).map(move |at| place(at) as NodeId)
}

/// Returns `true` if a node is in the upper layers: by chance, so that no order of the vectors
/// matters.
pub(super) fn is_upper(node: NodeId) -> bool {
    scattered(node).is_multiple_of(NODES_PER_UPPER as u32)
}

/// A number that looks like chance, for each node another one (MurmurHash3's finalizer).
fn scattered(node: NodeId) -> u32 {
    let node = (node ^ (node >> 16)).wrapping_mul(0x85EB_CA6B);
    let node = (node ^ (node >> 13)).wrapping_mul(0xC2B2_AE35);
    node ^ (node >> 16)
}
