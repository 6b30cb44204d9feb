//! The lowest layer of a graph: links between all nodes.
//!
//! hnsw_rs gives up the longest link of a node that has too many. So vectors that come side by side
//! end up on islands, which no walk finds or leaves: of 50 groups that came one after the other, a
//! fifth was never found. Here a link is only given up if another one leads the same way
//! ([Malkov & Yashunin 2016](https://arxiv.org/abs/1603.09320), algorithm 4).

use std::iter;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::blocks::Blocks;
use super::fetch::fetch;
use super::near::Near;
use super::vectors::Vectors;
use super::{Distance, NodeId};

/// Locks that all nodes share.
const LOCKS: usize = 1024;

/// The links of each node to some that are near it by one distance.
///
/// Whoever walks reads them without a lock. While a node's links change, some of those before and some
/// of those after may be seen: all of them lead to nodes.
pub(super) struct Web {
    by: Distance,
    /// Of each node its links, each as the other one's number and one more; 0 after the last.
    lists: Blocks,
    /// Whoever changes a node's links holds the lock that is the node's.
    locks: Box<[Mutex<()>]>,
}

impl Web {
    /// One in which a node has so many links at most.
    pub(super) fn new(by: Distance, most: usize) -> Self {
        let locks = (0..LOCKS).map(|_| Mutex::default()).collect();
        Self { by, lists: Blocks::new(most), locks }
    }

    /// One of a file.
    pub(super) fn from_file(by: Distance, lists: Blocks) -> Self {
        Self { lists, ..Self::new(by, 0) }
    }

    /// Distance by which it links.
    pub(super) fn by(&self) -> Distance {
        self.by
    }

    /// The most links of a node.
    pub(super) fn most(&self) -> usize {
        self.lists.stride()
    }

    /// Appends a node, without links.
    pub(super) fn push(&self) {
        self.lists.push([]);
    }

    /// The links of a node as they are written.
    pub(super) fn list(&self, node: NodeId) -> &[AtomicU32] {
        self.lists.get(node as usize).unwrap_or_default()
    }

    /// Has the links of a node fetched into the cache.
    pub(super) fn fetch(&self, node: NodeId) {
        self.lists.get(node as usize).into_iter().for_each(fetch);
    }

    /// The links of a node.
    pub(super) fn links(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let links = self.list(node).iter().map(|link| link.load(Ordering::Relaxed));
        links.map_while(|link| link.checked_sub(1))
    }

    /// Links a node to some of those that are near it, and them to it.
    pub(super) fn link(&self, vectors: &Vectors, node: NodeId, near: Vec<Near>) {
        let mut chosen = self.choose(vectors, near);
        self.change(node, |links| {
            // Others have been quicker to link to this one.
            links.retain(|link| !chosen.contains(link));
            links.truncate(self.most() - chosen.len());
            links.splice(0..0, chosen.iter().copied());
        });
        chosen.drain(..).for_each(|other| self.add(vectors, other, node));
    }

    fn add(&self, vectors: &Vectors, node: NodeId, link: NodeId) {
        self.change(node, |links| {
            if links.contains(&link) {
                return;
            }
            links.push(link);
            if links.len() > self.most()
                && let Some(vector) = vectors.get(node)
            {
                let from = vectors.from(self.by, vector);
                let near = links.iter().map(|&it| Near::new(from.nearness(it), it)).collect();
                *links = self.choose(vectors, near);
            }
        });
    }

    /// Changes the links of a node, at most as many as there may be.
    fn change(&self, node: NodeId, change: impl FnOnce(&mut Vec<NodeId>)) {
        let _lock = self.locks[node as usize % LOCKS].lock();
        let mut links: Vec<NodeId> = self.links(node).collect();
        change(&mut links);
        let links = links.into_iter().map(|link| link + 1).chain(iter::repeat(0));
        self.lists.write(node as usize, links);
    }

    /// The nearest, without those that are nearer to one chosen before: there is a way to them.
    fn choose(&self, vectors: &Vectors, mut near: Vec<Near>) -> Vec<NodeId> {
        near.sort_unstable_by(|a, b| b.cmp(a));
        let mut chosen: Vec<NodeId> = Vec::with_capacity(self.most());
        for near in near {
            if chosen.len() == self.most() {
                break;
            }
            let Some(vector) = vectors.get(near.node()) else { continue };
            let from = vectors.from(self.by, vector);
            if chosen.iter().all(|&other| from.nearness(other) < near.nearness()) {
                chosen.push(near.node());
            }
        }
        chosen
    }
}
