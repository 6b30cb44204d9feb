//! The lowest layer of a graph: links between all nodes.
//!
//! hnsw_rs gives up the longest link of a node that has too many. So vectors that come side by side
//! end up on islands, which no walk finds or leaves: of 50 groups that came one after the other, a
//! fifth was never found. Here a link is only given up if another one leads the same way
//! ([Malkov & Yashunin 2016](https://arxiv.org/abs/1603.09320), algorithm 4).

use std::cmp::Ordering;

use parking_lot::{RwLock, RwLockUpgradableReadGuard};

use super::vectors::Vectors;
use super::{Distance, NodeId};

/// A node, and how near it is; the nearest is the greatest.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Near {
    pub(super) nearness: f32,
    pub(super) node: NodeId,
}

impl Eq for Near {}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nearness.total_cmp(&other.nearness).then(other.node.cmp(&self.node))
    }
}

/// The links of each node to some that are near it by one distance.
pub(super) struct Web {
    by: Distance,
    /// Links of a node.
    most: usize,
    lists: boxcar::Vec<RwLock<Vec<NodeId>>>,
}

impl Web {
    pub(super) fn new(by: Distance, most: usize) -> Self {
        Self { by, most, lists: boxcar::Vec::new() }
    }

    /// By which distance it links.
    pub(super) fn by(&self) -> Distance {
        self.by
    }

    /// Appends a node that has these links.
    pub(super) fn push(&self, links: Vec<NodeId>) {
        self.lists.push(RwLock::new(links));
    }

    /// The links of a node.
    pub(super) fn links(&self, node: NodeId) -> Vec<NodeId> {
        self.lists.get(node as usize).map(|list| list.read().clone()).unwrap_or_default()
    }

    /// Links a node to some of those that are near it, and them to it.
    pub(super) fn link(&self, vectors: &Vectors, node: NodeId, near: Vec<Near>) {
        let Some(list) = self.lists.get(node as usize) else { return };
        let chosen = self.choose(vectors, near);
        list.write().extend_from_slice(&chosen);
        chosen.into_iter().for_each(|other| self.add(vectors, other, node));
    }

    fn add(&self, vectors: &Vectors, node: NodeId, link: NodeId) {
        let Some(list) = self.lists.get(node as usize) else { return };
        // Walks go on reading the list while it is made.
        let list = list.upgradable_read();
        if list.contains(&link) {
            return;
        }
        let mut links = [list.as_slice(), &[link]].concat();
        if links.len() > self.most {
            let near = |node, other| {
                let nearness = vectors.nearness(self.by, node, other).unwrap_or(f32::MIN);
                Near { nearness, node: other }
            };
            links = self.choose(vectors, links.into_iter().map(|it| near(node, it)).collect());
        }
        *RwLockUpgradableReadGuard::upgrade(list) = links;
    }

    /// The nearest, without those that are nearer to one chosen before: there is a way to them.
    fn choose(&self, vectors: &Vectors, mut near: Vec<Near>) -> Vec<NodeId> {
        near.sort_unstable_by(|a, b| b.cmp(a));
        let mut chosen: Vec<NodeId> = Vec::new();
        for Near { nearness, node } in near {
            let between = |&other| vectors.nearness(self.by, node, other) >= Some(nearness);
            if chosen.len() < self.most && !chosen.iter().any(between) {
                chosen.push(node);
            }
        }
        chosen
    }
}
