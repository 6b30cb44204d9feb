//! Gauge of how far walks on a graph have to go, measured on a sample of its own vectors.
//!
//! In noise of many dimensions a walk misses what it would find in clusters, and what it comes by
//! doesn't tell the one from the other. So it is tried: the vector of a node is a query like any
//! other if the walk may not come by that node.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::graph::Graph;
use super::ranking::{Candidate, Top};
use super::threads::each;
use super::vectors::NodeId;

/// Nodes that are tried.
const SAMPLE: usize = 64;

/// For each, so many near ones are looked for.
const NEAREST: usize = 10;

/// Percent of them that have to be found: more than the 95 that are wanted, as a sample is a sample.
const ENOUGH: usize = 97;

/// The first `ef` that is tried; each one after it is twice the one before.
const LEAST_EF: usize = 16;

/// Last measurement.
#[derive(Clone, Copy, Default)]
pub(super) struct Gauge {
    /// The `ef` of a walk that finds enough.
    pub(super) ef: u32,
    /// Number of nodes that were linked; 0 before the first time.
    pub(super) nodes: u32,
    /// Walks look at coded vectors first: they do unless that has them go much farther.
    pub(super) is_rough: bool,
}

impl Gauge {
    /// The `ef` of a walk that finds enough, if that is known.
    pub(super) fn ef(self) -> Option<usize> {
        (self.nodes > 0).then_some(self.ef as usize)
    }

    /// The same, or what is measured now if the linked part of the graph has grown by half. Nobody may link
    /// nodes.
    pub(super) fn after(self, graph: &Graph) -> Self {
        let (before, nodes) = (u64::from(self.nodes), graph.linked() as u32);
        let has_grown = 2 * u64::from(nodes) >= 3 * before.max(1);
        // Where a scan is always cheaper, nobody walks.
        if !has_grown || graph.params.is_scan_cheaper(LEAST_EF, graph.linked()) {
            return self;
        }
        let measured = |is_rough| (enough(graph, is_rough), is_rough);
        let rough = graph.is_coded().then(|| measured(true));
        let does = |&(ef, _): &(u32, bool)| ef as usize <= graph.params.ef_search;
        let (ef, is_rough) = rough.filter(does).unwrap_or_else(|| {
            let exact = measured(false);
            // A look at the coded vector takes less than half the time.
            rough.filter(|(ef, _)| *ef <= exact.0.saturating_mul(2)).unwrap_or(exact)
        });
        graph.be_rough(is_rough);
        Self { ef, nodes, is_rough }
    }
}

/// The least `ef` that finds enough; or if there is none, one that is dearer than a scan.
fn enough(graph: &Graph, is_rough: bool) -> u32 {
    let is_scan_cheaper = |&ef: &u32| graph.params.is_scan_cheaper(ef as usize, graph.linked());
    let efs = std::iter::successors(Some(LEAST_EF as u32), |ef| ef.checked_mul(2));
    let efs: Vec<u32> = efs.take_while(|ef| !is_scan_cheaper(ef)).collect();
    let found: Vec<_> = efs.iter().map(|_| AtomicUsize::new(0)).collect();
    let sample = (0..SAMPLE).map(|at| (at * graph.linked() / SAMPLE) as NodeId);
    let sample: Vec<_> = sample.collect();
    each(&sample, 1, |&node| {
        let mut best = 0;
        let bar = last_of_nearest(graph, node);
        for (&ef, found) in efs.iter().zip(&found) {
            if best < NEAREST {
                best = found_by_walk(graph, node, ef as usize, is_rough, bar);
            }
            // Who has found all of them, finds them with a larger one.
            found.fetch_add(best, Ordering::Relaxed);
        }
    });
    let wanted = sample.len() * NEAREST * ENOUGH;
    let enough = found.into_iter().position(|it| 100 * it.into_inner() >= wanted);
    // Four times the last one is dearer than a scan until the graph is measured again.
    let dearest = efs.last().copied().unwrap_or_default().saturating_mul(4);
    enough.map_or(dearest, |at| efs[at])
}

/// The score of the last of those nearest to a node.
fn last_of_nearest(graph: &Graph, node: NodeId) -> Option<f32> {
    let mut top = Top::new(NEAREST);
    let from = graph.vectors.from(graph.vectors.distance, graph.vector(node)?);
    let others = 0..graph.linked() as NodeId;
    let others = others.filter(|&other| other != node);
    top.extend(
        others.map(|other| Candidate { document: other as usize, score: from.nearness(other) }),
    );
    top.into_ranking().last().map(|it| it.score)
}

/// Number of those nearest to a node that a walk finds.
fn found_by_walk(
    graph: &Graph,
    node: NodeId,
    ef: usize,
    is_rough: bool,
    bar: Option<f32>,
) -> usize {
    let found = graph.nearest_to(node, ef, is_rough).into_iter();
    found.filter(|it| Some(it.nearness()) >= bar).count().min(NEAREST)
}
